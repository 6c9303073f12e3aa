/* flash_forward.h: the forward flash kernel for Hopper, as a template of its tiles. See softmax_flash.cu for what it is
   and why. */
#ifndef ATTENTION_FLASH_FORWARD_H
#define ATTENTION_FLASH_FORWARD_H

#include "flash.h"
#include "flash_device.h"

enum { FLASH_SHARED_MAX = 227 * 1024, FLASH_WORK_SLOTS = 2,
       /* named barriers, one for each warpgroup */ NAME_TURN = 1 };

/* STAGES: key tiles, and value tiles, that fit in shared memory. CONTINUE: the product with the values of one tile runs
   during the softmax of the next. TURNS: warpgroups take turns at the tensor cores, so that one's softmax runs during
   the other's products. */
template <typename element, int HEAD_DIM, int TILE_KEYS, int WARPGROUPS, int STAGES, bool CONTINUE, bool TURNS>
struct flash_tiles {
    static constexpr int CHUNKS = (HEAD_DIM + CHUNK - 1) / CHUNK, TILE_QUERIES = WARPGROUPS * WGMMA_M;
    static constexpr int QUERY_BYTES = CHUNKS * TILE_QUERIES * CHUNK_BYTES, KEY_BYTES = CHUNKS * TILE_KEYS * CHUNK_BYTES;
    static constexpr int FIXED_BYTES = 2 * STAGES * KEY_BYTES + 2 * WGMMA_TILE_ALIGNMENT; /* with barriers, alignment */
    static constexpr int QUERY_SLOTS = FIXED_BYTES + 2 * QUERY_BYTES <= FLASH_SHARED_MAX ? 2 : 1;
    static constexpr int THREADS = (WARPGROUPS + 1) * WGMMA_THREADS;
};

template <int WARPGROUPS, int STAGES> struct flash_barriers {
    uint64_t query_full[2], query_empty[2], output_full[2];
    uint64_t key_full[STAGES], key_empty[STAGES], value_full[STAGES], value_empty[STAGES];
    uint64_t work_full[FLASH_WORK_SLOTS], work_empty[FLASH_WORK_SLOTS];
    struct flash_work work[FLASH_WORK_SLOTS];
};

#if WGMMA_BUILT
#define FLASH_TEMPLATE                                                                                                 \
    template <typename element, int HEAD_DIM, int TILE_KEYS, int WARPGROUPS, int STAGES, bool CONTINUE, bool TURNS>
#define FLASH_TILES flash_tiles<element, HEAD_DIM, TILE_KEYS, WARPGROUPS, STAGES, CONTINUE, TURNS>

/* The last block to end leaves the numbers as the next launch needs them. */
static __device__ inline void flash_end(const struct flash_arguments *arguments) {
    if (atomicAdd(&arguments->taken[1], 1) != gridDim.x - 1) return;
    arguments->taken[0] = 0;
    arguments->taken[1] = 0;
}

static __device__ inline void flash_load(void *to, const CUtensorMap *map, int chunks, int rows, int row, int head,
                                         int batch, uint64_t *full) {
    barrier_expect(full, (unsigned)(chunks * rows * CHUNK_BYTES));
    for (int chunk = 0; chunk < chunks; chunk++)
        load_chunk((char *)to + chunk * rows * CHUNK_BYTES, map, chunk * CHUNK, row, head, batch, full);
}

/* One thread takes the work, a query tile ahead of the products, and fetches its queries. The first tile of a block is
   its own number, the others go to who comes first; first_query < 0 says that there are no more. */
FLASH_TEMPLATE
static __device__ void flash_produce_queries(const struct flash_arguments *arguments, char *query,
                                             struct flash_barriers<WARPGROUPS, STAGES> *barriers) {
    unsigned index = blockIdx.x, query_count = 0;
    for (unsigned tile = 0;; tile++) {
        unsigned slot = tile % FLASH_WORK_SLOTS;
        barrier_wait(&barriers->work_empty[slot], (tile / FLASH_WORK_SLOTS & 1) ^ 1);
        if (tile > 0) index = gridDim.x + atomicAdd(&arguments->taken[0], 1);
        struct flash_work work = {-1, 0, 0, 0};
        if (index < (unsigned)arguments->work_count) work = arguments->work[index];
        barriers->work[slot] = work;
        barrier_arrive(&barriers->work_full[slot]);
        if (work.first_query < 0) break;
        if (work.entry_begin == work.entry_end) continue;
        unsigned query_slot = query_count % FLASH_TILES::QUERY_SLOTS;
        barrier_wait(&barriers->query_empty[query_slot], (query_count++ / FLASH_TILES::QUERY_SLOTS & 1) ^ 1);
        flash_load(query + query_slot * FLASH_TILES::QUERY_BYTES, &arguments->query, FLASH_TILES::CHUNKS,
                   FLASH_TILES::TILE_QUERIES, work.first_query, work.batch_head % arguments->heads,
                   work.batch_head / arguments->heads, &barriers->query_full[query_slot]);
    }
    flash_end(arguments);
}

