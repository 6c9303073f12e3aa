/* network.c: what this node's network carries in one direction, as the ports say in Linux' sysfs: all active InfiniBand
   ports together, else the fastest Ethernet port that is up. */
#include "network.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool read_line(const char *path, char *line, size_t size) {
    FILE *file = fopen(path, "r");
    if (file == NULL) return false;
    bool read = fgets(line, (int)size, file) != NULL;
    fclose(file);
    return read;
}

/* Calls `take` with each entry of a folder whose name does not begin with a dot. */
static void each(const char *folder, void (*take)(const char *path, double *rate), double *rate) {
    DIR *entries = opendir(folder);
    if (entries == NULL) return;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        char path[1088];
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%.800s/%.255s", folder, entry->d_name);
        take(path, rate);
    }
    closedir(entries);
}

/* state: "4: ACTIVE"; rate: "400 Gb/sec (4X NDR)" */
static void take_port(const char *path, double *rate) {
    char file[1200], line[128];
    double gigabits;
    snprintf(file, sizeof file, "%s/state", path);
    if (!read_line(file, line, sizeof line) || strstr(line, "ACTIVE") == NULL) return;
    snprintf(file, sizeof file, "%s/rate", path);
    if (read_line(file, line, sizeof line) && sscanf(line, "%lf Gb/sec", &gigabits) == 1) *rate += gigabits * 1e9 / 8;
}

static void take_adapter(const char *path, double *rate) {
    char folder[1200];
    snprintf(folder, sizeof folder, "%s/ports", path);
    each(folder, take_port, rate);
}

/* speed: megabits; -1 or unreadable where the link is down. Virtual interfaces have no device. */
static void take_interface(const char *path, double *rate) {
    char file[1200], line[64];
    double megabits;
    snprintf(file, sizeof file, "%s/device", path);
    if (access(file, F_OK) != 0) return;
    snprintf(file, sizeof file, "%s/speed", path);
    if (!read_line(file, line, sizeof line) || sscanf(line, "%lf", &megabits) != 1) return;
    if (megabits * 1e6 / 8 > *rate) *rate = megabits * 1e6 / 8;
}

struct limit network_bandwidth(const char *sysfs) {
    char folder[256];
    double infiniband = 0, ethernet = 0;
    snprintf(folder, sizeof folder, "%s/class/infiniband", sysfs);
    each(folder, take_adapter, &infiniband);
    if (infiniband > 0) return (struct limit){infiniband, "InfiniBand ports"};
    snprintf(folder, sizeof folder, "%s/class/net", sysfs);
    each(folder, take_interface, &ethernet);
    return ethernet > 0 ? (struct limit){ethernet, "Ethernet port"} : (struct limit){0, NULL};
}
