/* softmax_tiled.c: softmax attention on the host, fp32, in tiles that stay in the caches: memory linear in the length.

   The online softmax (Milakov and Gimelshein 2018, as FlashAttention uses it): for a tile of queries, tile after tile
   of keys gives scores, a running maximum m and sum of exp(score - m), and an output that is rescaled when m grows.

   Layout of the arithmetic. One vector holds LANES queries, a query tile is three vectors. Scores, probabilities and
   the output are kept transposed, [key][query] and [head_dim][query], so that
   - both products are the same loop (vector_multiply.h), accumulator[row][vector] += splat(operand[row]) * vector, with
     the key's or the value's rows read in place: nothing but the query tile is ever packed;
   - maximum, sum and exponential run down the keys, lane by lane: no sum across a vector anywhere.
   REGISTER_ROWS x 3 accumulators fill the registers, and each step loads 3 vectors and REGISTER_ROWS scalars for three
   times as many multiply-adds as scalars. Scores are in units of log 2, so that the exponential is 2^x.

   Floor: 4 * area * head_dim FLOP over the FMA rate of the cores. On top come about 17 vector operations a vector of
   scores for the softmax, against 4 * head_dim / 2 multiply-adds: 1/8 as many at head_dim 64, which the other ports
   of the processor take in part.

   A tile of keys that every query of the tile sees is not masked; else each lane has its range of keys. */
#include <math.h>
#include <omp.h>

#include "softmax_tiled_backward.h"
#include "vector_multiply.h"

enum { QUERY_VECTORS = TILE_VECTORS, QUERY_TILE = QUERY_VECTORS * LANES, KEY_TILE = 128 };

/* One query tile: scratch memory of its thread, and where it is. */
struct tile {
    vector_float *query;  /* [head_dim][QUERY_VECTORS], times scale / log 2 */
    vector_float *output; /* [head_dim][QUERY_VECTORS], not yet divided by the sum */
    vector_float *score;  /* [KEY_TILE][QUERY_VECTORS], then probabilities */
    vector_float maximum[QUERY_VECTORS], sum[QUERY_VECTORS], rescale[QUERY_VECTORS];
    int64_t batch, head, query_begin, query_end;
};

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static size_t scratch_vectors(const struct attention_problem *problem) {
    return (size_t)(2 * problem->head_dim + KEY_TILE) * QUERY_VECTORS;
}

/* Scores of keys that a lane's query does not see through the piece become -infinity. */
static void mask_scores(struct tile *tile, const struct mask_piece *piece, int64_t key_begin, int64_t keys) {
    vector_int begin[QUERY_VECTORS], end[QUERY_VECTORS];
    for (int lane = 0; lane < QUERY_TILE; lane++) {
        int64_t query = tile->query_begin + lane;
        struct mask_range range = {0, 0};
        if (query < tile->query_end) range = mask_piece_row(piece, query);
        begin[lane / LANES][lane % LANES] = (int32_t)least(range.begin > key_begin ? range.begin - key_begin : 0, keys);
        end[lane / LANES][lane % LANES] = (int32_t)least(range.end > key_begin ? range.end - key_begin : 0, keys);
    }
    for (int64_t key = 0; key < keys; key++)
        for (int v = 0; v < QUERY_VECTORS; v++) {
            vector_int here = (vector_int){0} + (int32_t)key, seen = (here >= begin[v]) & (here < end[v]);
            vector_float *score = &tile->score[key * QUERY_VECTORS + v];
            *score = vector_select(seen, *score, vector_splat(-INFINITY));
        }
}

/* Scores become probabilities, up to the sum; maximum, sum and rescale move on. */
static void soften(struct tile *tile, int64_t keys) {
    vector_float maximum[QUERY_VECTORS], shift[QUERY_VECTORS], sum[QUERY_VECTORS];
    for (int v = 0; v < QUERY_VECTORS; v++) maximum[v] = tile->maximum[v];
    for (int64_t key = 0; key < keys; key++)
        for (int v = 0; v < QUERY_VECTORS; v++)
            maximum[v] = vector_larger(maximum[v], tile->score[key * QUERY_VECTORS + v]);
    for (int v = 0; v < QUERY_VECTORS; v++) {
        /* a query that has seen nothing yet has no maximum to subtract: -infinity - -infinity would be NaN */
        shift[v] = vector_select(maximum[v] == -INFINITY, vector_splat(0), maximum[v]);
        /* exactly 1 where the maximum stays: 2^0 is 1 + 2^-23 here, and a thousand tiles would make 10^-4 of it */
        tile->rescale[v] = vector_select(tile->maximum[v] == maximum[v], vector_splat(1),
                                         vector_exp2(tile->maximum[v] - shift[v]));
        tile->maximum[v] = maximum[v];
        sum[v] = vector_splat(0);
    }
    for (int64_t key = 0; key < keys; key++)
        for (int v = 0; v < QUERY_VECTORS; v++) {
            vector_float probability = vector_exp2(tile->score[key * QUERY_VECTORS + v] - shift[v]);
            tile->score[key * QUERY_VECTORS + v] = probability;
            sum[v] += probability;
        }
    for (int v = 0; v < QUERY_VECTORS; v++) tile->sum[v] = tile->sum[v] * tile->rescale[v] + sum[v];
}

