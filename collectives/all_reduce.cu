/* all_reduce.cu: all-reduce of device memory by NCCL, one process a device; the question and formulas are in
   all_reduce.c. With --cache hot the harness captures many calls in a graph, as training frameworks do, which takes
   the launch off the host.

   NOTES, seen on 2 H200 with NCCL 2.28, NVLink multicast off, fp32 sums out of place (reports/gallery/h200):
   Short messages are faster in symmetric buffers, whose kernel is another one; registered buffers and 8 calls in a
   group change nothing there. Of long messages registered buffers are the faster ones up to 128 MiB, with 16 channels
   for 24; symmetric ones stop at some 257 GB/s of bus bandwidth.
   Beside nccl-tests: README.md, and reports/gallery/h200/nccl_tests. 1 GiB depends by some 2 % on where in a device's
   memory the driver puts the buffers, in either program: of many pairs of them, from cudaMalloc or ncclMemAlloc, each
   repeats its own time within a quarter of that, and no kind is faster. What was allocated before decides, it seems by
   other processes too, so that launches repeated in one order agree among themselves and seem to tell two programs
   apart. In the same buffers (nccl_paired) the harness's median is within 0.2 % of nccl-tests' loop from 64 MiB on:
   what is left is the events, and the maximum over ranks in place of the mean.
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
