/* problem.c: problems from the axes of a case, on the host. See problem.h. */
#include "problem.h"

#include <math.h>
#include <string.h>

#include "bench/random.h"

const char *const problem_dtype_words[] = {"fp32", "bf16", "fp16", "fp8_e4m3", NULL};
const char *const problem_option_words[] = {"none", "soft_cap", "alibi", "sink", "gate", "clipped", "together", NULL};
const char *const problem_input_words[] = {"normal", "outliers", "peaks", NULL};

static const char *mask_path;

static bool set_mask_file(const char *word, char *reason) {
    mask_path = word;
    return mask_file_check(word, reason);
}

const struct setting problem_settings[] = {
    {.name = "mask-file", .argument = "FILE", .help = "the ranges of the mask `file`", .set = set_mask_file}, {0}};

static int64_t kv_heads_of(const struct run *run) {
    int64_t heads = run->value[PROBLEM_AXIS_HIDDEN] / run->value[PROBLEM_AXIS_HEAD_DIM];
    return heads >= run->value[PROBLEM_AXIS_GROUP] ? heads / run->value[PROBLEM_AXIS_GROUP] : 1;
}

static bool same(const struct mask_recipe *a, const struct mask_recipe *b) {
    return a->name == b->name && a->queries == b->queries && a->keys == b->keys && a->heads == b->heads &&
           a->window == b->window && a->block == b->block && a->kept == b->kept && a->seed == b->seed;
}

/* The last mask stays: decline, describe and setup of one measurement all ask for it, and some take a second to make.
   NULL: a line in reason. */
static const struct mask *mask_of(const struct run *run, char *reason) {
    static struct mask *last;
    const int64_t *value = run->value;
    int64_t queries = value[PROBLEM_AXIS_SEQ];
    struct mask_recipe recipe = mask_recipe((enum mask_name)value[PROBLEM_AXIS_MASK], queries,
                                            queries + value[PROBLEM_AXIS_PAST]);
    recipe.heads = kv_heads_of(run);
    recipe.window = value[PROBLEM_AXIS_WINDOW];
    recipe.kept = value[PROBLEM_AXIS_KEPT];
    recipe.block = value[PROBLEM_AXIS_BLOCK];
    recipe.seed = run->seed;
    recipe.path = mask_path;
    if (last && same(&last->recipe, &recipe)) return last;
    mask_free(last);
    last = mask_make(&recipe, reason);
    return last;
}

static struct attention_options options_of(const struct run *run) {
    enum problem_option option = (enum problem_option)run->value[PROBLEM_AXIS_OPTION];
    bool all = option == PROBLEM_OPTION_together;
    struct attention_options options = {0};
    if (all || option == PROBLEM_OPTION_soft_cap) options.soft_cap = 50;
    if (all || option == PROBLEM_OPTION_clipped) { /* -alpha / length, of which the paper finds alpha 2 to 4 good */
        options.clip_low = -4 / (float)(run->value[PROBLEM_AXIS_PAST] + run->value[PROBLEM_AXIS_SEQ]);
        options.clip_high = 1.03f;
    }
    options.alibi = all || option == PROBLEM_OPTION_alibi;
    options.sink = all || option == PROBLEM_OPTION_sink;
    options.gate = all || option == PROBLEM_OPTION_gate;
    return options;
}

bool problem_is_by_token(const struct run *run) {
    return strcmp(run->variant->name, "flash_token") == 0;
}

static struct attention_problem problem_of(const struct run *run, struct problem_pass pass, const struct mask *mask) {
    const int64_t *value = run->value;
    int64_t batch = value[PROBLEM_AXIS_TOKENS] / value[PROBLEM_AXIS_SEQ];
    int64_t heads = value[PROBLEM_AXIS_HIDDEN] / value[PROBLEM_AXIS_HEAD_DIM];
    struct attention_problem problem = {.batch = batch > 0 ? batch : 1,
                                        .heads = heads,
                                        .kv_heads = heads / value[PROBLEM_AXIS_GROUP],
                                        .queries = value[PROBLEM_AXIS_SEQ],
                                        .keys = value[PROBLEM_AXIS_PAST] + value[PROBLEM_AXIS_SEQ],
                                        .head_dim = value[PROBLEM_AXIS_HEAD_DIM],
                                        .dtype = bench_dtype(run),
                                        .mask = mask,
                                        .scale_tokens = problem_is_by_token(run) ? 1 : 0,
                                        .threads = run->threads,
                                        .options = options_of(run),
                                        .backward = pass.backward,
                                        .deterministic = pass.deterministic};
    attention_pack(&problem);
    return problem;
}

