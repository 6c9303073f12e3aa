/* gemm_wgmma_kernel.h: the kernel behind gemm_wgmma.h, for gemm_wgmma.cu alone. D = L R, m x k by k x n, in bf16 with
   fp32 sums.

   A block has one warpgroup that copies and one or two that multiply. The copying one fills a ring of `stages` pairs of
   tiles, L tile_m x 64 and R 64 x tile_n, 128-byte swizzle; the others share each pair, tile_m / consumers rows each,
   and hold their part of D in registers. Two mbarriers a stage say that it is full or empty. The blocks of a cluster
   hold neighbouring tiles of D; what several of them need of L or R each loads a part of, for all (multicast). Blocks
   stay, and walk over D in bands `group` tiles high, so that what runs at one time shares rows and columns in L2. A
   finished tile goes to shared memory (stmatrix, swizzled) and out by the copy engine, while the ring already fills
   with the next tile's operands. */
#ifndef KERNELS_GEMM_WGMMA_KERNEL_H
#define KERNELS_GEMM_WGMMA_KERNEL_H

#include <cuda_bf16.h>

#include "kernels/lib/gemm_wgmma.h"
#include "kernels/lib/warpgroup.h"
#include "kernels/lib/wgmma.h"

struct tiling {
    int consumers, tile_m, tile_n;
    int stages;
    int cluster_m, cluster_n; /* blocks of a cluster along m (they share R) and n (they share L) */
    int buffers;              /* of 64 x 64 for D, each consumer's own */
};

/* k of a stage, of an instruction; bytes of 64 rows of a stage */
enum { STEP = WGMMA_ROW_BYTES / 2, SLICE = WGMMA_K_BYTES / 2, BLOCK_BYTES = (int)WGMMA_BLOCK * (int)WGMMA_ROW_BYTES };

struct layout {
    int left_bytes, stage_bytes, barriers, total;
};

static constexpr __host__ __device__ struct layout layout_of(struct tiling t) {
    struct layout layout = {};
    layout.left_bytes = t.tile_m * WGMMA_ROW_BYTES;
    layout.stage_bytes = (t.tile_m + t.tile_n) * WGMMA_ROW_BYTES;
    layout.barriers = t.stages * layout.stage_bytes + t.consumers * t.buffers * BLOCK_BYTES;
    layout.total = layout.barriers + t.stages * 3 * (int)sizeof(uint64_t); /* two barriers, a corner */
    return layout;
}

/* How the blocks of a cluster share the loading of a tile of `extent` rows of m or n: where k is contiguous so many
   rows each; else whole blocks of 64 rows each, or, when these cannot be shared evenly, some k of each block. */
struct share {
    bool by_k;
    int height; /* of the box that a copy moves, in the matrix as it is stored */
};

static constexpr __host__ __device__ struct share share_of(bool k_contiguous, int extent, int parts) {
    bool by_k = !k_contiguous && extent / parts % WGMMA_BLOCK != 0;
    return {by_k, k_contiguous ? extent / parts : by_k ? STEP / parts : STEP};
}

#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)

/* Registers a thread, when two warpgroups multiply: what the one that copies gives back they take. */
enum { REGISTERS_PRODUCER = 40, REGISTERS_CONSUMER = 232 };

/* A place in the ring; the parity of the barriers' phases turns with each round. */
struct ring {
    int slot;
    unsigned parity;
};

template <struct tiling t> static __device__ __forceinline__ void ring_advance(struct ring *ring) {
    if (++ring->slot < t.stages) return;
    ring->slot = 0;
    ring->parity ^= 1;
}

/* First row and column of a block's tile of D. */
struct corner {
    int m, n;
};

struct shared_parts {
    unsigned char *stages, *buffers;
    uint64_t *full, *empty;
    struct corner *corner; /* of the tile whose first stage is in this slot: the divisions are the producer's */
};

