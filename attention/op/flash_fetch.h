/* flash_fetch.h: the tiles of the forward flash kernel in shared memory, and who fills and empties them: one warp
   fetches queries, one keys and values, one takes the output away, and where plans have two parts one fetches what the
   first one left. One thread of each does it; in SPARSE kernels, where a tile may be gathered, all that fetch keys and
   take away. Part of flash_forward.h. */
#ifndef ATTENTION_FLASH_FETCH_H
#define ATTENTION_FLASH_FETCH_H

#include "flash_fp8.h"
#include "flash_fp8_token.h"
#include "flash_join.h"

/* Work is taken when so many key tiles of the query tile before are left to fetch: late, so that no block sits on work
   while others have none, but early enough for the queries to come. */
enum { FLASH_SHARED_MAX = 227 * 1024, FLASH_WORK_SLOTS = 2, FLASH_LATE = 1 };

/* STAGES: key tiles, and as many value tiles, in shared memory. CONTINUE: the first scores of a query tile are made
   while the last values of the one before are added up; costs registers. OPTIONS: what of struct score_options counts.
   SPARSE: for masks with many partial tiles: a warpgroup leaves out the halves of a key tile that hold nothing for its
   rows. */
#define FLASH_TEMPLATE                                                                                                 \
    template <typename element, int HEAD_DIM, int TILE_KEYS, int WARPGROUPS, int STAGES, bool CONTINUE,                \
              enum flash_options OPTIONS, bool SPARSE>
#define FLASH_ARGUMENTS element, HEAD_DIM, TILE_KEYS, WARPGROUPS, STAGES, CONTINUE, OPTIONS, SPARSE

FLASH_TEMPLATE struct flash_tiles {
    static constexpr int ELEMENTS = CHUNK_BYTES / sizeof(element), CHUNKS = (HEAD_DIM + ELEMENTS - 1) / ELEMENTS;
    static constexpr int QUERIES = WARPGROUPS * WGMMA_M, OUTPUT_CHUNKS = (HEAD_DIM + CHUNK - 1) / CHUNK;
    static constexpr int QUERY_BYTES = OUTPUT_CHUNKS * QUERIES * CHUNK_BYTES; /* also of the output, 16-bit always */
    static constexpr int KEY_BYTES = CHUNKS * TILE_KEYS * CHUNK_BYTES;
    static constexpr bool HAS_OUTPUT = OPTIONS != FLASH_LOG_SUM_EXP; /* and fetches values */
    static constexpr int VALUE_BYTES = HAS_OUTPUT * (flash_format<element>::SCALED ? HEAD_DIM * TILE_KEYS : KEY_BYTES);
    static constexpr int STEPS = TILE_KEYS * sizeof(element) / WGMMA_K_BYTES; /* of the product with the values */
    /* of scales by token, twice as many as keys; of scales by block the barriers have them */
    static constexpr int SCALE_BYTES =
        flash_format<element>::BY_TOKEN ? 2 * STAGES * sizeof(struct flash_token_scales<TILE_KEYS>) : 0;
    /* with barriers, alignment */
    static constexpr int FIXED_BYTES = STAGES * (KEY_BYTES + VALUE_BYTES) + SCALE_BYTES + 2 * WGMMA_TILE_ALIGNMENT;
    /* With room for two query tiles the next one is fetched ahead, and the output leaves through the old one. SPARSE:
       three, since lines are short; and what a first part left comes to where the queries were, when they are used. */
    static constexpr int QUERY_SLOTS = SPARSE ? 3 : FIXED_BYTES + 2 * QUERY_BYTES <= FLASH_SHARED_MAX ? 2 : 1;
    static constexpr bool DELIVERS = HAS_OUTPUT && QUERY_SLOTS > 1; /* the output, through where queries lay */
    static constexpr int SHARED_BYTES = FIXED_BYTES + QUERY_SLOTS * QUERY_BYTES;
    static_assert(SHARED_BYTES <= FLASH_SHARED_MAX, "shared memory of a block");
    /* A query tile ends and the next one begins by flash_turn, and masks become bits: where that was measured, and
       registers are left. */
    static constexpr bool ENDS_LATE = CONTINUE && HEAD_DIM == 128 && !OPTIONS && !flash_format<element>::SCALED;
    /* A row keeps the maximum of the first key tile in which it sees something: softmax_flash.cu says why. */
    static constexpr bool KEEPS = !OPTIONS;
};