/* Another thread fetches keys and values in the order of their use, as far ahead as there is room: key 0, key 1, value
   0, key 2, value 1, .. */
FLASH_TEMPLATE
static __device__ void flash_produce_keys(const struct flash_arguments *arguments, char *key, char *value,
                                          struct flash_barriers<WARPGROUPS, STAGES> *barriers) {
    constexpr int KEY_BYTES = FLASH_TILES::KEY_BYTES;
    unsigned count = 0; /* key tiles fetched; of values one less within a query tile */
    for (unsigned tile = 0;; tile++) {
        unsigned slot = tile % FLASH_WORK_SLOTS;
        barrier_wait(&barriers->work_full[slot], tile / FLASH_WORK_SLOTS & 1);
        struct flash_work work = barriers->work[slot];
        barrier_arrive(&barriers->work_empty[slot]);
        if (work.first_query < 0) return;
        int batch = work.batch_head / arguments->heads, head = work.batch_head % arguments->heads / arguments->group;
        int first_value = 0;
        for (int i = work.entry_end - 1; i >= work.entry_begin - 1; i--) {
            int first_key = i >= work.entry_begin ? arguments->entry[i].first_key : 0;
            if (i >= work.entry_begin) {
                unsigned stage = count % STAGES;
                barrier_wait(&barriers->key_empty[stage], (count / STAGES & 1) ^ 1);
                flash_load(key + stage * KEY_BYTES, &arguments->key, FLASH_TILES::CHUNKS, TILE_KEYS, first_key, head,
                           batch, &barriers->key_full[stage]);
                count++;
            }
            if (i < work.entry_end - 1) {
                unsigned value_count = count - (i >= work.entry_begin ? 2 : 1), stage = value_count % STAGES;
                barrier_wait(&barriers->value_empty[stage], (value_count / STAGES & 1) ^ 1);
                flash_load(value + stage * KEY_BYTES, &arguments->value, FLASH_TILES::CHUNKS, TILE_KEYS, first_value,
                           head, batch, &barriers->value_full[stage]);
            }
            first_value = first_key;
        }
    }
}

/* The running state of a thread's two rows of scores: largest score and sum of exponentials, in units of log 2. */
struct flash_rows {
    float maximum[2], sum[2];
};

template <int COLUMNS, int TILE_QUERIES>
static __device__ __forceinline__ void flash_mask(float (&score)[COLUMNS / 2], const struct flash_arguments *arguments,
                                                  int index, int row) {
    const struct flash_partial partial = arguments->partial[index];
    int column = threadIdx.x % 4 * 2;
    if (partial.bits >= 0) {
        constexpr int WORDS = (COLUMNS + 31) / 32;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const uint32_t *word = arguments->word + partial.bits + (int64_t)(row + 8 * half) * WORDS;
#pragma unroll
            for (int block = 0; block < COLUMNS / 8; block++) {
                uint32_t bits = word[block / 4] >> (block % 4 * 8 + column);
                if (!(bits & 1)) score[4 * block + 2 * half] = -INFINITY;
                if (!(bits & 2)) score[4 * block + 2 * half + 1] = -INFINITY;
            }
        }
        return;
    }
    bool from_first = partial.low <= 0 && (partial.low_step == 0 || partial.low + TILE_QUERIES <= 0);
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int r = row + 8 * half;
        int low = partial.low + partial.low_step * r - column, high = partial.high + partial.high_step * r - column;
        if (r < partial.row_begin || r >= partial.row_end) high = -COLUMNS;
#pragma unroll
        for (int block = 0; block < COLUMNS / 8; block++) {
            if (8 * block >= high) score[4 * block + 2 * half] = -INFINITY;
            if (8 * block + 1 >= high) score[4 * block + 2 * half + 1] = -INFINITY;
        }
        if (from_first) continue;
