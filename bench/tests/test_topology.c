/* Topology: counts on machines that hwloc makes up, binding, the limits of memory, the export. What leaves traces in a
   process (hwloc's start, affinity, OpenMP teams) is tried in a child. */
#define _GNU_SOURCE 1 /* sched_setaffinity */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/device.h"
#include "bench/topology.h"

static bool in_child(bool (*try)(void)) {
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        _exit(try() ? 0 : 1);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* In a child: prints what does not hold. */
#define HOLDS(expression) ((expression) || (fprintf(stderr, "line %d: %s\n", __LINE__, #expression), false))

static cpu_set_t affinity(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    return set;
}

static bool two_packages(void) {
    setenv("HWLOC_SYNTHETIC", "pack:2 [numa(memory=1GB)] l3:1(size=32MB) l2:4(size=1MB) l1d:1(size=48kB) core:1 pu:2",
           1);
    bool right = HOLDS(topology_cores() == 8) && HOLDS(topology_numa_nodes() == 2) &&
                 HOLDS(topology_machine_cores() == 8) && HOLDS(topology_last_cache_total() >= 2 * 31000000u) &&
                 HOLDS(topology_last_cache_total() == 2 * topology_cache(3)) &&
                 HOLDS(topology_cache(2) >= 1000000 && topology_cache(2) <= (1 << 20)) &&
                 HOLDS(topology_cache(4) == 0 && topology_cache(0) == 0 && topology_cache(-1) == 0);
    topology_take_share(1, 0);
    topology_take_share(2, 2);
    topology_take_share(0, 9); /* fewer cores than parts */
    right = right && HOLDS(topology_cores() == 8);
    topology_take_share(3, 4);
    right = right && HOLDS(topology_cores() == 2) && HOLDS(topology_machine_cores() == 8);
    right = right && HOLDS(topology_last_cache_total() == topology_cache(3)) && HOLDS(topology_numa_nodes() == 1);
    topology_take_share(0, 2);
    return right && HOLDS(topology_cores() == 1);
}

static bool shares_cover(void) {
    setenv("HWLOC_SYNTHETIC", "core:7 pu:1", 1);
    topology_start();
    int total = 0;
    for (int part = 0; part < 3; part++) {
        int ends[2], cores = 0;
        if (pipe(ends) != 0)
            return false;
        if (fork() == 0) {
            topology_take_share(part, 3);
            cores = topology_cores();
            _exit(write(ends[1], &cores, sizeof cores) == sizeof cores ? 0 : 1);
        }
        if (read(ends[0], &cores, sizeof cores) != sizeof cores)
            return false;
        total += cores;
    }
    return HOLDS(total == 7);
}

static bool no_caches(void) {
    setenv("HWLOC_SYNTHETIC", "pu:3", 1);
    return HOLDS(topology_cores() == 3) && HOLDS(topology_last_cache_total() == 0) && HOLDS(topology_cache(1) == 0) &&
           HOLDS(topology_numa_nodes() == 1);
}

static void test_made_up_machines(void **state) {
    (void)state;
    assert_true(in_child(two_packages));
    assert_true(in_child(shares_cover));
    assert_true(in_child(no_caches));
}

static bool one_processor(void) {
    cpu_set_t all = affinity(), one;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &one);
            break;
        }
    }
    if (!HOLDS(sched_setaffinity(0, sizeof one, &one) == 0))
        return false;
    return HOLDS(topology_cores() == 1) && HOLDS(topology_machine_cores() >= 1);
}

static bool bind_and_unbind(void) {
    cpu_set_t before = affinity();
    int cores = topology_cores(), bound = 0, different = 0;
    cpu_set_t seen[64];
    if (cores > 64)
        cores = 64;
    topology_bind_team(cores);
    cpu_set_t *place = seen; /* an array is no shared variable of the region by itself */
#pragma omp parallel num_threads(cores) reduction(+ : bound)
    {
        place[omp_get_thread_num()] = affinity();
        bound += CPU_COUNT(&place[omp_get_thread_num()]) == 1;
    }
    for (int i = 0; i < cores; i++)
        for (int j = 0; j < i; j++)
            different += !CPU_EQUAL(&seen[i], &seen[j]);
    bool right = HOLDS(bound == cores) && HOLDS(different == cores * (cores - 1) / 2);
    right = right && HOLDS(omp_get_max_threads() == cores) && HOLDS(topology_cores() >= cores);
    topology_unbind_thread();
    cpu_set_t after = affinity();
    return right && HOLDS(CPU_EQUAL(&before, &after));
}

/* More threads than hardware threads: nobody is pinned. */
static bool too_many_threads(void) {
    cpu_set_t before = affinity();
    int threads = 2 * CPU_COUNT(&before) + 1, free_threads = 0;
    topology_bind_team(threads);
#pragma omp parallel num_threads(threads) reduction(+ : free_threads)
    {
        cpu_set_t mine = affinity();
        free_threads += CPU_EQUAL(&mine, &before) != 0;
    }
    return HOLDS(free_threads == threads);
}

static bool near_nothing(void) {
    int cores = topology_cores();
    topology_bind_near(NULL);
    topology_bind_near("");
    topology_bind_near("no address");
    topology_bind_near("ffff:ff:1f.7");
    return HOLDS(topology_cores() == cores);
}

