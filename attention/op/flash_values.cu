/* flash_values.cu: values in fp8 transposed into tiles (flash_scales.h), and the scales of each tile.

   A byte in and a byte out an element, beside attention's FLOPs, which grow with the product of queries and keys. A
   kernel of its own reads each value once; transposed inside the flash kernel each would be turned again for every
   query tile that sees it. */
#include <cuda_runtime.h>

#include "flash_map.h"
#include "flash_values.h"

enum { WARP = 32, KEYS = 16, ELEMENTS = 4 }; /* a thread turns KEYS x ELEMENTS */

struct values {
    const uint8_t *value;
    const float *key_scale, *value_scale;
    uint8_t *tiles;
    char *scales;
    struct attention_strides stride;
    int keys, head_dim, kv_heads, tile_keys;
    int blocks, scale_bytes; /* scales of a head; bytes of a tile's */
    bool by_token;
};

/* Four words with a byte of each of four elements, of four keys, become four words with a byte of each key. */
static __device__ inline void turn(const uint32_t (&key)[4], uint32_t (&element)[4]) {
    uint32_t low01 = __byte_perm(key[0], key[1], 0x5140), high01 = __byte_perm(key[0], key[1], 0x7362);
    uint32_t low23 = __byte_perm(key[2], key[3], 0x5140), high23 = __byte_perm(key[2], key[3], 0x7362);
    element[0] = __byte_perm(low01, low23, 0x5410);
    element[1] = __byte_perm(low01, low23, 0x7632);
    element[2] = __byte_perm(high01, high23, 0x5410);
    element[3] = __byte_perm(high01, high23, 0x7632);
}

/* The largest of a head's scales of values, in all threads of a block. */
static __device__ float largest_scale(const float *value, int count) {
    __shared__ float warps[WARP];
    float largest = 0;
    for (int i = (int)threadIdx.x; i < count; i += (int)blockDim.x) largest = fmaxf(largest, value[i]);
    for (int offset = WARP / 2; offset > 0; offset /= 2)
        largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, offset));
    if (threadIdx.x % WARP == 0) warps[threadIdx.x / WARP] = largest;
    __syncthreads();
    for (unsigned warp = 0; warp < blockDim.x / WARP; warp++) largest = fmaxf(largest, warps[warp]);
    return largest;
}

/* Of a tile: see flash_token_scales_count. Keys beyond the last have the scales of the last. */
static __device__ void make_token_scales(const struct values *v, int tile, const float *key, const float *value,
                                         float largest, float *to) {
    for (int i = (int)threadIdx.x; i < v->tile_keys; i += (int)blockDim.x) {
        int k = min(tile * v->tile_keys + flash_key_at(i), v->keys - 1);
        to[i] = key[k];
        to[v->tile_keys + i] = value[k] / largest;
    }
    if (threadIdx.x == 0) to[2 * v->tile_keys] = largest / (1 << FLASH_PROBABILITY_SHIFT);
}

/* By all threads of a block. Scales of blocks are as struct flash_scales says; those beyond the last key are the last
   block's. */
static __device__ void make_scales(const struct values *v, int tile, int64_t head, char *scales) {
    int each = v->tile_keys / ATTENTION_SCALE_BLOCK, b = (int)threadIdx.x;
    const float *key = v->key_scale + head * v->blocks, *value = v->value_scale + head * v->blocks;
    float largest = largest_scale(value, v->blocks);
    if (v->by_token) {
        make_token_scales(v, tile, key, value, largest, (float *)scales);
        return;
    }
    struct flash_scales *to = (struct flash_scales *)scales;
    if (b < each) {
        int block = tile * each + b < v->blocks ? tile * each + b : v->blocks - 1;
        to->key[b] = key[block];
        to->shift[b] = log2f(value[block] / largest) + FLASH_PROBABILITY_SHIFT;
        to->inverse[b] = largest / value[block] / (1 << FLASH_PROBABILITY_SHIFT);
    }
    if (b == 0) to->value = largest / (1 << FLASH_PROBABILITY_SHIFT);
}

