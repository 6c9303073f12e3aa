/* nccl_paired.cu: is what the harness measures what nccl-tests measures? See nccl_calls.h.
 * needs: nccl mpi
 */
#include <stdlib.h>

#include "bench/cuda.h"
#include "bench/statistics.h"
#include "collectives/lib/nccl_calls.h"

enum { ROUNDS = 5, CALLS = 20, LAUNCHES = 20, WARM_CALLS = 5 };

static const double share_of_budget = 0.1; /* of a measurement's, for one side of one round */

static cudaGraphExec_t capture(struct run *run, void (*call)(struct run *run)) {
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    CUDA_CHECK(run, cudaStreamBeginCapture(run->stream, cudaStreamCaptureModeThreadLocal));
    for (int i = 0; i < CALLS; i++) call(run);
    CUDA_CHECK(run, cudaStreamEndCapture(run->stream, &graph));
    CUDA_CHECK(run, cudaGraphInstantiate(&executable, graph, 0));
    cudaGraphDestroy(graph);
    return executable;
}

/* All calls are enqueued, then waited for; the host's clock, the mean over calls and ranks. */
static double loop(struct run *run, void (*call)(struct run *run), cudaGraphExec_t graph, int launches) {
    const struct collective *c = (const struct collective *)run->state;
    for (int i = 0; i < WARM_CALLS && graph == NULL; i++) call(run);
    if (graph != NULL) CUDA_CHECK(run, cudaGraphLaunch(graph, run->stream));
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    MPI_Barrier(c->group);
    double start = bench_seconds(), sum;
    for (int launch = 0; launch < launches; launch++) {
        if (graph != NULL) CUDA_CHECK(run, cudaGraphLaunch(graph, run->stream));
        for (int i = 0; i < CALLS && graph == NULL; i++) call(run);
    }
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    double seconds = (bench_seconds() - start) / (launches * CALLS);
    MPI_Allreduce(&seconds, &sum, 1, MPI_DOUBLE, MPI_SUM, c->group);
    return sum / c->ranks;
}

void nccl_measure_paired(struct run *run, void (*call)(struct run *run)) {
    const struct collective *c = (const struct collective *)run->state;
    const struct limit none = {0, NULL};
    double ratios[ROUNDS], theirs[ROUNDS];
    if (c->library == NULL) bench_skip(run, "all ranks of the launch take part, or none is timed by the host's clock");
    nccl_reset(run);
    call(run);
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
    nccl_choice_end(run);
    cudaGraphExec_t graph = run->captured ? capture(run, call) : NULL;
    double once = loop(run, call, graph, 1);
    MPI_Bcast(&once, 1, MPI_DOUBLE, 0, c->group);
    double affordable = share_of_budget * run->budget / (once * (double)CALLS);
    int launches = graph == NULL || affordable < 1 ? 1 : affordable < (double)LAUNCHES ? (int)affordable : LAUNCHES;
    for (int round = 0; round < ROUNDS; round++) {
        double *harness;
        size_t count = bench_time_call(run, call, share_of_budget * run->budget, &harness);
        theirs[round] = loop(run, call, graph, launches);
        ratios[round] = statistics(harness, count).median / theirs[round];
        free(harness);
    }
    if (graph != NULL) cudaGraphExecDestroy(graph);
    bench_report_plain(run, METRIC_ratio, statistics(ratios, ROUNDS).median, none);
    bench_report_samples(run, METRIC_call_time, 1, theirs, ROUNDS, none);
    device_reset(run); /* what is checked afterwards is one call on fresh data */
    call(run);
    CUDA_CHECK(run, cudaStreamSynchronize(run->stream));
}