/* From the number of the cluster's tile. */
template <struct tiling t>
static __device__ __forceinline__ struct corner corner_of(const struct gemm_wgmma_arguments *arguments, int tile,
                                                          unsigned rank) {
    int band_tiles = arguments->group * arguments->columns, band = tile / band_tiles, inside = tile % band_tiles;
    int first = band * arguments->group, height = min(arguments->rows - first, arguments->group);
    int row = first + inside % height, column = inside / height;
    return {(row * t.cluster_m + (int)rank % t.cluster_m) * t.tile_m,
            (column * t.cluster_n + (int)rank / t.cluster_m) * t.tile_n};
}

/* This block's part of a tile, for all blocks in `ranks`. */
template <bool k_contiguous, int extent, int parts>
static __device__ __forceinline__ void load_part(unsigned char *tile, const CUtensorMap *map, int first, int k,
                                                 int part, uint16_t ranks, uint64_t *full) {
    constexpr struct share share = share_of(k_contiguous, extent, parts);
    constexpr int rows = share.by_k ? extent : extent / parts, box = k_contiguous ? rows : WGMMA_BLOCK;
    static_assert(rows % box == 0 && share.height % 8 == 0 && share.height <= 256, "whole boxes");
#pragma unroll
    for (int i = 0; i < rows; i += box) {
        int row = share.by_k ? i : part * rows + i, down = share.by_k ? part * share.height : 0;
        unsigned char *to = tile + (row + down) * WGMMA_ROW_BYTES;
        int x = k_contiguous ? k : first + row, y = k_contiguous ? first + row : k + down;
        if (parts == 1) tensor_load_2d(to, map, x, y, full);
        else tensor_load_2d_to(to, map, x, y, full, ranks);
    }
}

template <struct tiling t, bool left_transposed, bool right_transposed>
static __device__ __forceinline__ void produce(const struct gemm_wgmma_arguments *arguments, struct shared_parts shared,
                                               unsigned rank) {
    constexpr struct layout layout = layout_of(t);
    const int rank_m = (int)rank % t.cluster_m, rank_n = (int)rank / t.cluster_m;
    const int tiles = arguments->rows * arguments->columns, step = (int)gridDim.x / (t.cluster_m * t.cluster_n);
    uint16_t share_left = 0, share_right = 0;
    for (int i = 0; i < t.cluster_n; i++) share_left |= 1 << (rank_m + i * t.cluster_m);
    for (int i = 0; i < t.cluster_m; i++) share_right |= 1 << (rank_n * t.cluster_m + i);
    struct ring ring = {0, 1}; /* the slots are empty: the phase before the first counts as over */
    for (int tile = (int)blockIdx.x / (t.cluster_m * t.cluster_n); tile < tiles; tile += step) {
        const struct corner corner = corner_of<t>(arguments, tile, rank);
        for (int i = 0; i < arguments->k_steps; i++) {
            unsigned char *left = shared.stages + ring.slot * layout.stage_bytes;
            uint64_t *full = &shared.full[ring.slot];
            barrier_wait(&shared.empty[ring.slot], ring.parity);
            if (i == 0) shared.corner[ring.slot] = corner;
            barrier_expect(full, (unsigned)arguments->bytes);
            load_part<!left_transposed, t.tile_m, t.cluster_n>(left, &arguments->left, corner.m, i * STEP, rank_n,
                                                               share_left, full);
            load_part<right_transposed, t.tile_n, t.cluster_m>(left + layout.left_bytes, &arguments->right, corner.n,
                                                               i * STEP, rank_m, share_right, full);
            ring_advance<t>(&ring);
        }
    }
}

#define MULTIPLY(n)                                                                                                    \
    if constexpr (registers * 2 == n) {                                                                                \
        if constexpr (!left_transposed && !right_transposed) wgmma_bf16_bt_fp32_n##n##_ss(d, left, right, accumulate); \
        if constexpr (!left_transposed && right_transposed) wgmma_bf16_fp32_n##n##_ss(d, left, right, accumulate);     \
        if constexpr (left_transposed && !right_transposed)                                                            \
            wgmma_bf16_at_bt_fp32_n##n##_ss(d, left, right, accumulate);                                               \
        if constexpr (left_transposed && right_transposed) wgmma_bf16_at_fp32_n##n##_ss(d, left, right, accumulate);   \
    }
