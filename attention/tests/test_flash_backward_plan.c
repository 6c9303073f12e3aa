/* test_flash_backward_plan.c: the list of work of the backward flash kernel: every allowed pair once, and turns that
   come up in the order of the work, whatever the mask and however many heads share keys. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "attention/op/flash_backward_plan.h"

enum { BATCH = 2, HEADS = 4, BLOCKS = 5 };

static struct mask *make(enum mask_name name, int64_t queries, int64_t keys, int64_t kv_heads) {
    char reason[REASON_SIZE] = "";
    struct mask_recipe recipe = mask_recipe(name, queries, keys);
    recipe.heads = kv_heads;
    recipe.window = 70;
    recipe.kept = 30;
    recipe.block = 64;
    struct mask *mask = mask_make(&recipe, reason);
    if (!mask) fail_msg("%s: %s", mask_words[name], reason);
    return mask;
}

/* seen[batch * HEADS + head][query][key]: how often an entry allows the pair. */
static void paint(const struct attention_problem *problem, const struct mask_tiles *tiles,
                  const struct backward_work *work, const struct backward_entry *entry, unsigned char *seen) {
    int64_t group = problem->heads / problem->kv_heads, head = work->batch_head * group + entry->head;
    struct mask_tile tile = {entry->tile, entry->where};
    for (int row = 0; row < tiles->tile_queries; row++)
        for (int column = 0; column < tiles->tile_keys; column++) {
            int64_t query = (int64_t)entry->tile * tiles->tile_queries + row, key = work->first_key + column;
            if (query < problem->queries && key < problem->keys && mask_tile_allows(tiles, tile, row, column))
                seen[(head * problem->queries + query) * problem->keys + key]++;
        }
}

static void check_plan(const struct attention_problem *problem, const struct mask_tiles *tiles) {
    int64_t query_tiles = (problem->queries + tiles->tile_queries - 1) / tiles->tile_queries, heads = BATCH * HEADS;
    struct backward_plan plan;
    assert_true(backward_plan_new(&plan, problem, tiles, BLOCKS));
    unsigned char *seen = calloc((size_t)(heads * problem->queries * problem->keys), 1);
    unsigned *turn = calloc((size_t)(heads * query_tiles), sizeof(*turn));
    assert_true(seen && turn);
    assert_int_equal(plan.work_count, problem->batch * problem->kv_heads * tiles->lines);
    for (int64_t i = 0; i < plan.work_count; i++) {
        const struct backward_work *work = &plan.work[i];
        for (int at = work->entry_begin; at < work->entry_end; at++) {
            int64_t head = work->batch_head * (problem->heads / problem->kv_heads) + plan.entry[at].head;
            assert_int_equal(plan.entry[at].turn, turn[head * query_tiles + plan.entry[at].tile]++);
            paint(problem, tiles, work, &plan.entry[at], seen);
        }
    }
    for (int64_t head = 0; head < heads; head++)
        for (int64_t query = 0; query < problem->queries; query++)
            for (int64_t key = 0; key < problem->keys; key++) {
                int64_t of_mask = mask_head(problem->mask->heads, head % HEADS, HEADS);
                int expected = mask_allows(problem->mask, of_mask, query, key);
                int found = seen[(head * problem->queries + query) * problem->keys + key];
                if (found != expected)
                    fail_msg("head %d query %d key %d: %d, not %d", (int)head, (int)query, (int)key, found, expected);
            }
    free(seen);
    free(turn);
    backward_plan_free(&plan);
}

static void test_plan(void **state) {
    static const enum mask_name names[] = {MASK_full, MASK_causal, MASK_full_sliding, MASK_causal_document,
                                           MASK_uniform_blocks, MASK_variable_blocks, MASK_strided};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        for (int64_t kv_heads = 1; kv_heads <= HEADS; kv_heads *= 2) {
            struct mask *mask = make(names[i], 321, 321, kv_heads);
            struct attention_problem problem = {.batch = BATCH,
                                                .heads = HEADS,
                                                .kv_heads = kv_heads,
                                                .queries = 321,
                                                .keys = 321,
                                                .head_dim = 64,
                                                .mask = mask};
            struct mask_tiles *tiles = mask_tiles_new(mask, 64, 128, MASK_BY_KEY);
            assert_non_null(tiles);
            check_plan(&problem, tiles);
            free(tiles);
            mask_free(mask);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plan)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
