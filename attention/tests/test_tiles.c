/* test_tiles.c: plans of tiles against the masks' definitions, pair by pair, in both walks; areas of every mask;
   lengths of documents. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "attention/mask/tiles.h"
#include "bench/bench.h"
#include "bench/device.h"
#include "bench/random.h"

static struct mask *make(const struct mask_recipe *recipe) {
    char reason[REASON_SIZE] = "";
    struct mask *mask = mask_make(recipe, reason);
    if (!mask) fail_msg("%s: %s", mask_words[recipe->name], reason);
    return mask;
}

/* What a plan says of all pairs of one head, as bytes [query][key]; every pair of tiles at most once and in order. */
static void paint(const struct mask_tiles *tiles, int64_t head, unsigned char *seen) {
    const int32_t *begin = mask_tiles_begin(tiles) + head * tiles->lines;
    for (int32_t line = 0; line < tiles->lines; line++)
        for (int32_t i = begin[line]; i < begin[line + 1]; i++) {
            struct mask_tile entry = mask_tiles_entry(tiles)[i];
            assert_true(i == begin[line] || mask_tiles_entry(tiles)[i - 1].tile < entry.tile);
            bool by_query = tiles->walk == MASK_BY_QUERY, full = mask_tile_form(entry) == MASK_TILE_FULL;
            int64_t query = (int64_t)(by_query ? line : entry.tile) * tiles->tile_queries;
            int64_t key = (int64_t)(by_query ? entry.tile : line) * tiles->tile_keys;
            bool any = false;
            unsigned parts = full ? 15 : 0;
            for (int row = 0; row < tiles->tile_queries; row++)
                for (int column = 0; column < tiles->tile_keys; column++) {
                    bool allowed = mask_tile_allows(tiles, entry, row, column);
                    any |= allowed;
                    if (allowed)
                        parts |= 1u << (2 * (row >= tiles->tile_queries / 2) + (column >= tiles->tile_keys / 2));
                    if (query + row < tiles->queries && key + column < tiles->keys)
                        seen[(query + row) * tiles->keys + key + column] = allowed;
                    else
                        assert_true(!allowed || (full && key + column < tiles->keys));
                }
            assert_true(any);
            assert_int_equal(mask_tile_parts(entry), parts);
        }
}

static void check_order(const struct mask_tiles *tiles) {
    const int32_t *begin = mask_tiles_begin(tiles), *order = mask_tiles_order(tiles);
    int32_t lines = tiles->heads * tiles->lines, before = INT32_MAX;
    unsigned char *met = calloc((size_t)lines, 1);
    assert_non_null(met);
    for (int32_t i = 0; i < lines; i++) {
        int32_t entries = begin[order[i] + 1] - begin[order[i]];
        assert_true(entries <= before && !met[order[i]]);
        met[order[i]] = 1;
        before = entries;
    }
    assert_int_equal(begin[lines], tiles->entry_count);
    free(met);
}

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
        for (int64_t query = 0; query < mask->queries; query++)
            for (int64_t key = 0; key < mask->keys; key++)
                if (seen[query * mask->keys + key] != mask_allows(mask, head, query, key))
                    fail_msg("%s, %d x %d, gathered tiles %d x %d: head %d, query %d, key %d", mask_words[mask->name],
                             (int)mask->queries, (int)mask->keys, (int)tiles->tile_queries, (int)tiles->tile_keys,
                             (int)head, (int)query, (int)key);
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

static void check_plan(const struct mask *mask, int64_t tile_queries, int64_t tile_keys, enum mask_walk walk) {
    struct mask_tiles *tiles = mask_tiles_new(mask, tile_queries, tile_keys, walk);
    size_t pairs = (size_t)(mask->queries * mask->keys);
    unsigned char *seen = malloc(pairs);
    assert_non_null(tiles);
    assert_non_null(seen);
    assert_int_equal(tiles->heads, mask->heads);
    for (int64_t head = 0; head < mask->heads; head++) {
        memset(seen, 0, pairs);
        paint(tiles, head, seen);
        for (int64_t query = 0; query < mask->queries; query++)
            for (int64_t key = 0; key < mask->keys; key++)
                if (seen[query * mask->keys + key] != mask_allows(mask, head, query, key))
                    fail_msg("%s, %d x %d, tiles %d x %d, walk %d: head %d, query %d, key %d: %d",
                             mask_words[mask->name], (int)mask->queries, (int)mask->keys, (int)tile_queries,
                             (int)tile_keys, (int)walk, (int)head, (int)query, (int)key,
                             seen[query * mask->keys + key]);
    }
    check_order(tiles);
    free(seen), free(tiles);
}