template <bool left_transposed, bool right_transposed, int registers>
static __device__ __forceinline__ void multiply(float (&d)[registers], uint64_t left, uint64_t right, bool accumulate) {
    static_assert(registers == 32 || registers == 64 || registers == 96 || registers == 128, "n / 2");
    MULTIPLY(64)
    MULTIPLY(128)
    MULTIPLY(192)
    MULTIPLY(256)
}
#undef MULTIPLY

/* The descriptor of a tile, and what is added to it for bytes further on. The addition is done there, not to the
   address, to keep a stage's instructions few. */
template <bool k_contiguous> static __device__ __forceinline__ uint64_t describe(const unsigned char *tile) {
    return k_contiguous ? wgmma_tile_descriptor(tile, 0) : wgmma_transposed_descriptor(tile, 0, BLOCK_BYTES);
}
static constexpr __device__ uint64_t further(int bytes) {
    return (uint64_t)(bytes >> 4);
}

/* One stage: four slices of k. Instruction i has rows 64 i of this consumer's part. */
template <bool left_transposed, bool right_transposed, int instructions, int registers>
static __device__ __forceinline__ void multiply_stage(float (&d)[instructions][registers], uint64_t left,
                                                      uint64_t right, bool accumulate) {
    constexpr int left_slice = left_transposed ? SLICE * (int)WGMMA_ROW_BYTES : (int)WGMMA_K_BYTES;
    constexpr int right_slice = right_transposed ? (int)WGMMA_K_BYTES : SLICE * (int)WGMMA_ROW_BYTES;
#pragma unroll
    for (int slice = 0; slice < STEP / SLICE; slice++)
#pragma unroll
        for (int i = 0; i < instructions; i++)
            multiply<left_transposed, right_transposed>(d[i], left + further(slice * left_slice + i * BLOCK_BYTES),
                                                        right + further(slice * right_slice), accumulate || slice > 0);
}

static __device__ __forceinline__ uint32_t pack(float low, float high) {
    __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    uint32_t word;
    memcpy(&word, &pair, sizeof word);
    return word;
}

/* 64 rows of this consumer's part of D, 64 columns after 64, through its buffers: all at once where there are enough of
   them, else in turn. */
template <struct tiling t, int registers>
static __device__ __forceinline__ void store(const struct gemm_wgmma_arguments *arguments, unsigned char *buffers,
                                             int consumer, struct corner corner, const float (&d)[registers]) {
    constexpr int parts = registers * 2 / WGMMA_BLOCK, together = t.buffers == parts ? parts : 1;
    const unsigned thread = threadIdx.x % WGMMA_THREADS, lane = thread % 32;
    const unsigned row = thread / 32 * 16 + lane % 16; /* the one whose address this thread gives to stmatrix */
#pragma unroll
    for (int first = 0; first < parts; first += together) {
        if (thread == 0) bulk_store_wait<t.buffers - together>();
        named_barrier(1 + consumer, WGMMA_THREADS);
#pragma unroll
        for (int part = first; part < first + together; part++)
#pragma unroll
            for (int i = 0; i < WGMMA_BLOCK / 16; i++) {
                const float *from = &d[part * (WGMMA_BLOCK / 2) + i * 8];
                unsigned char *to = buffers + part % t.buffers * BLOCK_BYTES;
                store_matrices(to + wgmma_swizzled(row, (unsigned)i * 32 + lane / 16 * 16), pack(from[0], from[1]),
                               pack(from[2], from[3]), pack(from[4], from[5]), pack(from[6], from[7]));
            }
        fence_for_copy_engine();
        named_barrier(1 + consumer, WGMMA_THREADS);
        for (int part = first; part < first + together && thread == 0; part++)
            tensor_store_2d(&arguments->c, corner.n + part * WGMMA_BLOCK, corner.m,
                            buffers + part % t.buffers * BLOCK_BYTES);
    }
}

