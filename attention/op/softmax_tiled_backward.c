/* softmax_tiled_backward.c: the gradients of softmax attention on the host, fp32, in tiles that stay in the caches:
   memory linear in the length, the same bits whatever the number of threads.

   Two kinds of task, which share no result and therefore need neither atomics nor an order:
     a tile of queries walks the keys that it sees     2 products for the scores and the gradients of the probabilities,
                                                       1 for query_gradient
     a tile of keys walks the queries that see it      the same 2 again, and 1 each for key_gradient and value_gradient
   Seven products where five would do: the price of tasks that do not meet. In both a vector holds LANES tokens of the
   tile and the rows of the other operands are read in place, as softmax_tiled.c has it (vector_multiply.h); they differ
   in whether log_sum_exp and delta belong to a lane or to a row.

   The mask comes as plans of tiles in both directions (mask/tiles.h), TILE queries by STEPS keys, and STEPS queries by
   LINE keys, of which a tile is a part. Scores are in units of log 2. A query that sees nothing has log_sum_exp
   -infinity; +infinity in its place makes every probability of it 2^-infinity = 0. */
#include <math.h>
#include <omp.h>

#include "attention/mask/tiles.h"
#include "softmax_tiled_backward.h"
#include "tiled.h"
#include "vector_multiply.h"

enum { TILE = QUERY_TILE, STEPS = KEY_TILE, LINE = 96, LINE_TILES = LINE / TILE, ALIGNMENT = 64 };
_Static_assert(LINE % TILE == 0 && LINE % 32 == 0, "a line of the plan by key is whole tiles, and whole words of bits");

/* Scratch memory of a thread, and the tile it works on. */
struct gradient_tile {
    vector_float *first, *second;         /* [head_dim][V] query and output_gradient, or key and value */
    vector_float *first_sum, *second_sum; /* [head_dim][V] gradients of first and, for keys, of second */
    vector_float *probability;            /* [STEPS][V] scores before */
    vector_float *score_gradient;         /* [STEPS][V] gradients of the probabilities before */
    int64_t batch, head, begin, end;      /* tokens */
    bool of_keys;
    int offset; /* of the tile's first token in its line of the plan */
};

/* What a tile walks past: one head of the other side. */
struct walk {
    const float *first, *second; /* key and value, or query and output_gradient */
    int64_t first_stride, second_stride, tokens;
    const float *shift, *delta; /* of queries that are walked; NULL: the tile's lanes have their own */
};

/* Of a tile of the plan, the steps that are walked. */
struct part {
    struct mask_tile entry;
    int64_t first; /* token of step 0 */
    int begin, end;
    struct mask_range seen[TILE]; /* MASK_TILE_RANGE: the steps that each lane sees */
};

/* Of every query, ahead of the tiles: log_sum_exp in units of log 2, and delta. */
struct statistics {
    float *shift, *delta;
};

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static size_t scratch_vectors(const struct attention_problem *problem) {
    return (size_t)(4 * problem->head_dim + 2 * STEPS) * TILE_VECTORS;
}

