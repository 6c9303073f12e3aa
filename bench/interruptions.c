#include "interruptions.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

static double waited_for_a_core(void) {
    double seconds = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
        char path[320];
        unsigned long long ran, waited;
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", task->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL) continue;
        if (fscanf(file, "%llu %llu", &ran, &waited) == 2) seconds += 1e-9 * (double)waited;
        fclose(file);
    }
    if (tasks != NULL) closedir(tasks);
    return seconds;
}

static double stolen(void) {
    unsigned long long ticks = 0;
    FILE *file = fopen("/proc/stat", "r");
    if (file == NULL) return 0;
    if (fscanf(file, "cpu %*u %*u %*u %*u %*u %*u %*u %llu", &ticks) != 1) ticks = 0;
    fclose(file);
    return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

double interruptions_lost(void) {
    return waited_for_a_core() + stolen();
}