template <int STAGES> struct flash_barriers {
    uint64_t query_full[3], query_empty[3], output_full[3];
    uint64_t key_full[STAGES], key_empty[STAGES], value_full[STAGES], value_empty[STAGES];
    uint64_t work_full[FLASH_WORK_SLOTS], work_empty[FLASH_WORK_SLOTS], work_wanted;
    struct flash_work work[FLASH_WORK_SLOTS];
    bool careful[FLASH_WORK_SLOTS], failed[FLASH_WORK_SLOTS]; /* of the work: it is done with care; it has to be */
    /* SPARSE: of the entry of the key tile; the queries of the work, by halves */
    uint32_t where[STAGES];
    struct mask_line line[FLASH_WORK_SLOTS][2];
    uint64_t queries_used, earlier_full; /* of query tiles that join */
    /* twice as many as keys: they are read after the keys have been let go */
    alignas(16) struct flash_scales scales[2 * STAGES];
};

#if WGMMA_BUILT
/* The queries of a query tile. */
static __device__ __forceinline__ struct mask_line flash_line(const struct flash_arguments *arguments,
                                                              const struct flash_work *work) {
    return {work->first_query, 1, arguments->queries - work->first_query};
}
/* SPARSE: does this thread do what one thread of a warp does? */
template <bool SPARSE> static __device__ __forceinline__ bool flash_first_lane(void) {
    return !SPARSE || threadIdx.x % WARP == 0;
}

/* Has the work of a slot failed, now that it is done? Then it is to be done again. */
template <int STAGES>
static __device__ __forceinline__ bool flash_again(struct flash_barriers<STAGES> *barriers, unsigned slot,
                                                   struct flash_work *work) {
    if (!barriers->failed[slot]) return false;
    barriers->failed[slot] = false;
    *work = barriers->work[slot];
    return true;
}

/* Takes the work, a query tile or more ahead of the products, and fetches its queries. The first tile of a block is
   its own number, the others go to who comes first; but where blocks wait for each other also the first, since a block
   may not have begun. first_query < 0 says that there are no more. The last block to end leaves the numbers as the next
   launch needs them. */
FLASH_TEMPLATE
static __device__ void flash_fetch_queries(const struct flash_arguments *arguments, char *query,
                                           struct flash_barriers<STAGES> *barriers) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    bool waits = SPARSE && arguments->finished;
    unsigned index = blockIdx.x, query_count = 0, own = waits ? 0 : gridDim.x;
    for (unsigned tile = 0;; tile++) {
        unsigned slot = tile % FLASH_WORK_SLOTS, query_slot = query_count % tiles::QUERY_SLOTS;
        barrier_wait(&barriers->work_empty[slot], (tile / FLASH_WORK_SLOTS & 1) ^ 1);
        if (tile > 0) barrier_wait(&barriers->work_wanted, (tile & 1) ^ 1);
        struct flash_work work = {-1, 0, 0, 0};
        bool again = tiles::KEEPS && flash_again<STAGES>(barriers, slot, &work);
        if ((tile > 0 || waits) && !again) index = own + atomicAdd(&arguments->taken[0], 1);
        if (!again && index < (unsigned)arguments->work_count) {
            work = arguments->work[index];
        } else if (tiles::KEEPS && !again && tile > 0) { /* no more, unless the one before fails */
            unsigned other = (tile - 1) % FLASH_WORK_SLOTS;
            barrier_wait(&barriers->work_empty[other], (tile - 1) / FLASH_WORK_SLOTS & 1);
            again = flash_again<STAGES>(barriers, other, &work);
        }
        barriers->work[slot] = work;
        /* A plan in two parts is done with care throughout: what a tile leaves, others join with. */
        barriers->careful[slot] = again || waits;
        struct mask_line line[2] = {flash_line(arguments, &work), flash_line(arguments, &work)};
        for (int half = 0; SPARSE && half < 2; half++) {
            if (arguments->step > 0 && work.first_query >= 0) line[half] = arguments->line[2 * work.first_query + half];
            barriers->line[slot][half] = line[half];
        }
        barrier_arrive(&barriers->work_full[slot]);
        if (work.first_query < 0) break;
        if (work.entry_begin == work.entry_end) continue;
        barrier_wait(&barriers->query_empty[query_slot], (query_count++ / tiles::QUERY_SLOTS & 1) ^ 1);
        char *to = query + query_slot * tiles::QUERY_BYTES;
        int head = work.batch_head % arguments->heads, batch = work.batch_head / arguments->heads;
        if (SPARSE && line[0].step > 1)
            flash_load_apart<tiles::QUERIES, tiles::CHUNKS>(arguments, to, arguments->query_apart, arguments->query_row,
                                                            line, head, batch, &barriers->query_full[query_slot]);
        else
            flash_load(to, &arguments->query, tiles::CHUNKS, tiles::QUERIES, line[0].first, head, batch,
                       &barriers->query_full[query_slot], tiles::ELEMENTS);
    }
    if (atomicAdd(&arguments->taken[1], 1) != gridDim.x - 1) return;
    arguments->taken[0] = 0;
    arguments->taken[1] = 0;
}

