/* test_bus_factor.c: bus bandwidth factors, against the bytes a link carries when the collective is played through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collectives/lib/bus_factor.h"

/* Blocks of S/n that rank 0 of a ring of n passes on: n-1 steps to scatter the sums, n-1 to gather them. */
static int ring_all_reduce_blocks(int ranks) {
    int blocks = 0;
    for (int phase = 0; phase < 2; phase++)
        for (int step = 1; step < ranks; step++) blocks++;
    return blocks;
}

static void factors_are_what_a_ring_link_carries(void **state) {
    (void)state;
    for (int ranks = 2; ranks <= 64; ranks++) {
        assert_float_equal(bus_factor(BUS_ALL_REDUCE, ranks) * ranks, ring_all_reduce_blocks(ranks), 1e-9);
        assert_float_equal(bus_factor(BUS_SHARED, ranks) * ranks, ring_all_reduce_blocks(ranks) / 2.0, 1e-9);
        assert_float_equal(bus_factor(BUS_WHOLE, ranks), 1, 0);
    }
}

/* nccl-tests' own columns: two ranks have the same algorithm and bus bandwidth, four have 1.5 times. */
static void factors_match_nccl_tests(void **state) {
    (void)state;
    assert_float_equal(bus_factor(BUS_ALL_REDUCE, 2), 1, 1e-12);
    assert_float_equal(bus_factor(BUS_ALL_REDUCE, 4), 1.5, 1e-12);
    assert_float_equal(bus_factor(BUS_SHARED, 4), 0.75, 1e-12);
}

static void one_rank_moves_nothing(void **state) {
    (void)state;
    for (enum bus bus = BUS_ALL_REDUCE; bus <= BUS_WHOLE; bus++) assert_float_equal(bus_factor(bus, 1), 0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_are_what_a_ring_link_carries),
        cmocka_unit_test(factors_match_nccl_tests),
        cmocka_unit_test(one_rank_moves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
