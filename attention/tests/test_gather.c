/* test_gather.c: gathered plans of tiles, and those in two parts, against the masks' definitions, pair by pair. */
#include "plans.h"

#include <string.h>

/* The key that column `column` of an entry of a gathered plan stands for; -1: none. */
static int64_t key_of(const struct mask_tiles *tiles, int32_t entry, int column) {
    int32_t run = mask_tiles_run(tiles)[entry * (tiles->tile_keys / MASK_TILE_RUN) + column / MASK_TILE_RUN];
    int64_t number = column % MASK_TILE_RUN, key = run >= 0 ? run + number : ~run + number * tiles->step;
    assert_in_range(run >= 0 ? run : ~run, 0, tiles->keys);
    if (run < 0 && key >= tiles->keys / tiles->step * tiles->step) return -1; /* not in a map of whole steps */
    int32_t first = mask_tiles_entry(tiles)[entry].tile;
    if (first >= 0 && run != tiles->keys) assert_int_equal(key, first + column);
    if (first < MASK_TILE_RUNS && run != tiles->keys)
        assert_int_equal(key, mask_tile_stepped(mask_tiles_entry(tiles)[entry]) + column * tiles->step);
    return key < tiles->keys ? key : -1;
}

/* Half of the rows of a line that has row `row`. */
static struct mask_line half_of(const struct mask_tiles *tiles, int32_t line, int32_t row) {
    return mask_tiles_line(tiles)[2 * line + (row >= tiles->tile_queries / 2)];
}

/* One entry of a gathered plan; every pair at most once. */
static void paint_gathered(const struct mask_tiles *tiles, int32_t number, int32_t at, unsigned char *seen) {
    struct mask_tile entry = mask_tiles_entry(tiles)[at];
    unsigned parts = 0;
    for (int row = 0; row < tiles->tile_queries; row++)
        for (int column = 0; column < tiles->tile_keys; column++) {
            struct mask_line line = half_of(tiles, number, row);
            bool allowed = mask_tile_allows(tiles, entry, row, column);
            int64_t key = key_of(tiles, at, column), query = line.first + line.step * row;
            if (row >= line.count) {
                assert_true(!allowed || mask_tile_form(entry) == MASK_TILE_FULL);
                continue;
            }
            if (!allowed) continue;
            assert_in_range(key, 0, tiles->keys - 1);
            assert_in_range(query, 0, tiles->queries - 1);
            assert_int_equal(seen[query * tiles->keys + key], 0);
            seen[query * tiles->keys + key] = 1;
            parts |= 1u << (2 * (row >= tiles->tile_queries / 2) + (column >= tiles->tile_keys / 2));
        }
    assert_true(parts != 0);
    assert_int_equal(mask_tile_parts(entry), parts);
}

/* Every query in one line, and in at most one of a second part, whose halves a copy engine can tell from what is beyond
   the last query: their last rows are the last of their step. */
static void check_lines(const struct mask_tiles *tiles) {
    unsigned char *met = calloc((size_t)tiles->queries, 1);
    assert_non_null(met);
    for (int32_t i = 0; i < tiles->lines; i++)
        for (int32_t row = 0; row < tiles->tile_queries; row++) {
            struct mask_line line = half_of(tiles, i, row);
            int64_t query = line.first + (int64_t)line.step * row;
            if (row >= line.count) {
                assert_true(i < tiles->joins_from || query >= tiles->queries);
                continue;
            }
            assert_in_range(query, 0, tiles->queries - 1);
            assert_int_equal(met[query] & (i < tiles->joins_from ? 1 : 2), 0);
            met[query] |= i < tiles->joins_from ? 1 : 2;
        }
    for (int64_t query = 0; query < tiles->queries; query++) assert_true(met[query] & 1);
    free(met);
}

/* A gathered plan, in two parts or one. */
static void check_gathered(const struct mask *mask, const struct mask_tiles *tiles) {
    size_t pairs = (size_t)(mask->queries * mask->keys);
    unsigned char *seen = malloc(pairs);
    assert_non_null(seen);
    check_lines(tiles);
    for (int64_t head = 0; head < mask->heads; head++) {
        const int32_t *begin = mask_tiles_begin(tiles) + head * tiles->lines;
        memset(seen, 0, pairs);
        for (int32_t line = 0; line < tiles->lines; line++)
            for (int32_t i = begin[line]; i < begin[line + 1]; i++)
                paint_gathered(tiles, line, i, seen);
        check_seen(mask, tiles, head, seen);
    }
    check_order(tiles);
    free(seen);
}