/* What is to be fetched: a key tile's entry and, where the tile is gathered, the run of this lane's box. Asked for one
   tile ahead, so that nobody waits for memory between a tile's room and its copy. */
struct flash_key_tile {
    struct mask_tile entry;
    int run;
};

/* SPARSE: boxes of gathered tiles by lane: FLASH_RUNS_TOGETHER runs of one chunk, then of the next chunk. */
template <int CHUNKS> static __device__ __forceinline__ int flash_run_of_lane(void) {
    int lane = threadIdx.x % WARP;
    return lane / (FLASH_RUNS_TOGETHER * CHUNKS) * FLASH_RUNS_TOGETHER + lane % FLASH_RUNS_TOGETHER;
}
FLASH_TEMPLATE
static __device__ __forceinline__ struct flash_key_tile flash_key_tile_at(const struct flash_arguments *arguments,
                                                                          int at) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    struct flash_key_tile tile = {arguments->entry[at], 0};
    if (SPARSE && arguments->step > 0)
        tile.run = arguments->run[at * (TILE_KEYS / MASK_TILE_RUN) + flash_run_of_lane<tiles::CHUNKS>()];
    return tile;
}

/* SPARSE: runs of a gathered tile, a box to a lane, or to the first of lanes whose runs follow one another. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_load_runs(const struct flash_arguments *arguments, char *to, bool values,
                                                       int token, int head, int batch, uint64_t *full) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    static_assert(!SPARSE || tiles::CHUNKS * TILE_KEYS / MASK_TILE_RUN == WARP, "every lane has a box");
    int lane = threadIdx.x % WARP, number = lane % FLASH_RUNS_TOGETHER;
    int chunk = lane / FLASH_RUNS_TOGETHER % tiles::CHUNKS, step = token < 0 ? -arguments->step : 1;
    int first = __shfl_sync(~0u, token, lane - number);
    bool follows = (token < 0) == (first < 0) && token == first + number * step * MASK_TILE_RUN;
    unsigned lanes = __ballot_sync(~0u, follows) >> (lane - number);
    bool together = lanes % (1 << FLASH_RUNS_TOGETHER) == (1 << FLASH_RUNS_TOGETHER) - 1;
    if (together && number > 0) return;
    const struct flash_boxes *boxes = &arguments->boxes[together ? FLASH_BOX_RUNS : FLASH_BOX_RUN];
    to += (chunk * TILE_KEYS + flash_run_of_lane<tiles::CHUNKS>() * MASK_TILE_RUN) * CHUNK_BYTES;
    if (token >= 0) {
        tensor_load_4d(to, values ? &boxes->value : &boxes->key, chunk * CHUNK, token, head, batch, full);
    } else {
        int row = values ? arguments->value_row : arguments->key_row;
        tensor_load_4d(to, values ? &boxes->value_stepped : &boxes->key_stepped,
                       ~token % arguments->step * row + chunk * CHUNK, ~token / arguments->step, head, batch, full);
    }
}

/* A key tile, or value tile. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_load_keys(const struct flash_arguments *arguments, char *to, bool values,
                                                       struct flash_key_tile tile, int head, int batch,
                                                       uint64_t *full) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    bool gathered = SPARSE && arguments->step > 0;
    int first = gathered ? tile.entry.tile : tile.entry.tile * TILE_KEYS;
    if (!SPARSE || first >= 0) {
        if (flash_first_lane<SPARSE>())
            flash_load(to, values ? &arguments->value : &arguments->key, tiles::CHUNKS, TILE_KEYS, first, head, batch,
                       full);
        return;
    }
    if (flash_first_lane<SPARSE>()) barrier_expect(full, tiles::KEY_BYTES);
    __syncwarp();
    if (first == MASK_TILE_RUNS) {
        flash_load_runs<FLASH_ARGUMENTS>(arguments, to, values, tile.run, head, batch, full);
        return;
    }
    int token = mask_tile_stepped(tile.entry), chunk = threadIdx.x % WARP;
    int row = values ? arguments->value_row : arguments->key_row;
    const struct flash_boxes *boxes = &arguments->boxes[FLASH_BOX_TILE];
    if (chunk < tiles::CHUNKS)
        tensor_load_4d(to + chunk * TILE_KEYS * CHUNK_BYTES, values ? &boxes->value_stepped : &boxes->key_stepped,
                       token % arguments->step * row + chunk * CHUNK, token / arguments->step, head, batch, full);
}

/* The scales of the `count`th key tile: behind the barriers where they are by token. */
FLASH_TEMPLATE
static __device__ __forceinline__ auto *flash_scales_at(struct flash_barriers<STAGES> *barriers, unsigned count) {
    if constexpr (flash_format<element>::BY_TOKEN)
        return (struct flash_token_scales<TILE_KEYS> *)((char *)barriers + WGMMA_TILE_ALIGNMENT) + count % (2 * STAGES);
    else
        return &barriers->scales[count % (2 * STAGES)];
}

