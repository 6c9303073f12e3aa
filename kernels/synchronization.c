/* synchronization: what does it cost threads of a device to wait for one another?

   latency and latency_clocks of one barrier, many in a row, with nothing between them:
     warp            __syncwarp of 32 threads
     block           __syncthreads of `block_threads`
     mbarrier        the same threads by a barrier in shared memory (mbarrier arrive and wait), as asynchronous copies
                     use
     cluster         barrier.cluster of `blocks` blocks
     grid            all `blocks` of a cooperative launch, by one counter in global memory
   and call_time of a launch in a stream of many:
     cluster_launch  a kernel of one block a multiprocessor, in clusters of `blocks` (1: no clusters)

   Bytes, FLOPs: none. Limit: none known. Time is taken inside the kernel, cluster_launch by the host's clock.
   Check: the same loop once more, in which everybody writes down the round before the barrier and looks at a
   neighbour's (in the next warp, block of the cluster or of the grid) after it; nobody may be early, and all rounds
   must be made.
 * needs: cuda
 */
#include "kernels/synchronization.h"

static void setup(struct run *run) {
    run->state = bench_alloc(run, sizeof(struct synchronization_state));
}

static void check(struct run *run, struct verdict *verdict) {
    const struct synchronization_state *state = run->state;
    verdict->error = state->rounds == state->expected ? (double)state->early : 1e9;
    verdict->tolerance = 0;
}

static const struct axis axes[] = {
    [AXIS_THREADS] = {.name = "block_threads", .help = "threads of a block", .kind = AXIS_INTEGER,
                      .host = {"32,256", "32:1024:2", "32:1024:+32"}, .minimum = 32, .maximum = 1024},
    [AXIS_BLOCKS] = {.name = "blocks", .help = "that wait together, or are launched together", .kind = AXIS_INTEGER,
                     .host = {"1,2,132", "1:16:2,32,64,132", "1:16:2,32,64,132"}, .minimum = 1, .maximum = GRID_MAX},
    {0}};

static const struct variant variants[] = {{0}};

const struct bench bench = {.suite = "kernels", .name = "synchronization",
                            .question = "What does it cost threads of a device to wait for one another?", .axes = axes,
                            .variants = variants, .setup = setup, .check = check};