#pragma unroll
        for (int block = 0; block < COLUMNS / 8; block++) {
            if (8 * block < low) score[4 * block + 2 * half] = -INFINITY;
            if (8 * block + 1 < low) score[4 * block + 2 * half + 1] = -INFINITY;
        }
    }
}

/* Scores become exp2(factor * score - maximum); correction: what earlier sums and outputs are to be multiplied by. */
template <int COLUMNS>
static __device__ __forceinline__ void flash_softmax(float (&score)[COLUMNS / 2], struct flash_rows *rows, float factor,
                                                     float (&correction)[2]) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float maximum = rows->maximum[half];
#pragma unroll
        for (int block = 0; block < COLUMNS / 8; block++)
            maximum = fmaxf(maximum, fmaxf(score[4 * block + 2 * half], score[4 * block + 2 * half + 1]));
        maximum = fmaxf(maximum, __shfl_xor_sync(~0u, maximum, 1));
        maximum = fmaxf(maximum, __shfl_xor_sync(~0u, maximum, 2));
        /* a row that has seen nothing: -infinity - -infinity is not a number */
        float shift = maximum == -INFINITY ? 0 : maximum * factor;
        correction[half] = exp2_fast(rows->maximum[half] * factor - shift);
        rows->maximum[half] = maximum;
        float sum = 0;
#pragma unroll
        for (int block = 0; block < COLUMNS / 8; block++) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
                float *x = &score[4 * block + 2 * half + i];
                *x = exp2_fast(*x * factor - shift);
                sum += *x;
            }
        }
        rows->sum[half] = rows->sum[half] * correction[half] + sum;
    }
}

template <typename element, int COLUMNS>
static __device__ __forceinline__ void flash_pack(uint32_t (&probability)[COLUMNS / 16][4],
                                                  const float (&score)[COLUMNS / 2]) {
#pragma unroll
    for (int i = 0; i < COLUMNS / 4; i++)
        probability[i / 4][i % 4] = pack_pair(score[2 * i], score[2 * i + 1], element());
}

/* Ends two rows: what their outputs are to be multiplied by; stores log_sum_exp. */
static __device__ __forceinline__ void flash_finish(const struct flash_arguments *arguments,
                                                    const struct flash_rows *rows, const struct flash_work *work,
                                                    int row, float (&inverse)[2]) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int query = work->first_query + row + 8 * half;
        float sum = rows->sum[half];
        sum += __shfl_xor_sync(~0u, sum, 1);
        sum += __shfl_xor_sync(~0u, sum, 2);
        inverse[half] = sum > 0 ? __fdividef(1, sum) : 0;
        if (query < arguments->queries && threadIdx.x % 4 == 0)
            arguments->log_sum_exp[(int64_t)work->batch_head * arguments->queries + query] =
                sum > 0 ? (rows->maximum[half] * arguments->factor + __log2f(sum)) * (float)M_LN2 : -INFINITY;
    }
}

/* Output into shared memory, as stmatrix takes it from the registers of a product, where the tile's queries lay and in
   chunks like theirs; `to` is the warpgroup's part. */
template <typename element, int HEAD_DIM, int TILE_QUERIES>
static __device__ __forceinline__ void flash_leave(const float (&output)[HEAD_DIM / 2], const float (&inverse)[2],
                                                   char *to) {
    unsigned lane = threadIdx.x % WARP, row = threadIdx.x % WGMMA_THREADS / WARP * 16 + lane % 16;
#pragma unroll
    for (int step = 0; step < HEAD_DIM / 16; step++) {
        uint32_t piece[4];
#pragma unroll
        for (int i = 0; i < 4; i++)
            piece[i] = pack_pair(output[8 * step + 2 * i] * inverse[i % 2],
                                 output[8 * step + 2 * i + 1] * inverse[i % 2], element());
        store_matrices(to + step / 4 * TILE_QUERIES * CHUNK_BYTES +
                           wgmma_swizzled(row, step % 4 * 32 + lane / 16 * 16),
                       piece);
    }
    fence_for_copy_engine();
    __syncwarp();
}

