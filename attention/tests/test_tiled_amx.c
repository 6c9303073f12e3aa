/* test_tiled_amx.c: the tiled operator on the matrix unit, with tile registers in memory in place of the processor's, so
   that how operands are packed is tested on machines without AMX too. op/tiled_amx.c is compiled into this test, which
   the linker then takes instead of the library's. */
#include "attention/op/vector_multiply.h"

#if defined __x86_64__ && defined __AVX512BF16__ && defined __AVX512BW__
#include <cpuid.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { REGISTERS = 8, REGISTER_ROWS_MOST = 16, REGISTER_ROW = 64 };
static _Thread_local unsigned char registers[REGISTERS][REGISTER_ROWS_MOST][REGISTER_ROW];
static _Thread_local bool configured;

static void load_tile(int to, const void *from, int64_t stride) {
    for (int row = 0; row < REGISTER_ROWS_MOST && configured; row++)
        memcpy(registers[to][row], (const char *)from + row * stride, REGISTER_ROW);
}

static void store_tile(int from, void *to, int64_t stride) {
    for (int row = 0; row < REGISTER_ROWS_MOST && configured; row++)
        memcpy((char *)to + row * stride, registers[from][row], REGISTER_ROW);
}

/* As TDPBF16PS has it: a pair of b's row k is two rows of the second operand, side by side. */
static void multiply_tiles(int sum, int a, int b) {
    for (int row = 0; row < REGISTER_ROWS_MOST; row++)
        for (int column = 0; column < REGISTER_ROWS_MOST; column++) {
            float x;
            memcpy(&x, &registers[sum][row][4 * column], sizeof(x));
            for (int k = 0; k < REGISTER_ROWS_MOST; k++) {
                uint16_t left[2], right[2];
                memcpy(left, &registers[a][row][4 * k], sizeof(left));
                memcpy(right, &registers[b][k][4 * column], sizeof(right));
                for (int i = 0; i < 2; i++) x += vector_from_bf16(left[i]) * vector_from_bf16(right[i]);
            }
            memcpy(&registers[sum][row][4 * column], &x, sizeof(x));
        }
}

