/* test_flash_backward_plan.c: the list of work of the backward flash kernel: every allowed pair once, and turns with
   which no block waits for ever, whatever the mask and however many heads share keys. */
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

/* Every allowed pair once, and no other. */
static void check_seen(const struct attention_problem *problem, const unsigned char *seen) {
    for (int64_t head = 0; head < BATCH * HEADS; head++)
        for (int64_t query = 0; query < problem->queries; query++)
            for (int64_t key = 0; key < problem->keys; key++) {
                int64_t of_mask = mask_head(problem->mask->heads, head % HEADS, HEADS);
                int expected = mask_allows(problem->mask, of_mask, query, key);
                int found = seen[(head * problem->queries + query) * problem->keys + key];
                if (found != expected)
                    fail_msg("head %d query %d key %d: %d, not %d", (int)head, (int)query, (int)key, found, expected);
            }
}

static int64_t works_of(const struct attention_problem *problem, const struct backward_plan *plan) {
    return problem->batch * problem->kv_heads * plan->lines * plan->parts;
}

static void check_any_order(const struct attention_problem *problem, const struct mask_tiles *tiles,
                            const struct backward_plan *plan, unsigned char *seen) {
    assert_null(plan->turn);
    assert_int_equal(plan->work_count, works_of(problem, plan));
    for (int64_t i = 0; i < plan->work_count; i++)
        for (int at = plan->work[i].entry_begin; at < plan->work[i].entry_end; at++)
            paint(problem, tiles, &plan->work[i], &plan->entry[at], seen);
}

/* Of one block: where its work is, and entries of that are done. */
struct walk {
    int64_t index;
    int done;
};
/* How many have added to each query tile, and to each key tile. */
struct added {
    unsigned *queries, *keys;
    int64_t query_tiles, works;
};

/* The block's next entry or, after the last, sums of keys, where it is its turn; false: it is not, or all is done. */
static bool step(const struct attention_problem *problem, const struct mask_tiles *tiles,
                 const struct backward_plan *plan, struct walk *walk, int64_t blocks, struct added *added,
                 unsigned char *seen) {
    const struct backward_work *work = &plan->work[walk->index];
    if (walk->index >= plan->work_count || work->first_key < 0) return false;
    int at = work->entry_begin + walk->done;
    if (at == work->entry_end) {
        unsigned *keys = &added->keys[work->batch_head * tiles->lines + work->first_key / tiles->tile_keys];
        if (plan->parts > 1 && work->key_turn != *keys) return false;
        ++*keys;
        added->works++;
        *walk = (struct walk){walk->index + blocks, 0};
        return true;
    }
    int64_t head = work->batch_head * (problem->heads / problem->kv_heads) + plan->entry[at].head;
    unsigned *queries = &added->queries[head * added->query_tiles + plan->entry[at].tile];
    if (plan->turn[work->turn_begin + (unsigned)walk->done] != *queries) return false;
    paint(problem, tiles, work, &plan->entry[at], seen);
    ++*queries;
    walk->done++;
    return true;
}

/* Blocks go on as far as turns let them, and all get to the end. */
static void check_turns(const struct attention_problem *problem, const struct mask_tiles *tiles,
                        const struct backward_plan *plan, unsigned char *seen) {
    int64_t works = works_of(problem, plan), blocks = works < BLOCKS ? works : BLOCKS;
    struct walk walk[BLOCKS] = {0};
    struct added added = {.query_tiles = (problem->queries + tiles->tile_queries - 1) / tiles->tile_queries};
    added.queries = calloc((size_t)(BATCH * HEADS * added.query_tiles), sizeof(*added.queries));
    added.keys = calloc((size_t)(BATCH * HEADS * tiles->lines), sizeof(*added.keys));
    assert_true(added.queries && added.keys);
    for (int64_t b = 0; b < blocks; b++) walk[b].index = b;
    for (bool moved = true; moved;) {
        moved = false;
        for (int64_t b = 0; b < blocks; b++) moved |= step(problem, tiles, plan, &walk[b], blocks, &added, seen);
    }
    assert_int_equal(added.works, works);
    free(added.queries);
    free(added.keys);
}

static void check_plan(const struct attention_problem *problem, const struct mask_tiles *tiles) {
    struct backward_plan plan;
    unsigned char *seen = calloc((size_t)(BATCH * HEADS * problem->queries * problem->keys), 1);
    assert_non_null(seen);
    assert_true(backward_plan_new(&plan, problem, tiles, BLOCKS));
    if (problem->deterministic)
        check_turns(problem, tiles, &plan, seen);
    else
        check_any_order(problem, tiles, &plan, seen);
    check_seen(problem, seen);
    free(seen);
    backward_plan_free(&plan);
}

/* With a head_dim of which the heads that share keys fit in a cache, and with one of which they do not. */
static void test_plan(void **state) {
    static const enum mask_name names[] = {MASK_full, MASK_causal, MASK_full_sliding, MASK_causal_document,
                                           MASK_uniform_blocks, MASK_variable_blocks, MASK_strided};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        for (int64_t kv_heads = 1; kv_heads <= HEADS; kv_heads *= 2) {
            struct mask *mask = make(names[i], 321, 321, kv_heads);
            struct mask_tiles *tiles = mask_tiles_new(mask, 64, 128, MASK_BY_KEY);
            assert_non_null(tiles);
            for (int way = 0; way < 4; way++) {
                struct attention_problem problem = {.batch = BATCH,
                                                    .heads = HEADS,
                                                    .kv_heads = kv_heads,
                                                    .queries = 321,
                                                    .keys = 321,
                                                    .head_dim = way / 2 ? 32768 : 64,
                                                    .deterministic = way % 2,
                                                    .mask = mask};
                check_plan(&problem, tiles);
            }
            free(tiles);
            mask_free(mask);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plan)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
