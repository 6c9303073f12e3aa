/* all_reduce.cu: all-reduce of device memory by NCCL, one process a device; the question and formulas are in
   all_reduce.c. With --cache hot the harness captures many calls in a graph, as training frameworks do, which takes
   the launch off the host.

   NOTES, seen on 2 H200 with NCCL 2.28, NVLink multicast off, fp32 sums out of place:
   In a graph 8 B take 5.6 us, 3.3 us in symmetric buffers, whose kernel is another one; registered buffers and 8 calls
   in a group change nothing there (5.6 and 5.8). nccl-tests' loop, in turns in the same run, says 5.7.
   Of long messages registered buffers are the faster ones up to 128 MiB (283 to 294 GB/s of bus bandwidth), with 16
   channels for 24; symmetric ones stop at 256 GB/s, where plain ones get to 339 at 2 GiB.
   Beside the timing loop of nccl-tests written anew (warm-up, 20 calls, or 20 launches of a graph of 20; one process a
   GPU), launches of both in turn, medians of two and three, us, ours first. In graphs 8 B 5.60 and 5.72, 4 KiB 6.07 and
   6.12, 64 KiB 6.88 and 7.02. One by one 64 MiB 249.8 and 247.5, 256 MiB 898.6 and 891.6, 1 GiB 3295 and 3234: at 1 GiB
   launches of the same program differ by 1 to 2 % among themselves (ours 3249 to 3303, theirs 3222 to 3286).
   Longer warm-up, other streams, zeros, and no polling of NVML left that as it is.
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
