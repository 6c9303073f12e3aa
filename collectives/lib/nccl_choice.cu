/* nccl_choice.cu: see nccl_choice.h. NCCL has no call that tells what it chose, but its log does, at the level INFO for
   the subsystem TUNING, from rank 0 of a communicator. ncclResetDebugInit, which makes it read its settings anew and
   close its file, is marked as going away, so it is looked up when running.
 * needs: nccl mpi
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collectives/lib/collective.h"
#include "collectives/lib/nccl_choice.h"

static const char *const settings[][2] = {{"NCCL_DEBUG", "INFO"}, {"NCCL_DEBUG_SUBSYS", "TUNING"},
                                          {"NCCL_DEBUG_FILE", NULL}};
static char path[256]; /* "": not listening */

static void (*reset_log(void))(void) {
    static void (*reset)(void);
    static bool sought;
    if (!sought) *(void **)&reset = dlsym(RTLD_DEFAULT, "ncclResetDebugInit");
    sought = true;
    return reset;
}

void nccl_choice_begin(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    const char *folder = getenv("TMPDIR");
    path[0] = '\0';
    if (c->rank != 0 || reset_log() == NULL) return;
    for (size_t i = 0; i < ARRAY_LENGTH(settings); i++)
        if (getenv(settings[i][0]) != NULL) return;
    snprintf(path, sizeof path, "%s/plumbline-nccl-XXXXXX", folder != NULL && strlen(folder) < 200 ? folder : "/tmp");
    int file = mkstemp(path);
    if (file < 0) {
        path[0] = '\0';
        return;
    }
    close(file);
    for (size_t i = 0; i < ARRAY_LENGTH(settings); i++)
        setenv(settings[i][0], settings[i][1] != NULL ? settings[i][1] : path, 1);
    reset_log()();
}

/* "AllReduce: 8 Bytes -> Algo RING proto LL channel{Lo..Hi}={0..0}", "... [Symmetric]: 8 Bytes -> Kernel NAME nchannels
   1 nthreads 512 ..", and in older versions numbers for the names, which are passed on as they are. */
static void note_choice(struct run *run, const char *line) {
    char algorithm[48], protocol[32];
    int low, high, channels;
    const char *arrow = strstr(line, "Bytes -> ");
    if (arrow == NULL) return;
    arrow += strlen("Bytes -> ");
    if (sscanf(arrow, "Algo %47s proto %31s channel{Lo..Hi}={%d..%d}", algorithm, protocol, &low, &high) == 4)
        bench_note(run, "algorithm %s, protocol %s, %d channels", algorithm, protocol, high - low + 1);
    else if (sscanf(arrow, "Kernel %47s nchannels %d", algorithm, &channels) == 2)
        bench_note(run, "symmetric kernel %s, %d channels", algorithm, channels);
}

void nccl_choice_end(struct run *run) {
    char line[512];
    if (path[0] == '\0') return;
    for (size_t i = 0; i < ARRAY_LENGTH(settings); i++) unsetenv(settings[i][0]);
    reset_log()();
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) note_choice(run, line);
    if (file != NULL) fclose(file);
    unlink(path);
    path[0] = '\0';
}
