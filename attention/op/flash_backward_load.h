/* flash_backward_load.h: shared memory of the backward flash kernel, and the warps that fill and empty it. */
#ifndef ATTENTION_FLASH_BACKWARD_LOAD_H
#define ATTENTION_FLASH_BACKWARD_LOAD_H

#include <cuda.h>

#include "flash_backward_plan.h"
#include "flash_device.h"

enum { BACKWARD_STAGES = 2, BACKWARD_WORK_SLOTS = 2, BACKWARD_WARPS = 2 * WGMMA_THREADS / WARP };
/* named barriers: of both warpgroups, and the first of those of one */
enum { BACKWARD_EXCHANGED = 1, BACKWARD_OWN = 2 };

struct backward_arguments {
    /* (head_dim, token, head, batch); boxes of 64 x the rows of a tile */
    CUtensorMap query, output_gradient, key, value, key_gradient, value_gradient;
    const float *shift, *delta;   /* [batch * heads][query_tiles][QUERIES] */
    float *query_sums;            /* [batch * heads][query_tiles] tiles: flash_backward_sums.h */
    float *key_sums, *value_sums; /* [batch * kv_heads][key_tiles] tiles; NULL: work comes with all heads of its keys */
    unsigned *taken_queries;      /* [batch * heads][query_tiles]: how many have added to the tile's sums */
    unsigned *taken_keys;         /* [batch * kv_heads][key_tiles][2], of each warpgroup's part */
    const struct backward_work *work;
    const struct backward_entry *entry;
    const uint16_t *turn; /* of the entries of all work */
    const struct mask_tile_range *range;
    const uint32_t *bits;
    unsigned *taken; /* two numbers: as in struct flash_arguments */
    int work_count, kv_heads, group, query_tiles, key_tiles;
    float factor, scale; /* factor: scale / log 2 */
};

/* SPLIT, where the sums of 64 keys do not fit in a warpgroup's registers: both work on the same 64 keys, each on half
   of the queries of the scores and half of head_dim of the sums. ORDERED: sums are added in the order of turns. HANDED:
   a thread beside the warpgroups has a part in adding sums of queries. */
#define BACKWARD_TEMPLATE template <typename element, int HEAD_DIM, int QUERIES, int KEYS, bool ORDERED>
#define BACKWARD_ARGUMENTS element, HEAD_DIM, QUERIES, KEYS, ORDERED

BACKWARD_TEMPLATE struct backward_tiles {
    static constexpr bool SPLIT = HEAD_DIM > 128, HANDED = ORDERED || !SPLIT;
    static constexpr int CHUNKS = HEAD_DIM / CHUNK;
    static constexpr int QUERY_BYTES = CHUNKS * QUERIES * CHUNK_BYTES, KEY_BYTES = CHUNKS * KEYS * CHUNK_BYTES;
    static constexpr int SCORE_BYTES = QUERIES * KEYS * 2, EXCHANGE_BYTES = (SPLIT ? 2 : 1) * SCORE_BYTES;
    /* of a warpgroup: queries of its scores; head_dim of its sums of keys, and of queries */
    static constexpr int SCORE_COLUMNS = SPLIT ? QUERIES / 2 : QUERIES, SUM_COLUMNS = SPLIT ? HEAD_DIM / 2 : HEAD_DIM;
    static constexpr int QUERY_COLUMNS = HEAD_DIM * QUERIES / (2 * WGMMA_M);
    static constexpr int QUERY_SUM_BYTES = QUERIES * HEAD_DIM * 4; /* of both warpgroups */
    static constexpr int PASSING = 2 * EXCHANGE_BYTES + (SPLIT ? 0 : QUERY_SUM_BYTES);
    static constexpr int PASSING_BYTES = SPLIT || PASSING > 2 * KEY_BYTES ? PASSING : 2 * KEY_BYTES;
    static constexpr int ROW_BYTES = BACKWARD_STAGES * QUERIES * 4;
    static constexpr int SHARED_BYTES = 2 * KEY_BYTES + 2 * BACKWARD_STAGES * QUERY_BYTES + PASSING_BYTES +
                                        2 * ROW_BYTES + 512 + WGMMA_TILE_ALIGNMENT;
};

struct backward_barriers {
    uint64_t query_full[BACKWARD_STAGES], query_empty[BACKWARD_STAGES];
    uint64_t gradient_full[BACKWARD_STAGES], gradient_empty[BACKWARD_STAGES];
    uint64_t key_full, value_full, key_empty, out_full, out_empty;
    uint64_t sums_full, sums_empty; /* sums of queries are there, or, SPLIT, have been added; have left */
    uint64_t turn_come;
    uint64_t work_full[BACKWARD_WORK_SLOTS], work_empty[BACKWARD_WORK_SLOTS];
    struct backward_work work[BACKWARD_WORK_SLOTS];
};

