/* test_mask.c: masks against their definitions, pair by pair: areas, rows, bounds and what is common to a block. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "attention/mask/mask.h"
#include "bench/bench.h"

/* A pair by the definition of its piece's kind. */
static bool in_piece(const struct mask_piece *piece, int64_t query, int64_t key) {
    if (query < piece->query_begin || query >= piece->query_end) return false;
    if (key < piece->key_begin || key >= piece->key_end) return false;
    bool before = piece->key_end - key >= piece->query_end - query; /* from the bottom right corner */
    bool after = key - piece->key_begin >= query - piece->query_begin; /* from the top left corner */
    switch (piece->kind) {
    case MASK_KIND_CAUSAL:
        return before;
    case MASK_KIND_INVERSE_CAUSAL:
        return after;
    case MASK_KIND_BAND:
        return before && after;
    case MASK_KIND_FULL:
        break;
    }
    return true;
}

static int pieces_with(const struct mask *mask, int64_t query, int64_t key) {
    int count = 0;
    for (int64_t i = 0; i < mask->piece_count; i++) count += in_piece(&mask->piece[i], query, key);
    return count;
}

/* Rows, as ranges of the whole mask and of each piece, hold exactly the pairs that the pieces' kinds say. */
static void check_rows(const struct mask *mask) {
    struct mask_range *range = calloc((size_t)mask_row_room(mask) + 1, sizeof(*range));
    assert_non_null(range);
    for (int64_t query = 0; query < mask->queries; query++) {
        int64_t ranges = mask_row(mask, 0, query, range);
        assert_in_range(ranges, 0, mask->piece_count);
        for (int64_t i = 1; i < ranges; i++) assert_true(range[i - 1].end < range[i].begin);
        for (int64_t key = 0; key < mask->keys; key++) {
            bool seen = false;
            for (int64_t i = 0; i < ranges; i++) seen |= key >= range[i].begin && key < range[i].end;
            assert_int_equal(seen, pieces_with(mask, query, key));
            for (int64_t i = 0; i < mask->piece_count; i++) {
                struct mask_range row = mask_piece_row(&mask->piece[i], query);
                assert_int_equal(key >= row.begin && key < row.end, in_piece(&mask->piece[i], query, key));
            }
        }
    }
    free(range);
}

/* Bounds are the tightest range around what any query sees; common is what all see. */
static void check_block(const struct mask *mask, const struct mask_piece *piece, int64_t begin, int64_t end) {
    struct mask_range bounds = mask_piece_bounds(piece, begin, end), common = mask_piece_common(piece, begin, end);
    int64_t first = -1, last = -1;
    for (int64_t key = 0; key < mask->keys; key++) {
        int64_t seers = 0;
        for (int64_t query = begin; query < end; query++) seers += in_piece(piece, query, key);
        if (seers > 0 && first < 0) first = key;
        if (seers > 0) last = key;
        assert_int_equal(key >= common.begin && key < common.end, seers == end - begin);
    }
    if (first < 0) {
        assert_true(bounds.begin >= bounds.end);
        return;
    }
    assert_int_equal(bounds.begin, first);
    assert_int_equal(bounds.end, last + 1);
}

static void check_blocks(const struct mask *mask) {
    for (int64_t block = 1; block <= 5; block += 2)
        for (int64_t begin = 0; begin < mask->queries; begin += block) {
            int64_t end = begin + block < mask->queries ? begin + block : mask->queries;
            for (int64_t i = 0; i < mask->piece_count; i++) check_block(mask, &mask->piece[i], begin, end);
        }
}

static void check_area(const struct mask *mask) {
    int64_t area = 0;
    for (int64_t query = 0; query < mask->queries; query++)
        for (int64_t key = 0; key < mask->keys; key++) area += pieces_with(mask, query, key);
    assert_int_equal(mask_area(mask), area);
}

static void check_named(enum mask_name name, int64_t queries, int64_t keys, int64_t window) {
    if (name == MASK_file) return; /* test_prefill.sh */
    struct mask *mask = mask_new(name, queries, keys, window);
    assert_non_null(mask);
    if (mask->grid.query_blocks > 0) { /* not pieces alone: test_tiles.c */
        mask_free(mask);
        return;
    }
    assert_int_equal(mask->queries, queries);
    assert_int_equal(mask->keys, keys);
    for (int64_t query = 0; query < queries; query++)
        for (int64_t key = 0; key < keys; key++)
            assert_int_equal(pieces_with(mask, query, key), mask_allows(mask, 0, query, key));
    check_rows(mask);
    check_blocks(mask);
    check_area(mask);
    mask_free(mask);
}

