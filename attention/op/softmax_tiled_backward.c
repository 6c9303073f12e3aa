/* softmax_tiled_backward.c: the gradients of softmax attention on the host, fp32, in tiles that stay in the caches:
   memory linear in the length, the same bits whatever the number of threads.

   Two kinds of task, which share no result and therefore need neither atomics nor an order:
     a tile of queries walks the keys that it sees     2 products for the scores and the gradients of the probabilities,
                                                       1 for query_gradient
     a tile of keys walks the queries that see it      the same 2 again, and 1 each for key_gradient and value_gradient
   Seven products where five would do: the price of tasks that do not meet. In both a vector holds LANES tokens of the
   tile and the rows of the other operands are read in place, as softmax_tiled.c has it (vector_multiply.h); they differ
   in whether log_sum_exp and delta belong to a lane or to a row.

   Scores are in units of log 2. A query that sees nothing has log_sum_exp -infinity; +infinity in its place makes every
   probability of it 2^-infinity = 0. */
#include <math.h>
#include <omp.h>

#include "attention/mask/column.h"
#include "softmax_tiled_backward.h"
#include "vector_multiply.h"

enum { TILE = TILE_VECTORS * LANES, STEPS = 128, ALIGNMENT = 64 };

/* Scratch memory of a thread, and the tile it works on. */
struct tile {
    vector_float *first, *second;         /* [head_dim][V] query and output_gradient, or key and value */
    vector_float *first_sum, *second_sum; /* [head_dim][V] gradients of first and, for keys, of second */
    vector_float *probability;            /* [STEPS][V] scores before */
    vector_float *score_gradient;         /* [STEPS][V] gradients of the probabilities before */
    int64_t batch, head, begin, end;      /* tokens */
};

