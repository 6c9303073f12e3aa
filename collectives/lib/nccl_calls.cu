/* nccl_calls.cu: see nccl_calls.h.
 * needs: nccl mpi
 */
#include <stdlib.h>
#include <string.h>

#include "bench/cuda.h"
#include "bench/device.h"
#include "bench/lifeline.h"
#include "bench/ranks.h"
#include "collectives/lib/nccl_calls.h"
#include "collectives/lib/pattern_device.h"

enum { ADDRESS_SIZE = 32 };

/* What NCCL and the driver take on top of the buffers once a communicator connects. */
static const double memory_reserve = 512.0 * MIB;

ncclDataType_t nccl_type(enum dtype dtype) {
    switch (dtype) {
    case DTYPE_fp64: return ncclFloat64;
    case DTYPE_fp32: return ncclFloat32;
    case DTYPE_fp16: return ncclFloat16;
    case DTYPE_bf16: return ncclBfloat16;
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 24, 0)
    case DTYPE_fp8_e4m3: return ncclFloat8e4m3;
    case DTYPE_fp8_e5m2: return ncclFloat8e5m2;
#endif
    case DTYPE_int8: return ncclInt8;
    case DTYPE_uint8: return ncclUint8;
    case DTYPE_int32: return ncclInt32;
    default: return ncclNumTypes;
    }
}

ncclRedOp_t nccl_operation(enum operation operation) {
    switch (operation) {
    case OPERATION_PROD: return ncclProd;
    case OPERATION_MIN: return ncclMin;
    case OPERATION_MAX: return ncclMax;
    case OPERATION_AVG: return ncclAvg;
    default: return ncclSum;
    }
}

void nccl_send(struct run *run, const void *array, size_t offset, size_t count, int peer) {
    const struct collective *collective = (const struct collective *)run->state;
    if (count == 0) return;
    const char *from = (const char *)array + offset * dtype_size(collective->pattern.dtype);
    NCCL_CHECK(run, ncclSend(from, count, nccl_type(collective->pattern.dtype), peer,
                             (ncclComm_t)collective->library, run->stream));
}

void nccl_receive(struct run *run, void *array, size_t offset, size_t count, int peer) {
    const struct collective *collective = (const struct collective *)run->state;
    if (count == 0) return;
    char *to = (char *)array + offset * dtype_size(collective->pattern.dtype);
    NCCL_CHECK(run, ncclRecv(to, count, nccl_type(collective->pattern.dtype), peer, (ncclComm_t)collective->library,
                             run->stream));
}

const char *nccl_decline(const struct run *run) {
    return nccl_type(bench_dtype(run)) == ncclNumTypes ? "this NCCL does not know the number format" : NULL;
}

/* Communicators that there are, for the day that a rank is lost. */
static struct {
    ncclComm_t *list;
    int count;
} communicators;

static void remember(struct run *run, ncclComm_t communicator) {
    ncclComm_t *longer = (ncclComm_t *)realloc(communicators.list, ((size_t)communicators.count + 1) * sizeof *longer);
    BENCH_CHECK(run, longer != NULL);
    communicators.list = longer;
    communicators.list[communicators.count++] = communicator;
}

static void forget(ncclComm_t communicator) {
    for (int i = 0; i < communicators.count; i++)
        if (communicators.list[i] == communicator) communicators.list[i] = communicators.list[--communicators.count];
}

/* Kernels that wait for a lost peer would spin on the device until the driver has taken the process apart. */
static void abort_all(void) {
    for (int i = 0; i < communicators.count; i++) ncclCommAbort(communicators.list[i]);
}

/* The communicator hangs on MPI's as an attribute: MPI calls this when the group is freed, before MPI_Finalize, while
   the peers and the device are still there. */
static int destroy(MPI_Comm group, int keyval, void *communicator, void *extra) {
    (void)group, (void)keyval, (void)extra;
    forget((ncclComm_t)communicator);
    return ncclCommDestroy((ncclComm_t)communicator) == ncclSuccess ? MPI_SUCCESS : MPI_ERR_OTHER;
}