/* A third thread copies finished tiles from there to memory, and then lets new queries come. */
FLASH_TEMPLATE
static __device__ void flash_deliver(const struct flash_arguments *arguments, const char *query,
                                     struct flash_barriers<WARPGROUPS, STAGES> *barriers) {
    constexpr int TILE_QUERIES = FLASH_TILES::TILE_QUERIES;
    unsigned query_count = 0;
    for (unsigned tile = 0;; tile++) {
        unsigned slot = tile % FLASH_WORK_SLOTS;
        barrier_wait(&barriers->work_full[slot], tile / FLASH_WORK_SLOTS & 1);
        struct flash_work work = barriers->work[slot];
        barrier_arrive(&barriers->work_empty[slot]);
        if (work.first_query < 0) return;
        if (work.entry_begin == work.entry_end) continue;
        unsigned query_slot = query_count % FLASH_TILES::QUERY_SLOTS;
        barrier_wait(&barriers->output_full[query_slot], query_count++ / FLASH_TILES::QUERY_SLOTS & 1);
        int batch = work.batch_head / arguments->heads, head = work.batch_head % arguments->heads;
        for (int chunk = 0; chunk < FLASH_TILES::CHUNKS; chunk++)
            store_chunk(&arguments->output_map,
                        query + query_slot * FLASH_TILES::QUERY_BYTES + chunk * TILE_QUERIES * CHUNK_BYTES,
                        chunk * CHUNK, work.first_query, head, batch);
        store_commit();
        bulk_store_wait<0>();
        barrier_arrive(&barriers->query_empty[query_slot]);
    }
}

/* Output straight from registers, where the queries of the next tile already lie where it would pass. A quad of threads
   holds a row in pieces of two elements of every eight; neighbours exchange half, so that a quad writes 32 bytes. */
template <typename element, int HEAD_DIM>
static __device__ __forceinline__ void flash_store_rows(const struct flash_arguments *arguments,
                                                        const float (&output)[HEAD_DIM / 2], const float (&inverse)[2],
                                                        const struct flash_work *work, int row) {
    int batch = work->batch_head / arguments->heads, head = work->batch_head % arguments->heads;
    int lane = threadIdx.x % 4;
    bool odd = lane & 1;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int query = work->first_query + row + 8 * half;
        element *to = (element *)arguments->output + batch * arguments->output_stride.batch +
                      head * arguments->output_stride.head + query * arguments->output_stride.row + (odd ? 8 : 0) +
                      lane / 2 * 4;
#pragma unroll
        for (int pair = 0; pair < HEAD_DIM / 16; pair++) {
            const float *x = &output[8 * pair + 2 * half];
            uint32_t low = pack_pair(x[0] * inverse[half], x[1] * inverse[half], element());
            uint32_t high = pack_pair(x[4] * inverse[half], x[5] * inverse[half], element());
            uint32_t got = __shfl_xor_sync(~0u, odd ? low : high, 1);
            if (query < arguments->queries)
                *(uint2 *)(to + 16 * pair) = odd ? make_uint2(got, high) : make_uint2(low, got);
        }
    }
}

/* 0, known only when the sums are: what waits for it comes after the softmax, some of which the compiler would otherwise
   put behind the wait for the product that it is to overlap. (No arithmetic makes a NaN with all bits set.) */
static __device__ __forceinline__ unsigned flash_never(const struct flash_rows *rows) {
    return (__float_as_uint(rows->sum[0]) & __float_as_uint(rows->sum[1])) == ~0u;
}

/* The same in all threads of a warp, which the compiler only believes of a shuffle: descriptors made of anything else it
   computes anew, in every thread, before each product. */
static __device__ __forceinline__ unsigned flash_uniform(unsigned number) {
    return __shfl_sync(~0u, number, 0);
}

/* Descriptors of tiles count in 16 bytes, so that a step along a tile is an addition, to the low word alone: the high one
   (eight rows of 128 bytes after eight, swizzled) is the same for all tiles. */
static __host__ __device__ constexpr unsigned flash_step(int bytes) {
    return (unsigned)bytes / 16;
}
static __device__ __forceinline__ uint64_t flash_descriptor(unsigned tile, int bytes) {
    constexpr uint64_t HIGH = (uint64_t)(8 * CHUNK_BYTES / 16) | (uint64_t)WGMMA_SWIZZLE_128 << 30;
    return HIGH << 32 | (tile + flash_step(bytes));
}