static void test_binding(void **state) {
    (void)state;
    assert_true(in_child(one_processor));
    assert_true(in_child(bind_and_unbind));
    assert_true(in_child(too_many_threads));
    assert_true(in_child(near_nothing));
}

static void test_processor(void **state) {
    (void)state;
    char value[4096] = "untouched";
    assert_true(topology_processor()[0] != '\0' && topology_processor()[0] != ' ');
    assert_ptr_equal(topology_processor(), topology_processor());
    assert_false(topology_processor_field("no such key", value, sizeof value));
    assert_false(topology_processor_field("", value, sizeof value));
    assert_string_equal(value, "untouched");
}

static char folder[64];

static void write_file(const char *path, const char *text) {
    char whole[512];
    snprintf(whole, sizeof whole, "%s/%s", folder, path);
    for (char *slash = strchr(whole + strlen(folder) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(whole, 0777);
        *slash = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0 && fclose(file) == 0);
}

static size_t available(const char *memberships) {
    char path[512];
    write_file("cgroup", memberships);
    snprintf(path, sizeof path, "%s/cgroup", folder);
    return topology_cgroup_available(path, folder);
}

static void test_groups(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_topology.%ld", (long)getpid());
    assert_int_equal(mkdir(folder, 0777), 0);
    assert_true(topology_cgroup_available("/no/such/file", folder) == SIZE_MAX);
    assert_true(available("0::/a/b\n") == SIZE_MAX); /* no such group is seen here */
    write_file("a/b/memory.max", "max\n");
    assert_true(available("0::/a/b\n") == SIZE_MAX);
    write_file("a/b/memory.max", "1000000\n");
    write_file("a/b/memory.current", "400000\n");
    assert_int_equal(available("0::/a/b\n"), 600000);
    write_file("a/b/memory.stat", "anon 1\nactive_file 7000\ninactive_file 50000\nslab 5\n");
    assert_int_equal(available("0::/a/b\n"), 650000);
    write_file("a/memory.max", "500000\n"); /* the group above is tighter */
    write_file("a/memory.current", "450000\n");
    assert_int_equal(available("0::/a/b\n"), 50000);
    assert_int_equal(available("0::/a\n"), 50000);
    assert_true(available("0::/\n") == SIZE_MAX);
    write_file("a/memory.current", "600000\n"); /* over the limit: nothing, not a huge number */
    assert_int_equal(available("0::/a/b\n"), 0);
    /* version 1, and a container that sees its group as the root of the mount */
    write_file("memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_true(available("9:name=systemd:/\n4:memory:/x/y\n") == SIZE_MAX);
    write_file("memory/memory.limit_in_bytes", "3000000\n");
    write_file("memory/memory.usage_in_bytes", "1000000\n");
    write_file("memory/memory.stat", "inactive_file 1\ntotal_inactive_file 200000\n");
    assert_int_equal(available("9:name=systemd:/\n4:memory:/x/y\n"), 2200000);
    assert_int_equal(available("4:memory:/x/y\n0::/a/b\n"), 0);
    assert_true(available("4:cpu,cpuacct:/x\n") == SIZE_MAX);
    assert_true(available("garbage\n\n:::\n") == SIZE_MAX);
    write_file("unified/c/memory.max", "700\n");
    assert_int_equal(available("0::/c\n"), 700);
}

static bool limited_memory(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!HOLDS(file != NULL && fscanf(file, "%lu", &pages) == 1))
        return false;
    fclose(file);
    size_t before = topology_memory_available(), room = 64 * (size_t)MIB;
    rlim_t limit = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + room;
    bool right = HOLDS(before > 0) && HOLDS(before < SIZE_MAX);
    right = right && HOLDS(setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}) == 0);
    return right && HOLDS(topology_memory_available() <= (before < room ? before : room));
}

static void test_memory(void **state) {
    (void)state;
    assert_true(in_child(limited_memory));
}

static void test_export(void **state) {
    (void)state;
    char path[512], reason[REASON_SIZE] = "", first[8] = "", command[600];
    snprintf(path, sizeof path, "%s/topology.xml", folder);
    assert_true(topology_export(path, reason));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(first, sizeof first, file));
    assert_string_equal(first, "<?xml v");
    assert_true(fseek(file, -12, SEEK_END) == 0);
    char tail[16] = "";
    assert_int_equal(fread(tail, 1, 12, file), 12);
    assert_non_null(strstr(tail, "topology>"));
    fclose(file);
    assert_false(topology_export("/no/such/folder/topology.xml", reason));
    assert_non_null(strstr(reason, "/no/such/folder/topology.xml"));
    assert_null(strchr(reason, '\n'));
    assert_false(topology_export(folder, reason)); /* a folder is in the way */
    snprintf(command, sizeof command, "ls %s.*.tmp 2>/dev/null", folder);
    assert_int_not_equal(system(command), 0); /* and nothing is left behind */
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_up_machines), cmocka_unit_test(test_binding), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_processor),        cmocka_unit_test(test_groups),  cmocka_unit_test(test_export),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
