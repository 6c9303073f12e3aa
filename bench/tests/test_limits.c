/* Measured limits of the host: there, of sane kind, and nothing kept. No figure is held against a clock. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/limits_host.h"
#include "bench/topology.h"

static unsigned long pages_mapped(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL && fscanf(file, "%lu", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return pages;
}

static bool sane(double rate) {
    return isfinite(rate) && rate > 1e6 && rate < 1e17;
}

static void test_rates(void **state) {
    (void)state;
    struct host_limits limits = {NAN, NAN, NAN};
    int cores = topology_cores() < 2 ? topology_cores() : 2;
    host_limits_measure(&limits, cores);
    assert_true(sane(limits.bandwidth));
    assert_true(sane(limits.fp32));
    assert_true(sane(limits.fp64));
}

/* With too little memory for arrays larger than the caches: no bandwidth rather than a wrong one or a crash. */
static void test_little_memory(void **state) {
    (void)state;
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        rlim_t limit = (rlim_t)pages_mapped() * (rlim_t)sysconf(_SC_PAGESIZE) + 16384;
        struct host_limits limits = {NAN, NAN, NAN};
        alarm(60);
        if (setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}) != 0)
            _exit(2);
        host_limits_measure(&limits, 1);
        _exit(limits.bandwidth == 0 && sane(limits.fp32) && sane(limits.fp64) ? 0 : 1);
    }
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_nothing_kept(void **state) {
    (void)state;
    struct host_limits limits;
    host_limits_measure(&limits, 1); /* what the library allocates once is there now */
    unsigned long before = pages_mapped();
    host_limits_measure(&limits, 0); /* taken as one thread */
    assert_true(sane(limits.bandwidth));
    assert_true(pages_mapped() < before + (unsigned long)(16 * MIB / sysconf(_SC_PAGESIZE)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_little_memory),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_nothing_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
