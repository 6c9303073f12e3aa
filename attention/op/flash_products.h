/* flash_products.h: what a warpgroup of the forward flash kernel holds, and its products. Part of flash_forward.h. */
#ifndef ATTENTION_FLASH_PRODUCTS_H
#define ATTENTION_FLASH_PRODUCTS_H

#include "flash_fetch.h"

#if WGMMA_BUILT
/* A warpgroup's share, 64 rows of each query tile, in registers: the probabilities of one key tile, the sums of those
   before it, and room for the scores of the one after it. */
FLASH_TEMPLATE struct flash_share {
    const struct flash_arguments *arguments;
    struct flash_barriers<STAGES> *barriers;
    unsigned query_tile, key_tile, value_tile; /* low words of the descriptors of the first of each in shared memory */
    int row, first_query, head;
    unsigned query_slot, count, stage; /* count: key tiles before the one whose probabilities are held */
    float output[HEAD_DIM / 2], score[TILE_KEYS / 2], correction[2];
    uint32_t probability[flash_tiles<FLASH_ARGUMENTS>::STEPS][4];
    struct flash_rows rows;
    struct flash_scaling scaling; /* of fp8 */
    /* SPARSE: which halves of the key tile hold anything for this warpgroup: two bits, that lie in an entry's parts at
       parts_at; has any value been added up? */
    unsigned halves, parts_at;
    uint32_t next; /* `where` of the entry after the one at hand */
    bool started;
    /* The query tile is of a second part; so many were; what the first part's outputs are to be multiplied by. */
    bool joins;
    unsigned joined;
    float earlier[2];
};

/* Scores of COLUMNS keys of a tile from its key `first` on. */
template <int COLUMNS, typename element, int HEAD_DIM, int TILE_KEYS, int WARPGROUPS, int STAGES, bool CONTINUE,
          enum flash_options OPTIONS, bool SPARSE>
static __device__ __forceinline__ void flash_multiply_keys(struct flash_share<FLASH_ARGUMENTS> &share,
                                                           float (&score)[COLUMNS / 2], int first) {
    using tiles = flash_tiles<FLASH_ARGUMENTS>;
    unsigned query = share.query_tile + share.query_slot * flash_step(tiles::QUERY_BYTES);
    unsigned key = share.key_tile + share.stage * flash_step(tiles::KEY_BYTES) + first * flash_step(CHUNK_BYTES);
    wgmma_hold(score);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < HEAD_DIM * (int)sizeof(element) / WGMMA_K_BYTES; step++)
        product_ss(score, flash_descriptor(query, step / 4 * tiles::QUERIES * CHUNK_BYTES + step % 4 * WGMMA_K_BYTES),
                   flash_descriptor(key, step / 4 * TILE_KEYS * CHUNK_BYTES + step % 4 * WGMMA_K_BYTES), step > 0,
                   element());
    wgmma_commit();
}

/* Adds up the values of COUNT keys of a tile from its key `first` on. */
template <int COUNT, typename element, int HEAD_DIM, int TILE_KEYS, int WARPGROUPS, int STAGES, bool CONTINUE,
          enum flash_options OPTIONS, bool SPARSE>
static __device__ __forceinline__ void flash_multiply_values(struct flash_share<FLASH_ARGUMENTS> &share, unsigned stage,
                                                             int first, bool accumulate) {
    unsigned value = share.value_tile + stage * flash_step(flash_tiles<FLASH_ARGUMENTS>::VALUE_BYTES) +
                     first * flash_step(CHUNK_BYTES);
    wgmma_hold(share.output);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < COUNT * (int)sizeof(element) / WGMMA_K_BYTES; step++) {
        uint64_t values = flash_descriptor(value, step * 16 * CHUNK_BYTES);
        if (flash_format<element>::SCALED) values = flash_value_descriptor<HEAD_DIM>(value, step * WGMMA_K_BYTES);
        product_rs(share.output, share.probability[step], values, accumulate || step > 0, element());
    }
    wgmma_commit();
}

/* Where the keys begin that `halves` stands for: 1: a tile's first half, 2: its second, 3: all of it. */
template <int TILE_KEYS> static __device__ __forceinline__ int flash_first(unsigned halves) {
    return halves == 2 ? TILE_KEYS / 2 : 0;
}

/* Both products for what counts of a tile, and then they are there. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_multiply_halves(struct flash_share<FLASH_ARGUMENTS> &share) {
    if (!SPARSE || share.halves == 3) {
        flash_multiply_keys<TILE_KEYS>(share, share.score, 0);
        wgmma_wait<0>();
    } else if constexpr (SPARSE) {
        if (share.halves == 0) return;
        float half[TILE_KEYS / 4]; /* products into a part of the scores' registers would need more of them */
        flash_multiply_keys<TILE_KEYS / 2>(share, half, flash_first<TILE_KEYS>(share.halves));
        wgmma_wait<0>();
        wgmma_hold(half);
#pragma unroll
        for (int i = 0; i < TILE_KEYS / 4; i++) share.score[i] = half[i];
    }
}
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_add_halves(struct flash_share<FLASH_ARGUMENTS> &share, unsigned stage,
                                                        unsigned held, bool accumulate) {
    if (!SPARSE || held == 3) {
        flash_multiply_values<TILE_KEYS>(share, stage, 0, accumulate);
        wgmma_wait<0>();
    } else if constexpr (SPARSE) {
        if (held == 0) return;
        flash_multiply_values<TILE_KEYS / 2>(share, stage, flash_first<TILE_KEYS>(held), accumulate);
        wgmma_wait<0>();
    }
}

/* SPARSE: asks for `where` of the entry after `at` while products run; that of a query tile's first entry came with the
   key tile. */
FLASH_TEMPLATE
static __device__ __forceinline__ void flash_look_ahead(struct flash_share<FLASH_ARGUMENTS> &share, int at, bool last) {
    if (SPARSE && !last) share.next = flash_uniform(share.arguments->entry[at - 1].where);
}
template <bool BEGINS, typename element, int HEAD_DIM, int TILE_KEYS, int WARPGROUPS, int STAGES, bool CONTINUE,
          enum flash_options OPTIONS, bool SPARSE>
static __device__ __forceinline__ struct mask_tile flash_look(struct flash_share<FLASH_ARGUMENTS> &share) {
    uint32_t where = share.next;
    if (BEGINS) { /* read by the lane alone that lets the key tile go: that orders it before what is written next */
        if (threadIdx.x % WARP == 0) where = share.barriers->where[share.stage];
        where = flash_uniform(where);
    }
    share.halves = flash_uniform(where >> (MASK_TILE_PARTS_AT + share.parts_at) & 3);
    return {0, where};
}
#endif

#endif
