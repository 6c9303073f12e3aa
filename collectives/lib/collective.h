/* collective.h: what every collective shares: its first axes, the ranks that take part, buffers, data and check.

   A program's bench.setup calls collective_create and, where its output is no all-reduce's, sets input_count,
   output_count and origin. Its variants take setup and reset from mpi_calls.h or nccl_calls.h, and bench.check is
   collective_check. What is left to write is one library call in `run`.

   Where every rank holds one share of S (all-gather, reduce-scatter, gather, scatter, all-to-all), a share is S/n
   rounded down to whole elements, and the rates are of n such shares, as nccl-tests has it.

   A case with n ranks uses n ranks of the launch, which ones the axis placement says. The others go through the same
   callbacks, because the decisions below are collective over the launch, but hold no buffers, and their `run` returns
   at once. */
#ifndef COLLECTIVES_COLLECTIVE_H
#define COLLECTIVES_COLLECTIVE_H

#include "bench/bench.h"
#include "bench/ranks_mpi.h"
#include "collectives/lib/bus_factor.h"
#include "collectives/lib/pattern.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The first axes of every collective, in this order; programs that cannot work in place have one less. A root comes
   right behind them. */
enum { COLLECTIVE_RANKS, COLLECTIVE_PLACEMENT, COLLECTIVE_BYTES, COLLECTIVE_DTYPE, COLLECTIVE_IN_PLACE,
       COLLECTIVE_AXES, COLLECTIVE_ROOT = COLLECTIVE_AXES };
extern const char *const in_place_names[3]; /* out_of_place, in_place */
extern const char *const placement_names[PLACEMENT_COUNT + 1]; /* packed, strided, spread */
#define COLLECTIVE_AXIS_RANKS                                                                                          \
    {.name = "ranks", .help = "how many ranks of the launch take part", .kind = AXIS_INTEGER,              \
     .host = {"max", "powers", "powers"}, .device = {"max", "powers", "powers"}, .available = collective_ranks_launched}
#define COLLECTIVE_AXIS_PLACEMENT                                                                                      \
    {.name = "placement", .help = "which ranks: the first ones, evenly strided, or one of each node in turn",          \
     .kind = AXIS_WORD, .words = placement_names, .host = {"packed", "packed", "all"}}
/* A fit needs a dozen sizes. 64m and 1g are named because published figures are for them and steps of 4 miss them. */
#define COLLECTIVE_AXIS_BYTES                                                                                          \
    {.name = "bytes", .help = "message size S; the larger side where the sides differ", .kind = AXIS_INTEGER,          \
     .host = {"8,4k,1m", "8:32m:4,64m", "8:64m:2"}, .device = {"8,64k,16m", "8:512m:4,1g", "8:8g:2"}}
#define COLLECTIVE_AXIS_DTYPE                                                                                          \
    {.name = "dtype", .help = "number format of the elements", .kind = AXIS_WORD, .words = dtype_names,                \
     .host = {"fp32", "fp32", "fp32"}, .device = {"fp32", "fp32", "fp32,bf16"}}
#define COLLECTIVE_AXIS_IN_PLACE                                                                                       \
    {.name = "in_place", .help = "whether input and output share memory", .kind = AXIS_WORD, .words = in_place_names,  \
     .host = {"out_of_place", "all", "all"}, .device = {"all", "all", "all"}}
#define COLLECTIVE_AXIS_OPERATION                                                                                      \
    {.name = "operation", .help = "how elements are combined", .kind = AXIS_WORD, .words = operation_names,            \
     .host = {"sum", "sum", "sum"}}

/* The same with fewer values below full, for the programs beside all_reduce, which together must not take longer. On
   devices, sizes that nccl-tests' published figures are for. */
#define COLLECTIVE_AXIS_RANKS_FEW                                                                                      \
    {.name = "ranks", .help = "how many ranks of the launch take part", .kind = AXIS_INTEGER,              \
     .host = {"max", "max", "powers"}, .available = collective_ranks_launched}
