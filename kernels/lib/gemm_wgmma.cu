/* gemm_wgmma.cu: see gemm_wgmma.h.

   A block has one warpgroup that copies and two or three that multiply. The copying one fills a ring of `stages` pairs
   of tiles, A tile_m x 64 and B 64 x tile_n, 128-byte swizzle; the others share each pair, tile_m / consumers rows
   each, and hold their part of C in registers. Two mbarriers a stage say that it is full or empty. The blocks of a
   cluster hold neighbouring tiles of C; what two of them need of A or B one of them loads for both (multicast), each
   its part. Blocks stay, and walk over C in bands of `group` tiles high, so that what runs at one time shares rows and
   columns in L2. A finished tile goes to shared memory (stmatrix, swizzled) and out by the copy engine, while the ring
   already fills with the next tile's operands.

   Floor, m = n = k = 8192 on 132 multiprocessors: 2 m n k / (4096 FLOP a clock x 132) = 2.03 M clocks, 1.03 ms at
   1.98 GHz; the device runs out of power before (published rates of 720 to 800 TFLOP/s: 1.4 ms), so that what counts
   beside full matrix units is to move few bytes. An m64n256k16 takes 128 clocks and reads 2 + 8 KiB of shared memory;
   a stage of 128 x 256 x 64 takes 1024 clocks, and of L2 48 KiB, 32 with a pair of blocks sharing B: 4224 bytes a clock
   on all multiprocessors, of about 5000 that L2 gives. Memory: (tiles at one time) 132 x 128 x 256 near a square read
   2 x 2080 x k x 2 bytes, 16 times over at 8192: 1.1 GB, 0.23 ms, hidden.
 * needs: cuda
 */
#include "kernels/lib/gemm_wgmma.h"

#include <cuda_bf16.h>

#include "kernels/lib/warpgroup.h"
#include "kernels/lib/wgmma.h"

enum { STEP = WGMMA_ROW_BYTES / 2, SLICE = WGMMA_K_BYTES / 2, BLOCK_BYTES = 64 * WGMMA_ROW_BYTES };

struct tiling {
    int consumers, tile_m, tile_n;
    int stages;
    int cluster_m, cluster_n; /* blocks of a cluster along m (they share B) and n (they share A) */
    int buffers;              /* of 64 x 64 for C, each consumer's own */
};

static constexpr struct tiling LARGE = {
    .consumers = 2, .tile_m = 128, .tile_n = 256, .stages = 4, .cluster_m = 2, .cluster_n = 1, .buffers = 2};

struct layout {
    int a_bytes, stage_bytes, buffer_bytes, barriers, total;
};