static void check_area(const struct mask *mask) {
    int64_t area = 0;
    for (int64_t head = 0; head < mask->heads; head++)
        for (int64_t query = 0; query < mask->queries; query++)
            for (int64_t key = 0; key < mask->keys; key++) area += mask_allows(mask, head, query, key);
    if (mask_area(mask) != area)
        fail_msg("%s: area %lld, not %lld", mask_words[mask->name], (long long)mask_area(mask), (long long)area);
}

static uint64_t draw(uint64_t index, uint64_t most) {
    return random_bits(17, 3, index) % most;
}

/* Every mask at random lengths and parameters, small tiles and large ones. */
static void test_every_mask(void **state) {
    (void)state;
    static const int64_t tiles[][2] = {{64, 64}, {128, 128}, {192, 128}, {48, 96}, {1, 32}, {64, 192}};
    uint64_t number = 0;
    for (int name = 0; name < MASK_COUNT; name++)
        for (int round = 0; name != MASK_file && round < 12; round++, number += 16) {
            int64_t most = round < 4 ? 40 : round < 9 ? 400 : 900;
            struct mask_recipe recipe = mask_recipe((enum mask_name)name, 1 + (int64_t)draw(number, (uint64_t)most),
                                                    1 + (int64_t)draw(number + 1, (uint64_t)most));
            if (round % 3 == 0) recipe.keys = recipe.queries;
            recipe.heads = 1 + round % 3;
            recipe.window = (int64_t)draw(number + 2, 150);
            recipe.globals = (int64_t)draw(number + 3, 20);
            recipe.stride = 1 + (int64_t)draw(number + 4, 70);
            recipe.block = 1 + (int64_t)draw(number + 5, 100);
            recipe.kept = (int64_t)draw(number + 6, 101);
            recipe.seed = number;
            struct mask *mask = make(&recipe);
            size_t shape = number / 16 % ARRAY_LENGTH(tiles);
            check_area(mask);
            check_plan(mask, tiles[shape][0], tiles[shape][1], MASK_BY_QUERY);
            check_plan(mask, tiles[shape][0], tiles[shape][1], MASK_BY_KEY);
            check_plans_gathered(mask, tiles[shape][0], tiles[shape][1]);
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

/* Block documents have blocks of 1024: lengths beyond one. */
static void test_long_documents(void **state) {
    (void)state;
    struct mask_recipe recipe = mask_recipe(MASK_block_document, 2500, 2600);
    struct mask *mask = make(&recipe);
    check_area(mask);
    check_plan(mask, 192, 128, MASK_BY_QUERY);
    mask_free(mask);
}

/* Pieces of every kind that share tiles. */
static void test_lists_of_pieces(void **state) {
    (void)state;
    static const struct mask_piece pieces[] = {
        {0, 60, 0, 60, MASK_KIND_CAUSAL}, {0, 60, 140, 300, MASK_KIND_INVERSE_CAUSAL}, {60, 100, 0, 7, MASK_KIND_FULL},
        {60, 100, 60, 300, MASK_KIND_BAND}, {130, 149, 11, 13, MASK_KIND_FULL}};
    struct mask mask = {.name = MASK_file, .queries = 150, .keys = 300, .heads = 1,
                        .piece_count = ARRAY_LENGTH(pieces), .piece = pieces};
    for (int64_t tile = 1; tile < 200; tile += 37) {
        check_plan(&mask, tile, 32, MASK_BY_QUERY);
        check_plan(&mask, tile, 128, MASK_BY_KEY);
    }
}

/* What the format promises of size: equal bounds are stored once. */
static void test_sharing(void **state) {
    (void)state;
    struct mask_recipe recipe = mask_recipe(MASK_causal, 4096, 4096);
    struct mask *mask = make(&recipe);
    struct mask_tiles *tiles = mask_tiles_new(mask, 128, 128, MASK_BY_QUERY);
    assert_int_equal(tiles->entry_count, 32 * 33 / 2);
    assert_int_equal(tiles->full_count, 32 * 31 / 2);
    assert_int_equal(tiles->range_count, 1);
    assert_int_equal(tiles->bits_count, 0);
    free(tiles), mask_free(mask);
    recipe = mask_recipe(MASK_strided, 4096, 4096);
    recipe.stride = 96; /* 4 phases against tiles of 128 */
    mask = make(&recipe);
    tiles = mask_tiles_new(mask, 128, 128, MASK_BY_QUERY);
    assert_true(tiles->bits_count >= 2 && tiles->bits_count <= 6);
    free(tiles), mask_free(mask);
    recipe = mask_recipe(MASK_uniform_blocks, 8192, 8192);
    mask = make(&recipe);
    tiles = mask_tiles_new(mask, 128, 128, MASK_BY_QUERY);
    assert_int_equal(tiles->full_count, tiles->entry_count);
    assert_int_equal(tiles->entry_count, 64 * 13); /* 20 % of 64 */
    free(tiles), mask_free(mask);
}

static int by_size(const void *a, const void *b) {
    const int64_t *first = a, *second = b;
    return (*first > *second) - (*first < *second);
}

/* The median document has 256 to 384 tokens, and the area is that of collections with a few very long documents. The
   mean of so long a tail scatters: 0.06 is three of its standard errors below what is meant. */
static void test_documents(void **state) {
    (void)state;
    for (int64_t keys = 8 * KIB; keys <= 768 * KIB; keys *= 4) {
        static int64_t lengths[1 << 20];
        int64_t count = 0;
        double share = 0;
        enum { SEEDS = 60 };
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct mask_recipe recipe = mask_recipe(MASK_causal_document, keys, keys);
            recipe.seed = seed;
            struct mask *mask = make(&recipe);
            assert_int_equal(mask->document[0], 0);
            assert_int_equal(mask->document[mask->document_count], keys);
            for (int64_t i = 0; i < mask->document_count && count < (1 << 20); i++)
                lengths[count++] = mask->document[i + 1] - mask->document[i];
            share += (double)mask_area(mask) / ((double)keys * (double)keys) / SEEDS;
            mask_free(mask);
        }
        qsort(lengths, (size_t)count, sizeof(*lengths), by_size);
        print_message("%lld tokens: median document %lld, area share %.3f\n", (long long)keys,
                      (long long)lengths[count / 2], share);
        assert_in_range(lengths[count / 2], 256, 384);
        assert_true(share > 0.06 && share < 0.18);
    }
}

/* Top-k masks keep what they were asked to keep, and not the same for every head. */
static void test_kept(void **state) {
    (void)state;
    static const int64_t kept[] = {20, 50, 80, 100};
    for (size_t i = 0; i < ARRAY_LENGTH(kept); i++) {
        struct mask_recipe recipe = mask_recipe(MASK_uniform_blocks, 2560, 2560);
        recipe.block = 64;
        recipe.kept = kept[i];
        recipe.heads = 2;
        struct mask *mask = make(&recipe);
        assert_int_equal(mask_area(mask), 2 * 2560 * 2560 / 100 * kept[i]);
        int64_t different = 0;
        for (int64_t query = 0; query < 2560; query += 64)
            for (int64_t key = 0; key < 2560; key += 64)
                different += mask_allows(mask, 0, query, key) != mask_allows(mask, 1, query, key);
        assert_true(kept[i] == 100 ? different == 0 : different > 100);
        mask_free(mask);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mask), cmocka_unit_test(test_gathered), cmocka_unit_test(test_split),
        cmocka_unit_test(test_long_documents),
        cmocka_unit_test(test_lists_of_pieces), cmocka_unit_test(test_sharing),
        cmocka_unit_test(test_documents), cmocka_unit_test(test_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
