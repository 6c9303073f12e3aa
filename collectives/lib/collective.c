/* collective.c: see collective.h.
 * needs: mpi
 */
#include "collectives/lib/collective.h"

#include <string.h>

#include "bench/ranks.h"
#include "bench/topology.h"
#include "collectives/lib/link_limit.h"

const char *const in_place_names[3] = {"out_of_place", "in_place", NULL};
const char *const placement_names[PLACEMENT_COUNT + 1] = {
    [PLACEMENT_PACKED] = "packed", [PLACEMENT_STRIDED] = "strided", [PLACEMENT_SPREAD] = "spread"};

int64_t collective_ranks_launched(void) { return rank_backend->size(); }
int64_t collective_last_rank(void) { return rank_backend->size() - 1; }

size_t collective_count(const struct run *run) {
    return (size_t)run->value[COLLECTIVE_BYTES] / dtype_size(bench_dtype(run));
}

const char *collective_decline(const struct run *run) {
    if (run->value[COLLECTIVE_RANKS] > run->rank_count) return "more ranks than were launched";
    if (bench_dtype(run) == DTYPE_tf32) return "tf32 is a format of matrix units; messages hold it as fp32";
    if ((size_t)run->value[COLLECTIVE_BYTES] % dtype_size(bench_dtype(run)) != 0)
        return "not a whole number of elements";
    return NULL;
}

static size_t share(const struct run *run) { return collective_count(run) / (size_t)run->value[COLLECTIVE_RANKS]; }

static const char *unshared(const struct run *run) { return share(run) == 0 ? "fewer elements than ranks" : NULL; }

static const char *rootless(const struct run *run) {
    return run->value[COLLECTIVE_ROOT] >= run->value[COLLECTIVE_RANKS] ? "the root is not among the ranks" : NULL;
}

const char *collective_decline_share(const struct run *run) {
    const char *reason = collective_decline(run);
    return reason != NULL ? reason : unshared(run);
}

const char *collective_decline_root(const struct run *run) {
    const char *reason = collective_decline(run);
    return reason != NULL ? reason : rootless(run);
}

const char *collective_decline_root_share(const struct run *run) {
    const char *reason = collective_decline_root(run);
    return reason != NULL ? reason : unshared(run);
}

struct rank_set collective_set(const struct run *run) {
    return (struct rank_set){(int)run->value[COLLECTIVE_RANKS], (enum placement)run->value[COLLECTIVE_PLACEMENT]};
}

bool collective_covers(const struct run *run) {
    struct rank_set set = collective_set(run), earlier = set;
    if (set.ranks > collective_ranks_launched()) return true; /* declined, with a row */
    for (earlier.placement = PLACEMENT_PACKED; earlier.placement < set.placement; earlier.placement++)
        if (ranks_mpi_same(earlier, set)) return false;
    return true;
}

bool collective_covers_some(const struct run *run) {
    enum { BITS_OF_SMALLEST = 3, BITS_APART = 6 };
    int bits = __builtin_ctzll((uint64_t)run->value[COLLECTIVE_BYTES]);
    return run->preset != PRESET_QUICK || (bits - BITS_OF_SMALLEST) % BITS_APART == 0;
}

bool collective_covers_share(const struct run *run) { return collective_covers(run) && unshared(run) == NULL; }

bool collective_covers_root(const struct run *run) { return collective_covers(run) && rootless(run) == NULL; }

bool collective_covers_root_share(const struct run *run) {
    return collective_covers_root(run) && unshared(run) == NULL;
}

struct limit collective_node_limit(const struct run *run, double held) {
    bool cached = run->variant->place == PLACE_HOST && held <= (double)topology_last_cache_total();
    return cached ? (struct limit){0, NULL} : limit_link_bandwidth(run);
}

struct limit collective_link_limit(const struct run *run, double held, struct rank_set set, enum bus bus) {
    int nodes = ranks_mpi_nodes(set);
    struct limit link = collective_node_limit(run, held / nodes);
    if (nodes == 1) return link;
    return link_limit(link, limit_network_bandwidth(run), set.ranks, nodes, ranks_mpi_per_node(set), bus);
}

void collective_describe_bytes(const struct run *run, struct work *work, double size, double busiest, enum bus bus) {
    struct rank_set set = collective_set(run);
    const struct limit none = {0, NULL};
    work->bytes = 2 * size;
    bench_add_rate(work, METRIC_algorithm_bandwidth, size, none);
    if (set.ranks > 1)
        bench_add_rate(work, METRIC_bus_bandwidth, busiest, collective_link_limit(run, 2 * size * set.ranks, set, bus));
    bench_add_rate(work, METRIC_call_time, 1, none);
}

