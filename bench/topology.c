/* topology.c: the machine by hwloc. `usable` starts as what the process is allowed and shrinks by bind_near and
   take_share; everything counted here is counted inside it. */
#include "topology.h"

#include <hwloc.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "device.h"
#include "file.h"

enum { PATH_SIZE = 4096 };

static hwloc_topology_t topology; /* cut to what this process may use when it starts */
static hwloc_topology_t whole;    /* of the boot or container, for the export */
static hwloc_bitmap_t usable;
static int machine_cores;

/* What the process may use. With OMP_PROC_BIND or OMP_PLACES the OpenMP runtime has bound the first thread to one place
   before main: its affinity alone would hide the other cores, the runtime's places show them. */
static void find_usable(void) {
    usable = hwloc_bitmap_alloc();
    if (hwloc_get_cpubind(topology, usable, HWLOC_CPUBIND_PROCESS) != 0 || hwloc_bitmap_iszero(usable))
        hwloc_bitmap_copy(usable, hwloc_topology_get_allowed_cpuset(topology));
    for (int place = 0; place < omp_get_num_places(); place++) {
        int count = omp_get_place_num_procs(place);
        int *processors = malloc((size_t)(count > 0 ? count : 1) * sizeof *processors);
        if (processors == NULL)
            break;
        omp_get_place_proc_ids(place, processors);
        for (int i = 0; i < count; i++)
            hwloc_bitmap_set(usable, (unsigned)processors[i]);
        free(processors);
    }
    hwloc_bitmap_and(usable, usable, hwloc_topology_get_allowed_cpuset(topology));
}

void topology_start(void) {
    /* Plugins that look for accelerators would start their drivers in this process, which a later fork must not have
       behind it, and cost seconds. */
    static const char *const drivers[] = {"cuda", "nvml", "opencl", "gl", "rsmi", "levelzero"};
    if (topology != NULL)
        return;
    bool loaded = hwloc_topology_init(&topology) == 0;
    for (size_t i = 0; loaded && i < ARRAY_LENGTH(drivers); i++)
        hwloc_topology_set_components(topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, drivers[i]);
    if (!loaded || hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT) != 0 ||
        hwloc_topology_load(topology) != 0) {
        fprintf(stderr, "topology: hwloc cannot read this machine\n");
        exit(1);
    }
    machine_cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);
    if (machine_cores < 1)
        machine_cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
    find_usable();
    /* Without this a core of which we may use one hardware thread would not lie inside `usable`. */
    if (hwloc_topology_dup(&whole, topology) == 0)
        hwloc_topology_restrict(topology, usable, 0);
    else
        whole = topology;
}

static int count_inside(hwloc_obj_type_t type) {
    topology_start();
    int count = hwloc_get_nbobjs_inside_cpuset_by_type(topology, usable, type);
    return count > 0 ? count : 0;
}

int topology_cores(void) {
    int cores = count_inside(HWLOC_OBJ_CORE); /* some virtual machines name no cores */
    return cores > 0 ? cores : count_inside(HWLOC_OBJ_PU);
}

int topology_numa_nodes(void) {
    int nodes = count_inside(HWLOC_OBJ_NUMANODE);
    return nodes > 0 ? nodes : 1;
}

int topology_machine_cores(void) {
    topology_start();
    return machine_cores;
}

/* Without spaces at the ends, and single ones between words. */
static void squeeze(char *text) {
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        bool space = *from == ' ' || *from == '\t' || *from == '\n';
        if (!space)
            *to++ = *from;
        else if (to > text && to[-1] != ' ')
            *to++ = ' ';
    }
    if (to > text && to[-1] == ' ')
        to--;
    *to = '\0';
}

bool topology_processor_field(const char *key, char *value, size_t size) {
    FILE *file = fopen("/proc/cpuinfo", "r");
    char *line = NULL;
    size_t capacity = 0;
    bool found = false;
    while (file != NULL && !found && getline(&line, &capacity, file) > 0) {
        char *colon = strchr(line, ':');
        if (colon == NULL)
            continue;
        *colon = '\0';
        squeeze(line);
        found = strcmp(line, key) == 0;
        if (found)
            snprintf(value, size, "%s", colon + 1);
    }
    if (found)
        squeeze(value);
    free(line);
    if (file != NULL)
        fclose(file);
    return found;
}

