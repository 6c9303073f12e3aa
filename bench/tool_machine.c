/* tool_machine.c: the program `machine`: describes this machine as the manifest of a result folder. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "device.h"
#include "manifest.h"

enum { EXIT_DONE = 0, EXIT_BAD = 2 };

static const char help[] =
    "machine: what is this machine, as the benchmarks see it?\n\n"
    "usage: machine [--out FOLDER]\n\n"
    "Prints a manifest (JSON) on standard output.\n"
    "  --out FOLDER  write FOLDER/manifest.json and FOLDER/topology.xml instead, unless they are there;\n"
    "                a manifest that is there must be of this machine\n"
    "  --help        this text\n\n"
    "Exit status: 0 done, 2 bad usage, unwritable folder, or another machine's manifest.\n";

static int fail(const char *format, const char *word, const char *why) {
    fputs("machine: ", stderr);
    fprintf(stderr, format, word, why);
    fputc('\n', stderr);
    return EXIT_BAD;
}

static int print(void) {
    char *text = manifest_text("");
    bool printed = text != NULL && puts(text) != EOF && fflush(stdout) == 0;
    int error = text != NULL ? errno : ENOMEM;
    free(text);
    return printed ? EXIT_DONE : fail("cannot write to %s: %s", "standard output", strerror(error));
}

static int write_folder(const char *folder) {
    char reason[REASON_SIZE];
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return fail("--out: cannot make '%s': %s", folder, strerror(errno));
    if (!manifest_write(folder, "", reason) || !manifest_check(folder, reason))
        return fail("--out: %s%s", reason, "");
    return EXIT_DONE;
}

int main(int argc, char **argv) {
    const char *folder = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return fputs(help, stdout) == EOF ? EXIT_BAD : EXIT_DONE;
        if (strncmp(argv[i], "--out=", 6) == 0)
            folder = argv[i] + 6;
        else if (strcmp(argv[i], "--out") == 0 && i + 1 < argc)
            folder = argv[++i];
        else if (strcmp(argv[i], "--out") == 0)
            return fail("'%s' lacks its folder%s", argv[i], "");
        else
            return fail("'%s' is no option; valid: --out --help%s", argv[i], "");
        if (folder[0] == '\0')
            return fail("--out: '%s' is no folder%s", folder, "");
    }
    return folder != NULL ? write_folder(folder) : print();
}