/* Shared memory. Results leave through what score gradients have been exchanged in or, SPLIT, where keys and values
   lay. */
struct backward_memory {
    char *key, *value, *query, *output_gradient, *exchange, *query_out, *key_out, *value_out;
    float *shift, *delta;
    struct backward_barriers *barriers;
    unsigned exchange_tile; /* low word of the descriptor of exchange */
};

#if WGMMA_BUILT
BACKWARD_TEMPLATE
static __device__ __forceinline__ struct backward_memory backward_lay_out(char *dynamic) {
    using tiles = backward_tiles<BACKWARD_ARGUMENTS>;
    struct backward_memory memory;
    memory.key = dynamic + (-(uintptr_t)shared_address(dynamic) & (WGMMA_TILE_ALIGNMENT - 1));
    memory.value = memory.key + tiles::KEY_BYTES;
    memory.query = memory.value + tiles::KEY_BYTES;
    memory.output_gradient = memory.query + BACKWARD_STAGES * tiles::QUERY_BYTES;
    memory.exchange = memory.output_gradient + BACKWARD_STAGES * tiles::QUERY_BYTES;
    memory.query_out = memory.exchange + 2 * tiles::EXCHANGE_BYTES;
    memory.key_out = tiles::SPLIT ? memory.key : memory.exchange;
    memory.value_out = tiles::SPLIT ? memory.value : memory.exchange + tiles::KEY_BYTES;
    memory.shift = (float *)(memory.exchange + tiles::PASSING_BYTES);
    memory.delta = memory.shift + BACKWARD_STAGES * QUERIES;
    memory.barriers = (struct backward_barriers *)(memory.delta + BACKWARD_STAGES * QUERIES);
    memory.exchange_tile = (unsigned)wgmma_tile_descriptor(memory.exchange, 0);
    return memory;
}

BACKWARD_TEMPLATE
static __device__ __forceinline__ void backward_start_barriers(struct backward_barriers *barriers) {
    for (int i = 0; i < BACKWARD_STAGES; i++) {
        barrier_start_for(&barriers->query_full[i], 2); /* a tile, and numbers of its rows */
        barrier_start_for(&barriers->gradient_full[i], 2);
        /* every lane tells for itself that it has read the rows' numbers: one that does so for its warp after a
           __syncwarp is as good, but racecheck does not follow that, and it costs more */
        barrier_start_for(&barriers->query_empty[i], BACKWARD_WARPS * WARP);
        barrier_start_for(&barriers->gradient_empty[i], BACKWARD_WARPS * WARP);
    }
    using tiles = backward_tiles<BACKWARD_ARGUMENTS>;
    barrier_start(&barriers->key_full);
    barrier_start(&barriers->value_full);
    barrier_start_for(&barriers->key_empty, tiles::SPLIT ? 1 : BACKWARD_WARPS);
    barrier_start_for(&barriers->out_full, BACKWARD_WARPS);
    barrier_start(&barriers->out_empty);
    barrier_start_for(&barriers->sums_full, BACKWARD_WARPS * WARP);
    barrier_start(&barriers->sums_empty);
    barrier_start(&barriers->turn_come);
    for (int i = 0; i < BACKWARD_WORK_SLOTS; i++) {
        barrier_start(&barriers->work_full[i]);
        barrier_start_for(&barriers->work_empty[i], BACKWARD_WARPS * WARP + 2 + (tiles::HANDED ? 1 : 0));
    }
    barriers_started();
}

/* One thread takes the work and fetches keys and values. The first tile of a block is its own number, the others go to
   who comes first or, ORDERED, to the block whose they are; first_key < 0 says that there are no more. The last block
   to end leaves the numbers as the next launch needs them. */
BACKWARD_TEMPLATE
static __device__ void backward_fetch_keys(const struct backward_arguments *arguments,
                                           const struct backward_memory *memory) {
    using tiles = backward_tiles<BACKWARD_ARGUMENTS>;
    struct backward_barriers *barriers = memory->barriers;
    unsigned index = blockIdx.x;
    for (unsigned tile = 0;; tile++) {
        unsigned slot = tile % BACKWARD_WORK_SLOTS;
        barrier_wait(&barriers->work_empty[slot], (tile / BACKWARD_WORK_SLOTS & 1) ^ 1);
        if (tile > 0) index = ORDERED ? index + gridDim.x : gridDim.x + atomicAdd(&arguments->taken[0], 1);
        struct backward_work *work = &barriers->work[slot]; /* read there again: a copy takes too many registers */
        work->first_key = -1;
        if (index < (unsigned)arguments->work_count) *work = arguments->work[index];
        barrier_arrive(&barriers->work_full[slot]);
        if (work->first_key < 0) break;
        int batch = work->batch_head / arguments->kv_heads, head = work->batch_head % arguments->kv_heads;
        barrier_wait(&barriers->key_empty, (tile & 1) ^ 1);
        flash_load(memory->key, &arguments->key, tiles::CHUNKS, KEYS, work->first_key, head, batch,
                   &barriers->key_full);
        flash_load(memory->value, &arguments->value, tiles::CHUNKS, KEYS, work->first_key, head, batch,
                   &barriers->value_full);
    }
    if (ORDERED) return;
    if (atomicAdd(&arguments->taken[1], 1) != gridDim.x - 1) return;
    arguments->taken[0] = 0;
    arguments->taken[1] = 0;
}