/* The same in fp8: a tile of keys with their scales, or one of values. */
template <typename element, int HEAD_DIM, int TILE_KEYS, int WARPGROUPS, int STAGES, bool CONTINUE,
          enum flash_options OPTIONS, bool SPARSE, typename scales_type>
static __device__ __forceinline__ void flash_load_scaled(const struct flash_arguments *arguments, char *to, bool values,
                                                         scales_type *scales, int tile, int head, int batch,
                                                         uint64_t *full) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    int64_t at = flash_tile_at(arguments, tile, head, batch);
    barrier_expect(full, values ? tiles::VALUE_BYTES : tiles::KEY_BYTES + sizeof(*scales));
    if (values) {
        bulk_load(to, arguments->value_tiles + at * tiles::VALUE_BYTES, tiles::VALUE_BYTES, full);
    } else {
        flash_copy(to, &arguments->key, tiles::CHUNKS, TILE_KEYS, tile * TILE_KEYS, head, batch, full,
                   tiles::ELEMENTS);
        bulk_load(scales, (const scales_type *)arguments->scales + at, sizeof(*scales), full);
    }
}

/* Fetches keys and values in the order of their use, as far ahead as there is room: key 0, key 1, value 0, key 2, value
   1, .. */
FLASH_TEMPLATE
static __device__ void flash_fetch_keys(const struct flash_arguments *arguments, char *key, char *value,
                                        struct flash_barriers<STAGES> *barriers) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    unsigned count = 0; /* key tiles fetched; of values one less within a query tile */
    for (unsigned tile = 0;; tile++) {
        unsigned slot = tile % FLASH_WORK_SLOTS;
        barrier_wait(&barriers->work_full[slot], tile / FLASH_WORK_SLOTS & 1);
        struct flash_work work = barriers->work[slot];
        barrier_arrive(&barriers->work_empty[slot]);
        if (work.first_query < 0) return;
        int batch = work.batch_head / arguments->heads, head = work.batch_head % arguments->heads / arguments->group;
        int late = min(work.entry_begin + FLASH_LATE, work.entry_end);
        if (late == work.entry_end && flash_first_lane<SPARSE>()) barrier_arrive(&barriers->work_wanted);
        struct flash_key_tile tile_of_keys = {}, tile_of_values = {}, next = {};
        if (work.entry_begin < work.entry_end)
            next = flash_key_tile_at<FLASH_ARGUMENTS>(arguments, work.entry_end - 1);
        for (int i = work.entry_end - 1; i >= work.entry_begin - 1; i--) {
            bool more = i >= work.entry_begin;
            tile_of_values = tile_of_keys;
            if (more) {
                unsigned stage = count % STAGES;
                tile_of_keys = next;
                if (i > work.entry_begin) next = flash_key_tile_at<FLASH_ARGUMENTS>(arguments, i - 1);
                barrier_wait(&barriers->key_empty[stage], (count++ / STAGES & 1) ^ 1);
                if (SPARSE && flash_first_lane<SPARSE>()) barriers->where[stage] = tile_of_keys.entry.where;
                char *to = key + stage * tiles::KEY_BYTES;
                if constexpr (flash_format<element>::SCALED)
                    flash_load_scaled<FLASH_ARGUMENTS>(arguments, to, false,
                                                       flash_scales_at<FLASH_ARGUMENTS>(barriers, count - 1),
                                                       tile_of_keys.entry.tile, head, batch,
                                                       &barriers->key_full[stage]);
                else
                    flash_load_keys<FLASH_ARGUMENTS>(arguments, to, false, tile_of_keys, head, batch,
                                                     &barriers->key_full[stage]);
                if (i == late && flash_first_lane<SPARSE>()) barrier_arrive(&barriers->work_wanted);
            }
            if (tiles::HAS_OUTPUT && i < work.entry_end - 1) {
                unsigned value_count = count - (more ? 2 : 1), stage = value_count % STAGES;
                barrier_wait(&barriers->value_empty[stage], (value_count / STAGES & 1) ^ 1);
                char *to = value + stage * tiles::VALUE_BYTES;
                if constexpr (flash_format<element>::SCALED)
                    flash_load_scaled<FLASH_ARGUMENTS>(arguments, to, true,
                                                       flash_scales_at<FLASH_ARGUMENTS>(barriers, 0),
                                                       tile_of_values.entry.tile, head, batch,
                                                       &barriers->value_full[stage]);
                else
                    flash_load_keys<FLASH_ARGUMENTS>(arguments, to, true, tile_of_values, head, batch,
                                                     &barriers->value_full[stage]);
            }
        }
    }
}

