/* blocks.c: masks that choose which blocks of keys a block of queries sees, as a grid of bits for each head.

   Blocks are chosen by scores of pooled queries with pooled keys, as the sparse attentions do that have an index
   (landmark tokens, HiP, BiFormer's routing). The pooled vectors here are seeded N(0,1) vectors of POOLED_DIM elements,
   one a block and head: the pool of random operands is such a vector, and so the choice needs no operands and is the
   same for every operator. Their few dimensions make some key blocks popular with many query blocks, as in real data.

   Blocks begin at multiples of their length in key positions, so that with more keys than queries the first block of
   queries may be cut; queries in front of every key form a block of their own that sees nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/random.h"
#include "build.h"

enum { POOLED_DIM = 16, GROUP = 8, VARIABLE_LEAST = 128, RANDOM_BLOCKS = 3 };

/* A choice under way. Scores become keys of a sort: as large as the score is, the same for the same. */
struct choice {
    struct mask *mask;
    uint64_t *bits;
    float *query, *key;  /* [block][POOLED_DIM] of one head */
    uint32_t *rank;      /* of each key block for one query block; 0: not a candidate */
    uint32_t *group;     /* rank of each group of key blocks, likewise */
    int64_t first_block; /* key block in which the first query stands */
    bool padded;         /* block row 0 stands in front of every key */
};

static int64_t length_of_block(const struct mask *mask, int64_t i) {
    if (mask->name == MASK_bigbird) return MASK_BIGBIRD_BLOCK;
    if (mask->name != MASK_variable_blocks) return mask->recipe.block;
    double u = 1 - random_uniform(mask->recipe.seed, MASK_STREAM_BLOCK, (uint64_t)i); /* mean: twice the block */
    double more = -log(u) * (double)mask_most(1, 2 * mask->recipe.block - VARIABLE_LEAST);
    return VARIABLE_LEAST + (int64_t)more;
}

static int64_t *key_edges(const struct mask *mask, int64_t *count) {
    int64_t regions = mask_least(MASK_REGIONS, mask->keys), least = MASK_BIGBIRD_BLOCK;
    if (mask->name == MASK_variable_blocks) least = VARIABLE_LEAST;
    if (mask->name == MASK_uniform_blocks || mask->name == MASK_landmark_blocks ||
        mask->name == MASK_hierarchical_blocks)
        least = mask->recipe.block;
    int64_t *edge = calloc((size_t)(mask_most(mask->keys / least, regions) + 2), sizeof(*edge));
    *count = 0;
    if (!edge) return NULL;
    if (mask->name == MASK_bilevel_routing) {
        for (int64_t i = 0; i <= regions; i++) edge[i] = i * mask->keys / regions;
        *count = regions;
        return edge;
    }
    for (int64_t position = 0; position < mask->keys; edge[++*count] = position)
        position = mask_least(mask->keys, position + length_of_block(mask, *count));
    return edge;
}

static bool make_edges(struct choice *choice) {
    struct mask *mask = choice->mask;
    struct mask_grid *grid = &mask->grid;
    int64_t offset = mask->keys - mask->queries, blocks = 0;
    int64_t *key = key_edges(mask, &blocks), *query = calloc((size_t)blocks + 3, sizeof(*query)), count = 0;
    grid->key_edge = key;
    grid->query_edge = query;
    if (!key || !query) return false;
    choice->padded = offset < 0;
    choice->first_block = mask_find(key, blocks, mask_most(0, offset));
    if (choice->padded) query[++count] = -offset;
    for (int64_t i = choice->first_block; i < blocks; i++) query[++count] = key[i + 1] - offset;
    grid->key_blocks = blocks;
    grid->query_blocks = count;
    grid->words = (blocks + 63) / 64;
    return true;
}

static void pooled(const struct choice *choice, int64_t head, float *vectors, enum mask_stream stream) {
    uint64_t count = (uint64_t)(choice->mask->grid.key_blocks * POOLED_DIM);
    for (uint64_t i = 0; i < count; i++)
        vectors[i] = (float)random_normal(choice->mask->recipe.seed, stream, (uint64_t)head * count + i);
}

/* Numbers that compare as the floats do, above 0. */
static uint32_t rank_of(float score) {
    uint32_t bits;
    memcpy(&bits, &score, sizeof(bits));
    return (bits >> 31 ? ~bits : bits | UINT32_C(1) << 31) | 1;
}

static float score_of(const struct choice *choice, int64_t query, int64_t key) {
    float score = 0;
    for (int d = 0; d < POOLED_DIM; d++)
        score += choice->query[query * POOLED_DIM + d] * choice->key[key * POOLED_DIM + d];
    return score;
}

static void set_bit(struct choice *choice, int64_t head, int64_t row, int64_t block) {
    const struct mask_grid *grid = &choice->mask->grid;
    choice->bits[(head * grid->query_blocks + row) * grid->words + block / 64] |= UINT64_C(1) << block % 64;
}

/* The rank that `count` of the candidates reach, and how many of that rank itself are among them. */
static uint32_t threshold(const uint32_t *rank, int64_t candidates, int64_t count, int64_t *ties) {
    uint32_t prefix = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        int64_t histogram[256] = {0};
        for (int64_t i = 0; i < candidates; i++)
            if (shift == 24 || (rank[i] ^ prefix) >> (shift + 8) == 0) histogram[rank[i] >> shift & 255]++;
        int digit = 255;
        while (digit > 0 && histogram[digit] < count) count -= histogram[digit--];
        prefix |= (uint32_t)digit << shift;
    }
    *ties = count;
    return prefix;
}