/* For the other threads beside the warpgroups: a copy of the block's work number `tile`. false: there is no more. */
static __device__ __forceinline__ bool backward_take_work(struct backward_barriers *barriers, unsigned tile,
                                                          struct backward_work *work) {
    unsigned slot = tile % BACKWARD_WORK_SLOTS;
    barrier_wait(&barriers->work_full[slot], tile / BACKWARD_WORK_SLOTS & 1);
    *work = barriers->work[slot];
    barrier_arrive(&barriers->work_empty[slot]);
    return work->first_key >= 0;
}

/* Another one fetches the queries of all entries, and what belongs to them. */
BACKWARD_TEMPLATE
static __device__ void backward_fetch_queries(const struct backward_arguments *arguments,
                                              const struct backward_memory *memory) {
    using tiles = backward_tiles<BACKWARD_ARGUMENTS>;
    struct backward_barriers *barriers = memory->barriers;
    unsigned count = 0;
    struct backward_work work;
    for (unsigned tile = 0; backward_take_work(barriers, tile, &work); tile++) {
        int batch = work.batch_head / arguments->kv_heads, heads = arguments->kv_heads * arguments->group;
        int first_head = work.batch_head % arguments->kv_heads * arguments->group;
        for (int at = work.entry_begin; at < work.entry_end; at++, count++) {
            const struct backward_entry entry = arguments->entry[at];
            unsigned stage = count % BACKWARD_STAGES, parity = (count / BACKWARD_STAGES & 1) ^ 1;
            int head = first_head + entry.head;
            int64_t row = ((int64_t)(batch * heads + head) * arguments->query_tiles + entry.tile) * QUERIES;
            barrier_wait(&barriers->query_empty[stage], parity);
            flash_load(memory->query + stage * tiles::QUERY_BYTES, &arguments->query, tiles::CHUNKS, QUERIES,
                       entry.tile * QUERIES, head, batch, &barriers->query_full[stage]);
            barrier_expect(&barriers->query_full[stage], QUERIES * sizeof(float));
            bulk_load(memory->shift + stage * QUERIES, arguments->shift + row, QUERIES * sizeof(float),
                      &barriers->query_full[stage]);
            barrier_wait(&barriers->gradient_empty[stage], parity);
            flash_load(memory->output_gradient + stage * tiles::QUERY_BYTES, &arguments->output_gradient, tiles::CHUNKS,
                       QUERIES, entry.tile * QUERIES, head, batch, &barriers->gradient_full[stage]);
            barrier_expect(&barriers->gradient_full[stage], QUERIES * sizeof(float));
            bulk_load(memory->delta + stage * QUERIES, arguments->delta + row, QUERIES * sizeof(float),
                      &barriers->gradient_full[stage]);
        }
    }
}

/* A third one copies finished gradients to memory, unless the warpgroups add them to what is there. */
BACKWARD_TEMPLATE
static __device__ void backward_deliver(const struct backward_arguments *arguments,
                                        const struct backward_memory *memory) {
    using tiles = backward_tiles<BACKWARD_ARGUMENTS>;
    struct backward_barriers *barriers = memory->barriers;
    struct backward_work work;
    for (unsigned tile = 0; backward_take_work(barriers, tile, &work); tile++) {
        int batch = work.batch_head / arguments->kv_heads, head = work.batch_head % arguments->kv_heads;
        barrier_wait(&barriers->out_full, tile & 1);
        for (int chunk = 0; chunk < tiles::CHUNKS && !arguments->key_sums; chunk++) {
            tensor_store_4d(&arguments->key_gradient, chunk * CHUNK, work.first_key, head, batch,
                            memory->key_out + chunk * KEYS * CHUNK_BYTES);
            tensor_store_4d(&arguments->value_gradient, chunk * CHUNK, work.first_key, head, batch,
                            memory->value_out + chunk * KEYS * CHUNK_BYTES);
        }
        bulk_store_wait<0>();
        barrier_arrive(tiles::SPLIT ? &barriers->key_empty : &barriers->out_empty);
    }
}
#endif

#endif
