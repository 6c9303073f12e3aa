/* mpi_calls.c: see mpi_calls.h.
 * needs: mpi
 */
#include "collectives/lib/mpi_calls.h"

#include <limits.h>
#include <string.h>

#include "bench/topology.h"

MPI_Datatype mpi_type(enum dtype dtype) {
    switch (dtype) {
    case DTYPE_fp64: return MPI_DOUBLE;
    case DTYPE_fp32: return MPI_FLOAT;
    case DTYPE_int8: return MPI_INT8_T;
    case DTYPE_int32: return MPI_INT32_T;
    case DTYPE_uint8: return MPI_UINT8_T;
    default: return MPI_DATATYPE_NULL;
    }
}

MPI_Datatype mpi_moved_type(enum dtype dtype) {
    switch (dtype_size(dtype)) {
    case 1: return MPI_UINT8_T;
    case 2: return MPI_UINT16_T;
    case 4: return MPI_UINT32_T;
    default: return MPI_UINT64_T;
    }
}

MPI_Op mpi_operation(enum operation operation) {
    switch (operation) {
    case OPERATION_SUM: return MPI_SUM;
    case OPERATION_PROD: return MPI_PROD;
    case OPERATION_MIN: return MPI_MIN;
    case OPERATION_MAX: return MPI_MAX;
    default: return MPI_OP_NULL;
    }
}

const char *mpi_decline(const struct run *run, enum operation operation) {
    if (collective_count(run) > INT_MAX) return "more elements than MPI can count in an int";
    if (operation == OPERATION_MOVE) return NULL;
    if (mpi_operation(operation) == MPI_OP_NULL) return "MPI has no operation for an average";
    if (mpi_type(bench_dtype(run)) == MPI_DATATYPE_NULL) return "MPI does not calculate with this number format";
    return NULL;
}

const char *mpi_decline_move(const struct run *run) { return mpi_decline(run, OPERATION_MOVE); }

void mpi_setup(struct run *run) {
    const struct collective *collective = run->state;
    /* A tenth stays free: the ranks of a node take their memory at once, each seeing that of others shrink. */
    double needed = collective_buffer_bytes(collective) * ranks_mpi_per_node(collective->set);
    collective_require_memory(run, needed, 0.9 * (double)topology_memory_available(), "node");
    collective_allocate(run, bench_alloc);
}

void mpi_reset(struct run *run) {
    const struct collective *collective = run->state;
    if (collective->group == MPI_COMM_NULL) return;
    size_t size = dtype_size(collective->pattern.dtype);
    if (collective->output != NULL) memset(collective->output, 0xff, collective->output_count * size);
    if (collective->input != NULL)
        pattern_fill(&collective->pattern, collective->rank, collective->input, collective->input_count, run->threads);
}