static void load_queries(struct tile *tile, const struct attention_problem *problem, const float *query) {
    float factor = problem->scale * (float)M_LOG2E, *packed = (float *)tile->query;
    query += tile->batch * problem->query.batch + tile->head * problem->query.head;
    for (int lane = 0; lane < QUERY_TILE; lane++) {
        int64_t row = tile->query_begin + lane;
        for (int64_t d = 0; d < problem->head_dim; d++)
            packed[d * QUERY_TILE + lane] = row < tile->query_end ? query[row * problem->query.row + d] * factor : 0;
    }
    for (int64_t i = 0; i < problem->head_dim * QUERY_VECTORS; i++) tile->output[i] = vector_splat(0);
    for (int v = 0; v < QUERY_VECTORS; v++) {
        tile->maximum[v] = vector_splat(-INFINITY);
        tile->sum[v] = vector_splat(0);
    }
}

static void store_outputs(const struct tile *tile, const struct attention_problem *problem,
                          const struct attention_buffers *buffers) {
    float *output = (float *)buffers->output + tile->batch * problem->output.batch + tile->head * problem->output.head;
    float *log_sum_exp = buffers->log_sum_exp + (tile->batch * problem->heads + tile->head) * problem->queries;
    const float *packed = (const float *)tile->output;
    for (int64_t row = tile->query_begin; row < tile->query_end; row++) {
        int lane = (int)(row - tile->query_begin);
        float sum = tile->sum[lane / LANES][lane % LANES], maximum = tile->maximum[lane / LANES][lane % LANES];
        float inverse = maximum == -INFINITY ? 0 : 1 / sum;
        for (int64_t d = 0; d < problem->head_dim; d++)
            output[row * problem->output.row + d] = packed[d * QUERY_TILE + lane] * inverse;
        log_sum_exp[row] = maximum == -INFINITY ? -INFINITY : (maximum + log2f(sum)) * (float)M_LN2;
    }
}

static void attend(struct tile *tile, const struct attention_problem *problem,
                   const struct attention_buffers *buffers) {
    int64_t kv_head = tile->head * problem->kv_heads / problem->heads;
    const float *key = (const float *)buffers->key + tile->batch * problem->key.batch + kv_head * problem->key.head;
    const float *value = (const float *)buffers->value + tile->batch * problem->value.batch +
                         kv_head * problem->value.head;
    load_queries(tile, problem, buffers->query);
    for (int64_t i = 0; i < problem->mask->piece_count; i++) {
        const struct mask_piece *piece = &problem->mask->piece[i];
        struct mask_range bounds = mask_piece_bounds(piece, tile->query_begin, tile->query_end);
        struct mask_range common = mask_piece_common(piece, tile->query_begin, tile->query_end);
        for (int64_t begin = bounds.begin; begin < bounds.end; begin += KEY_TILE) {
            int64_t keys = least(KEY_TILE, bounds.end - begin);
            multiply_tokens(tile->score, tile->query, key + begin * problem->key.row, problem->key.row, keys,
                            problem->head_dim);
            if (begin < common.begin || begin + keys > common.end) mask_scores(tile, piece, begin, keys);
            soften(tile, keys);
            multiply_dimensions(tile->output, tile->rescale, tile->score, value + begin * problem->value.row,
                                problem->value.row, keys, problem->head_dim);
        }
    }
    store_outputs(tile, problem, buffers);
}

/* Tiles of a head one after another, so that the cores share its keys and values; the last queries first, which see the
   most keys under a causal mask, so that what is left over at the end is short. */
static bool forward(const struct attention_problem *problem, const struct attention_plan *plan,
                    const struct attention_buffers *buffers, struct CUstream_st *stream, char *reason) {
    int64_t tiles = (problem->queries + QUERY_TILE - 1) / QUERY_TILE, heads = problem->batch * problem->heads;
    size_t vectors = scratch_vectors(problem);
    (void)plan, (void)stream, (void)reason;
#pragma omp parallel for schedule(dynamic, 1) num_threads(problem->threads)
    for (int64_t task = 0; task < heads * tiles; task++) {
        vector_float *scratch = (vector_float *)buffers->workspace + (size_t)omp_get_thread_num() * vectors;
        int64_t begin = (tiles - 1 - task % tiles) * QUERY_TILE;
        struct tile tile = {.query = scratch,
                            .output = scratch + problem->head_dim * QUERY_VECTORS,
                            .score = scratch + 2 * problem->head_dim * QUERY_VECTORS,
                            .batch = task / tiles / problem->heads,
                            .head = task / tiles % problem->heads,
                            .query_begin = begin,
                            .query_end = least(begin + QUERY_TILE, problem->queries)};
        attend(&tile, problem, buffers);
    }
    return true;
}

static const char *decline(const struct attention_problem *problem) {
    if (problem->mask->grid.query_blocks > 0) return "the host takes masks of pieces alone";
    return problem->dtype == DTYPE_fp32 ? attention_no_options(problem) : "the host computes attention in fp32";
}

static bool prepare(const struct attention_problem *problem, struct attention_plan *plan, char *reason) {
    (void)reason;
    plan->workspace = (size_t)problem->threads * scratch_vectors(problem) * sizeof(vector_float);
    plan->backward_workspace = problem->backward ? softmax_tiled_backward_workspace(problem) : 0;
    return true;
}

const struct attention_operator softmax_tiled = {
    .name = "tiled", .backend = "openmp", .place = PLACE_HOST, .decline = decline, .prepare = prepare,
    .forward = forward, .backward = softmax_tiled_backward};
