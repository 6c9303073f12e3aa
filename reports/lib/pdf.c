#define _GNU_SOURCE /* nftw */
#include "pdf.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "markup.h"
#include "process.h"

enum { PRINT_SECONDS = 120 };

static const char *const browsers[] = {"chromium", "chromium-browser", "google-chrome"};
static const char *const printers[] = {"weasyprint", "wkhtmltopdf"};

static bool on_path(const char *program) {
    const char *path = getenv("PATH");
    bool found = false;
    for (const char *at = path != NULL ? path : "/usr/bin:/bin"; *at != 0 && !found;) {
        size_t length = strcspn(at, ":");
        struct text name = {0};
        text_add(&name, "%.*s/%s", (int)length, at, program);
        found = access(name.data, X_OK) == 0;
        text_release(&name);
        at += length + (at[length] == ':');
    }
    return found;
}

static int forget(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

static bool file_write(const char *path, const struct text *text) {
    FILE *file = fopen(path, "wb");
    bool good = file != NULL && fwrite(text->data, 1, text->length, file) == text->length;
    if (file != NULL && fclose(file) != 0) good = false;
    return good;
}

/* Browsers refuse their sandbox to root; the page is ours, and its policy lets nothing in from outside. */
static bool by_browser(const char *program, const char *folder, const char *from, const char *to) {
    struct text profile = {0}, target = {0}, address = {0}, output = {0};
    text_add(&profile, "--user-data-dir=%s/profile", folder);
    text_add(&target, "--print-to-pdf=%s", to);
    text_add(&address, "file://%s", from);
    const char *argv[12] = {program,          "--headless", "--disable-gpu", "--no-pdf-header-footer",
                            "--no-first-run", profile.data, target.data};
    size_t count = 7;
    if (geteuid() == 0) argv[count++] = "--no-sandbox";
    argv[count] = address.data;
    bool good = process_run((char *const *)argv, "", PRINT_SECONDS, &output) && access(to, R_OK) == 0;
    text_release(&profile), text_release(&target), text_release(&address), text_release(&output);
    return good;
}

static bool by_printer(const char *program, const char *from, const char *to) {
    struct text output = {0};
    char *const argv[] = {(char *)program, (char *)from, (char *)to, NULL};
    bool good = process_run(argv, "", PRINT_SECONDS, &output) && access(to, R_OK) == 0;
    text_release(&output);
    return good;
}

static bool print_by(const char *program, bool browser, const char *folder, const struct text *html, struct text *pdf) {
    struct text from = {0}, to = {0};
    struct problem unread;
    text_add(&from, "%s/page.html", folder);
    text_add(&to, "%s/page.pdf", folder);
    bool good = file_write(from.data, html) &&
                (browser ? by_browser(program, folder, from.data, to.data) : by_printer(program, from.data, to.data));
    good = good && file_read(to.data, pdf, &unread) && pdf->length > 4 && memcmp(pdf->data, "%PDF", 4) == 0;
    text_release(&from);
    text_release(&to);
    return good;
}

enum pdf_outcome pdf_print(const struct text *html, struct text *pdf, struct problem *problem) {
    const char *temporary = getenv("TMPDIR"), *program = NULL;
    bool browser = false;
    for (size_t i = 0; i < ARRAY_LENGTH(printers); i++)
        if (program == NULL && on_path(printers[i])) program = printers[i];
    for (size_t i = ARRAY_LENGTH(browsers); i-- > 0;) /* the first of the list is the one taken in the end */
        if (on_path(browsers[i])) program = browsers[i], browser = true;
    if (program == NULL) {
        problem_set(problem, "PDF", 0,
                    "no program here prints HTML; install one of chromium, google-chrome, "
                    "weasyprint, wkhtmltopdf");
        return PDF_NO_PROGRAM;
    }
    struct text folder = {0};
    text_add(&folder, "%s/plumbline-pdf-XXXXXX", temporary != NULL && temporary[0] == '/' ? temporary : "/tmp");
    bool made = mkdtemp(folder.data) != NULL;
    if (!made) problem_set(problem, folder.data, 0, "%s", strerror(errno));
    bool good = made && print_by(program, browser, folder.data, html, pdf);
    if (made && !good) problem_set(problem, "PDF", 0, "%s printed nothing", program);
    if (made) nftw(folder.data, forget, 16, FTW_DEPTH | FTW_PHYS);
    text_release(&folder);
    return good ? PDF_MADE : PDF_FAILED;
}
