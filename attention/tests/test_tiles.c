/* test_tiles.c: plans of tiles against the masks' definitions, pair by pair, in both walks; areas of every mask;
   lengths of documents. */
#include "plans.h"

#include <string.h>

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
        check_seen(mask, tiles, head, seen);
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

/* Small tiles and large ones. */
static void test_every_mask(void **state) {
    (void)state;
    for (uint64_t number = 0; number < RANDOM_MASKS; number++) {
        struct mask *mask = random_mask(number);
        if (!mask) continue;
        const int64_t *tile = random_tile(number);
        check_area(mask);
        check_plan(mask, tile[0], tile[1], MASK_BY_QUERY);
        check_plan(mask, tile[0], tile[1], MASK_BY_KEY);
        mask_free(mask);
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
        cmocka_unit_test(test_every_mask), cmocka_unit_test(test_long_documents),
        cmocka_unit_test(test_lists_of_pieces), cmocka_unit_test(test_sharing),
        cmocka_unit_test(test_documents), cmocka_unit_test(test_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