/* Rows that are not all of a tile, from shared memory by the lanes of a warp, 16 bytes each. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_scatter(const struct flash_arguments *arguments, const char *from,
                                                     struct mask_line line, int head, int batch) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    constexpr int PIECES = HEAD_DIM / 8; /* of a row */
    element *output = (element *)arguments->output + batch * arguments->output_stride.batch +
                      head * arguments->output_stride.head;
#pragma unroll 4
    for (int i = threadIdx.x % WARP; i < tiles::QUERIES * PIECES; i += WARP) {
        int row = i / PIECES, piece = i % PIECES;
        uint4 eight = *(const uint4 *)(from + piece / 8 * tiles::QUERIES * CHUNK_BYTES +
                                       wgmma_swizzled(row, piece % 8 * 16));
        if (row < line.count)
            *(uint4 *)(output + (int64_t)(line.first + row) * arguments->output_stride.row + piece * 8) = eight;
    }
}

/* A finished tile from shared memory to memory. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_take_away(const struct flash_arguments *arguments, const char *from,
                                                       const struct mask_line *line, int head, int batch) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    if (SPARSE && line[0].step == 1 && line[0].count < min(tiles::QUERIES, arguments->queries - line[0].first)) {
        flash_scatter<FLASH_ARGUMENTS>(arguments, from, line[0], head, batch);
        __syncwarp();
        return;
    }
    if (!flash_first_lane<SPARSE>()) return;
    if (SPARSE && line[0].step > 1)
        flash_store_apart<tiles::QUERIES, tiles::OUTPUT_CHUNKS>(arguments, from, line, head, batch);
    else
        for (int chunk = 0; chunk < tiles::OUTPUT_CHUNKS; chunk++)
            tensor_store_4d(&arguments->output_map, chunk * CHUNK, line[0].first, head, batch,
                            from + chunk * tiles::QUERIES * CHUNK_BYTES);
    bulk_store_wait<0>();
}

/* Fetches what the first part left of the queries of the second one, to where these queries were. */
FLASH_TEMPLATE
static __device__ void flash_fetch_earlier(const struct flash_arguments *arguments, char *query,
                                           struct flash_barriers<STAGES> *barriers) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    unsigned query_count = 0, joined = 0;
    for (unsigned tile = 0;; tile++) {
        unsigned slot = tile % FLASH_WORK_SLOTS, query_slot = query_count % tiles::QUERY_SLOTS;
        barrier_wait(&barriers->work_full[slot], tile / FLASH_WORK_SLOTS & 1);
        struct flash_work work = barriers->work[slot];
        if (flash_joins(arguments, &work)) {
            int head = work.batch_head % arguments->heads, batch = work.batch_head / arguments->heads;
            if (joined == 0) flash_await_finished(arguments);
            barrier_wait(&barriers->queries_used, joined++ & 1);
            flash_load_apart<tiles::QUERIES, tiles::OUTPUT_CHUNKS>(
                arguments, query + query_slot * tiles::QUERY_BYTES, arguments->output_apart,
                (int)arguments->output_stride.row, barriers->line[slot], head, batch, &barriers->earlier_full);
        }
        barrier_arrive(&barriers->work_empty[slot]);
        if (work.first_query < 0) break;
        if (work.entry_begin < work.entry_end) query_count++;
    }
    if (arguments->finished) flash_forget_finished(arguments);
}