const char *topology_processor(void) {
    static char name[256];
    if (name[0] != '\0')
        return name;
    topology_start();
    hwloc_obj_t package = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PACKAGE, NULL);
    const char *model = package != NULL ? hwloc_obj_get_info_by_name(package, "CPUModel") : NULL;
    if (model == NULL)
        model = hwloc_obj_get_info_by_name(hwloc_get_root_obj(topology), "CPUModel");
    snprintf(name, sizeof name, "%s", model != NULL ? model : "");
    squeeze(name);
    if (name[0] == '\0')
        topology_processor_field("model name", name, sizeof name);
    struct utsname system;
    if (name[0] == '\0')
        snprintf(name, sizeof name, "%s", uname(&system) == 0 ? system.machine : "unknown processor");
    return name;
}

static hwloc_obj_type_t cache_type(int level) {
    return (hwloc_obj_type_t)(HWLOC_OBJ_L1CACHE + level - 1); /* L1 to L5 are neighbours in hwloc's enumeration */
}

size_t topology_cache(int level) {
    topology_start();
    if (level < 1 || level > 5)
        return 0;
    hwloc_obj_t cache = hwloc_get_next_obj_covering_cpuset_by_type(topology, usable, cache_type(level), NULL);
    if (cache == NULL)
        cache = hwloc_get_obj_by_type(topology, cache_type(level), 0);
    return cache != NULL && cache->attr != NULL ? (size_t)cache->attr->cache.size : 0;
}

size_t topology_last_cache_total(void) {
    topology_start();
    for (int level = 5; level >= 1; level--) {
        size_t total = 0;
        hwloc_obj_t cache = NULL;
        while ((cache = hwloc_get_next_obj_by_type(topology, cache_type(level), cache)) != NULL)
            if (hwloc_bitmap_intersects(cache->cpuset, usable))
                total += (size_t)cache->attr->cache.size;
        if (total > 0)
            return total;
    }
    return 0;
}

/* Where thread `index` of `threads` goes. False: nowhere in particular. */
static bool choose_place(int index, int threads, hwloc_bitmap_t set) {
    hwloc_obj_type_t type = HWLOC_OBJ_PU;
    if (threads <= count_inside(HWLOC_OBJ_CORE))
        type = HWLOC_OBJ_CORE;
    else if (threads > count_inside(HWLOC_OBJ_PU))
        return false;
    hwloc_obj_t object = hwloc_get_obj_inside_cpuset_by_type(topology, usable, type, (unsigned)index);
    if (object == NULL)
        return false;
    hwloc_bitmap_and(set, object->cpuset, usable);
    hwloc_bitmap_singlify(set);
    return true;
}

static void bind_thread(int index, int threads) {
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    if (!choose_place(index, threads, set))
        hwloc_bitmap_copy(set, usable);
    hwloc_set_cpubind(topology, set, HWLOC_CPUBIND_THREAD); /* a refusal costs noise, not correctness */
    hwloc_bitmap_free(set);
}

void topology_bind_team(int threads) {
    topology_start();
    if (threads < 1)
        threads = 1;
    omp_set_num_threads(threads);
#pragma omp parallel num_threads(threads)
    bind_thread(omp_get_thread_num(), threads);
}

void topology_unbind_thread(void) {
    topology_start();
    hwloc_set_cpubind(topology, usable, HWLOC_CPUBIND_THREAD);
}

static void shrink_usable(hwloc_const_cpuset_t set) {
    if (!hwloc_bitmap_intersects(usable, set))
        return;
    hwloc_bitmap_and(usable, usable, set);
    hwloc_set_cpubind(topology, usable, HWLOC_CPUBIND_PROCESS);
}

void topology_bind_near(const char *pci_address) {
    topology_start();
    hwloc_obj_t device = pci_address != NULL ? hwloc_get_pcidev_by_busidstring(topology, pci_address) : NULL;
    hwloc_obj_t near = device != NULL ? hwloc_get_non_io_ancestor_obj(topology, device) : NULL;
    if (near != NULL)
        shrink_usable(near->cpuset);
}

void topology_take_share(int part, int parts) {
    topology_start();
    int cores = count_inside(HWLOC_OBJ_CORE);
    if (part < 0 || part >= parts || cores < parts)
        return;
    hwloc_bitmap_t share = hwloc_bitmap_alloc();
    for (int core = (int)((int64_t)part * cores / parts); core < (int64_t)(part + 1) * cores / parts; core++)
        hwloc_bitmap_or(share, share,
                        hwloc_get_obj_inside_cpuset_by_type(topology, usable, HWLOC_OBJ_CORE, (unsigned)core)->cpuset);
    shrink_usable(share);
    hwloc_bitmap_free(share);
}