void collective_describe(const struct run *run, struct work *work, enum bus bus) {
    int ranks = (int)run->value[COLLECTIVE_RANKS];
    bool shares = bus != BUS_ALL_REDUCE && bus != BUS_WHOLE;
    size_t count = shares ? share(run) * (size_t)ranks : collective_count(run);
    double size = (double)(count * dtype_size(bench_dtype(run)));
    collective_describe_bytes(run, work, size, size * bus_factor(bus, ranks), bus);
}

void collective_describe_share(const struct run *run, struct work *work, enum bus bus) {
    collective_describe(run, work, bus);
    work->bytes = work->bytes / 2 * (1 + 1.0 / (double)run->value[COLLECTIVE_RANKS]);
}

double collective_additions(const struct run *run) {
    double ranks = (double)run->value[COLLECTIVE_RANKS];
    return (double)collective_count(run) * (ranks - 1) / ranks;
}

struct collective *collective_create_of(struct run *run, struct rank_set set, enum operation operation,
                                        enum dtype dtype, size_t count) {
    struct collective *collective = bench_alloc(run, sizeof *collective);
    *collective = (struct collective){
        .group = ranks_mpi_group(set),
        .set = set,
        .rank = -1,
        .ranks = set.ranks,
        .count = count,
        .share = count / (size_t)set.ranks,
        .pattern = pattern_make(run, dtype, operation, set.ranks),
        .input_count = count,
        .output_count = count,
        .origin = {.reduced = operation != OPERATION_MOVE, .block = count},
    };
    if (collective->group != MPI_COMM_NULL) MPI_Comm_rank(collective->group, &collective->rank);
    run->state = collective;
    return collective;
}

bool collective_works_in_place(const struct run *run) {
    const char *axis = run->bench->axes[COLLECTIVE_IN_PLACE].name;
    return axis != NULL && strcmp(axis, "in_place") == 0 && run->value[COLLECTIVE_IN_PLACE] == 1;
}

struct collective *collective_create(struct run *run, enum operation operation) {
    struct collective *collective =
        collective_create_of(run, collective_set(run), operation, bench_dtype(run), collective_count(run));
    collective->in_place = collective_works_in_place(run);
    return collective;
}

double collective_buffer_bytes(const struct collective *collective) {
    double size = (double)dtype_size(collective->pattern.dtype), input = size * (double)collective->input_count,
           output = size * (double)collective->output_count;
    if (!collective->in_place) return input + output;
    return input > output ? input : output;
}

void collective_require_memory(struct run *run, double needed, double available, const char *where) {
    double worst[2] = {needed, -available};
    rank_backend->maximum(worst, ARRAY_LENGTH(worst));
    if (worst[0] > -worst[1])
        bench_skip(run, "needs %.3g GiB on one %s, %.3g GiB available", worst[0] / (double)GIB, where,
                   -worst[1] / (double)GIB);
}

void collective_allocate(struct run *run, void *(*allocate)(struct run *run, size_t bytes)) {
    struct collective *collective = run->state;
    if (collective->group == MPI_COMM_NULL) return;
    size_t size = dtype_size(collective->pattern.dtype);
    size_t input_bytes = collective->input_count * size, output_bytes = collective->output_count * size;
    if (!collective->in_place) {
        if (input_bytes > 0) collective->input = allocate(run, input_bytes);
        if (output_bytes > 0) collective->output = allocate(run, output_bytes);
    } else {
        bool input_larger = input_bytes > output_bytes;
        char *whole = allocate(run, input_larger ? input_bytes : output_bytes);
        char *part = whole + collective->shared_offset * size;
        collective->input = input_larger ? whole : part;
        collective->output = input_larger ? part : whole;
    }
    if (output_bytes > 0)
        bench_output(run, collective->output, output_bytes, run->variant->place, collective->in_place);
}

void collective_check(struct run *run, struct verdict *verdict) {
    struct collective *collective = run->state;
    double error = collective->error;
    if (run->variant->place == PLACE_HOST && collective->output != NULL)
        error = pattern_error(&collective->pattern, &collective->origin, collective->output, collective->output_count,
                              run->threads);
    rank_backend->maximum(&error, 1);
    *verdict = (struct verdict){error, collective->pattern.tolerance};
}