const char *problem_decline(const struct run *run) {
    const int64_t *value = run->value;
    int64_t hidden = value[PROBLEM_AXIS_HIDDEN], head_dim = value[PROBLEM_AXIS_HEAD_DIM];
    if (hidden % head_dim) return "head_dim does not divide hidden";
    if (hidden / head_dim % value[PROBLEM_AXIS_GROUP]) return "group does not divide hidden / head_dim";
    double seq = (double)value[PROBLEM_AXIS_SEQ], tokens = fmax((double)value[PROBLEM_AXIS_TOKENS], seq);
    if (tokens / seq * (seq + (double)value[PROBLEM_AXIS_PAST]) * (double)hidden > 0x1p56)
        return "more elements than any memory holds";
    return NULL;
}

bool problem_chooses_blocks(const struct run *run) {
    enum mask_name name = (enum mask_name)run->value[PROBLEM_AXIS_MASK];
    return name == MASK_uniform_blocks || name == MASK_variable_blocks || name == MASK_landmark_blocks ||
           name == MASK_hierarchical_blocks || name == MASK_bilevel_routing;
}

/* Presets leave out a window that hides no key, which is causal again, grouped heads at all but one head_dim, and a
   mask file that nobody named. */
bool problem_covers(const struct run *run) {
    const int64_t *value = run->value;
    bool sliding = value[PROBLEM_AXIS_MASK] == MASK_causal_sliding, grouped = value[PROBLEM_AXIS_GROUP] > 1;
    int64_t grouped_head_dim = run->variant->place == PLACE_HOST ? 64 : 128;
    return !(sliding && value[PROBLEM_AXIS_PAST] + value[PROBLEM_AXIS_SEQ] <= MASK_WINDOW + 1) &&
           !(grouped && value[PROBLEM_AXIS_HEAD_DIM] != grouped_head_dim) &&
           (value[PROBLEM_AXIS_MASK] != MASK_file || mask_path);
}

bool problem_has_paper_mask(const struct run *run) {
    int64_t name = run->value[PROBLEM_AXIS_MASK];
    return name == MASK_full || name == MASK_causal || name == MASK_causal_sliding;
}

bool problem_asks_blocks(const struct run *run) {
    bool usual = run->value[PROBLEM_AXIS_KEPT] == 20 && run->value[PROBLEM_AXIS_BLOCK] == 128;
    bool sweep = run->preset == PRESET_FULL || run->value[PROBLEM_AXIS_MASK] == MASK_uniform_blocks;
    return usual || (sweep && problem_chooses_blocks(run));
}

/* Two of the masks that choose blocks have lengths of blocks of their own. */
bool problem_covers_long(const struct run *run) {
    const int64_t *value = run->value;
    bool blocks = problem_chooses_blocks(run), vendor = strcmp(run->variant->backend, "cudnn") == 0;
    bool own = value[PROBLEM_AXIS_MASK] == MASK_bilevel_routing || value[PROBLEM_AXIS_MASK] == MASK_variable_blocks;
    bool once = value[PROBLEM_AXIS_SEQ] == 16 * KIB && value[PROBLEM_AXIS_GROUP] == 1;
    if (vendor && !problem_has_paper_mask(run) && !once) return false;
    if (own && value[PROBLEM_AXIS_BLOCK] != 128) return false;
    int64_t shortest = blocks ? 16 * KIB : KIB, longest = blocks ? 128 * KIB : 48 * KIB;
    return value[PROBLEM_AXIS_HIDDEN] == 8 * KIB && value[PROBLEM_AXIS_TOKENS] == 1 &&
           value[PROBLEM_AXIS_HEAD_DIM] == 128 && bench_dtype(run) == DTYPE_bf16 &&
           value[PROBLEM_AXIS_SEQ] >= shortest && value[PROBLEM_AXIS_SEQ] <= longest &&
           value[PROBLEM_AXIS_OPTION] == PROBLEM_OPTION_none && problem_asks_blocks(run);
}

const char *problem_decline_method(const struct run *run, struct problem_pass pass,
                                   const struct attention_operator *method) {
    static char reason[REASON_SIZE];
    if (pass.backward && !method->backward) return "has no backward pass";
    const struct mask *mask = mask_of(run, reason);
    if (!mask) return reason;
    struct attention_problem problem = problem_of(run, pass, mask);
    return method->decline(&problem);
}

double problem_unmasked_flops(const struct run *run) {
    const int64_t *value = run->value;
    double seq = (double)value[PROBLEM_AXIS_SEQ], tokens = fmax((double)value[PROBLEM_AXIS_TOKENS], seq);
    return 4 * tokens * (seq + (double)value[PROBLEM_AXIS_PAST]) * (double)value[PROBLEM_AXIS_HIDDEN];
}

void problem_describe(const struct run *run, struct problem_pass pass, struct work *work) {
    char reason[REASON_SIZE];
    const struct mask *mask = mask_of(run, reason);
    if (!mask) return;
    struct attention_problem problem = problem_of(run, pass, mask);
    work->bytes = pass.backward ? attention_backward_bytes(&problem) : attention_forward_bytes(&problem);
    work->flops = pass.backward ? attention_backward_flops(&problem) : attention_forward_flops(&problem);
    bench_add_rate(work, METRIC_flop_rate, work->flops, limit_flop_rate(run, problem.dtype));
}