static ncclComm_t join(struct run *run, MPI_Comm group, int rank, int ranks) {
    static int keyval = MPI_KEYVAL_INVALID;
    void *cached;
    int found;
    if (keyval == MPI_KEYVAL_INVALID) MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, destroy, &keyval, NULL);
    MPI_Comm_get_attr(group, keyval, &cached, &found);
    if (found) return (ncclComm_t)cached;

    ncclUniqueId id;
    ncclComm_t communicator = NULL;
    memset(&id, 0, sizeof id);
    ncclResult_t result = rank == 0 ? ncclGetUniqueId(&id) : ncclSuccess;
    int status = result; /* rank 0 must not leave while the others wait for its id */
    MPI_Bcast(&status, 1, MPI_INT, 0, group);
    MPI_Bcast(&id, sizeof id, MPI_BYTE, 0, group);
    NCCL_CHECK(run, (ncclResult_t)status);
    result = ncclCommInitRank(&communicator, ranks, id, rank);
    status = result;
    MPI_Allreduce(MPI_IN_PLACE, &status, 1, MPI_INT, MPI_MAX, group);
    if (status != ncclSuccess) {
        if (communicator != NULL) ncclCommAbort(communicator);
        bench_fail(run, "ncclCommInitRank: %s", ncclGetErrorString((ncclResult_t)status));
    }
    remember(run, communicator);
    lifeline_before_abort = abort_all;
    MPI_Comm_set_attr(group, keyval, communicator);
    return communicator;
}

/* Different devices among the ranks of a set. Addresses count, not indices: with a device bound to each task every
   rank calls its own device 0. The first call is collective over the launch; the devices stay as they are. */
static int distinct_devices(struct run *run, struct rank_set set) {
    static char (*address)[ADDRESS_SIZE];
    if (address == NULL) {
        char own[ADDRESS_SIZE] = "";
        strncpy(own, device_backend->pci_address(), sizeof own - 1);
        address = (char (*)[ADDRESS_SIZE])calloc((size_t)run->rank_count, sizeof *address);
        if (address == NULL) rank_backend->abort(1);
        MPI_Allgather(own, sizeof own, MPI_CHAR, address, sizeof own, MPI_CHAR, MPI_COMM_WORLD);
    }
    int distinct = 0;
    for (int i = 0; i < set.ranks; i++) {
        int r = ranks_mpi_member(set, i), j = 0;
        for (; j < i; j++) {
            int earlier = ranks_mpi_member(set, j);
            if (ranks_mpi_node(earlier) == ranks_mpi_node(r) && strcmp(address[earlier], address[r]) == 0) break;
        }
        distinct += j == i;
    }
    return distinct;
}

static void require_device_memory(struct run *run, const struct collective *collective) {
    size_t unoccupied = 0, total;
    CUDA_CHECK(run, cudaMemGetInfo(&unoccupied, &total));
    if (collective->group == MPI_COMM_NULL) unoccupied = total; /* this device is not asked for any */
    collective_require_memory(run, collective_buffer_bytes(collective), (double)unoccupied - memory_reserve, "device");
}

void device_setup(struct run *run, void *(*allocate)(struct run *run, size_t bytes)) {
    struct collective *collective = (struct collective *)run->state;
    require_device_memory(run, collective);
    collective_allocate(run, allocate);
    if (collective->group != MPI_COMM_NULL)
        collective->device_error = (double *)bench_device_alloc(run, sizeof *collective->device_error);
}

void nccl_join(struct run *run) {
    struct collective *collective = (struct collective *)run->state;
    int devices = distinct_devices(run, collective->set);
    if (devices < collective->ranks) bench_skip(run, "%d ranks on %d devices", collective->ranks, devices);
    if (collective->group != MPI_COMM_NULL)
        collective->library = join(run, collective->group, collective->rank, collective->ranks);
}

void nccl_setup(struct run *run) {
    nccl_join(run);
    device_setup(run, bench_device_alloc);
}

void device_reset(struct run *run) {
    const struct collective *collective = (const struct collective *)run->state;
    if (collective->group == MPI_COMM_NULL) return;
    size_t output_bytes = collective->output_count * dtype_size(collective->pattern.dtype);
    if (output_bytes > 0) CUDA_CHECK(run, cudaMemsetAsync(collective->output, 0xff, output_bytes, run->stream));
    pattern_device_fill(run, &collective->pattern, collective->rank, collective->input, collective->input_count);
}

void device_fetch(struct run *run) {
    struct collective *collective = (struct collective *)run->state;
    if (collective->group == MPI_COMM_NULL) return;
    collective->error = pattern_device_error(run, &collective->pattern, &collective->origin, collective->output,
                                             collective->output_count, collective->device_error);
}

void nccl_reset(struct run *run) {
    device_reset(run);
    nccl_choice_begin(run);
}

void nccl_fetch(struct run *run) {
    const struct collective *collective = (const struct collective *)run->state;
    nccl_choice_end(run);
    if (collective->group == MPI_COMM_NULL) return;
    ncclResult_t asynchronous;
    NCCL_CHECK(run, ncclCommGetAsyncError((ncclComm_t)collective->library, &asynchronous));
    NCCL_CHECK(run, asynchronous);
    device_fetch(run);
}
