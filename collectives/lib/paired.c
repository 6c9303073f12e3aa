/* paired.c: mpi_measure_paired; see mpi_calls.h.
 * needs: mpi
 */
#include <stdlib.h>

#include "bench/statistics.h"
#include "collectives/lib/mpi_calls.h"

enum { ROUNDS = 7 };

static void hand_timed_loop(struct run *run, void (*call)(struct run *run), double *seconds, size_t count) {
    for (size_t i = 0; i < count; i++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double start = MPI_Wtime();
        call(run);
        seconds[i] = MPI_Wtime() - start;
    }
    MPI_Allreduce(MPI_IN_PLACE, seconds, (int)count, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
}

void mpi_measure_paired(struct run *run, void (*call)(struct run *run)) {
    double ratios[ROUNDS], *hand = NULL;
    size_t total = 0;
    mpi_reset(run);
    for (int round = 0; round < ROUNDS; round++) {
        double *harness;
        size_t count = bench_time_call(run, call, run->budget / (2 * ROUNDS), &harness);
        double *longer = realloc(hand, (total + count) * sizeof *hand);
        BENCH_CHECK(run, longer != NULL);
        hand = longer;
        hand_timed_loop(run, call, hand + total, count);
        ratios[round] = statistics(harness, count).median / statistics(hand + total, count).median;
        total += count;
        free(harness);
    }
    const struct limit none = {0, NULL};
    bench_report_plain(run, METRIC_ratio, statistics(ratios, ROUNDS).median, none);
    bench_report_samples(run, METRIC_call_time, 1, hand, total, none);
    free(hand);
    mpi_reset(run); /* what is checked afterwards is one call on fresh data */
    call(run);
}