template <typename element, int HEAD_DIM, int TILE_KEYS, int TILE_QUERIES>
static __device__ __forceinline__ void flash_scores(float (&score)[TILE_KEYS / 2], unsigned query, unsigned key) {
    wgmma_hold(score);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < HEAD_DIM / 16; step++)
        product_ss(score,
                   flash_descriptor(query, step / 4 * TILE_QUERIES * CHUNK_BYTES + step % 4 * WGMMA_K_BYTES),
                   flash_descriptor(key, step / 4 * TILE_KEYS * CHUNK_BYTES + step % 4 * WGMMA_K_BYTES), step > 0,
                   element());
    wgmma_commit();
}

template <typename element, int HEAD_DIM, int TILE_KEYS>
static __device__ __forceinline__ void flash_values(float (&output)[HEAD_DIM / 2],
                                                    const uint32_t (&probability)[TILE_KEYS / 16][4], unsigned value,
                                                    bool accumulate) {
    wgmma_hold(output);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < TILE_KEYS / 16; step++)
        product_rs(output, probability[step], flash_descriptor(value, step * 16 * CHUNK_BYTES), accumulate || step > 0,
                   element());
    wgmma_commit();
}

static __device__ inline void flash_warp_arrive(uint64_t *barrier) {
    if (threadIdx.x % WARP == 0) barrier_arrive(barrier);
}

template <int WARPGROUPS, bool TURNS> static __device__ __forceinline__ void flash_await_turn(int warpgroup) {
    if constexpr (TURNS) named_wait(NAME_TURN + warpgroup, 2 * WGMMA_THREADS);
}
template <int WARPGROUPS, bool TURNS> static __device__ __forceinline__ void flash_end_turn(int warpgroup) {
    if constexpr (TURNS) named_arrive(NAME_TURN + (warpgroup + 1) % WARPGROUPS, 2 * WGMMA_THREADS);
}

/* Rows `row` and `row` + 8 of a query tile have seen nothing. */
template <typename element, int HEAD_DIM>
static __device__ __forceinline__ void flash_store_nothing(const struct flash_arguments *arguments,
                                                        const struct flash_work *work, int row) {
    int batch = work->batch_head / arguments->heads, head = work->batch_head % arguments->heads;
    for (int half = 0; half < 2; half++) {
        int64_t query = work->first_query + row + 8 * half;
        if (query >= arguments->queries) return;
        if (threadIdx.x % 4 == 0)
            arguments->log_sum_exp[(int64_t)work->batch_head * arguments->queries + query] = -INFINITY;
        element *to = (element *)arguments->output + batch * arguments->output_stride.batch +
                      head * arguments->output_stride.head + query * arguments->output_stride.row;
        for (int i = threadIdx.x % 4 * 8; i < HEAD_DIM; i += 32) *(uint4 *)(to + i) = make_uint4(0, 0, 0, 0);
    }
}

/* The next tile that has keys, which stays where it is until flash_warp_arrive(work_empty); those without are done
   here. NULL: no more. */
template <typename element, int HEAD_DIM, int WARPGROUPS, int STAGES>
static __device__ __forceinline__ const struct flash_work *
flash_next(const struct flash_arguments *arguments, struct flash_barriers<WARPGROUPS, STAGES> *barriers, unsigned *tile,
           int row) {
    for (;;) {
        unsigned slot = *tile % FLASH_WORK_SLOTS;
        barrier_wait(&barriers->work_full[slot], *tile / FLASH_WORK_SLOTS & 1);
        const struct flash_work *work = &barriers->work[slot];
        (*tile)++;
        /* shuffled, the compiler knows that a warp has one value, and keeps what depends on it in uniform registers */
        if (__shfl_sync(~0u, work->first_query, 0) < 0) return NULL;
        if (__shfl_sync(~0u, work->entry_end - work->entry_begin, 0) > 0) return work;
        flash_store_nothing<element, HEAD_DIM>(arguments, work, row);
        flash_warp_arrive(&barriers->work_empty[slot]);
    }
}

/* A warpgroup's share, 64 rows of each query tile, in registers: the probabilities of one key tile, the sums of those
   before it, and room for the scores of the one after it. */
FLASH_TEMPLATE
struct flash_share {
    const struct flash_arguments *arguments;
    struct flash_barriers<WARPGROUPS, STAGES> *barriers;
    unsigned query_tile, key_tile, value_tile; /* low words of the descriptors of the first of each in shared memory */
    int warpgroup, row;
    unsigned query_slot, count, stage;            /* count: key tiles before the one whose probabilities are held */
    float output[HEAD_DIM / 2], score[TILE_KEYS / 2], correction[2];
    uint32_t probability[TILE_KEYS / 16][4];
    struct flash_rows rows;
};

