/* The tour of memory_latency: every node once, whatever the count, and no order that a prefetcher could use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "kernels/memory_latency.h"

static const uint64_t counts[] = {1, 2, 3, 5, 8, 31, 32, 33, 100, 1000, 4096, 65537, 100000};

static void visits_every_node_once(void **unused) {
    (void)unused;
    for (size_t c = 0; c < ARRAY_LENGTH(counts); c++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct tour tour = tour_make(counts[c], seed);
            unsigned char *seen = calloc(counts[c], 1);
            assert_non_null(seen);
            for (uint64_t step = 0; step < counts[c]; step++) {
                uint64_t node = node_at(&tour, step);
                assert_true(node < counts[c]);
                assert_int_equal(seen[node], 0);
                seen[node] = 1;
            }
            free(seen);
        }
}

/* Of random successors a share of 2 d / count lies within d nodes. Twice that, and the neighbours next door in
   particular, would be an order. */
static void successors_are_far(void **unused) {
    (void)unused;
    enum { COUNT = 1 << 16 };
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct tour tour = tour_make(COUNT, seed);
        int64_t within_64 = 0, next_door = 0;
        for (uint64_t step = 0; step + 1 < COUNT; step++) {
            int64_t distance = (int64_t)node_at(&tour, step + 1) - (int64_t)node_at(&tour, step);
            if (llabs(distance) <= 64) within_64++;
            if (llabs(distance) <= 1) next_door++;
        }
        assert_in_range(within_64, 32, 256); /* 128 expected */
        assert_in_range(next_door, 0, 12);   /* 2 expected */
    }
}

/* Equal distances one after another are what a stride prefetcher looks for. */
static void no_stride(void **unused) {
    (void)unused;
    enum { COUNT = 1 << 16 };
    struct tour tour = tour_make(COUNT, 1);
    int64_t repeats = 0;
    for (uint64_t step = 0; step + 2 < COUNT; step++) {
        uint64_t a = node_at(&tour, step), b = node_at(&tour, step + 1), c = node_at(&tour, step + 2);
        if (b - a == c - b) repeats++;
    }
    assert_in_range(repeats, 0, 12);
}

static void seed_changes_the_tour(void **unused) {
    (void)unused;
    enum { COUNT = 4096 };
    struct tour one = tour_make(COUNT, 1), other = tour_make(COUNT, 2);
    int64_t same = 0;
    for (uint64_t step = 0; step < COUNT; step++) same += node_at(&one, step) == node_at(&other, step);
    assert_in_range(same, 0, 32); /* 1 expected */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(visits_every_node_once), cmocka_unit_test(successors_are_far),
                                       cmocka_unit_test(no_stride), cmocka_unit_test(seed_changes_the_tour)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