static size_t statistics_bytes(const struct attention_problem *problem) {
    size_t bytes = (size_t)(problem->batch * problem->heads * problem->queries) * sizeof(float);
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t softmax_tiled_backward_workspace(const struct attention_problem *problem) {
    return 2 * statistics_bytes(problem) + (size_t)problem->threads * scratch_vectors(problem) * sizeof(vector_float);
}

static void pack(vector_float *packed, const float *tensor, int64_t stride, const struct gradient_tile *tile,
                 int64_t head_dim, float factor) {
    float *to = (float *)packed;
    for (int lane = 0; lane < TILE; lane++) {
        int64_t token = tile->begin + lane;
        for (int64_t d = 0; d < head_dim; d++)
            to[d * TILE + lane] = token < tile->end ? tensor[token * stride + d] * factor : 0;
    }
}

static void unpack(const vector_float *packed, float *tensor, int64_t stride, const struct gradient_tile *tile,
                   int64_t head_dim, float factor) {
    const float *from = (const float *)packed;
    for (int64_t token = tile->begin; token < tile->end; token++)
        for (int64_t d = 0; d < head_dim; d++)
            tensor[token * stride + d] = from[d * TILE + (token - tile->begin)] * factor;
}

/* Scores of the steps begin .. begin + steps - 1, and the gradients of their probabilities. */
static void multiply_steps(struct gradient_tile *tile, const struct walk *walk, int64_t begin, int64_t steps,
                           int64_t head_dim) {
    multiply_tokens(tile->probability, tile->first, walk->first + begin * walk->first_stride, walk->first_stride, steps,
                    head_dim);
    multiply_tokens(tile->score_gradient, tile->second, walk->second + begin * walk->second_stride,
                    walk->second_stride, steps, head_dim);
}

/* The steps that the token `at` of the line sees through a range: of keys, or of queries. */
static struct mask_range lane_range(const struct mask_tile_range *range, bool of_keys, int at) {
    if (!of_keys) {
        bool inside = at >= range->row_begin && at < range->row_end;
        return (struct mask_range){range->low + range->low_slope * at,
                                   inside ? range->high + range->high_slope * at : 0};
    }
    /* key >= low + low_slope row and key < high + high_slope row, solved for the row */
    int begin = range->high_slope ? at - range->high + 1 : at < range->high ? 0 : STEPS;
    int end = range->low_slope ? at - range->low + 1 : at >= range->low ? STEPS : 0;
    return (struct mask_range){begin > range->row_begin ? begin : range->row_begin,
                               end < range->row_end ? end : range->row_end};
}

static void find_part(struct part *part, const struct gradient_tile *tile, const struct mask_tiles *tiles, int32_t at,
                      int64_t tokens) {
    part->entry = mask_tiles_entry(tiles)[at];
    part->first = (int64_t)part->entry.tile * STEPS;
    part->begin = 0;
    part->end = (int)least(STEPS, tokens - part->first);
    if (mask_tile_form(part->entry) != MASK_TILE_RANGE) return;
    const struct mask_tile_range *range = mask_tiles_range(tiles) + mask_tile_index(part->entry);
    int64_t begin = part->end, end = 0;
    for (int lane = 0; lane < TILE; lane++) {
        struct mask_range seen = lane_range(range, tile->of_keys, tile->offset + lane);
        part->seen[lane] = seen;
        if (seen.begin >= seen.end) continue;
        if (seen.begin < begin) begin = seen.begin;
        if (seen.end > end) end = seen.end;
    }
    part->begin = begin > 0 ? (int)begin : 0;
    part->end = (int)least(part->end, end);
}

/* Scores outside a lane's range of steps become -infinity. */
static void mask_range(struct gradient_tile *tile, const struct part *part) {
    vector_int first[TILE_VECTORS], last[TILE_VECTORS];
    for (int lane = 0; lane < TILE; lane++) {
        first[lane / LANES][lane % LANES] = (int32_t)part->seen[lane].begin;
        last[lane / LANES][lane % LANES] = (int32_t)part->seen[lane].end;
    }
    for (int step = part->begin; step < part->end; step++)
        for (int v = 0; v < TILE_VECTORS; v++) {
            vector_int here = (vector_int){0} + step, inside = (here >= first[v]) & (here < last[v]);
            vector_float *score = &tile->probability[(step - part->begin) * TILE_VECTORS + v];
            *score = vector_select(inside, *score, vector_splat(-INFINITY));
        }
}

static void mask_bits(struct gradient_tile *tile, const uint32_t *bits, const struct part *part) {
    int words = tile->of_keys ? LINE / 32 : STEPS / 32;
    for (int step = part->begin; step < part->end; step++)
        for (int lane = 0; lane < TILE; lane++) {
            int row = tile->of_keys ? step : tile->offset + lane, key = tile->of_keys ? tile->offset + lane : step;
            vector_float *score = &tile->probability[(step - part->begin) * TILE_VECTORS + lane / LANES];
            if (!(bits[row * words + key / 32] >> key % 32 & 1)) (*score)[lane % LANES] = -INFINITY;
        }
}

static void mask_scores(struct gradient_tile *tile, const struct mask_tiles *tiles, const struct part *part) {
    enum mask_tile_form form = mask_tile_form(part->entry);
    size_t words = (size_t)tiles->tile_queries * (size_t)tiles->tile_keys / 32;
    if (form == MASK_TILE_RANGE) mask_range(tile, part);
    if (form == MASK_TILE_BITS)
        mask_bits(tile, mask_tiles_bits(tiles) + mask_tile_index(part->entry) * words, part);
}

static inline void differentiate(struct gradient_tile *tile, int64_t at, vector_float shift, vector_float delta) {
    vector_float probability = vector_exp2(tile->probability[at] - shift);
    tile->probability[at] = probability;
    tile->score_gradient[at] = probability * (tile->score_gradient[at] - delta);
}

static void accumulate(vector_float *sum, const vector_float *weight, const float *rows, int64_t stride, int64_t steps,
                       int64_t head_dim) {
    vector_float one[TILE_VECTORS];
    for (int v = 0; v < TILE_VECTORS; v++) one[v] = vector_splat(1);
    multiply_dimensions(sum, one, weight, rows, stride, steps, head_dim);
}

static void clear(vector_float *sum, int64_t head_dim) {
    for (int64_t i = 0; i < head_dim * TILE_VECTORS; i++) sum[i] = vector_splat(0);
}

/* What the tile gathers from one tile of the plan. shift and delta: of the lanes, where the tile is of queries. */
static void walk_part(struct gradient_tile *tile, const struct walk *walk, const struct mask_tiles *tiles,
                      const struct part *part, const vector_float *shift, const vector_float *delta,
                      int64_t head_dim) {
    int64_t begin = part->first + part->begin, steps = part->end - part->begin;
    multiply_steps(tile, walk, begin, steps, head_dim);
    mask_scores(tile, tiles, part);
    for (int64_t i = 0; i < steps * TILE_VECTORS && !tile->of_keys; i++)
        differentiate(tile, i, shift[i % TILE_VECTORS], delta[i % TILE_VECTORS]);
    for (int64_t step = 0; step < steps && tile->of_keys; step++)
        for (int v = 0; v < TILE_VECTORS; v++)
            differentiate(tile, step * TILE_VECTORS + v, vector_splat(walk->shift[begin + step]),
                          vector_splat(walk->delta[begin + step]));
    accumulate(tile->first_sum, tile->score_gradient, walk->first + begin * walk->first_stride, walk->first_stride,
               steps, head_dim);
    if (tile->of_keys)
        accumulate(tile->second_sum, tile->probability, walk->second + begin * walk->second_stride,
                   walk->second_stride, steps, head_dim);
}

/* Every tile of the plan's line, of the mask of one query head. */
static void walk_line(struct gradient_tile *tile, const struct walk *walk, const struct attention_problem *p,
                      const struct mask_tiles *tiles, int64_t head, const vector_float *shift,
                      const vector_float *delta) {
    int64_t line = mask_head(tiles->heads, head, p->heads) * tiles->lines + tile->begin / (tile->of_keys ? LINE : TILE);
    struct part part;
    for (int32_t at = mask_tiles_begin(tiles)[line]; at < mask_tiles_begin(tiles)[line + 1]; at++) {
        find_part(&part, tile, tiles, at, walk->tokens);
        if (part.begin < part.end) walk_part(tile, walk, tiles, &part, shift, delta, p->head_dim);
    }
}

static void query_tile(struct gradient_tile *tile, const struct attention_problem *p, const struct mask_tiles *tiles,
                       const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                       const struct statistics *statistics) {
    int64_t kv_head = tile->head * p->kv_heads / p->heads, row = (tile->batch * p->heads + tile->head) * p->queries;
    int64_t query = tile->batch * p->query.batch + tile->head * p->query.head;
    int64_t output = tile->batch * p->output.batch + tile->head * p->output.head;
    struct walk walk = {
        .first = (const float *)buffers->key + tile->batch * p->key.batch + kv_head * p->key.head,
        .second = (const float *)buffers->value + tile->batch * p->value.batch + kv_head * p->value.head,
        .first_stride = p->key.row,
        .second_stride = p->value.row,
        .tokens = p->keys};
    vector_float shift[TILE_VECTORS], delta[TILE_VECTORS];
    for (int lane = 0; lane < TILE; lane++) {
        bool inside = tile->begin + lane < tile->end;
        shift[lane / LANES][lane % LANES] = inside ? statistics->shift[row + tile->begin + lane] : INFINITY;
        delta[lane / LANES][lane % LANES] = inside ? statistics->delta[row + tile->begin + lane] : 0;
    }
    pack(tile->first, (const float *)buffers->query + query, p->query.row, tile, p->head_dim,
         p->scale * (float)M_LOG2E);
    pack(tile->second, (const float *)gradients->output_gradient + output, p->output.row, tile, p->head_dim, 1);
    clear(tile->first_sum, p->head_dim);
    walk_line(tile, &walk, p, tiles, tile->head, shift, delta);
    unpack(tile->first_sum, (float *)gradients->query_gradient + query, p->query.row, tile, p->head_dim, p->scale);
}

/* tile->head is a head of keys; the heads of queries that share it are walked one after another. */
static void key_tile(struct gradient_tile *tile, const struct attention_problem *p, const struct mask_tiles *tiles,
                     const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                     const struct statistics *statistics) {
    int64_t group = p->heads / p->kv_heads;
    int64_t key = tile->batch * p->key.batch + tile->head * p->key.head;
    int64_t value = tile->batch * p->value.batch + tile->head * p->value.head;
    pack(tile->first, (const float *)buffers->key + key, p->key.row, tile, p->head_dim, p->scale * (float)M_LOG2E);
    pack(tile->second, (const float *)buffers->value + value, p->value.row, tile, p->head_dim, 1);
    clear(tile->first_sum, p->head_dim);
    clear(tile->second_sum, p->head_dim);
    for (int64_t head = tile->head * group; head < (tile->head + 1) * group; head++) {
        int64_t row = (tile->batch * p->heads + head) * p->queries;
        struct walk walk = {
            .first = (const float *)buffers->query + tile->batch * p->query.batch + head * p->query.head,
            .second = (const float *)gradients->output_gradient + tile->batch * p->output.batch +
                      head * p->output.head,
            .first_stride = p->query.row,
            .second_stride = p->output.row,
            .tokens = p->queries,
            .shift = statistics->shift + row,
            .delta = statistics->delta + row};
        walk_line(tile, &walk, p, tiles, head, NULL, NULL);
    }
    unpack(tile->first_sum, (float *)gradients->key_gradient + key, p->key.row, tile, p->head_dim, p->scale);
    unpack(tile->second_sum, (float *)gradients->value_gradient + value, p->value.row, tile, p->head_dim, 1);
}

static void find_statistics(const struct attention_problem *p, const struct attention_buffers *buffers,
                            const struct attention_gradients *gradients, const struct statistics *statistics) {
    int64_t rows = p->batch * p->heads * p->queries;
#pragma omp parallel for schedule(static) num_threads(p->threads)
    for (int64_t row = 0; row < rows; row++) {
        int64_t query = row % p->queries, head = row / p->queries % p->heads, batch = row / p->queries / p->heads;
        int64_t first = batch * p->output.batch + head * p->output.head + query * p->output.row;
        const float *output = (const float *)buffers->output + first;
        const float *output_gradient = (const float *)gradients->output_gradient + first;
        float sum = 0, log_sum_exp = buffers->log_sum_exp[row];
#pragma omp simd reduction(+ : sum)
        for (int64_t d = 0; d < p->head_dim; d++) sum += output[d] * output_gradient[d];
        statistics->delta[row] = sum;
        statistics->shift[row] = log_sum_exp == -INFINITY ? INFINITY : log_sum_exp * (float)M_LOG2E;
    }
}

struct mask_tiles *softmax_tiled_backward_plan(const struct attention_problem *problem) {
    return mask_tiles_new(problem->mask, STEPS, LINE, MASK_BY_KEY);
}

/* Tiles of keys first, which take the longer, and those that many queries see under a causal mask first. */
bool softmax_tiled_backward(const struct attention_problem *problem, const struct attention_plan *plan,
                            const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                            struct CUstream_st *stream, char *reason) {
    (void)stream, (void)reason;
    const struct tiled_plan *tiles = plan->detail;
    char *workspace = gradients->workspace;
    struct statistics statistics = {(float *)workspace, (float *)(workspace + statistics_bytes(problem))};
    vector_float *scratch = (vector_float *)(workspace + 2 * statistics_bytes(problem));
    int64_t query_tiles = (problem->queries + TILE - 1) / TILE, key_tiles = (problem->keys + TILE - 1) / TILE;
    int64_t key_tasks = problem->batch * problem->kv_heads * key_tiles;
    int64_t query_tasks = problem->batch * problem->heads * query_tiles;
    find_statistics(problem, buffers, gradients, &statistics);
#pragma omp parallel for schedule(dynamic, 1) num_threads(problem->threads)
    for (int64_t task = 0; task < key_tasks + query_tasks; task++) {
        bool keys = task < key_tasks;
        int64_t index = keys ? task : task - key_tasks, count = keys ? key_tiles : query_tiles;
        int64_t heads = keys ? problem->kv_heads : problem->heads, size = problem->head_dim * TILE_VECTORS;
        int64_t number = keys ? index % count : count - 1 - index % count, begin = number * TILE;
        vector_float *own = scratch + (size_t)omp_get_thread_num() * scratch_vectors(problem);
        struct gradient_tile tile = {.first = own,
                            .second = own + size,
                            .first_sum = own + 2 * size,
                            .second_sum = own + 3 * size,
                            .probability = own + 4 * size,
                            .score_gradient = own + 4 * size + STEPS * TILE_VECTORS,
                            .batch = index / count / heads,
                            .head = index / count % heads,
                            .begin = begin,
                            .end = least(begin + TILE, keys ? problem->keys : problem->queries),
                            .of_keys = keys,
                            .offset = keys ? (int)(number % LINE_TILES) * TILE : 0};
        if (keys) key_tile(&tile, problem, tiles->by_key, buffers, gradients, &statistics);
        else query_tile(&tile, problem, tiles->by_query, buffers, gradients, &statistics);
    }
    return true;
}