#define COLLECTIVE_AXIS_BYTES_FEW                                                                                      \
    {.name = "bytes", .help = "message size S; the larger side where the sides differ", .kind = AXIS_INTEGER,          \
     .host = {"64,1m", "8:8m:4,16m", "8:64m:2"}, .device = {"64,16m", "8:128m:4,64m,1g", "8:8g:2"}}
#define COLLECTIVE_AXIS_IN_PLACE_FEW                                                                                   \
    {.name = "in_place", .help = "whether input and output share memory", .kind = AXIS_WORD, .words = in_place_names,  \
     .host = {"out_of_place", "out_of_place", "all"}}
#define COLLECTIVE_AXIS_ROOT                                                                                           \
    {.name = "root", .help = "the rank that the data comes from or goes to; max: the last of the launch",              \
     .kind = AXIS_INTEGER, .minimum = 0, .maximum = INT32_MAX, .host = {"0", "0", "0,max"},                            \
     .available = collective_last_rank}

#define COLLECTIVE_AXES_FEW                                                                                            \
    COLLECTIVE_AXIS_RANKS_FEW, COLLECTIVE_AXIS_PLACEMENT, COLLECTIVE_AXIS_BYTES_FEW, COLLECTIVE_AXIS_DTYPE

/* What the descriptors of all programs here have in common. */
#define COLLECTIVE_BENCH                                                                                               \
    .suite = "collectives", .axes = axes, .variants = variants, .describe = describe, .setup = setup, .ranks = true

struct collective {
    MPI_Comm group; /* of the ranks that take part; MPI_COMM_NULL on the others */
    struct rank_set set;
    int rank, ranks; /* in the group; rank -1 on the others */
    size_t count;   /* elements of S */
    size_t share;   /* of one rank's share of it: count / ranks, rounded down */
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
int64_t collective_last_rank(void);      /* the same of the axis root */
size_t collective_count(const struct run *run); /* elements of S */

/* For bench.decline: more ranks than launched, a size that is no whole number of elements, a format of no message. */
const char *collective_decline(const struct run *run);
/* The same, and where ranks have shares: fewer elements than ranks; where there is a root: it does not take part. */
const char *collective_decline_share(const struct run *run);
const char *collective_decline_root(const struct run *run);
const char *collective_decline_root_share(const struct run *run);
/* For bench.covers: a placement that is another one's is left out of a preset, and so is what the function above of the
   same name declines for its shares or its root. */
bool collective_covers(const struct run *run);
bool collective_covers_share(const struct run *run);
bool collective_covers_root(const struct run *run);
bool collective_covers_root_share(const struct run *run);
bool collective_covers_some(const struct run *run); /* in quick every third size: 8 B, 512 B, 32 KiB .. */
struct rank_set collective_set(const struct run *run);
/* For bench.describe: bytes (S read and S written by each rank), algorithm and bus bandwidth, call time. One rank has
   no bus bandwidth. Messages that stay in the processor's caches have no limit that is known here, and neither have
   several nodes whose network's rate is not known. Programs whose ranks read and write less set work->bytes after. */
void collective_describe(const struct run *run, struct work *work, enum bus bus);
/* The same where one side of a rank is S and the other its share of it. */
void collective_describe_share(const struct run *run, struct work *work, enum bus bus);
/* collective_describe for a message of `size` bytes of which the busiest link must carry `busiest`. */
void collective_describe_bytes(const struct run *run, struct work *work, double size, double busiest, enum bus bus);
/* For work->flops of a reduction: each rank's share, S/b (n-1)/n, of the additions. */
double collective_additions(const struct run *run);
/* What the bus bandwidth of ranks that hold `held` bytes in all is held against: the link within a node, the network
   between nodes as far as its rate is known, or the tighter of both (lib/link_limit.h). */
struct limit collective_node_limit(const struct run *run, double held); /* of one node; none where caches hold it */
struct limit collective_link_limit(const struct run *run, double held, struct rank_set set, enum bus bus);
/* From the axes; the second form for programs that have others: out of place. */
struct collective *collective_create(struct run *run, enum operation operation);
bool collective_works_in_place(const struct run *run); /* false, too, where a program has no such axis */
struct collective *collective_create_of(struct run *run, struct rank_set set, enum operation operation,
                                        enum dtype dtype, size_t count);

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