/* The gathered plan, and where there is one that in two parts, each of which has its own kind of pairs. */
static void check_plans_gathered(const struct mask *mask, int64_t tile_queries, int64_t tile_keys) {
    struct mask_tiles *tiles = mask_tiles_gather(mask, tile_queries, tile_keys);
    assert_non_null(tiles);
    assert_int_equal(tiles->joins_from, tiles->lines);
    check_gathered(mask, tiles);
    free(tiles);
    tiles = mask_tiles_split(mask, tile_queries, tile_keys);
    if (!tiles) return;
    assert_true(mask_stride(mask) > 1 && tiles->step == mask_stride(mask));
    for (int32_t line = 0; line < tiles->lines; line++) {
        assert_true(mask_tiles_begin(tiles)[line] < mask_tiles_begin(tiles)[line + 1]);
        int32_t step = line < tiles->joins_from ? 1 : tiles->step;
        for (int half = 0; half < 2; half++) assert_int_equal(mask_tiles_line(tiles)[2 * line + half].step, step);
    }
    check_gathered(mask, tiles);
    free(tiles);
}

/* Small tiles and large ones. */
static void test_every_mask(void **state) {
    (void)state;
    for (uint64_t number = 0; number < RANDOM_MASKS; number++) {
        struct mask *mask = random_mask(number);
        if (!mask) continue;
        check_plans_gathered(mask, random_tile(number)[0], random_tile(number)[1]);
        mask_free(mask);
    }
}

/* Masks whose queries stand apart in a gathered plan, where their step divides the tokens; and what gathering is for:
   few tiles. */
static void test_gathered(void **state) {
    (void)state;
    static const struct {
        enum mask_name name;
        int64_t tokens, globals, window;
        double waste;
    } cases[] = {{MASK_longformer, 640, 10, 100, 6},  {MASK_longformer, 4096, 32, 1024, 1.5},
                 {MASK_dilated_band, 900, 0, 130, 3.1}, {MASK_dilated_band, 1022, 0, 1000, 1.3},
                 {MASK_fixed, 2048, 0, 0, 1.4},       {MASK_bigbird, 1600, 0, 0, 1.7}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct mask_recipe recipe = mask_recipe(cases[i].name, cases[i].tokens, cases[i].tokens);
        recipe.globals = cases[i].globals;
        recipe.window = cases[i].window;
        struct mask *mask = make(&recipe);
        struct mask_tiles *tiles = mask_tiles_gather(mask, 128, 128);
        assert_non_null(tiles);
        check_gathered(mask, tiles);
        double waste = (double)tiles->entry_count * 128 * 128 / (double)mask_area(mask);
        if (waste > cases[i].waste) fail_msg("%s: %.2f times its area", mask_words[cases[i].name], waste);
        if (cases[i].globals || cases[i].name == MASK_dilated_band) assert_true(tiles->step > 1);
        int64_t stepped = 0; /* tiles that a copy engine fetches in one piece */
        for (int32_t at = 0; at < tiles->entry_count; at++)
            stepped += mask_tiles_entry(tiles)[at].tile < MASK_TILE_RUNS;
        if (cases[i].tokens == 1022) assert_true(stepped * 2 > tiles->entry_count);
        free(tiles), mask_free(mask);
    }
}

/* Masks with a stride in two parts: lengths that are no multiple of it, fewer queries than keys and more, classes of
   more queries than half a tile and of fewer; and what splitting is for: few tiles. */
static void test_split(void **state) {
    (void)state;
    static const struct {
        enum mask_name name;
        int64_t queries, keys, stride;
        bool split;
        double waste; /* 0: not asked */
    } cases[] = {{MASK_strided, 2048, 2048, 128, true, 0},   {MASK_strided, 1000, 1000, 128, true, 0},
                 {MASK_strided, 777, 1077, 31, true, 0},     {MASK_strided, 90, 1000, 128, true, 0},
                 {MASK_strided, 130, 128, 60, true, 0},      {MASK_strided, 300, 400, 2, true, 0},
                 {MASK_strided, 100, 100, 100, false, 0},    {MASK_strided, 100, 100, 1, false, 0},
                 {MASK_strided, 700, 500, 50, false, 0}, /* a tile of queries in front of all keys */
                 {MASK_axial, 1000, 1000, 0, true, 0},       {MASK_axial, 777, 1077, 0, true, 0},
                 {MASK_strided, 8192, 8192, 128, true, 2.5}, {MASK_axial, 16384, 16384, 0, true, 1.01}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct mask_recipe recipe = mask_recipe(cases[i].name, cases[i].queries, cases[i].keys);
        recipe.stride = cases[i].stride;
        struct mask *mask = make(&recipe);
        struct mask_tiles *tiles = mask_tiles_split(mask, 128, 128);
        assert_int_equal(tiles != NULL, cases[i].split);
        double waste = tiles ? (double)tiles->entry_count * 128 * 128 / (double)mask_area(mask) : 0;
        if (cases[i].waste > 0 && waste > cases[i].waste) fail_msg("case %d: %.2f times its area", (int)i, waste);
        if (cases[i].waste == 0) check_plans_gathered(mask, 128, 128);
        free(tiles), mask_free(mask);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mask), cmocka_unit_test(test_gathered), cmocka_unit_test(test_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