const struct attention_operator *problem_method(const struct run *run, const struct attention_operator *const *table) {
    while (*table && strcmp((*table)->name, run->variant->name) != 0) table++;
    return *table;
}

/* As random_fill, where nothing else is asked for. */
static void fill(const struct run *run, enum dtype dtype, void *data, size_t count, uint64_t stream) {
    enum { CHUNK = 1024 };
    enum problem_inputs inputs = (enum problem_inputs)run->value[PROBLEM_AXIS_INPUTS];
    if (run->zeros || inputs == PROBLEM_INPUTS_normal) {
        random_fill(run, dtype, data, count, stream);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(run->threads)
    for (size_t first = 0; first < count; first += CHUNK) {
        double values[CHUNK];
        size_t length = count - first < CHUNK ? count - first : CHUNK;
        for (size_t i = 0; i < length; i++) values[i] = problem_element(run->seed, stream, first + i, inputs);
        dtype_store_row(dtype, data, first, length, values);
    }
}

static void *operand(struct run *run, size_t count, uint64_t stream) {
    enum dtype dtype = bench_dtype(run);
    void *data = bench_alloc(run, count * dtype_size(dtype));
    if (run->variant->place == PLACE_HOST) fill(run, dtype, data, count, stream);
    return data;
}

/* fp32, of options. */
static const float *numbers(struct run *run, size_t count, uint64_t stream) {
    float *data = bench_alloc(run, count * sizeof(float));
    random_fill(run, DTYPE_fp32, data, count, stream);
    return data;
}

static void *result(struct run *run, size_t bytes, bool timed) {
    void *data = bench_alloc(run, bytes);
    if (timed && run->variant->place == PLACE_HOST) bench_output(run, data, bytes, PLACE_HOST, false);
    return data;
}

/* Room for the scales of an operand in fp8. */
static const float *scales(struct run *run, const struct attention_problem *problem, int64_t heads, int64_t tokens) {
    if (problem->dtype != DTYPE_fp8_e4m3) return NULL;
    return bench_alloc(run, (size_t)(problem->batch * heads * attention_scale_blocks(problem, tokens)) * sizeof(float));
}

void problem_setup(struct run *run, struct problem_pass pass) {
    struct problem *state = bench_alloc(run, sizeof(*state));
    run->state = state;
    char reason[REASON_SIZE] = "";
    state->mask = mask_of(run, reason);
    if (!state->mask) bench_skip(run, "%s", reason);
    state->problem = problem_of(run, pass, state->mask);
    const struct attention_problem *problem = &state->problem;
    size_t query_count = attention_query_count(problem), key_count = attention_key_count(problem);
    size_t size = dtype_size(attention_output_dtype(problem->dtype)), rows = query_count / (size_t)problem->head_dim;
    state->host = (struct attention_buffers){.query = operand(run, query_count, STREAM_QUERY),
                                             .key = operand(run, key_count, STREAM_KEY),
                                             .value = operand(run, key_count, STREAM_VALUE),
                                             .output = result(run, query_count * size, !pass.backward),
                                             .log_sum_exp = result(run, rows * sizeof(float), !pass.backward)};
    state->host.query_scale = scales(run, problem, problem->heads, problem->queries);
    state->host.key_scale = scales(run, problem, problem->kv_heads, problem->keys);
    state->host.value_scale = scales(run, problem, problem->kv_heads, problem->keys);
    if (problem->options.sink) state->host.sink = numbers(run, (size_t)problem->heads, STREAM_SINK);
    if (problem->options.gate) state->host.gate = numbers(run, rows, STREAM_GATE);
    if (!pass.backward) return;
    state->host_gradients = (struct attention_gradients){
        .output_gradient = operand(run, query_count, STREAM_OUTPUT_GRADIENT),
        .query_gradient = result(run, query_count * size, true),
        .key_gradient = result(run, key_count * size, true),
        .value_gradient = result(run, key_count * size, true)};
}

void problem_prepare(struct run *run, const struct attention_operator *method) {
    struct problem *state = run->state;
    char reason[REASON_SIZE] = "";
    state->method = method;
    if (!method->prepare(&state->problem, &state->plan, reason)) bench_skip(run, "%s", reason);
    if (run->variant->place == PLACE_DEVICE) return;
    state->host.workspace = bench_alloc(run, state->plan.workspace);
    state->host_gradients.workspace = bench_alloc(run, state->plan.backward_workspace);
}

void problem_release_plan(struct run *run) {
    struct problem *state = run->state;
    if (state && state->method && state->method->release) state->method->release(&state->plan);
}
