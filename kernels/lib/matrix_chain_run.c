/* matrix_chain_run.c: the part of matrix_chain.h that needs a measurement around it. */
#include "bench/statistics.h"
#include "kernels/lib/matrix_chain.h"

void matrix_chain_setup(struct run *run, struct matrix_chain *chain) {
    size_t entries = (size_t)chain->m * (size_t)chain->n;
    BENCH_CHECK(run, chain->n <= CHAIN_N_MAX);
    chain->a = bench_alloc(run, (size_t)chain->m * CHAIN_ROW_BYTES);
    chain->b = bench_alloc(run, (size_t)chain->n * CHAIN_ROW_BYTES);
    chain->product = bench_alloc(run, entries * sizeof(double));
    chain->growth = bench_alloc(run, entries * sizeof(double));
    matrix_chain_fill(chain);
}

double matrix_chain_clocks(struct run *run, double (*clocks)(struct run *run, int64_t rounds, int mode), int mode) {
    static const size_t wanted[PRESET_COUNT] = {5, 11, 31};
    const int64_t between = (CHAIN_ROUNDS_MAX_FP16 - CHAIN_ROUNDS_SHORT) * CHAIN_SLICES;
    double sample[31], start = bench_seconds();
    size_t count = 0;
    clocks(run, CHAIN_ROUNDS_SHORT, mode); /* the first launch loads the code */
    do {
        double little = clocks(run, CHAIN_ROUNDS_SHORT, mode);
        sample[count++] = (clocks(run, CHAIN_ROUNDS_MAX_FP16, mode) - little) / (double)between;
    } while (count < 3 || (count < wanted[run->preset] && bench_seconds() - start < run->budget));
    return statistics(sample, count).median;
}