/* Copies finished tiles from where their queries lay to memory, and then lets new queries come. In plans of two parts
   it tells of the tiles of the first one, which the copy engine takes away whole. */
FLASH_TEMPLATE
static __device__ void flash_deliver(const struct flash_arguments *arguments, const char *query,
                                     struct flash_barriers<STAGES> *barriers) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    unsigned query_count = 0;
    int untold = 0; /* tiles of a first part */
    for (unsigned tile = 0;; tile++) {
        unsigned slot = tile % FLASH_WORK_SLOTS, query_slot = query_count % tiles::QUERY_SLOTS;
        barrier_wait(&barriers->work_full[slot], tile / FLASH_WORK_SLOTS & 1);
        struct flash_work work = barriers->work[slot];
        struct mask_line line[2] = {flash_line(arguments, &work), {}};
        for (int half = 0; SPARSE && half < 2; half++) line[half] = barriers->line[slot][half];
        barrier_arrive(&barriers->work_empty[slot]);
        bool first_part = SPARSE && arguments->finished && work.first_query >= 0 && !flash_joins(arguments, &work);
        if (untold > 0 && !first_part && flash_first_lane<SPARSE>()) flash_tell_finished(arguments, untold);
        untold = first_part ? untold + 1 : 0;
        if (work.first_query < 0) return;
        if (work.entry_begin == work.entry_end) continue;
        int head = work.batch_head % arguments->heads, batch = work.batch_head / arguments->heads;
        const char *from = query + query_slot * tiles::QUERY_BYTES;
        barrier_wait(&barriers->output_full[query_slot], query_count++ / tiles::QUERY_SLOTS & 1);
        flash_take_away<FLASH_ARGUMENTS>(arguments, from, line, head, batch);
        if (flash_first_lane<SPARSE>()) barrier_arrive(&barriers->query_empty[query_slot]);
    }
}
#endif

#endif