/* The scores of the next key tile are made while the values of the one before are added up; BEGINS: it is the first of
   a query tile, whose sums start anew, and the sums of the one before are left in output for flash_store. */
template <bool BEGINS, typename element, int HEAD_DIM, int TILE_KEYS, int WARPGROUPS, int STAGES, bool CONTINUE,
          bool TURNS>
static __device__ __forceinline__ void flash_advance(
    struct flash_share<element, HEAD_DIM, TILE_KEYS, WARPGROUPS, STAGES, CONTINUE, TURNS> &share, int entry,
    bool accumulate, bool last) {
    constexpr int TILE_QUERIES = FLASH_TILES::TILE_QUERIES, KEY_BYTES = FLASH_TILES::KEY_BYTES;
    auto *barriers = share.barriers;
    share.count++;
    share.count = flash_uniform(share.count);
    unsigned phase = share.count / STAGES & 1, previous = (share.count - 1) % STAGES, query_slot = share.query_slot;
    share.stage = share.count % STAGES;
    int partial = share.arguments->entry[entry].partial;
    barrier_wait(&barriers->key_full[share.stage], phase);
    flash_await_turn<WARPGROUPS, TURNS>(share.warpgroup);
    flash_scores<element, HEAD_DIM, TILE_KEYS, TILE_QUERIES>(
        share.score, share.query_tile + query_slot * flash_step(FLASH_TILES::QUERY_BYTES),
        share.key_tile + share.stage * flash_step(KEY_BYTES));
    flash_values<element, HEAD_DIM, TILE_KEYS>(share.output, share.probability,
                                               share.value_tile + previous * flash_step(KEY_BYTES), accumulate);
    flash_end_turn<WARPGROUPS, TURNS>(share.warpgroup);
    wgmma_wait<1>();
    wgmma_hold(share.score);
    flash_warp_arrive(&barriers->key_empty[share.stage]);
    if (last && FLASH_TILES::QUERY_SLOTS == 1) flash_warp_arrive(&barriers->query_empty[0]);
    if (partial >= 0) flash_mask<TILE_KEYS, TILE_QUERIES>(share.score, share.arguments, partial, share.row);
    float unused[2]; /* where sums start anew; correction holds what ends the others */
    flash_softmax<TILE_KEYS>(share.score, &share.rows, share.arguments->factor, BEGINS ? unused : share.correction);
    barrier_wait(&barriers->value_full[share.stage], phase ^ flash_never(&share.rows));
    wgmma_wait<0>();
    wgmma_hold(share.output);
    flash_warp_arrive(&barriers->value_empty[previous]);
    if (BEGINS) return;
#pragma unroll
    for (int i = 0; i < HEAD_DIM / 2; i++) share.output[i] *= share.correction[i / 2 % 2];
    flash_pack<element, TILE_KEYS>(share.probability, share.score);
}