/* A block for FLASH_VALUE_CHUNK keys, with a thread for each KEYS x ELEMENTS: grid (kv_heads * batch, tiles of a head,
   chunks of a tile). */
static __global__ void turn_values(struct values v) {
    int tile = (int)blockIdx.y, groups = FLASH_VALUE_CHUNK / KEYS;
    int64_t head = blockIdx.x, tile_at = head * gridDim.y + tile;
    int d = (int)threadIdx.x / groups * ELEMENTS;
    int position = ((int)blockIdx.z * groups + (int)threadIdx.x % groups) * KEYS;
    const uint8_t *from = v.value + head / v.kv_heads * v.stride.batch + head % v.kv_heads * v.stride.head + d;
    uint8_t *to = v.tiles + tile_at * v.tile_keys * v.head_dim;
    uint32_t key[KEYS / 4][4], turned[KEYS / 4][4];
#pragma unroll
    for (int i = 0; i < KEYS; i++) {
        int k = tile * v.tile_keys + flash_key_at(position + i);
        key[i / 4][i % 4] = k < v.keys ? *(const uint32_t *)(from + k * v.stride.row) : 0;
    }
#pragma unroll
    for (int i = 0; i < KEYS / 4; i++) turn(key[i], turned[i]);
#pragma unroll
    for (int i = 0; i < ELEMENTS; i++)
        *(uint4 *)(to + flash_value_byte(v.head_dim, position, d + i)) =
            make_uint4(turned[0][i], turned[1][i], turned[2][i], turned[3][i]);
    if (blockIdx.z == 0) make_scales(&v, tile, head, v.scales + tile_at * v.scale_bytes);
}

/* Of a tile of so many keys. */
static int scale_bytes(const struct attention_problem *problem, int keys) {
    return problem->scale_tokens == 1 ? flash_token_scales_count(keys) * (int)sizeof(float)
                                      : (int)sizeof(struct flash_scales);
}

extern "C" struct flash_values_layout flash_values_layout(const struct attention_problem *problem, int keys) {
    struct flash_values_layout layout = {.tiles = (int)((problem->keys + keys - 1) / keys)};
    size_t tiles = (size_t)(problem->batch * problem->kv_heads * layout.tiles);
    layout.scales_at = tiles * (size_t)(keys * problem->head_dim);
    layout.bytes = layout.scales_at + tiles * (size_t)scale_bytes(problem, keys);
    return layout;
}

extern "C" bool flash_values_run(const struct attention_problem *problem, int keys,
                                 const struct attention_buffers *buffers, struct CUstream_st *stream, char *reason) {
    struct flash_values_layout layout = flash_values_layout(problem, keys);
    struct values v = {.value = (const uint8_t *)buffers->value,
                       .key_scale = buffers->key_scale,
                       .value_scale = buffers->value_scale,
                       .tiles = (uint8_t *)buffers->workspace,
                       .scales = (char *)buffers->workspace + layout.scales_at,
                       .stride = problem->value,
                       .keys = (int)problem->keys,
                       .head_dim = (int)problem->head_dim,
                       .kv_heads = (int)problem->kv_heads,
                       .tile_keys = keys,
                       .blocks = (int)attention_scale_blocks(problem, problem->keys),
                       .scale_bytes = scale_bytes(problem, keys),
                       .by_token = problem->scale_tokens == 1};
    unsigned threads = (unsigned)(problem->head_dim * FLASH_VALUE_CHUNK / (KEYS * ELEMENTS));
    dim3 grid((unsigned)(problem->batch * problem->kv_heads), (unsigned)layout.tiles,
              (unsigned)(keys / FLASH_VALUE_CHUNK));
    turn_values<<<grid, threads, 0, stream>>>(v);
    return !flash_failed(cudaGetLastError(), "launch of the values' kernel", reason);
}
