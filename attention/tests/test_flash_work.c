/* test_flash_work.c: the work of the forward flash kernel: everything once, dearest first, no block left waiting. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "attention/op/flash_work.h"
#include "bench/bench.h"

enum { BLOCKS = 132 };

static struct mask *make(enum mask_name name, int64_t tokens, int64_t heads) {
    char reason[REASON_SIZE] = "";
    struct mask_recipe recipe = mask_recipe(name, tokens, tokens);
    recipe.heads = heads;
    struct mask *mask = mask_make(&recipe, reason);
    if (!mask) fail_msg("%s: %s", mask_words[name], reason);
    return mask;
}

static struct attention_problem problem_of(const struct mask *mask, int64_t batch, int64_t heads, int64_t kv_heads) {
    struct attention_problem problem = {.batch = batch, .heads = heads, .kv_heads = kv_heads, .queries = mask->queries,
                                        .keys = mask->keys, .head_dim = 128, .dtype = DTYPE_bf16, .mask = mask};
    attention_pack(&problem);
    return problem;
}

static int64_t entries_of(const struct flash_work *work) {
    return work->entry_end - work->entry_begin;
}

/* When the last of the blocks ends that take the list from its front, over the mean: 1 is perfect. */
static double imbalance(const struct flash_work *work, int64_t count) {
    int64_t end[BLOCKS] = {0}, sum = 0, last = 0;
    for (int64_t i = 0; i < count; i++) {
        int first = 0;
        for (int block = 1; block < BLOCKS; block++)
            if (end[block] < end[first]) first = block;
        end[first] += entries_of(&work[i]);
        sum += entries_of(&work[i]);
        if (end[first] > last) last = end[first];
    }
    return (double)last * BLOCKS / (double)sum;
}

/* Every line of every head stands once in the list, with its own entries. */
static void check_list(const struct attention_problem *problem, bool sparse, double most) {
    struct mask_tiles *tiles = flash_work_tiles(problem, 128, 128, &sparse);
    assert_non_null(tiles);
    assert_true(sparse || tiles->step == 0);
    struct flash_work *work = flash_work_list(problem, tiles, sparse, BLOCKS);
    assert_non_null(work);
    int64_t heads = problem->batch * problem->heads, count = heads * tiles->lines;
    unsigned char *met = calloc((size_t)count, 1);
    assert_non_null(met);
    for (int64_t i = 0; i < count; i++) {
        int64_t line = tiles->step > 0 ? work[i].first_query : work[i].first_query / tiles->tile_queries;
        assert_in_range(line, 0, tiles->lines - 1);
        assert_in_range(work[i].batch_head, 0, heads - 1);
        assert_int_equal(met[work[i].batch_head * tiles->lines + line]++, 0);
        /* a second part waits for all of the first one, of all heads */
        if (line >= tiles->joins_from) assert_true(i >= heads * tiles->joins_from);
        int64_t head = mask_head(tiles->heads, work[i].batch_head % problem->heads, problem->heads);
        int64_t own = head * tiles->lines + line;
        assert_int_equal(work[i].entry_begin, mask_tiles_begin(tiles)[own]);
        assert_int_equal(work[i].entry_end, mask_tiles_begin(tiles)[own + 1]);
    }
    if (most > 0 && imbalance(work, count) > most)
        fail_msg("%s: the last block ends at %.2f times the mean", mask_words[problem->mask->name],
                 imbalance(work, count));
    free(met), free(work), free(tiles);
}

static void test_everything_once(void **state) {
    (void)state;
    for (int name = 0; name < MASK_COUNT; name++) {
        if (name == MASK_file) continue;
        struct mask *mask = make((enum mask_name)name, 1500, 2);
        struct attention_problem problem = problem_of(mask, 3, 4, 2);
        check_list(&problem, false, 0);
        check_list(&problem, true, 0);
        mask_free(mask);
    }
}

/* Few very long lines, those of tokens that see everything, must not come last. */
static void test_balance(void **state) {
    (void)state;
    static const struct {
        enum mask_name name;
        double most; /* entries count alike here, half empty ones of global tokens too */
    } cases[] = {{MASK_causal, 1.02}, {MASK_causal_document, 1.05}, {MASK_bigbird, 1.1}, {MASK_longformer, 1.1},
                 {MASK_global_sliding, 1.25}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct mask *mask = make(cases[i].name, 16384, 1);
        struct attention_problem problem = problem_of(mask, 1, 16, 16);
        check_list(&problem, true, cases[i].most);
        mask_free(mask);
    }
}

/* A line that takes a good part of a block's time comes before the sections of heads, not first in its own one. */
static void test_long_lines_first(void **state) {
    (void)state;
    enum { HEADS = 16 };
    struct mask *mask = make(MASK_global_sliding, 8192, 1); /* keys and values of eight heads fit in a section */
    struct attention_problem problem = problem_of(mask, 1, HEADS, HEADS);
    bool sparse = false;
    struct mask_tiles *tiles = flash_work_tiles(&problem, 128, 128, &sparse);
    assert_non_null(tiles);
    struct flash_work *work = flash_work_list(&problem, tiles, sparse, BLOCKS);
    assert_non_null(work);
    for (int i = 0; i < HEADS; i++) {
        assert_int_equal(work[i].first_query, 0);
        assert_int_equal(entries_of(&work[i]), 8192 / 128);
        assert_int_equal(work[i].batch_head, i);
    }
    for (int i = HEADS; i < 2 * HEADS; i++) assert_in_range(work[i].batch_head, 0, HEADS / 2 - 1);
    free(work), free(tiles), mask_free(mask);
}

/* Gathered where that helps, plain tiles elsewhere and for kernels that do not take others. */
static void test_choice(void **state) {
    (void)state;
    static const struct {
        enum mask_name name;
        bool gathered;
    } cases[] = {{MASK_causal, false}, {MASK_causal_sliding, false}, {MASK_fixed, true}, {MASK_dilated_band, true},
                 {MASK_longformer, true}, {MASK_uniform_blocks, false}, {MASK_strided, true}, {MASK_axial, true}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct mask *mask = make(cases[i].name, 4096, 1);
        struct attention_problem problem = problem_of(mask, 1, 1, 1);
        bool never = false, sparse = true;
        struct mask_tiles *plain = flash_work_tiles(&problem, 128, 128, &never);
        struct mask_tiles *tiles = flash_work_tiles(&problem, 128, 128, &sparse);
        assert_non_null(plain);
        assert_non_null(tiles);
        assert_true(!never && plain->step == 0);
        if ((tiles->step > 0) != cases[i].gathered) fail_msg("%s", mask_words[cases[i].name]);
        free(plain), free(tiles), mask_free(mask);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_everything_once), cmocka_unit_test(test_balance),
                                       cmocka_unit_test(test_long_lines_first), cmocka_unit_test(test_choice)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