/* The best `count` of the first `candidates` blocks become bits; those of rank 0 never. */
static void keep_best(struct choice *choice, int64_t head, int64_t row, int64_t candidates, int64_t count) {
    int64_t ties;
    if (candidates <= 0 || count <= 0) return;
    uint32_t least = threshold(choice->rank, candidates, mask_least(count, candidates), &ties);
    for (int64_t i = 0; i < candidates; i++) {
        uint32_t rank = choice->rank[i];
        if (rank > least || (rank == least && rank > 0 && ties-- > 0)) set_bit(choice, head, row, i);
    }
}

static int64_t kept_count(const struct mask *mask) {
    int64_t count = (mask->grid.key_blocks * mask->recipe.kept + 50) / 100;
    return mask_most(1, count);
}

/* Groups of GROUP blocks compete with the mean of their vectors; blocks outside the best groups are no candidates. */
static void leave_best_groups(struct choice *choice, int64_t block, int64_t candidates, int64_t groups_kept) {
    int64_t groups = (candidates + GROUP - 1) / GROUP;
    uint32_t *rank = choice->group;
    for (int64_t g = 0; g < groups; g++) {
        int64_t begin = g * GROUP, end = mask_least(candidates, begin + GROUP);
        float score = 0;
        for (int64_t i = begin; i < end; i++) score += score_of(choice, block, i);
        rank[g] = rank_of(score / (float)(end - begin));
    }
    int64_t ties;
    uint32_t least = threshold(rank, groups, mask_least(groups, groups_kept), &ties);
    for (int64_t g = 0; g < groups; g++) {
        if (rank[g] > least || (rank[g] == least && ties-- > 0)) continue;
        for (int64_t i = g * GROUP; i < mask_least(candidates, (g + 1) * GROUP); i++) choice->rank[i] = 0;
    }
}

static void choose_bigbird(struct choice *choice, int64_t head, int64_t row, int64_t block) {
    const struct mask *mask = choice->mask;
    int64_t blocks = mask->grid.key_blocks;
    bool global = block == 0 || block == blocks - 1;
    for (int64_t i = 0; i < blocks; i++) {
        bool seen = global || i == 0 || i == blocks - 1 || (i >= block - 1 && i <= block + 1);
        uint64_t index = (uint64_t)((head * blocks + block) * blocks + i);
        choice->rank[i] = seen ? 0 : (uint32_t)(random_bits(mask->recipe.seed, MASK_STREAM_RANDOM, index) >> 32) | 1;
        if (seen) set_bit(choice, head, row, i);
    }
    keep_best(choice, head, row, blocks, RANDOM_BLOCKS);
}

static void choose_row(struct choice *choice, int64_t head, int64_t row) {
    const struct mask *mask = choice->mask;
    int64_t block = choice->first_block + row - choice->padded, blocks = mask->grid.key_blocks;
    bool hierarchical = mask->name == MASK_hierarchical_blocks;
    int64_t candidates = hierarchical || mask->name == MASK_landmark_blocks ? block : blocks;
    if (choice->padded && row == 0) return;
    if (mask->name == MASK_bigbird) {
        choose_bigbird(choice, head, row, block);
        return;
    }
    if (candidates <= 0) return;
    int64_t count = kept_count(mask);
    for (int64_t i = 0; i < candidates; i++) choice->rank[i] = rank_of(score_of(choice, block, i));
    if (hierarchical) leave_best_groups(choice, block, candidates, (2 * count + GROUP - 1) / GROUP);
    keep_best(choice, head, row, candidates, count);
}

static bool has_grid(enum mask_name name) {
    return name == MASK_uniform_blocks || name == MASK_variable_blocks || name == MASK_bigbird ||
           name == MASK_landmark_blocks || name == MASK_hierarchical_blocks || name == MASK_bilevel_routing;
}

bool mask_choose_blocks(struct mask *mask) {
    struct choice choice = {.mask = mask};
    if (!has_grid(mask->name)) return true;
    if (!make_edges(&choice)) return false;
    struct mask_grid *grid = &mask->grid;
    mask->heads = mask->recipe.heads;
    size_t vectors = (size_t)grid->key_blocks * POOLED_DIM;
    grid->bits = choice.bits = calloc((size_t)(mask->heads * grid->query_blocks * grid->words), sizeof(uint64_t));
    choice.query = calloc(vectors, sizeof(float));
    choice.key = calloc(vectors, sizeof(float));
    choice.rank = calloc((size_t)grid->key_blocks, sizeof(uint32_t));
    choice.group = calloc((size_t)grid->key_blocks / GROUP + 1, sizeof(uint32_t));
    bool right = choice.bits && choice.query && choice.key && choice.rank && choice.group;
    for (int64_t head = 0; right && head < mask->heads; head++) {
        pooled(&choice, head, choice.query, MASK_STREAM_QUERY);
        pooled(&choice, head, choice.key, MASK_STREAM_KEY);
        for (int64_t row = 0; row < grid->query_blocks; row++) choose_row(&choice, head, row);
    }
    free(choice.query), free(choice.key), free(choice.rank), free(choice.group);
    return right;
}

bool mask_grid_allows(const struct mask *mask, int64_t head, int64_t query, int64_t key) {
    const struct mask_grid *grid = &mask->grid;
    if (grid->query_blocks == 0) return false;
    int64_t row = mask_find(grid->query_edge, grid->query_blocks, query);
    int64_t block = mask_find(grid->key_edge, grid->key_blocks, key);
    return grid->bits[(head * grid->query_blocks + row) * grid->words + block / 64] >> block % 64 & 1;
}
