/* problem.c: problems from the axes of a case, on the host. See problem.h. */
#include "problem.h"

#include <math.h>
#include <string.h>

#include "bench/random.h"

const char *const problem_dtype_words[] = {"fp32", "bf16", "fp16", NULL};

static struct mask *mask_of(const struct run *run) {
    int64_t queries = run->value[PROBLEM_AXIS_SEQ], keys = queries + run->value[PROBLEM_AXIS_PAST];
    return mask_new((enum mask_name)run->value[PROBLEM_AXIS_MASK], queries, keys, MASK_WINDOW);
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
                                        .threads = run->threads,
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

/* Presets leave out a window that hides no key, which is causal again, and grouped heads at all but one head_dim. */
bool problem_covers(const struct run *run) {
    const int64_t *value = run->value;
    bool sliding = value[PROBLEM_AXIS_MASK] == MASK_causal_sliding, grouped = value[PROBLEM_AXIS_GROUP] > 1;
    int64_t grouped_head_dim = run->variant->place == PLACE_HOST ? 64 : 128;
    return !(sliding && value[PROBLEM_AXIS_PAST] + value[PROBLEM_AXIS_SEQ] <= MASK_WINDOW + 1) &&
           !(grouped && value[PROBLEM_AXIS_HEAD_DIM] != grouped_head_dim);
}

const char *problem_decline_method(const struct run *run, struct problem_pass pass,
                                   const struct attention_operator *method) {
    if (pass.backward && !method->backward) return "has no backward pass";
    struct mask *mask = mask_of(run);
    if (!mask) return "out of host memory";
    struct attention_problem problem = problem_of(run, pass, mask);
    const char *reason = method->decline(&problem);
    mask_free(mask);
    return reason;
}

double problem_forward_flops(const struct run *run) {
    struct mask *mask = mask_of(run);
    if (!mask) return 0;
    struct attention_problem problem = problem_of(run, (struct problem_pass){false, false}, mask);
    double flops = attention_forward_flops(&problem);
    mask_free(mask);
    return flops;
}

void problem_describe(const struct run *run, struct problem_pass pass, struct work *work) {
    struct mask *mask = mask_of(run);
    if (!mask) return;
    struct attention_problem problem = problem_of(run, pass, mask);
    work->bytes = pass.backward ? attention_backward_bytes(&problem) : attention_forward_bytes(&problem);
    work->flops = pass.backward ? attention_backward_flops(&problem) : attention_forward_flops(&problem);
    bench_add_rate(work, METRIC_flop_rate, work->flops, limit_flop_rate(run, problem.dtype));
    mask_free(mask);
}

const struct attention_operator *problem_method(const struct run *run, const struct attention_operator *const *table) {
    while (*table && strcmp((*table)->name, run->variant->name) != 0) table++;
    return *table;
}

static void *operand(struct run *run, size_t count, uint64_t stream) {
    enum dtype dtype = bench_dtype(run);
    void *data = bench_alloc(run, count * dtype_size(dtype));
    if (run->variant->place == PLACE_HOST) random_fill(run, dtype, data, count, stream);
    return data;
}

static void *result(struct run *run, size_t bytes, bool timed) {
    void *data = bench_alloc(run, bytes);
    if (timed && run->variant->place == PLACE_HOST) bench_output(run, data, bytes, PLACE_HOST, false);
    return data;
}

void problem_setup(struct run *run, struct problem_pass pass) {
    struct problem *state = bench_alloc(run, sizeof(*state));
    run->state = state;
    state->mask = mask_of(run);
    BENCH_CHECK(run, state->mask);
    state->problem = problem_of(run, pass, state->mask);
    const struct attention_problem *problem = &state->problem;
    size_t query_count = attention_query_count(problem), key_count = attention_key_count(problem);
    size_t size = dtype_size(problem->dtype), rows = query_count / (size_t)problem->head_dim;
    state->host = (struct attention_buffers){.query = operand(run, query_count, STREAM_QUERY),
                                             .key = operand(run, key_count, STREAM_KEY),
                                             .value = operand(run, key_count, STREAM_VALUE),
                                             .output = result(run, query_count * size, !pass.backward),
                                             .log_sum_exp = result(run, rows * sizeof(float), !pass.backward)};
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

void problem_release(struct run *run) {
    struct problem *state = run->state;
    if (state) mask_free(state->mask);
}
