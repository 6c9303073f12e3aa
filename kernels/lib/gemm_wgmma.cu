/* gemm_wgmma.cu: see gemm_wgmma.h; how the kernel works is in gemm_wgmma_kernel.h. Here: its tiles, and which of them a
   product gets.

   Floor, m = n = k = 8192 on 132 multiprocessors: 2 m n k / (4096 FLOP a clock x 132) = 2.03 M clocks, 1.03 ms at
   1.98 GHz, 1068 TFLOP/s; in whole waves of 128 x 256 tiles 2.10 M. The device runs out of power before: 1.6 ms. An
   m64n256k16 takes 128 clocks and reads 2 + 8 KiB of shared memory; a stage of 128 x 256 x 64 takes 1024 clocks, and
   of L2 48 KiB, 32 with a pair of blocks sharing B: 4224 bytes a clock on all multiprocessors, of about 5000 that it
   gives. Memory: what runs at one time, 132 x 128 x 256 near a square, reads 2 x 2080 x k x 2 bytes, 16 times over:
   1.1 GB, 0.23 ms, hidden.

   NOTES, on an H200 limited by its power, each variant running alone until clock and power have settled; TFLOP/s with
   m = n = k = 8192 but where another size is named
   - 687 with LARGE, the library's best guess 692 and its first 671 to 682; at 4096 724 and 728. At 3072 LARGE ends with
     a wave of a fifth, 587; MEDIUM fills its waves, 750; the library has a tile of 192 x 192, 758.
   - In clocks both are the same: 2.17 M at 8192, 0.284 M at 4096. L2 reads are not: 9.8 GB, the library's 7.8 to 8.1.
   - Other tiles, against 679 to 684 of 128 x 256 then: 256 x 128 676, 128 x 128 in pairs 647. Four blocks a cluster fit
     on 120 multiprocessors alone: 607. Three warpgroups that multiply would do with less traffic, but 512 threads leave
     the compiler 128 registers for 128 sums.
   - No difference: which operand is the instruction's A, 3 stages and buffers for a whole tile in place of 4 and half
     of one (690; worse where few tiles run), waiting for each stage's instructions in place of the last but one's, an
     evict-first hint for C. Bands of 8 read 1.23 GB from memory, of 4 or 16 1.5 GB, of 1 2.4 GB.
   - 1 % came from fewer instructions a stage (86, now 60): the warpgroup's number by a shuffle and sums on descriptors
     in place of addresses keep them in uniform registers; and from divisions left to the copying warp.
 * needs: cuda
 */
#include "kernels/lib/gemm_wgmma_kernel.h"

/* X(name, consumers, tile_m, tile_n, stages, cluster_m, cluster_n, buffers) */
#define TILINGS(X)                                                                                                     \
    X(LARGE, 2, 128, 256, 4, 2, 1, 2)                                                                                  \
    X(MEDIUM, 2, 128, 192, 4, 2, 1, 3)                                                                                 \
    X(SQUARE_PAIR, 2, 128, 128, 6, 2, 1, 2)                                                                            \
    X(SQUARE, 2, 128, 128, 6, 1, 1, 2)                                                                                 \
    X(FLAT, 1, 64, 256, 5, 1, 1, 2)                                                                                    \
    X(SMALL, 1, 64, 128, 8, 1, 1, 2)                                                                                   \
    X(TINY, 1, 64, 64, 12, 1, 1, 1)

#define TILING(name, consumers, tile_m, tile_n, stages, cluster_m, cluster_n, buffers)                                 \
    static constexpr struct tiling name = {consumers, tile_m, tile_n, stages, cluster_m, cluster_n, buffers};
TILINGS(TILING)
#undef TILING
#define TILING_ENTRY(name, ...) name,
static const struct tiling tilings[] = {TILINGS(TILING_ENTRY)};
#undef TILING_ENTRY

/* One operand of a product: `extent` of m or n by k. */
struct operand {
    const void *matrix;
    int64_t extent, k;
    bool k_contiguous;
};

/* The map of an operand whose tiles of `tile` rows of m or n are loaded in `parts`; returns the bytes of a tile. Of a
   matrix lower than its part only its own rows are loaded: what lies in shared memory in place of the others ends in
   rows of D that are not written. */
static int map_operand(struct run *run, CUtensorMap *map, struct operand operand, int tile, int parts) {
    int64_t rows = operand.k_contiguous ? operand.extent : operand.k, padded = (operand.extent + 7) / 8 * 8;
    int64_t columns = operand.k_contiguous ? operand.k : operand.extent;
    int height = share_of(operand.k_contiguous, tile, parts).height;
    bool lower = operand.k_contiguous && padded < height;
    if (lower) height = (int)padded;
    const struct tensor_tiling tiling = {.dtype = DTYPE_bf16,
                                         .rank = 2,
                                         .extent = {columns, rows},
                                         .stride = {1, columns},
                                         .tile = {STEP, height},
                                         .swizzle = CU_TENSOR_MAP_SWIZZLE_128B};
    tensor_map_make(run, map, operand.matrix, &tiling);
    return (lower ? parts * height : tile) * WGMMA_ROW_BYTES;
}
static_assert((int)STEP == (int)WGMMA_BLOCK, "a box is as wide in k as in m and n");

