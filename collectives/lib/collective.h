/* collective.h: what every collective shares: its first axes, the ranks that take part, buffers, data and check.

   A program's bench.setup calls collective_create and, where its output is no all-reduce's, sets input_count,
   output_count and origin. Its variants take setup and reset from mpi_calls.h or nccl_calls.h, and bench.check is
   collective_check. What is left to write is one library call in `run`.

   A case with n ranks uses the first n ranks of the launch. The others go through the same callbacks, because the
   decisions below are collective over the launch, but hold no buffers, and their `run` returns at once. */
#ifndef COLLECTIVES_COLLECTIVE_H
#define COLLECTIVES_COLLECTIVE_H

#include "bench/bench.h"
#include "bench/ranks_mpi.h"
#include "collectives/lib/bus_factor.h"
#include "collectives/lib/pattern.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The first axes of every collective, in this order. */
enum { COLLECTIVE_RANKS, COLLECTIVE_BYTES, COLLECTIVE_DTYPE, COLLECTIVE_IN_PLACE, COLLECTIVE_AXES };
extern const char *const in_place_names[3]; /* out_of_place, in_place */
#define COLLECTIVE_AXIS_RANKS                                                                                          \
    {.name = "ranks", .help = "ranks that take part: the first ones of the launch", .kind = AXIS_INTEGER,              \
     .host = {"max", "powers", "powers"}, .device = {"max", "powers", "powers"}, .available = collective_ranks_launched}
/* 1g is named because 8:512m:4 steps over it, and published figures are for it. */
#define COLLECTIVE_AXIS_BYTES                                                                                          \
    {.name = "bytes", .help = "message size S; the larger side where the sides differ", .kind = AXIS_INTEGER,          \
     .host = {"8,4k,1m", "8:16m:8,64m", "8:64m:2"}, .device = {"8,64k,16m", "8:512m:4,1g", "8:8g:2"}}
#define COLLECTIVE_AXIS_DTYPE                                                                                          \
    {.name = "dtype", .help = "number format of the elements", .kind = AXIS_WORD, .words = dtype_names,                \
     .host = {"fp32", "fp32", "fp32"}, .device = {"fp32", "fp32", "fp32,bf16"}}
#define COLLECTIVE_AXIS_IN_PLACE                                                                                       \
    {.name = "in_place", .help = "whether input and output share memory", .kind = AXIS_WORD, .words = in_place_names,  \
     .host = {"out_of_place", "all", "all"}, .device = {"all", "all", "all"}}

struct collective {
    MPI_Comm group; /* of the ranks that take part; MPI_COMM_NULL on the others */
    int rank, ranks; /* in the group; rank -1 on the others */
    size_t count;   /* elements of S */
    bool in_place;
    struct pattern pattern;

    /* The program may change these between collective_create and the variant's setup. Defaults: an all-reduce's. */
    size_t input_count, output_count; /* elements of a rank's input and output; 0: it has none */
    size_t shared_offset;             /* in place: elements of the larger side before the smaller one */
    struct origin origin;             /* how the output follows from the inputs */

    /* Set by the variant's setup. */
    void *input, *output; /* on the variant's place */
    void *library;        /* communicator of a library other than MPI */
    double *device_error; /* on the device: where its check leaves the error */
    double error;         /* of a device variant, set by its fetch */
};

int64_t collective_ranks_launched(void); /* size of the launch: `available` of the axis ranks */
size_t collective_count(const struct run *run); /* elements of S */

/* For bench.decline: more ranks than launched, a size that is no whole number of elements, a format of no message. */
const char *collective_decline(const struct run *run);
/* For bench.describe: bytes (S read and S written by each rank), algorithm and bus bandwidth, call time. One rank has
   no bus bandwidth. The limit is the link between ranks of one node; several nodes, or messages that stay in the
   processor's caches, have none that is known here. */
void collective_describe(const struct run *run, struct work *work, enum bus bus);
struct collective *collective_create(struct run *run, enum operation operation);

double collective_buffer_bytes(const struct collective *collective); /* of one rank that takes part */
/* For the variants' setup: ends the measurement as skipped on every rank alike if some node (device) has less memory
   available than needed. A rank that ran out alone would leave the others waiting for ever. */
void collective_require_memory(struct run *run, double needed, double available, const char *where);
/* Allocates input and output by the library's allocator and registers the output. */
void collective_allocate(struct run *run, void *(*allocate)(struct run *run, size_t bytes));
/* For bench.check: every element on every rank that takes part; the verdict is of the worst rank. */
void collective_check(struct run *run, struct verdict *verdict);

#ifdef __cplusplus
}
#endif
#endif