template <struct tiling t, bool left_transposed, bool right_transposed>
static __device__ __forceinline__ void consume(const struct gemm_wgmma_arguments *arguments, struct shared_parts shared,
                                               unsigned rank, int consumer) {
    constexpr struct layout layout = layout_of(t);
    constexpr int instructions = t.tile_m / t.consumers / WGMMA_M, blocks = t.cluster_m * t.cluster_n;
    const int tiles = arguments->rows * arguments->columns, clusters = (int)gridDim.x / blocks;
    const int rows = consumer * instructions * WGMMA_M;
    /* a stage is empty for all the blocks that load parts of it: those in this one's row and column of the cluster */
    const unsigned thread = threadIdx.x % WGMMA_THREADS;
    const bool tells = thread < blocks && (thread % t.cluster_m == rank % t.cluster_m ||
                                           thread / t.cluster_m == rank / t.cluster_m);
    unsigned char *buffers = shared.buffers + consumer * t.buffers * BLOCK_BYTES;
    const uint64_t left = describe<!left_transposed>(shared.stages + rows * WGMMA_ROW_BYTES);
    const uint64_t right = describe<right_transposed>(shared.stages + layout.left_bytes);
    float d[instructions][t.tile_n / 2];
    struct ring ring = {0, 0};
    for (int tile = (int)blockIdx.x / blocks; tile < tiles; tile += clusters) {
        struct corner corner = {};
        int step = 0, last = 0;
        do {
            const uint64_t slot = (uint64_t)ring.slot * further(layout.stage_bytes);
            barrier_wait(&shared.full[ring.slot], ring.parity);
            if (step == 0) corner = shared.corner[ring.slot];
            wgmma_fence();
            multiply_stage<left_transposed, right_transposed>(d, left + slot, right + slot, step > 0);
            wgmma_commit();
            wgmma_wait<1>();
            if (step > 0 && tells) barrier_arrive_at(&shared.empty[last], thread);
            last = ring.slot;
            ring_advance<t>(&ring);
        } while (++step < arguments->k_steps);
        wgmma_wait<0>();
        if (tells) barrier_arrive_at(&shared.empty[last], thread);
#pragma unroll
        for (int i = 0; i < instructions; i++) {
            wgmma_hold(d[i]);
            store<t>(arguments, buffers, consumer, {corner.m + rows + i * WGMMA_M, corner.n}, d[i]);
        }
    }
    if (thread == 0) bulk_store_wait<0>();
}
#endif

template <struct tiling t, bool left_transposed, bool right_transposed>
static __global__ void __launch_bounds__((1 + t.consumers) * WGMMA_THREADS, 1)
    gemm_wgmma_kernel(const __grid_constant__ struct gemm_wgmma_arguments arguments) {
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
    constexpr struct layout layout = layout_of(t);
    extern __shared__ __align__(WGMMA_TILE_ALIGNMENT) unsigned char shared[];
    const unsigned rank = cluster_rank();
    /* by a shuffle, which tells the compiler that it is the same in all threads of a warp */
    const int warpgroup = __shfl_sync(~0u, (int)threadIdx.x / WGMMA_THREADS, 0);
    uint64_t *barriers = (uint64_t *)(shared + layout.barriers);
    struct shared_parts parts = {shared, shared + t.stages * layout.stage_bytes, barriers, barriers + t.stages,
                                 (struct corner *)(barriers + 2 * t.stages)};
    if (threadIdx.x == 0) {
        if (shared_address(shared) % WGMMA_TILE_ALIGNMENT != 0) __trap();
        tensor_map_prefetch(&arguments.left);
        tensor_map_prefetch(&arguments.right);
        tensor_map_prefetch(&arguments.c);
        for (int i = 0; i < t.stages; i++) {
            barrier_start(&parts.full[i]);
            barrier_start_for(&parts.empty[i], t.consumers * (t.cluster_m + t.cluster_n - 1));
        }
        barriers_started();
    }
    cluster_barrier();
    if (warpgroup == 0) {
        if constexpr (t.consumers == 2) registers_give_back<REGISTERS_PRODUCER>();
        if (threadIdx.x == 0) produce<t, left_transposed, right_transposed>(&arguments, parts, rank);
        __syncwarp();
    } else {
        if constexpr (t.consumers == 2) registers_take<REGISTERS_CONSUMER>();
        consume<t, left_transposed, right_transposed>(&arguments, parts, rank, warpgroup - 1);
        __syncwarp();
    }
    cluster_barrier(); /* no block ends while another may still signal to it or fill its memory */
#else
    __trap(); /* declined */
#endif
}

#endif
