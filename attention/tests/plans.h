/* plans.h: masks, and what is asked of every plan of tiles, for the tests of plans. */
#ifndef ATTENTION_TESTS_PLANS_H
#define ATTENTION_TESTS_PLANS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

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

/* What a plan says of all pairs of one head, as bytes [query][key], against the mask's definition. */
static void check_seen(const struct mask *mask, const struct mask_tiles *tiles, int64_t head,
                       const unsigned char *seen) {
    for (int64_t query = 0; query < mask->queries; query++)
        for (int64_t key = 0; key < mask->keys; key++)
            if (seen[query * mask->keys + key] != mask_allows(mask, head, query, key))
                fail_msg("%s, %d x %d, tiles %d x %d, walk %d: head %d, query %d, key %d: %d", mask_words[mask->name],
                         (int)mask->queries, (int)mask->keys, (int)tiles->tile_queries, (int)tiles->tile_keys,
                         (int)tiles->walk, (int)head, (int)query, (int)key, seen[query * mask->keys + key]);
}

static uint64_t draw(uint64_t index, uint64_t most) {
    return random_bits(17, 3, index) % most;
}

/* Every mask at random lengths and parameters, and tiles for it (queries, keys); NULL: of the mask that is read from a
   file. */
enum { MASK_ROUNDS = 12, RANDOM_MASKS = MASK_ROUNDS * MASK_COUNT };
static struct mask *random_mask(uint64_t number) {
    enum mask_name name = (enum mask_name)(number / MASK_ROUNDS);
    int64_t round = (int64_t)(number % MASK_ROUNDS), most = round < 4 ? 40 : round < 9 ? 400 : 900;
    uint64_t at = 16 * number;
    if (name == MASK_file) return NULL;
    struct mask_recipe recipe =
        mask_recipe(name, 1 + (int64_t)draw(at, (uint64_t)most), 1 + (int64_t)draw(at + 1, (uint64_t)most));
    if (round % 3 == 0) recipe.keys = recipe.queries;
    recipe.heads = 1 + round % 3;
    recipe.window = (int64_t)draw(at + 2, 150);
    recipe.globals = (int64_t)draw(at + 3, 20);
    recipe.stride = 1 + (int64_t)draw(at + 4, 70);
    recipe.block = 1 + (int64_t)draw(at + 5, 100);
    recipe.kept = (int64_t)draw(at + 6, 101);
    recipe.seed = at;
    return make(&recipe);
}
static const int64_t *random_tile(uint64_t number) {
    static const int64_t tiles[][2] = {{64, 64}, {128, 128}, {192, 128}, {48, 96}, {1, 32}, {64, 192}};
    return tiles[number % ARRAY_LENGTH(tiles)];
}

#endif
