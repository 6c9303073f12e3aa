/* nccl_calls.h: what variants on device memory share: number formats and operations in NCCL's terms, communicators,
   buffers, data and check. The device is the one that the harness started: local rank modulo visible devices. */
#ifndef COLLECTIVES_NCCL_CALLS_H
#define COLLECTIVES_NCCL_CALLS_H

#include <nccl.h>

#include "collectives/lib/collective.h"

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

/* For variant.setup: the communicator of the ranks that take part, made once for each number of ranks and kept until
   the launch ends, in collective->library (NULL on ranks that do not take part); buffers. Skips where two ranks would
   share a device, which NCCL refuses. */
void nccl_setup(struct run *run);
void nccl_reset(struct run *run); /* input filled, everything else poisoned with 0xff bytes */
void nccl_fetch(struct run *run); /* compares on the device, leaves the error for collective_check */

#ifdef __cplusplus
}
#endif
#endif
