/* Counters: whatever the machine offers, the ladder ends on a rung that says what it is and gives sane numbers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/counters.h"

static void work(long turns) {
    for (long i = 0; i < turns; i++)
        __asm__ volatile("" : "+r"(i)); /* at least an addition, a comparison and a jump, or two of them */
}

/* Counters of a known amount of work; false if they cannot be right. */
static bool count_once(void) {
    enum { TURNS = 2000000 };
    struct counter_values few, many;
    bool clock_only = strncmp(counters_source(), "clock only: ", 12) == 0;
    counters_begin();
    work(TURNS);
    counters_end(&few);
    counters_begin();
    work(4L * TURNS);
    counters_end(&many);
    if (clock_only)
        return !few.valid && few.instructions < 0 && few.cycles < 0 && few.cache_misses < 0 && !many.valid &&
               strlen(counters_source()) > 12;
    return few.valid && many.valid && few.instructions >= 2.0 * TURNS && few.instructions < 10.0 * TURNS &&
           many.instructions > 3 * few.instructions && few.cycles > 0 && many.cycles > few.cycles;
}

static bool team_counted(void) {
    enum { TURNS = 2000000, TEAM = 2 };
    struct counter_values values;
#pragma omp parallel num_threads(TEAM)
    work(1); /* the team exists before the counters start, as in a worker that has bound its threads */
    counters_start();
    counters_begin();
#pragma omp parallel num_threads(TEAM)
    work(TURNS);
    counters_end(&values);
    return !values.valid || values.instructions >= 2.0 * TURNS * TEAM;
}

static bool in_child(bool (*try)(void)) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        _exit(try() ? 0 : 1);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool start_and_count(void) {
    counters_start();
    return count_once();
}

static void test_before_start(void **state) {
    (void)state;
    struct counter_values values = {true, 1, 1, 1};
    assert_true(counters_source()[0] != '\0');
    counters_begin();
    counters_end(&values);
    assert_false(values.valid);
    assert_true(values.instructions < 0 && values.cycles < 0 && values.cache_misses < 0);
}

static void test_ladder(void **state) {
    (void)state;
    char first[512];
    assert_true(in_child(team_counted));
    assert_true(in_child(start_and_count));
    counters_start();
    strncpy(first, counters_source(), sizeof first - 1);
    first[sizeof first - 1] = '\0';
    assert_true(count_once());
    counters_start(); /* again, and in a child of a process that had started them */
    assert_string_equal(counters_source(), first);
    assert_true(count_once());
    assert_true(in_child(start_and_count));
    counters_finish();
    struct counter_values values;
    counters_begin();
    counters_end(&values);
    assert_false(values.valid);
    counters_finish();
}

static void test_clock(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        double clock = counters_clock();
        assert_true(clock > 50e6 && clock < 20e9); /* between any processor's slowest and what none reaches */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_start),
        cmocka_unit_test(test_ladder),
        cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
