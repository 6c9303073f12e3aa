/* all_reduce.cu: all-reduce of device memory by NCCL, one process a device; the question and formulas are in
   all_reduce.c. With --cache hot the harness captures many calls in a graph, as training frameworks do, which takes
   the launch off the host.

   NOTES, seen on 2 H200 with NCCL 2.28, NVLink multicast off, fp32 sums out of place:
   In a graph 8 B take 5.6 us, 3.3 us in symmetric buffers, whose kernel is another one; registered buffers and 8 calls
   in a group change nothing there (5.6 and 5.8). nccl-tests' loop, in turns in the same run, says 5.7.
   Of long messages registered buffers are the faster ones up to 128 MiB (283 to 294 GB/s of bus bandwidth), with 16
   channels for 24; symmetric ones stop at 256 GB/s, where plain ones get to 339 at 2 GiB.
   Beside nccl-tests (common.cu of its commit d2d40cc, cut to what is used here, with a short generator of data; one
   process a GPU, -w 5 -n 20), in turn, medians over launches, us, ours first; README.md has the other collectives.
   64 MiB 250.9 and 251.2 (bf16 247.6 and 247.1), 256 MiB 899.9 and 898.2 (892.6 and 889.5), 1 GiB 3284 and 3265 (3233
   and 3249). Graphs, -G 20: 8 B 5.61 and 5.64, 4 KiB 5.97 and 6.21, 64 KiB 6.81 and 7.06.
   1 GiB depends on where in a device's memory the driver puts the buffers, by 2 %. In each of two processes 36 pairs of
   them, from cudaMalloc or ncclMemAlloc, two or three at a time, with others between them or not, took 3239 to 3313 us
   and no kind less than another; one pair 12 times 3244 to 3256, another 3253 to 3281. What was allocated before
   decides, it seems by other processes too: the same first case took 3266 and 3270 in one command, 3293 and 3304 in
   another. So launches repeated in one order agree among themselves and seem to tell two programs apart: ours was 1.4 %
   above nccl-tests three times of three (3287 to 3308, theirs 3261 to 3268). nccl-tests' own figure moves as much when
   it allocates otherwise (3241 and 3244 without its check and that buffer, 3279 and 3287 by cudaMalloc), and with the
   memory's history shuffled before each launch ours took 3268, 3282 and 3269, theirs 3282, 3256 and 3283.
   In the same buffers (nccl_paired) the harness's median is 1.001, 1.002 and 1.001 times that of nccl-tests' loop at 64
   MiB, 256 MiB and 1 GiB: events cost some 3 us a sample, the maximum over ranks in place of the mean 0.15 %.
 * needs: nccl mpi
 */
#include "collectives/lib/nccl_calls.h"

static void all_reduce(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    if (c->library == NULL) return;
    NCCL_CHECK(run, ncclAllReduce(c->input, c->output, c->count, nccl_type(c->pattern.dtype),
                                  nccl_operation(c->pattern.operation), (ncclComm_t)c->library, run->stream));
}

/* S in AGGREGATED parts, as gradients come in many small arrays: in a group NCCL launches one kernel for all. */
static void aggregated(struct run *run) {
    enum { AGGREGATED = 8 };
    const struct collective *c = (const struct collective *)run->state;
    size_t size = dtype_size(c->pattern.dtype);
    if (c->library == NULL) return;
    NCCL_CHECK(run, ncclGroupStart());
    for (int part = 0; part < AGGREGATED; part++) {
        size_t begin = c->count * (size_t)part / AGGREGATED, end = c->count * ((size_t)part + 1) / AGGREGATED;
        if (begin == end) continue;
        NCCL_CHECK(run, ncclAllReduce((const char *)c->input + begin * size, (char *)c->output + begin * size,
                                      end - begin, nccl_type(c->pattern.dtype), nccl_operation(c->pattern.operation),
                                      (ncclComm_t)c->library, run->stream));
    }
    NCCL_CHECK(run, ncclGroupEnd());
}

static void measure_paired(struct run *run) { nccl_measure_paired(run, all_reduce); }

static bool covers_paired(const struct run *run) { return nccl_covers_more(run) && collective_covers_some(run); }

extern const struct variant cuda_variants[] = {
    NCCL_VARIANT(all_reduce),
    NCCL_VARIANT_REGISTERED(all_reduce),
    NCCL_VARIANT_SYMMETRIC(all_reduce)
    {.name = "nccl_aggregated", .backend = "nccl", .place = PLACE_DEVICE, .decline = nccl_decline, .setup = nccl_setup,
     .reset = nccl_reset, .run = aggregated, .fetch = nccl_fetch, .covers = nccl_covers_more},
    {.name = "nccl_paired", .backend = "nccl", .place = PLACE_DEVICE, .decline = nccl_decline, .setup = nccl_setup,
     .reset = nccl_reset, .fetch = nccl_fetch, .measure = measure_paired, .covers = covers_paired},
    MPI_VARIANT_ON_DEVICE,
    {.name = NULL},
};