/* Adds up the values of the last key tile. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_end_values(
    struct flash_share<element, HEAD_DIM, TILE_KEYS, WARPGROUPS, STAGES, CONTINUE, TURNS> &share, bool accumulate) {
    flash_values<element, HEAD_DIM, TILE_KEYS>(
        share.output, share.probability, share.value_tile + share.stage * flash_step(FLASH_TILES::KEY_BYTES),
        accumulate);
    wgmma_wait<0>();
    wgmma_hold(share.output);
    flash_warp_arrive(&share.barriers->value_empty[share.stage]);
}

/* The first key tile of a query tile, with nothing to overlap. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_begin(
    struct flash_share<element, HEAD_DIM, TILE_KEYS, WARPGROUPS, STAGES, CONTINUE, TURNS> &share, int entry,
    bool last) {
    constexpr int TILE_QUERIES = FLASH_TILES::TILE_QUERIES;
    auto *barriers = share.barriers;
    share.count = flash_uniform(share.count);
    share.stage = share.count % STAGES;
    unsigned phase = share.count / STAGES & 1;
    int partial = share.arguments->entry[entry].partial;
    barrier_wait(&barriers->key_full[share.stage], phase);
    flash_scores<element, HEAD_DIM, TILE_KEYS, TILE_QUERIES>(
        share.score, share.query_tile + share.query_slot * flash_step(FLASH_TILES::QUERY_BYTES),
        share.key_tile + share.stage * flash_step(FLASH_TILES::KEY_BYTES));
    wgmma_wait<0>();
    wgmma_hold(share.score);
    flash_warp_arrive(&barriers->key_empty[share.stage]);
    if (last && FLASH_TILES::QUERY_SLOTS == 1) flash_warp_arrive(&barriers->query_empty[0]);
    if (partial >= 0) flash_mask<TILE_KEYS, TILE_QUERIES>(share.score, share.arguments, partial, share.row);
    share.rows = {{-INFINITY, -INFINITY}, {0, 0}};
    flash_softmax<TILE_KEYS>(share.score, &share.rows, share.arguments->factor, share.correction);
    flash_pack<element, TILE_KEYS>(share.probability, share.score);
    barrier_wait(&barriers->value_full[share.stage], phase);
}

/* CONTINUE: all key tiles of all query tiles are one stream, else each query tile is one. */
FLASH_TEMPLATE
static __device__ void flash_consume(const struct flash_arguments *arguments, char *query, const char *key,
                                     const char *value, struct flash_barriers<WARPGROUPS, STAGES> *barriers) {
    constexpr int TILE_QUERIES = FLASH_TILES::TILE_QUERIES, QUERY_SLOTS = FLASH_TILES::QUERY_SLOTS;
    struct flash_share<element, HEAD_DIM, TILE_KEYS, WARPGROUPS, STAGES, CONTINUE, TURNS> share;
    share.arguments = arguments;
    share.barriers = barriers;
    share.warpgroup = __shfl_sync(~0u, (int)threadIdx.x / WGMMA_THREADS, 0);
    share.row = share.warpgroup * WGMMA_M + threadIdx.x % WGMMA_THREADS / WARP * 16 + threadIdx.x % WARP / 4;
    share.query_tile = (unsigned)wgmma_tile_descriptor(query + share.warpgroup * WGMMA_M * CHUNK_BYTES, 0);
    share.key_tile = (unsigned)wgmma_tile_descriptor(key, 0);
    share.value_tile =
        (unsigned)wgmma_descriptor(value, TILE_KEYS * CHUNK_BYTES, 8 * CHUNK_BYTES, WGMMA_SWIZZLE_128);
    share.query_slot = share.count = share.stage = 0;
    char *output = query + share.warpgroup * WGMMA_M * CHUNK_BYTES;
    if (TURNS && share.warpgroup == 0) named_arrive(NAME_TURN, 2 * WGMMA_THREADS);
    unsigned tile = 0, query_count = 0;
    const struct flash_work *work = flash_next<element, HEAD_DIM>(arguments, barriers, &tile, share.row);
    if (!work) return;
    int at = work->entry_end - 1, begin = work->entry_begin; /* the entry whose probabilities are held; the last one */
    barrier_wait(&barriers->query_full[0], 0);
    flash_begin(share, at, at == begin);
    for (;;) {
        bool accumulate = false;
        for (; at > begin; at--, accumulate = true) flash_advance<false>(share, at - 1, accumulate, at - 1 == begin);
        flash_finish(arguments, &share.rows, work, share.row, share.correction);
        struct flash_work done = *work;
        flash_warp_arrive(&barriers->work_empty[work - barriers->work]);
        if (!CONTINUE) flash_end_values(share, accumulate);
        work = flash_next<element, HEAD_DIM>(arguments, barriers, &tile, share.row);
        unsigned done_slot = query_count % QUERY_SLOTS;
        if (work) {
            at = work->entry_end - 1;
            begin = work->entry_begin;
            query_count++;
            share.query_slot = flash_uniform(query_count % QUERY_SLOTS);
            if (CONTINUE) {
                barrier_wait(&barriers->query_full[share.query_slot], query_count / QUERY_SLOTS & 1);
                share.rows = {{-INFINITY, -INFINITY}, {0, 0}};
                flash_advance<true>(share, at, accumulate, at == begin);
            }
        } else if (CONTINUE) {
            flash_end_values(share, accumulate);
        }
        if constexpr (QUERY_SLOTS == 1) {
            flash_store_rows<element, HEAD_DIM>(arguments, share.output, share.correction, &done, share.row);
        } else {
            flash_leave<element, HEAD_DIM, TILE_QUERIES>(share.output, share.correction,
                                                         output + done_slot * FLASH_TILES::QUERY_BYTES);
            flash_warp_arrive(&barriers->output_full[done_slot]);
        }
        if (!work) return;
        if (CONTINUE) {
            flash_pack<element, TILE_KEYS>(share.probability, share.score);
        } else {
            barrier_wait(&barriers->query_full[share.query_slot], query_count / QUERY_SLOTS & 1);
            share.count++;
            flash_begin(share, at, at == begin);
        }
    }
}
#endif