static constexpr __host__ __device__ struct layout layout_of(struct tiling t) {
    struct layout layout = {};
    layout.a_bytes = t.tile_m * WGMMA_ROW_BYTES;
    layout.stage_bytes = (t.tile_m + t.tile_n) * WGMMA_ROW_BYTES;
    layout.buffer_bytes = WGMMA_M * WGMMA_ROW_BYTES;
    layout.barriers = t.stages * layout.stage_bytes + t.consumers * t.buffers * layout.buffer_bytes;
    layout.total = layout.barriers + 2 * t.stages * (int)sizeof(uint64_t);
    return layout;
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

struct shared_parts {
    unsigned char *stages, *buffers;
    uint64_t *full, *empty;
};

/* First row and column of this block's tile of C, from the number of its cluster's. */
struct corner {
    int m, n;
};

template <struct tiling t>
static __device__ __forceinline__ struct corner corner_of(const struct gemm_wgmma_arguments *arguments, int tile,
                                                          unsigned rank) {
    int band_tiles = arguments->group * arguments->columns, band = tile / band_tiles, inside = tile % band_tiles;
    int first = band * arguments->group, height = min(arguments->rows - first, arguments->group);
    int row = first + inside % height, column = inside / height;
    return {(row * t.cluster_m + (int)rank % t.cluster_m) * t.tile_m,
            (column * t.cluster_n + (int)rank / t.cluster_m) * t.tile_n};
}

/* This block's part of a tile of `extent` rows of m or n, for all blocks in `ranks`. */
template <bool k_contiguous, int extent, int parts>
static __device__ __forceinline__ void load_part(unsigned char *tile, const CUtensorMap *map, int first, int k,
                                                 int part, uint16_t ranks, uint64_t *full) {
    const int share = extent / parts, height = k_contiguous ? share : WGMMA_BLOCK;
    static_assert(share * parts == extent && share % height == 0 && height % 8 == 0 && height <= 256, "whole boxes");
#pragma unroll
    for (int i = 0; i < share; i += height) {
        int at = part * share + i, x = k_contiguous ? k : first + at, y = k_contiguous ? first + at : k;
        if (parts == 1) tensor_load_2d(tile + at * WGMMA_ROW_BYTES, map, x, y, full);
        else tensor_load_2d_to(tile + at * WGMMA_ROW_BYTES, map, x, y, full, ranks);
    }
}

template <struct tiling t, bool a_transposed, bool b_transposed>
static __device__ __forceinline__ void produce(const struct gemm_wgmma_arguments *arguments, struct shared_parts shared,
                                               unsigned rank) {
    constexpr struct layout layout = layout_of(t);
    const int rank_m = (int)rank % t.cluster_m, rank_n = (int)rank / t.cluster_m;
    const int tiles = arguments->rows * arguments->columns, step = (int)gridDim.x / (t.cluster_m * t.cluster_n);
    uint16_t share_a = 0, share_b = 0;
    for (int i = 0; i < t.cluster_n; i++) share_a |= 1 << (rank_m + i * t.cluster_m);
    for (int i = 0; i < t.cluster_m; i++) share_b |= 1 << (rank_n * t.cluster_m + i);
    struct ring ring = {0, 1}; /* the slots are empty: the phase before the first counts as over */
    for (int tile = (int)blockIdx.x / (t.cluster_m * t.cluster_n); tile < tiles; tile += step) {
        struct corner corner = corner_of<t>(arguments, tile, rank);
        for (int i = 0; i < arguments->k_steps; i++) {
            unsigned char *a = shared.stages + ring.slot * layout.stage_bytes;
            barrier_wait(&shared.empty[ring.slot], ring.parity);
            barrier_expect(&shared.full[ring.slot], (unsigned)layout.stage_bytes);
            load_part<!a_transposed, t.tile_m, t.cluster_n>(a, &arguments->a, corner.m, i * STEP, rank_n, share_a,
                                                            &shared.full[ring.slot]);
            load_part<b_transposed, t.tile_n, t.cluster_m>(a + layout.a_bytes, &arguments->b, corner.n, i * STEP,
                                                           rank_m, share_b, &shared.full[ring.slot]);
            ring_advance<t>(&ring);
        }
    }
}

template <bool a_transposed, bool b_transposed, int registers>
static __device__ __forceinline__ void multiply(float (&d)[registers], uint64_t a, uint64_t b, bool accumulate) {
    static_assert(registers == 32 || registers == 64 || registers == 128, "n is 64, 128 or 256");
    if constexpr (registers == 128) {
        if constexpr (!a_transposed && !b_transposed) wgmma_bf16_bt_fp32_n256_ss(d, a, b, accumulate);
        if constexpr (!a_transposed && b_transposed) wgmma_bf16_fp32_n256_ss(d, a, b, accumulate);
        if constexpr (a_transposed && !b_transposed) wgmma_bf16_at_bt_fp32_n256_ss(d, a, b, accumulate);
        if constexpr (a_transposed && b_transposed) wgmma_bf16_at_fp32_n256_ss(d, a, b, accumulate);
    } else if constexpr (registers == 64) {
        if constexpr (!a_transposed && !b_transposed) wgmma_bf16_bt_fp32_n128_ss(d, a, b, accumulate);
        if constexpr (!a_transposed && b_transposed) wgmma_bf16_fp32_n128_ss(d, a, b, accumulate);
        if constexpr (a_transposed && !b_transposed) wgmma_bf16_at_bt_fp32_n128_ss(d, a, b, accumulate);
        if constexpr (a_transposed && b_transposed) wgmma_bf16_at_fp32_n128_ss(d, a, b, accumulate);
    } else {
        if constexpr (!a_transposed && !b_transposed) wgmma_bf16_bt_fp32_n64_ss(d, a, b, accumulate);
        if constexpr (!a_transposed && b_transposed) wgmma_bf16_fp32_n64_ss(d, a, b, accumulate);
        if constexpr (a_transposed && !b_transposed) wgmma_bf16_at_bt_fp32_n64_ss(d, a, b, accumulate);
        if constexpr (a_transposed && b_transposed) wgmma_bf16_at_fp32_n64_ss(d, a, b, accumulate);
    }
}

/* One stage: four slices of k. Instruction i has rows 64 i of this consumer's part. */
template <bool a_transposed, bool b_transposed, int instructions, int registers>
static __device__ __forceinline__ void multiply_stage(float (&d)[instructions][registers], const unsigned char *a,
                                                      const unsigned char *b, bool accumulate) {
#pragma unroll
    for (int slice = 0; slice < STEP / SLICE; slice++) {
        uint64_t at_b = b_transposed ? wgmma_tile_descriptor(b, slice * WGMMA_K_BYTES)
                                     : wgmma_transposed_descriptor(b, slice * SLICE, BLOCK_BYTES);
#pragma unroll
        for (int i = 0; i < instructions; i++) {
            const unsigned char *rows = a + i * WGMMA_M * WGMMA_ROW_BYTES;
            uint64_t at_a = a_transposed ? wgmma_transposed_descriptor(rows, slice * SLICE, BLOCK_BYTES)
                                         : wgmma_tile_descriptor(rows, slice * WGMMA_K_BYTES);
            multiply<a_transposed, b_transposed>(d[i], at_a, at_b, accumulate || slice > 0);
        }
    }
}

static __device__ __forceinline__ uint32_t pack(float low, float high) {
    __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    uint32_t word;
    memcpy(&word, &pair, sizeof word);
    return word;
}

/* 64 rows of this consumer's part of C, 64 columns after 64, through its buffers in turn. */
template <struct tiling t, int registers>
static __device__ __forceinline__ void store(const struct gemm_wgmma_arguments *arguments, unsigned char *buffers,
                                             int consumer, struct corner corner, const float (&d)[registers]) {
    constexpr struct layout layout = layout_of(t);
    const unsigned thread = threadIdx.x % WGMMA_THREADS, lane = thread % 32;
    const unsigned row = thread / 32 * 16 + lane % 16; /* the one whose address this thread gives to stmatrix */
#pragma unroll
    for (int part = 0; part < registers * 2 / WGMMA_BLOCK; part++) {
        unsigned char *buffer = buffers + part % t.buffers * layout.buffer_bytes;
        if (thread == 0) bulk_store_wait<t.buffers - 1>();
        named_barrier(1 + consumer, WGMMA_THREADS);
#pragma unroll
        for (int i = 0; i < WGMMA_BLOCK / 16; i++) {
            const float *from = &d[part * (WGMMA_BLOCK / 2) + i * 8];
            store_matrices(buffer + wgmma_swizzled(row, (unsigned)i * 32 + lane / 16 * 16), pack(from[0], from[1]),
                           pack(from[2], from[3]), pack(from[4], from[5]), pack(from[6], from[7]));
        }
        fence_for_copy_engine();
        named_barrier(1 + consumer, WGMMA_THREADS);
        if (thread == 0) tensor_store_2d(&arguments->c, corner.n + part * WGMMA_BLOCK, corner.m, buffer);
    }
}

template <struct tiling t, bool a_transposed, bool b_transposed>
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
    unsigned char *buffers = shared.buffers + consumer * t.buffers * layout.buffer_bytes;
    float d[instructions][t.tile_n / 2];
    struct ring ring = {0, 0};
    for (int tile = (int)blockIdx.x / blocks; tile < tiles; tile += clusters) {
        struct corner corner = corner_of<t>(arguments, tile, rank);
        int step = 0, last = 0;
        do {
            const unsigned char *a = shared.stages + ring.slot * layout.stage_bytes;
            barrier_wait(&shared.full[ring.slot], ring.parity);
            wgmma_fence();
            multiply_stage<a_transposed, b_transposed>(d, a + rows * WGMMA_ROW_BYTES, a + layout.a_bytes, step > 0);
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

template <struct tiling t, bool a_transposed, bool b_transposed>
static __global__ void __launch_bounds__((1 + t.consumers) * WGMMA_THREADS, 1)
    gemm_wgmma_kernel(const __grid_constant__ struct gemm_wgmma_arguments arguments) {
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
    constexpr struct layout layout = layout_of(t);
    extern __shared__ __align__(WGMMA_TILE_ALIGNMENT) unsigned char shared[];
    const unsigned rank = cluster_rank();
    const int warpgroup = (int)threadIdx.x / WGMMA_THREADS;
    struct shared_parts parts = {shared, shared + t.stages * layout.stage_bytes, (uint64_t *)(shared + layout.barriers),
                                 (uint64_t *)(shared + layout.barriers) + t.stages};
    if (threadIdx.x == 0) {
        tensor_map_prefetch(&arguments.a);
        tensor_map_prefetch(&arguments.b);
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
        if (threadIdx.x == 0) produce<t, a_transposed, b_transposed>(&arguments, parts, rank);
        __syncwarp();
    } else {
        if constexpr (t.consumers == 2) registers_take<REGISTERS_CONSUMER>();
        consume<t, a_transposed, b_transposed>(&arguments, parts, rank, warpgroup - 1);
        __syncwarp();
    }
    cluster_barrier(); /* no block ends while another may still signal to it or fill its memory */
#else
    __trap(); /* declined */
#endif
}

/* The map of an operand stored as rows x columns, row major, for tiles of height x width. */
static void make_map(struct run *run, CUtensorMap *map, const void *matrix, int64_t rows, int64_t columns, int height,
                     int width) {
    const struct tensor_tiling tiling = {.dtype = DTYPE_bf16,
                                         .rank = 2,
                                         .extent = {columns, rows},
                                         .stride = {1, columns},
                                         .tile = {width, height},
                                         .swizzle = CU_TENSOR_MAP_SWIZZLE_128B};
    tensor_map_make(run, map, matrix, &tiling);
}

template <struct tiling t, bool a_transposed, bool b_transposed>
static void plan_kernel(struct run *run, struct gemm_wgmma *plan, const struct gemm_wgmma_product *product, int group) {
    struct gemm_wgmma_arguments *arguments = &plan->arguments;
    const int64_t m = product->m, n = product->n, k = product->k;
    const int tall = t.tile_m * t.cluster_m, wide = t.tile_n * t.cluster_n;
    if (a_transposed) make_map(run, &arguments->a, product->a, k, m, STEP, WGMMA_BLOCK);
    else make_map(run, &arguments->a, product->a, m, k, t.tile_m / t.cluster_n, STEP);
    if (b_transposed) make_map(run, &arguments->b, product->b, n, k, t.tile_n / t.cluster_m, STEP);
    else make_map(run, &arguments->b, product->b, k, n, STEP, WGMMA_BLOCK);
    make_map(run, &arguments->c, product->c, m, n, WGMMA_M, WGMMA_BLOCK);
    arguments->rows = (int)((m + tall - 1) / tall);
    arguments->columns = (int)((n + wide - 1) / wide);
    arguments->k_steps = (int)((k + STEP - 1) / STEP);
    arguments->group = group;
    plan->kernel = (const void *)gemm_wgmma_kernel<t, a_transposed, b_transposed>;
    plan->threads = (1 + t.consumers) * WGMMA_THREADS;
    plan->shared_bytes = (unsigned)layout_of(t).total;
    plan->cluster = t.cluster_m * t.cluster_n;
}

static cudaLaunchConfig_t launch_of(struct run *run, const struct gemm_wgmma *plan, cudaLaunchAttribute *cluster) {
    cudaLaunchConfig_t launch = {};
    cluster->id = cudaLaunchAttributeClusterDimension;
    cluster->val.clusterDim.x = plan->cluster;
    cluster->val.clusterDim.y = cluster->val.clusterDim.z = 1;
    launch.gridDim = plan->blocks;
    launch.blockDim = plan->threads;
    launch.dynamicSmemBytes = plan->shared_bytes;
    launch.stream = run->stream;
    launch.attrs = cluster;
    launch.numAttrs = 1;
    return launch;
}

/* As many clusters as the device holds at one time, but no more than there is work for. */
static void plan_launch(struct run *run, struct gemm_wgmma *plan) {
    cudaLaunchAttribute cluster;
    int clusters, work = plan->arguments.rows * plan->arguments.columns;
    CUDA_CHECK(run, cudaFuncSetAttribute(plan->kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         (int)plan->shared_bytes));
    plan->blocks = plan->cluster;
    cudaLaunchConfig_t launch = launch_of(run, plan, &cluster);
    CUDA_CHECK(run, cudaOccupancyMaxActiveClusters(&clusters, plan->kernel, &launch));
    plan->blocks = (unsigned)(clusters < work ? clusters : work) * plan->cluster;
}

const char *gemm_wgmma_declines(const struct gemm_wgmma_product *product) {
    const int64_t m = product->m, n = product->n, k = product->k, largest = INT32_MAX / 2;
    if (m > largest || n > largest || k > largest) return "tensor maps count in 32 bits";
    if (n % 8 != 0 || (product->a_transposed ? m : k) % 8 != 0 || (product->b_transposed && k % 8 != 0))
        return "bulk tensor copies need rows of whole multiples of 16 bytes";
    return wgmma_missing();
}

template <bool a_transposed, bool b_transposed>
static void plan_product(struct run *run, struct gemm_wgmma *plan, const struct gemm_wgmma_product *product) {
    plan_kernel<LARGE, a_transposed, b_transposed>(run, plan, product, 8);
}

void gemm_wgmma_create(struct run *run, struct gemm_wgmma *plan, const struct gemm_wgmma_product *product) {
    if (product->a_transposed && product->b_transposed) plan_product<true, true>(run, plan, product);
    else if (product->a_transposed) plan_product<true, false>(run, plan, product);
    else if (product->b_transposed) plan_product<false, true>(run, plan, product);
    else plan_product<false, false>(run, plan, product);
    plan_launch(run, plan);
}

void gemm_wgmma_run(struct run *run, struct gemm_wgmma *plan) {
    cudaLaunchAttribute cluster;
    cudaLaunchConfig_t launch = launch_of(run, plan, &cluster);
    void *arguments[] = {&plan->arguments};
    CUDA_CHECK(run, cudaLaunchKernelExC(&launch, plan->kernel, arguments));
}
