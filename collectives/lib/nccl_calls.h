/* nccl_calls.h: what variants on device memory share: number formats and operations in NCCL's terms, communicators,
   buffers, data and check. The device is the one that the harness started: local rank modulo visible devices. */
#ifndef COLLECTIVES_NCCL_CALLS_H
#define COLLECTIVES_NCCL_CALLS_H

#include <nccl.h>

#include "collectives/lib/collective.h"
#include "collectives/lib/nccl_choice.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An error of NCCL ends the measurement as failed, with NCCL's words for it. */
#define NCCL_CHECK(run, expression)                                                                                    \
    do {                                                                                                               \
        ncclResult_t nccl_check_status = (expression);                                                                 \
        if (nccl_check_status != ncclSuccess)                                                                          \
            bench_fail(run, "%s: %s", #expression, ncclGetErrorString(nccl_check_status));                             \
    } while (0)

ncclDataType_t nccl_type(enum dtype dtype);        /* ncclNumTypes: this NCCL does not know it */
ncclRedOp_t nccl_operation(enum operation operation);

/* Parts of a group: `count` elements of the case's number format at element `offset` of an array, to or from a rank of
   the communicator. Nothing to move is left out, as both sides of an exchange know it. */
void nccl_send(struct run *run, const void *array, size_t offset, size_t count, int peer);
void nccl_receive(struct run *run, void *array, size_t offset, size_t count, int peer);

/* For variant.decline. */
const char *nccl_decline(const struct run *run);

/* For variant.setup: the communicator of the ranks that take part, made once for each set of ranks and kept until the
   launch ends, in collective->library (NULL on ranks that do not take part); buffers. Skips where two ranks would share
   a device, which NCCL refuses. */
void nccl_setup(struct run *run);
void nccl_join(struct run *run);  /* the communicator alone */
void nccl_reset(struct run *run); /* input filled, everything else poisoned with 0xff bytes */
void nccl_fetch(struct run *run); /* compares, leaves the error for collective_check; notes what NCCL chose */

#define NCCL_VARIANT(call)                                                                                             \
    {.name = "nccl", .backend = "nccl", .place = PLACE_DEVICE, .decline = nccl_decline, .setup = nccl_setup,           \
     .reset = nccl_reset, .run = call, .fetch = nccl_fetch}

/* The same without a library of its own. */
void device_setup(struct run *run, void *(*allocate)(struct run *run, size_t bytes)); /* buffers */
void device_reset(struct run *run);
void device_fetch(struct run *run);

/* Buffers that NCCL knows of: registered, so that peers read and write them without a copy in between; symmetric, at
   the same place in every rank's window, for NCCL's kernels of the same name. Both from ncclMemAlloc, and given back by
   nccl_release. They double what a preset measures: below full, all_reduce alone, out of place on all ranks
   (nccl_covers_more). */
void nccl_setup_registered(struct run *run);
void nccl_setup_symmetric(struct run *run);
void nccl_release(struct run *run);
bool nccl_covers_more(const struct run *run);
#define NCCL_VARIANT_REGISTERED(call)                                                                                  \
    {.name = "nccl_registered", .backend = "nccl", .place = PLACE_DEVICE, .decline = nccl_decline,                     \
     .setup = nccl_setup_registered, .reset = nccl_reset, .run = call, .fetch = nccl_fetch, .release = nccl_release,   \
     .covers = nccl_covers_more}
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0)
#define NCCL_VARIANT_SYMMETRIC(call)                                                                                   \
    {.name = "nccl_symmetric", .backend = "nccl", .place = PLACE_DEVICE, .decline = nccl_decline,                      \
     .setup = nccl_setup_symmetric, .reset = nccl_reset, .run = call, .fetch = nccl_fetch, .release = nccl_release,    \
     .covers = nccl_covers_more},
#else
#define NCCL_VARIANT_SYMMETRIC(call)
#endif

/* For variant.measure: the harness's own samples of `call`, and a loop as nccl-tests' (many calls enqueued, one wait,
   the host's clock, the mean over calls and ranks; 20 calls a graph with --cache hot, which is its -G), in turns in one
   run. Reports `ratio`, the median over the rounds of the harness's median over the loop's mean, and the loop's
   call_time. Like is compared with like in graphs, under --pacing back_to_back, and for messages that take longer than
   their launch: by default the harness's calls wait until they are enqueued, and the loop's do not. */
void nccl_measure_paired(struct run *run, void (*call)(struct run *run));

/* MPI's own call on device memory, by the host variant's `run` (the first of bench.variants), where this MPI can. */
const char *mpi_device_decline(const struct run *run);
void mpi_device_setup(struct run *run);
void mpi_device_run(struct run *run);
bool mpi_device_covers(const struct run *run);
#define MPI_VARIANT_ON_DEVICE                                                                                          \
    {.name = "mpi_device", .backend = "mpi", .place = PLACE_DEVICE, .decline = mpi_device_decline,                     \
     .setup = mpi_device_setup, .reset = device_reset, .run = mpi_device_run, .fetch = device_fetch,                   \
     .covers = mpi_device_covers, .no_graph = true}

#ifdef __cplusplus
}
#endif
#endif