/* Dynamic shared memory of a block. */
template <typename element, int HEAD_DIM, int TILE_KEYS, int WARPGROUPS, int STAGES, bool CONTINUE, bool TURNS>
static constexpr size_t flash_shared_bytes(void) {
    using tiles = flash_tiles<element, HEAD_DIM, TILE_KEYS, WARPGROUPS, STAGES, CONTINUE, TURNS>;
    return tiles::QUERY_SLOTS * tiles::QUERY_BYTES + tiles::FIXED_BYTES;
}

template <typename element, int HEAD_DIM, int TILE_KEYS, int WARPGROUPS, int STAGES, bool CONTINUE, bool TURNS>
static __global__ void __launch_bounds__((WARPGROUPS + 1) * WGMMA_THREADS, 1)
    flash_forward(const __grid_constant__ struct flash_arguments arguments) {
#if WGMMA_BUILT
    extern __shared__ char dynamic[];
    using tiles = FLASH_TILES;
    char *query = dynamic + (-(uintptr_t)shared_address(dynamic) & (WGMMA_TILE_ALIGNMENT - 1));
    char *key = query + tiles::QUERY_SLOTS * tiles::QUERY_BYTES, *value = key + STAGES * tiles::KEY_BYTES;
    auto *barriers = (struct flash_barriers<WARPGROUPS, STAGES> *)(value + STAGES * tiles::KEY_BYTES);
    if (threadIdx.x == 0) {
        constexpr unsigned WARPS = WARPGROUPS * WGMMA_THREADS / WARP;
        for (int i = 0; i < tiles::QUERY_SLOTS; i++) {
            barrier_start(&barriers->query_full[i]);
            barrier_start_for(&barriers->query_empty[i], tiles::QUERY_SLOTS == 1 ? WARPS : 1);
            barrier_start_for(&barriers->output_full[i], WARPS);
        }
        for (int i = 0; i < STAGES; i++) {
            barrier_start(&barriers->key_full[i]);
            barrier_start(&barriers->value_full[i]);
            barrier_start_for(&barriers->key_empty[i], WARPS);
            barrier_start_for(&barriers->value_empty[i], WARPS);
        }
        for (int i = 0; i < FLASH_WORK_SLOTS; i++) {
            barrier_start(&barriers->work_full[i]);
            barrier_start_for(&barriers->work_empty[i], WARPS + (tiles::QUERY_SLOTS == 1 ? 1 : 2));
        }
        barriers_started();
    }
    __syncthreads();
    if (threadIdx.x >= WARPGROUPS * WGMMA_THREADS) {
        give_registers<(WARPGROUPS == 3 ? 32 : 24)>();
        if (threadIdx.x == WARPGROUPS * WGMMA_THREADS)
            flash_produce_queries<element, HEAD_DIM, TILE_KEYS, WARPGROUPS, STAGES, CONTINUE, TURNS>(&arguments, query,
                                                                                                     barriers);
        if (threadIdx.x == WARPGROUPS * WGMMA_THREADS + WARP)
            flash_produce_keys<element, HEAD_DIM, TILE_KEYS, WARPGROUPS, STAGES, CONTINUE, TURNS>(&arguments, key, value,
                                                                                                  barriers);
        if (tiles::QUERY_SLOTS > 1 && threadIdx.x == WARPGROUPS * WGMMA_THREADS + 2 * WARP)
            flash_deliver<element, HEAD_DIM, TILE_KEYS, WARPGROUPS, STAGES, CONTINUE, TURNS>(&arguments, query, barriers);
    } else {
        take_registers<(WARPGROUPS == 3 ? 160 : 240)>();
        flash_consume<element, HEAD_DIM, TILE_KEYS, WARPGROUPS, STAGES, CONTINUE, TURNS>(&arguments, query, key, value,
                                                                                         barriers);
    }
#else
    __trap();
#endif
}

#endif