/* What a tile walks past: one head of the other side. */
struct walk {
    const float *first, *second; /* key and value, or query and output_gradient */
    int64_t first_stride, second_stride;
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

static void pack(vector_float *packed, const float *tensor, int64_t stride, const struct tile *tile, int64_t head_dim,
                 float factor) {
    float *to = (float *)packed;
    for (int lane = 0; lane < TILE; lane++) {
        int64_t token = tile->begin + lane;
        for (int64_t d = 0; d < head_dim; d++)
            to[d * TILE + lane] = token < tile->end ? tensor[token * stride + d] * factor : 0;
    }
}

static void unpack(const vector_float *packed, float *tensor, int64_t stride, const struct tile *tile, int64_t head_dim,
                   float factor) {
    const float *from = (const float *)packed;
    for (int64_t token = tile->begin; token < tile->end; token++)
        for (int64_t d = 0; d < head_dim; d++)
            tensor[token * stride + d] = from[d * TILE + (token - tile->begin)] * factor;
}

/* Scores of the steps begin .. begin + steps - 1, and the gradients of their probabilities. */
static void multiply_steps(struct tile *tile, const struct walk *walk, int64_t begin, int64_t steps, int64_t head_dim) {
    multiply_tokens(tile->probability, tile->first, walk->first + begin * walk->first_stride, walk->first_stride, steps,
                    head_dim);
    multiply_tokens(tile->score_gradient, tile->second, walk->second + begin * walk->second_stride,
                    walk->second_stride, steps, head_dim);
}

/* Scores outside a lane's range of steps become -infinity. */
static void mask_scores(struct tile *tile, const struct mask_range *seen, int64_t begin, int64_t steps) {
    vector_int first[TILE_VECTORS], last[TILE_VECTORS];
    for (int lane = 0; lane < TILE; lane++) {
        int64_t low = seen[lane].begin > begin ? seen[lane].begin - begin : 0;
        int64_t high = seen[lane].end > begin ? seen[lane].end - begin : 0;
        first[lane / LANES][lane % LANES] = (int32_t)least(low, steps);
        last[lane / LANES][lane % LANES] = (int32_t)least(high, steps);
    }
    for (int64_t step = 0; step < steps; step++)
        for (int v = 0; v < TILE_VECTORS; v++) {
            vector_int here = (vector_int){0} + (int32_t)step, inside = (here >= first[v]) & (here < last[v]);
            vector_float *score = &tile->probability[step * TILE_VECTORS + v];
            *score = vector_select(inside, *score, vector_splat(-INFINITY));
        }
}

static inline void differentiate(struct tile *tile, int64_t at, vector_float shift, vector_float delta) {
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

/* A piece of the mask, for a tile of queries. */
static void walk_keys(struct tile *tile, const struct walk *walk, const struct mask_piece *piece,
                      const vector_float *shift, const vector_float *delta, int64_t head_dim) {
    struct mask_range bounds = mask_piece_bounds(piece, tile->begin, tile->end), seen[TILE];
    struct mask_range common = mask_piece_common(piece, tile->begin, tile->end);
    if (bounds.begin >= bounds.end) return;
    for (int lane = 0; lane < TILE; lane++) /* lanes behind the tile's end have no probability in any case */
        seen[lane] = mask_piece_row(piece, least(tile->begin + lane, tile->end - 1));
    for (int64_t begin = bounds.begin; begin < bounds.end; begin += STEPS) {
        int64_t steps = least(STEPS, bounds.end - begin);
        multiply_steps(tile, walk, begin, steps, head_dim);
        if (begin < common.begin || begin + steps > common.end) mask_scores(tile, seen, begin, steps);
        for (int64_t i = 0; i < steps * TILE_VECTORS; i++)
            differentiate(tile, i, shift[i % TILE_VECTORS], delta[i % TILE_VECTORS]);
        accumulate(tile->first_sum, tile->score_gradient, walk->first + begin * walk->first_stride, walk->first_stride,
                   steps, head_dim);
    }
}

static void query_tile(struct tile *tile, const struct attention_problem *p, const struct attention_buffers *buffers,
                       const struct attention_gradients *gradients, const struct statistics *statistics) {
    int64_t kv_head = tile->head * p->kv_heads / p->heads, row = (tile->batch * p->heads + tile->head) * p->queries;
    int64_t query = tile->batch * p->query.batch + tile->head * p->query.head;
    int64_t output = tile->batch * p->output.batch + tile->head * p->output.head;
    struct walk walk = {
        .first = (const float *)buffers->key + tile->batch * p->key.batch + kv_head * p->key.head,
        .second = (const float *)buffers->value + tile->batch * p->value.batch + kv_head * p->value.head,
        .first_stride = p->key.row,
        .second_stride = p->value.row};
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
    for (int64_t i = 0; i < p->mask->piece_count; i++)
        walk_keys(tile, &walk, &p->mask->piece[i], shift, delta, p->head_dim);
    unpack(tile->first_sum, (float *)gradients->query_gradient + query, p->query.row, tile, p->head_dim, p->scale);
}

/* A piece of the mask, for a tile of keys; shift and delta are of the head's query 0 and up. */
static void walk_queries(struct tile *tile, const struct walk *walk, const struct mask_piece *piece, const float *shift,
                         const float *delta, int64_t head_dim) {
    struct mask_range bounds = mask_piece_column_bounds(piece, tile->begin, tile->end), seen[TILE];
    struct mask_range common = mask_piece_column_common(piece, tile->begin, tile->end);
    if (bounds.begin >= bounds.end) return;
    for (int lane = 0; lane < TILE; lane++) /* lanes behind the tile's end are never stored */
        seen[lane] = mask_piece_column(piece, least(tile->begin + lane, tile->end - 1));
    for (int64_t begin = bounds.begin; begin < bounds.end; begin += STEPS) {
        int64_t steps = least(STEPS, bounds.end - begin);
        multiply_steps(tile, walk, begin, steps, head_dim);
        if (begin < common.begin || begin + steps > common.end) mask_scores(tile, seen, begin, steps);
        for (int64_t step = 0; step < steps; step++)
            for (int v = 0; v < TILE_VECTORS; v++)
                differentiate(tile, step * TILE_VECTORS + v, vector_splat(shift[begin + step]),
                              vector_splat(delta[begin + step]));
        accumulate(tile->first_sum, tile->score_gradient, walk->first + begin * walk->first_stride, walk->first_stride,
                   steps, head_dim);
        accumulate(tile->second_sum, tile->probability, walk->second + begin * walk->second_stride,
                   walk->second_stride, steps, head_dim);
    }
}

/* tile->head is a head of keys; the heads of queries that share it are walked one after another. */
static void key_tile(struct tile *tile, const struct attention_problem *p, const struct attention_buffers *buffers,
                     const struct attention_gradients *gradients, const struct statistics *statistics) {
    int64_t group = p->heads / p->kv_heads;
    int64_t key = tile->batch * p->key.batch + tile->head * p->key.head;
    int64_t value = tile->batch * p->value.batch + tile->head * p->value.head;
    pack(tile->first, (const float *)buffers->key + key, p->key.row, tile, p->head_dim, p->scale * (float)M_LOG2E);
    pack(tile->second, (const float *)buffers->value + value, p->value.row, tile, p->head_dim, 1);
    clear(tile->first_sum, p->head_dim);
    clear(tile->second_sum, p->head_dim);
    for (int64_t head = tile->head * group; head < (tile->head + 1) * group; head++) {
        struct walk walk = {
            .first = (const float *)buffers->query + tile->batch * p->query.batch + head * p->query.head,
            .second = (const float *)gradients->output_gradient + tile->batch * p->output.batch +
                      head * p->output.head,
            .first_stride = p->query.row,
            .second_stride = p->output.row};
        int64_t row = (tile->batch * p->heads + head) * p->queries;
        for (int64_t i = 0; i < p->mask->piece_count; i++)
            walk_queries(tile, &walk, &p->mask->piece[i], statistics->shift + row, statistics->delta + row,
                         p->head_dim);
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

/* Tiles of keys first, which take the longer, and those that many queries see under a causal mask first. */
bool softmax_tiled_backward(const struct attention_problem *problem, const struct attention_plan *plan,
                            const struct attention_buffers *buffers, const struct attention_gradients *gradients,
                            struct CUstream_st *stream, char *reason) {
    (void)plan, (void)stream, (void)reason;
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
        int64_t index = keys ? task : task - key_tasks, tiles = keys ? key_tiles : query_tiles;
        int64_t heads = keys ? problem->kv_heads : problem->heads, size = problem->head_dim * TILE_VECTORS;
        int64_t begin = (keys ? index % tiles : tiles - 1 - index % tiles) * TILE;
        vector_float *own = scratch + (size_t)omp_get_thread_num() * scratch_vectors(problem);
        struct tile tile = {.first = own,
                            .second = own + size,
                            .first_sum = own + 2 * size,
                            .second_sum = own + 3 * size,
                            .probability = own + 4 * size,
                            .score_gradient = own + 4 * size + STEPS * TILE_VECTORS,
                            .batch = index / tiles / heads,
                            .head = index / tiles % heads,
                            .begin = begin,
                            .end = least(begin + TILE, keys ? problem->keys : problem->queries)};
        if (keys) key_tile(&tile, problem, buffers, gradients, &statistics);
        else query_tile(&tile, problem, buffers, gradients, &statistics);
    }
    return true;
}