/* The number after `key` at the start of a line of folder/name ("" for a file of one number); `missing` where the file
   or the key is not there, or where it says "max". */
static double read_number(const char *folder, const char *name, const char *key, double missing) {
    char path[PATH_SIZE + 64], line[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    double value = missing;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        unsigned long long number;
        if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), " %llu", &number) == 1) {
            value = (double)number;
            break;
        }
    }
    if (file != NULL)
        fclose(file);
    return value;
}

/* Bytes left in the group of one folder; files of version 2 or 1. */
static double group_available(const char *folder, bool version_2) {
    double limit = read_number(folder, version_2 ? "memory.max" : "memory.limit_in_bytes", "", INFINITY);
    if (limit >= 0x1p62) /* version 1 has no word for unlimited but a number near 2^63 */
        return INFINITY;
    double used = read_number(folder, version_2 ? "memory.current" : "memory.usage_in_bytes", "", 0);
    double reclaimable = read_number(folder, "memory.stat", version_2 ? "inactive_file " : "total_inactive_file ", 0);
    double left = limit - used + reclaimable;
    return left > 0 ? left : 0;
}

/* The least of a group and all groups above it. A container often sees its own group as the mount's root, under
   another name than /proc says: folders that are not there limit nothing, and the walk ends at the root. */
static double groups_available(const char *mount, const char *group, bool version_2) {
    char folder[PATH_SIZE];
    double least = INFINITY;
    snprintf(folder, sizeof folder, "%s%s", mount, group);
    for (;;) {
        double left = group_available(folder, version_2);
        least = left < least ? left : least;
        char *slash = strrchr(folder, '/');
        if (strlen(folder) <= strlen(mount) || slash == NULL)
            return least;
        *slash = '\0';
    }
}

size_t topology_cgroup_available(const char *memberships, const char *mount) {
    FILE *file = fopen(memberships, "r");
    char line[PATH_SIZE], folder[PATH_SIZE];
    double least = INFINITY;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL)
            continue;
        *group++ = '\0';
        controllers++;
        bool version_2 = controllers[0] == '\0';
        if (!version_2 && strcmp(controllers, "memory") != 0)
            continue;
        double left[] = {INFINITY, INFINITY};
        left[0] = version_2 ? groups_available(mount, group, true) : INFINITY;
        snprintf(folder, sizeof folder, "%s/%s", mount, version_2 ? "unified" : "memory");
        left[1] = groups_available(folder, group, version_2);
        for (size_t i = 0; i < ARRAY_LENGTH(left); i++)
            least = left[i] < least ? left[i] : least;
    }
    if (file != NULL)
        fclose(file);
    return least < 0x1p62 ? (size_t)least : SIZE_MAX;
}

/* What a limit of this process leaves, given what counts against it now, in pages (a field of /proc/self/statm). */
static size_t rlimit_available(int resource, unsigned long long used_pages) {
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    unsigned long long used = used_pages * (unsigned long long)sysconf(_SC_PAGESIZE);
    return limit.rlim_cur > used ? (size_t)(limit.rlim_cur - used) : 0;
}

size_t topology_memory_available(void) {
    double kilobytes = read_number("/proc", "meminfo", "MemAvailable:", -1);
    size_t least = kilobytes >= 0 ? (size_t)(kilobytes * 1024)
                                  : (size_t)sysconf(_SC_AVPHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    unsigned long long total = 0, data = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL) {
        if (fscanf(file, "%llu %*u %*u %*u %*u %llu", &total, &data) != 2)
            total = data = 0;
        fclose(file);
    }
    size_t limits[] = {rlimit_available(RLIMIT_AS, total), rlimit_available(RLIMIT_DATA, data),
                       topology_cgroup_available("/proc/self/cgroup", "/sys/fs/cgroup")};
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++)
        least = limits[i] < least ? limits[i] : least;
    return least;
}

bool topology_export(const char *path, char *reason) {
    char *xml = NULL;
    int length = 0;
    topology_start();
    if (hwloc_topology_export_xmlbuffer(whole, &xml, &length, 0) != 0) {
        snprintf(reason, REASON_SIZE, "cannot write '%.400s': hwloc gives no XML", path);
        return false;
    }
    bool written = file_replace(path, xml, length > 0 ? (size_t)length - 1 : 0, reason); /* it counts the final zero */
    hwloc_free_xmlbuffer(whole, xml);
    return written;
}
