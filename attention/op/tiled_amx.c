/* tiled_amx.c: the two products of a tile by the processor's matrix unit (AMX), bf16 in and fp32 out.

   A tile register holds 16 rows of 64 bytes; one instruction adds to 16 x 16 sums the products of 16 rows of 32 bf16
   with 16 rows of pairs. That is how the tiled operator's operands lie: 32 dimensions of 16 keys, read in place, are
   the rows; queries and probabilities are packed in pairs anyway. Only values must be transposed, so that a row is 32
   keys of one dimension: once a call for all queries, into the workspace. Per multiplication instruction there are 4/3
   loads of a register. Keys that do not fill 16 rows are left to the dot products of pairs.

   These functions are compiled for AMX wherever the rest is compiled for dot products of pairs; whether the processor
   has it is found at run time. */
#include "tiled.h"
#include "vector_multiply.h"

#if defined __x86_64__ && defined __AVX512BF16__ && defined __AVX512BW__
#include <cpuid.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FOR_AMX __attribute__((target("amx-tile,amx-bf16")))
enum { ROWS = 16, ROW_BYTES = QUERY_TILE * 4 };
enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* as in asm/prctl.h */
enum { CPUID_BF16 = 1 << 22, CPUID_TILE = 1 << 24 };  /* leaf 7, edx; compilers' names for them differ */

static bool permitted;

/* The intrinsics do not tell the compiler what memory they read: what was stored must be there before. */
static inline void stores_are_made(const void *what) {
    __asm__ volatile("" ::"r"(what) : "memory");
}

/* The system hands out the registers' 8 KiB a thread on request, once for the process. */
static void ask(void) {
    permitted = syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

const char *tiled_amx_missing(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & CPUID_BF16) || !(d & CPUID_TILE)) return "no AMX here";
    pthread_once(&once, ask);
    return permitted ? NULL : "the system does not give out the tiles of AMX";
}

FOR_AMX void tiled_amx_begin(void) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = ROWS;
    }
    stores_are_made(&config);
    _tile_loadconfig(&config);
}

FOR_AMX void tiled_amx_end(void) {
    _tile_release();
}

/* sums[16 rows][QUERY_TILE] += rows[16][depth] pairs[depth / 2][QUERY_TILE], from 0 where `add` is false. */
FOR_AMX static void multiply_block(vector_float *sums, const uint16_t *rows, int64_t row_elements,
                                   const vector_float *pairs, int64_t depth, bool add) {
    stores_are_made(pairs);
    if (add) {
        _tile_loadd(0, sums, ROW_BYTES);
        _tile_loadd(1, sums + 1, ROW_BYTES);
        _tile_loadd(2, sums + 2, ROW_BYTES);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
    }
    for (int64_t at = 0; at < depth; at += TILED_AMX_DEPTH, pairs += ROWS * QUERY_VECTORS) {
        _tile_loadd(3, rows + at, row_elements * 2);
        _tile_loadd(4, pairs, ROW_BYTES);
        _tile_loadd(5, pairs + 1, ROW_BYTES);
        _tile_loadd(6, pairs + 2, ROW_BYTES);
        _tile_dpbf16ps(0, 3, 4);
        _tile_dpbf16ps(1, 3, 5);
        _tile_dpbf16ps(2, 3, 6);
    }
    _tile_stored(0, sums, ROW_BYTES);
    _tile_stored(1, sums + 1, ROW_BYTES);
    _tile_stored(2, sums + 2, ROW_BYTES);
}

FOR_AMX void tiled_amx_keys(struct tile *tile, const uint16_t *key, int64_t stride, int64_t keys, int64_t head_dim) {
    int64_t row = 0;
    for (; row + ROWS <= keys; row += ROWS)
        multiply_block(tile->score + row * QUERY_VECTORS, key + row * stride, stride, tile->query, head_dim, false);
    multiply_tokens_as(tile->score + row * QUERY_VECTORS, tile->query, (const float *)(key + row * stride), stride / 2,
                       keys - row, head_dim / 2, true);
}

FOR_AMX void tiled_amx_values(struct tile *tile, const uint16_t *value, int64_t keys, int64_t head_dim) {
    for (int64_t i = 0; i < head_dim * QUERY_VECTORS; i++) tile->output[i] *= tile->rescale[i % QUERY_VECTORS];
    for (int64_t d = 0; d < head_dim; d += ROWS)
        multiply_block(tile->output + d * QUERY_VECTORS, value + d * KEY_TILE, KEY_TILE, tile->score, keys, true);
}

#else
const char *tiled_amx_missing(void) {
    return "built for a processor without AVX512-BF16";
}
/* Never called. */
void tiled_amx_begin(void) {}
void tiled_amx_end(void) {}
void tiled_amx_keys(struct tile *tile, const uint16_t *key, int64_t stride, int64_t keys, int64_t head_dim) {
    (void)tile, (void)key, (void)stride, (void)keys, (void)head_dim;
}
void tiled_amx_values(struct tile *tile, const uint16_t *value, int64_t keys, int64_t head_dim) {
    (void)tile, (void)value, (void)keys, (void)head_dim;
}
#endif