static void map_result(struct run *run, CUtensorMap *map, const struct gemm_wgmma_product *product) {
    const struct tensor_tiling tiling = {.dtype = DTYPE_bf16,
                                         .rank = 2,
                                         .extent = {product->n, product->m},
                                         .stride = {1, product->n},
                                         .tile = {WGMMA_BLOCK, WGMMA_M},
                                         .swizzle = CU_TENSOR_MAP_SWIZZLE_128B};
    tensor_map_make(run, map, product->c, &tiling);
}

static int64_t ceiling(int64_t amount, int64_t unit) {
    return (amount + unit - 1) / unit;
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

static int multiprocessors(struct run *run) {
    int device, count;
    CUDA_CHECK(run, cudaGetDevice(&device));
    CUDA_CHECK(run, cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device));
    return count;
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

template <struct tiling t, bool a_transposed, bool b_transposed>
static void plan_kernel(struct run *run, struct gemm_wgmma *plan, const struct gemm_wgmma_product *product) {
    struct gemm_wgmma_arguments *arguments = &plan->arguments;
    const struct operand left = {product->a, product->m, product->k, !a_transposed};
    const struct operand right = {product->b, product->n, product->k, b_transposed};
    arguments->bytes = map_operand(run, &arguments->left, left, t.tile_m, t.cluster_n) +
                       map_operand(run, &arguments->right, right, t.tile_n, t.cluster_m);
    map_result(run, &arguments->c, product);
    arguments->rows = (int)ceiling(product->m, t.tile_m * t.cluster_m);
    arguments->columns = (int)ceiling(product->n, t.tile_n * t.cluster_n);
    arguments->k_steps = (int)ceiling(product->k, STEP);
    /* a band as high as the square that all multiprocessors cover at one time */
    double square = sqrt((double)multiprocessors(run) * t.tile_m * t.tile_n);
    arguments->group = (int)fmax(1, rint(square / (t.tile_m * t.cluster_m)));
    plan->kernel = (const void *)gemm_wgmma_kernel<t, a_transposed, b_transposed>;
    plan->threads = (1 + t.consumers) * WGMMA_THREADS;
    plan->shared_bytes = (unsigned)layout_of(t).total;
    plan->cluster = t.cluster_m * t.cluster_n;
    plan_launch(run, plan);
}

/* Clocks, roughly: whole waves of tiles, each as long as its stages, a stage as long as its instructions at the clock
   that power leaves of the maximum, or as its bytes from L2. */
static double estimate(const struct gemm_wgmma_product *product, struct tiling t, int units) {
    const double power = 1.3, small_tile = 0.1, l2_bytes = 35.0 * units, unit_bytes = 52, tile_clocks = 2000;
    double tiles = (double)(ceiling(product->m, t.tile_m * t.cluster_m) * t.cluster_m *
                            ceiling(product->n, t.tile_n * t.cluster_n) * t.cluster_n);
    double busy = fmin(tiles, units), area = (double)t.tile_m * t.tile_n;
    double bytes = ((double)t.tile_m / t.cluster_n + (double)t.tile_n / t.cluster_m) * (int)WGMMA_ROW_BYTES;
    double multiplying = area / 32 * (power + small_tile * (1 - area / (128 * 256)));
    double loading = bytes / fmin(unit_bytes, l2_bytes / busy);
    return ceil(tiles / units) * ((double)ceiling(product->k, STEP) * fmax(multiplying, loading) + tile_clocks);
}

static int fastest_tiling(struct run *run, const struct gemm_wgmma_product *product) {
    int best = 0, units = multiprocessors(run);
    for (int i = 1; i < (int)ARRAY_LENGTH(tilings); i++)
        if (estimate(product, tilings[i], units) < estimate(product, tilings[best], units)) best = i;
    return best;
}

const char *gemm_wgmma_declines(const struct gemm_wgmma_product *product) {
    const int64_t m = product->m, n = product->n, k = product->k, largest = INT32_MAX / 2;
    if (m > largest || n > largest || k > largest) return "tensor maps count in 32 bits";
    if (n % 8 != 0 || (product->a_transposed ? m : k) % 8 != 0 || (product->b_transposed && k % 8 != 0))
        return "bulk tensor copies need rows of whole multiples of 16 bytes";
    return wgmma_missing();
}

typedef void planner(struct run *run, struct gemm_wgmma *plan, const struct gemm_wgmma_product *product);

void gemm_wgmma_create(struct run *run, struct gemm_wgmma *plan, const struct gemm_wgmma_product *product) {
#define PLANNERS(name, ...)                                                                                            \
    {{plan_kernel<name, false, false>, plan_kernel<name, false, true>},                                                \
     {plan_kernel<name, true, false>, plan_kernel<name, true, true>}},
    static planner *const planners[][2][2] = {TILINGS(PLANNERS)};
#undef PLANNERS
    planners[fastest_tiling(run, product)][product->a_transposed][product->b_transposed](run, plan, product);
}

void gemm_wgmma_run(struct run *run, struct gemm_wgmma *plan) {
    cudaLaunchAttribute cluster;
    cudaLaunchConfig_t launch = launch_of(run, plan, &cluster);
    void *arguments[] = {&plan->arguments};
    CUDA_CHECK(run, cudaLaunchKernelExC(&launch, plan->kernel, arguments));
}