/* Eight registers of the full size, or nothing works. */
static void configure(const void *configuration) {
    const unsigned char *byte = configuration, *rows = byte + 48;
    configured = byte[0] == 1;
    for (int i = 0; i < REGISTERS; i++)
        configured &= rows[i] == REGISTER_ROWS_MOST && byte[16 + 2 * i] == REGISTER_ROW && byte[17 + 2 * i] == 0;
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbf16ps
#define _tile_loadconfig(configuration) configure(configuration)
#define _tile_release() (configured = false)
#define _tile_loadd(to, from, stride) load_tile(to, from, stride)
#define _tile_stored(from, to, stride) store_tile(from, to, stride)
#define _tile_zero(which) memset(registers[which], 0, sizeof(registers[which]))
#define _tile_dpbf16ps(sum, a, b) multiply_tiles(sum, a, b)
#define __get_cpuid_count(leaf, part, a, b, c, d) (*(a) = *(b) = *(c) = *(d) = ~0u, 1)
#define syscall(number, request, which) ((number) == SYS_arch_prctl && (request) == 0x1023 && (which) == 18 ? 0 : -1)
#include "attention/op/tiled_amx.c"
enum { EMULATED = 1 };
#else
enum { EMULATED = 0 };
#endif

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "attention/op/attention.h"
#include "bench/random.h"

enum { WINDOW = 40 };

static struct attention_problem problem_of(int64_t heads, int64_t queries, int64_t keys, int64_t head_dim) {
    struct attention_problem problem = {.batch = 1, .heads = heads, .kv_heads = heads, .queries = queries,
                                        .keys = keys, .head_dim = head_dim, .dtype = DTYPE_bf16, .threads = 2};
    return problem;
}

static uint16_t *numbers(size_t count, uint64_t stream) {
    uint16_t *x = malloc(count * sizeof(*x));
    assert_non_null(x);
    for (size_t i = 0; i < count; i++) x[i] = vector_to_bf16((float)random_normal(7, stream, i));
    return x;
}

/* Up to 256 rows, all of them where there are no more, against the definition in fp64. */
static void check_forward(struct attention_problem problem, enum mask_name name) {
    struct mask *mask = mask_new(name, problem.queries, problem.keys, WINDOW);
    struct attention_plan plan = {0};
    struct verdict verdict;
    char reason[REASON_SIZE] = "";
    problem.mask = mask;
    attention_pack(&problem);
    size_t queries = attention_query_count(&problem), keys = attention_key_count(&problem);
    int64_t rows = problem.batch * problem.heads * problem.queries;
    float *sink = calloc((size_t)problem.heads, sizeof(*sink)), *gate = malloc((size_t)rows * sizeof(*gate));
    struct attention_buffers buffers = {.query = numbers(queries, 1), .key = numbers(keys, 2),
                                        .value = numbers(keys, 3), .output = malloc(queries * sizeof(uint16_t)),
                                        .log_sum_exp = malloc((size_t)rows * sizeof(float)), .sink = sink,
                                        .gate = gate};
    assert_true(sink && gate && buffers.output && buffers.log_sum_exp);
    for (int64_t i = 0; i < rows; i++) gate[i] = (float)random_normal(7, 4, (uint64_t)i);
    memset(buffers.output, 0xff, queries * sizeof(uint16_t));
    assert_null(softmax_tiled_amx.decline(&problem));
    assert_true(softmax_tiled_amx.prepare(&problem, &plan, reason));
    buffers.workspace = aligned_alloc(64, (plan.workspace + 63) / 64 * 64);
    assert_non_null(buffers.workspace);
    memset(buffers.workspace, 0xff, plan.workspace);
    assert_true(softmax_tiled_amx.forward(&problem, &plan, &buffers, NULL, reason));
    attention_check(&problem, &buffers, rows < ATTENTION_ROWS_MAX ? rows : ATTENTION_ROWS_MAX, 5, &verdict);
    if (!(verdict.error <= verdict.tolerance))
        fail_msg("mask %d, %d queries, %d keys, head_dim %d: error %g", name, (int)problem.queries, (int)problem.keys,
                 (int)problem.head_dim, verdict.error);
    softmax_tiled_amx.release(&plan);
    free((void *)buffers.query), free((void *)buffers.key), free((void *)buffers.value), free(buffers.output);
    free(buffers.log_sum_exp), free(buffers.workspace), free(sink), free(gate), mask_free(mask);
}

static void test_shapes(void **state) {
    (void)state;
    static const int64_t lengths[][2] = {{1, 1}, {1, 300}, {49, 15}, {48, 128}, {100, 257}, {130, 400}};
    static const int64_t head_dims[] = {32, 64, 96, 256};
    static const enum mask_name masks[] = {MASK_full, MASK_causal, MASK_causal_sliding, MASK_strided};
    if (!EMULATED) skip();
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++)
        for (size_t j = 0; j < ARRAY_LENGTH(masks); j++)
            check_forward(problem_of(2, lengths[i][0], lengths[i][1], head_dims[(i + j) % 4]), masks[j]);
}

static void test_grouped_heads_and_batches(void **state) {
    (void)state;
    if (!EMULATED) skip();
    struct attention_problem problem = problem_of(4, 60, 200, 64);
    problem.kv_heads = 2;
    problem.batch = 3;
    check_forward(problem, MASK_causal);
}

static void test_options(void **state) {
    (void)state;
    static const struct attention_options options[] = {
        {.soft_cap = 2}, {.alibi = true}, {.sink = true}, {.gate = true}, {.clip_low = -0.02f, .clip_high = 1.02f}};
    if (!EMULATED) skip();
    for (size_t i = 0; i < ARRAY_LENGTH(options); i++) {
        struct attention_problem problem = problem_of(2, 70, 200, 64);
        problem.options = options[i];
        check_forward(problem, i % 2 ? MASK_causal_sliding : MASK_causal);
    }
}

/* What the unit cannot do is declined, whether the machine has one or not. */
static void test_declines(void **state) {
    (void)state;
    struct mask *mask = mask_new(MASK_full, 8, 8, 0);
    struct attention_problem problem = problem_of(1, 8, 8, 48);
    problem.mask = mask;
    attention_pack(&problem);
    assert_non_null(strstr(softmax_tiled_amx.decline(&problem), "steps of 32"));
    problem.head_dim = 64;
    problem.dtype = DTYPE_fp32;
    attention_pack(&problem);
    assert_non_null(strstr(softmax_tiled_amx.decline(&problem), "bf16"));
    problem.dtype = DTYPE_bf16;
    problem.backward = true;
    assert_non_null(strstr(softmax_tiled_amx.decline(&problem), "backward"));
    mask_free(mask);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_grouped_heads_and_batches),
        cmocka_unit_test(test_options), cmocka_unit_test(test_declines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