static void test_named_masks(void **state) {
    (void)state;
    static const int64_t lengths[] = {1, 2, 7, 16, 33};
    static const int64_t windows[] = {0, 1, 5, 15, 16, 40};
    for (int name = 0; name < MASK_COUNT; name++)
        for (size_t q = 0; q < ARRAY_LENGTH(lengths); q++)
            for (size_t k = 0; k < ARRAY_LENGTH(lengths); k++)
                for (size_t w = 0; w < ARRAY_LENGTH(windows); w++)
                    check_named((enum mask_name)name, lengths[q], lengths[k], windows[w]);
}

/* The definitions themselves, by hand. */
static void test_definitions(void **state) {
    (void)state;
    struct mask *causal = mask_new(MASK_causal, 2, 4, 0), *sliding = mask_new(MASK_causal_sliding, 4, 4, 1);
    struct mask *short_keys = mask_new(MASK_causal, 4, 2, 0), *full = mask_new(MASK_full, 2, 3, 0);
    assert_true(mask_allows(causal, 0, 0, 2) && !mask_allows(causal, 0, 0, 3)); /* bottom right: the last sees all */
    assert_true(mask_allows(causal, 0, 1, 3));
    assert_true(mask_allows(sliding, 0, 3, 3) && mask_allows(sliding, 0, 3, 2) && !mask_allows(sliding, 0, 3, 1));
    assert_false(mask_allows(sliding, 0, 2, 3));
    for (int query = 0; query < 2; query++)
        assert_false(mask_allows(short_keys, 0, query, 0) || mask_allows(short_keys, 0, query, 1));
    assert_true(mask_allows(short_keys, 0, 2, 0) && mask_allows(short_keys, 0, 3, 1));
    assert_false(mask_allows(short_keys, 0, 2, 1));
    assert_false(mask_allows(full, 0, 2, 0) || mask_allows(full, 0, 0, 3) || mask_allows(full, 0, -1, 0));
    assert_int_equal(mask_area(causal), 7);
    assert_int_equal(mask_area(sliding), 7);
    assert_int_equal(mask_area(short_keys), 3);
    assert_int_equal(mask_area(full), 6);
    mask_free(causal), mask_free(sliding), mask_free(short_keys), mask_free(full);
}

/* Areas beyond 32 bits. */
static void test_large_areas(void **state) {
    (void)state;
    int64_t length = INT64_C(1) << 20, window = MASK_WINDOW;
    struct mask *causal = mask_new(MASK_causal, length, length, 0);
    struct mask *sliding = mask_new(MASK_causal_sliding, length, length, window);
    assert_true(mask_area(causal) == length / 2 * (length + 1));
    assert_true(mask_area(sliding) == window * (window + 1) / 2 + (length - window) * (window + 1));
    mask_free(causal), mask_free(sliding);
}

/* Pieces of every kind and shape, alone and several in one mask, as the list of pieces admits them. */
static void test_pieces(void **state) {
    (void)state;
    static const struct mask_piece first[] = {
        {0, 9, 0, 4, MASK_KIND_CAUSAL}, {2, 5, 1, 11, MASK_KIND_CAUSAL},     {0, 9, 0, 4, MASK_KIND_INVERSE_CAUSAL},
        {1, 4, 2, 9, MASK_KIND_FULL},   {3, 7, 0, 9, MASK_KIND_INVERSE_CAUSAL}, {2, 8, 1, 9, MASK_KIND_BAND},
        {2, 8, 3, 9, MASK_KIND_BAND},   {0, 9, 0, 12, MASK_KIND_BAND},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(first); i++) {
        struct mask mask = {.queries = 10, .keys = 12, .piece_count = 1, .piece = &first[i]};
        check_rows(&mask);
        check_blocks(&mask);
        check_area(&mask);
    }
    static const struct mask_piece several[] = {
        {4, 10, 4, 10, MASK_KIND_CAUSAL}, {0, 4, 0, 4, MASK_KIND_CAUSAL}, {4, 8, 0, 2, MASK_KIND_FULL},
        {8, 10, 2, 4, MASK_KIND_FULL},    {0, 2, 6, 12, MASK_KIND_INVERSE_CAUSAL},
    };
    struct mask mask = {.queries = 10, .keys = 12, .piece_count = ARRAY_LENGTH(several), .piece = several};
    check_rows(&mask);
    check_blocks(&mask);
    check_area(&mask);
}

static void test_words(void **state) {
    (void)state;
    assert_string_equal(mask_words[MASK_full], "full");
    assert_string_equal(mask_words[MASK_causal_sliding], "causal_sliding");
    assert_null(mask_words[MASK_COUNT]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_named_masks), cmocka_unit_test(test_definitions), cmocka_unit_test(test_large_areas),
        cmocka_unit_test(test_pieces),      cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
