/* problem.h: softmax attention as the programs measure it: from the axes of a case to a problem, its operands and the
   operator's plan. What prefill and backward share.

   Shapes are given as a model gives them:
     batch     = tokens / seq, at least 1               heads    = hidden / head_dim
     queries   = seq                                    kv_heads = heads / group
     keys      = past + seq                             scale    = 1 / sqrt(head_dim)
   Operands are packed, [batch][head][token][head_dim], seeded as the axis inputs says, in fp8 as quantize.h says; sinks
   and gates N(0,1). */
#ifndef ATTENTION_PROBLEM_H
#define ATTENTION_PROBLEM_H

#include "attention/op/attention.h"
#include "bench/random.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The first axes of a program, in this order; its own follow from PROBLEM_AXIS_COUNT on. An entry of the table is the
   fields below and the program's own presets. */
enum {
    PROBLEM_AXIS_MASK,
    PROBLEM_AXIS_DTYPE,
    PROBLEM_AXIS_SEQ,
    PROBLEM_AXIS_PAST,
    PROBLEM_AXIS_TOKENS,
    PROBLEM_AXIS_HIDDEN,
    PROBLEM_AXIS_HEAD_DIM,
    PROBLEM_AXIS_GROUP,
    PROBLEM_AXIS_WINDOW,
    PROBLEM_AXIS_KEPT,
    PROBLEM_AXIS_BLOCK,
    PROBLEM_AXIS_OPTION,
    PROBLEM_AXIS_INPUTS,
    PROBLEM_AXIS_COUNT
};
extern const char *const problem_dtype_words[], *const problem_option_words[], *const problem_input_words[];

/* Words of the axis option. */
enum problem_option {
    PROBLEM_OPTION_none,
    PROBLEM_OPTION_soft_cap,
    PROBLEM_OPTION_alibi,
    PROBLEM_OPTION_sink,
    PROBLEM_OPTION_gate,
    PROBLEM_OPTION_clipped,
    PROBLEM_OPTION_together
};
/* Words of the axis inputs. */
enum problem_inputs { PROBLEM_INPUTS_normal, PROBLEM_INPUTS_outliers, PROBLEM_INPUTS_peaks };

#define PROBLEM_MASK .name = "mask", .help = mask_help, .kind = AXIS_WORD, .words = mask_words
#define PROBLEM_DTYPE                                                                                                  \
    .name = "dtype", .help = "format of query, key and value, and of the output, which is bf16 for fp8",               \
    .kind = AXIS_WORD, .words = problem_dtype_words
#define PROBLEM_SEQ                                                                                                    \
    .name = "seq", .help = "queries of a sequence, and its keys after the past ones", .minimum = 1, .maximum = 16 * MIB
#define PROBLEM_PAST                                                                                                   \
    .name = "past", .help = "keys before the first query, of a prompt that is read in chunks", .maximum = 16 * MIB
#define PROBLEM_TOKENS                                                                                                 \
    .name = "tokens", .help = "queries in all: batch = tokens / seq, at least 1", .minimum = 1, .maximum = GIB
#define PROBLEM_HIDDEN                                                                                                 \
    .name = "hidden", .help = "width of the layer: heads = hidden / head_dim", .minimum = 1, .maximum = MIB
#define PROBLEM_HEAD_DIM                                                                                               \
    .name = "head_dim", .help = "elements of a query, key or value vector", .minimum = 1,                              \
    .maximum = ATTENTION_HEAD_DIM_MAX
#define PROBLEM_GROUP                                                                                                  \
    .name = "group", .help = "query heads that share a key/value head: kv_heads = heads / group", .minimum = 1,        \
    .maximum = MIB
#define PROBLEM_WINDOW                                                                                                 \
    .name = "window", .help = "keys that masks with a window see on a side", .maximum = 16 * MIB
#define PROBLEM_KEPT                                                                                                   \
    .name = "kept", .help = "percent of the blocks that masks which choose blocks keep", .maximum = 100
#define PROBLEM_BLOCK                                                                                                  \
    .name = "block", .help = "tokens of a block, of masks which choose blocks", .minimum = 16, .maximum = 64 * KIB
#define PROBLEM_OPTION                                                                                                 \
    .name = "option",                                                                                                  \
    .help = "none; soft_cap: scores within 50 by tanh; alibi: less by slope times distance; sink: one more score a "   \
            "head; gate: outputs times a sigmoid; clipped: probabilities stretched to -4 / keys .. 1.03 and clipped; " \
            "together: all of them",                                                                                   \
    .kind = AXIS_WORD, .words = problem_option_words
#define PROBLEM_INPUTS                                                                                                 \
    .name = "inputs",                                                                                                  \
    .help = "operands: normal: N(0,1); outliers: N(0,1) + N(0,100) * Bernoulli(0.001), as arXiv 2407.08608 has them; " \
            "peaks: N(0,1), but one in 256 of each 64 elements of keys times 32",                                      \
    .kind = AXIS_WORD, .words = problem_input_words

/* The layers of the presets, which the programs share: those of the FlashAttention papers and, in full, of LongCA. */
#define PROBLEM_SHAPE_AXES                                                                                             \
    {PROBLEM_PAST, .host = {"0", "0", "0"}},                                                                           \
        {PROBLEM_TOKENS, .host = {"512", "2k", "8k"}, .device = {"4k", "16k", "1,16k"}},                               \
        {PROBLEM_HIDDEN, .host = {"128", "512", "512"}, .device = {"512", "2k", "2k,8k"}},                             \
        {PROBLEM_HEAD_DIM, .host = {"64", "64", "64,128"}, .device = {"64,128,256", "64,128,256", "64,128,256"}},      \
        {PROBLEM_GROUP, .host = {"1,2", "1,4", "1,4"}, .device = {"1,2", "1,8", "1,8"}},                               \
    {                                                                                                                  \
        PROBLEM_WINDOW, .host = {"1k", "1k", "1k"}                                                                     \
    }

/* The setting --mask-file, for the mask `file`. */
extern const struct setting problem_settings[];

/* Streams of the seeded data. */
enum { STREAM_QUERY = 1, STREAM_KEY, STREAM_VALUE, STREAM_OUTPUT_GRADIENT, STREAM_SINK, STREAM_GATE };
/* Element `index` of a stream as the axis inputs says, up to the last bit of logarithm and cosine everywhere. */
RANDOM_INLINE double problem_element(uint64_t seed, uint64_t stream, uint64_t index, enum problem_inputs inputs) {
    enum { VECTOR = 64 };
    double value = random_normal(seed, stream, index);
    if (inputs == PROBLEM_INPUTS_outliers && random_uniform(seed, stream + 100, index) < 0.001)
        value += 10 * random_normal(seed, stream + 200, index);
    bool key = inputs == PROBLEM_INPUTS_peaks && stream == STREAM_KEY;
    if (key && random_uniform(seed, stream + 300, index / VECTOR) < 1 / 256.0) value *= 32;
    return value;
}

/* run->state of a program. Gradients are there if problem.backward is set. */
struct problem {
    const struct mask *mask; /* kept for the next measurement that wants the same */
    struct attention_problem problem;
    const struct attention_operator *method;
    struct attention_plan plan;
    struct attention_buffers host;   /* operands of host variants; copies for the check of device variants */
    struct attention_buffers device; /* set and read by device code alone */
    struct attention_gradients host_gradients, device_gradients;
};

/* Which pass a program times, and what backward must be. */
struct problem_pass {
    bool backward, deterministic;
};

/* Callbacks, or parts of callbacks. */
const char *problem_decline(const struct run *run); /* shapes that cannot be */
bool problem_covers(const struct run *run);         /* leaves out what nobody asks of a preset */
/* Is it a case of LongCA-bench's grid (arXiv 2510.17896), given axes of a preset? One sequence, 64 heads; one vendor
   row of a mask that the vendor does not have. */
bool problem_covers_long(const struct run *run);
bool problem_asks_blocks(const struct run *run); /* kept and block are asked of the masks they are about */
bool problem_has_paper_mask(const struct run *run); /* is it one of the FlashAttention papers? */
/* Why the operator does not take the case, or NULL. */
const char *problem_decline_method(const struct run *run, struct problem_pass pass,
                                   const struct attention_operator *method);
double problem_unmasked_flops(const struct run *run); /* of forward without a mask: cheap, for covers */
/* Has each token of fp8 operands a scale of its own? As the variant's name says. */
bool problem_is_by_token(const struct run *run);
/* Is the mask one of block sparsity, which the axes kept and block are about? */
bool problem_chooses_blocks(const struct run *run);
void problem_describe(const struct run *run, struct problem_pass pass, struct work *work);
/* The operator of a table, ended by NULL, that has the variant's name. */
const struct attention_operator *problem_method(const struct run *run, const struct attention_operator *const *table);

/* bench.setup: makes run->state, the mask, and host memory for everything, filled with data for host variants. */
void problem_setup(struct run *run, struct problem_pass pass);
/* For bench.check: three rows more, output_rmse, operand_rmse and output_error of some rows of the output. */
void problem_report_rounding(struct run *run, const struct problem *state);
/* variant.setup after the buffers: the plan. */
void problem_prepare(struct run *run, const struct attention_operator *method);
void problem_release_plan(struct run *run); /* variant.release */

/* variant.setup, device: memory and data there, the plan and its workspaces; for backward also forward's results. */
void problem_setup_device(struct run *run, const struct attention_operator *method);
/* variant.fetch, device: operands and results to the host, since the check must see what was timed. */
void problem_fetch(struct run *run);

/* What all variants of a program share; the callbacks are the program's own, of these names. */
#define PROBLEM_HOST_VARIANT(own_name, own_backend)                                                                    \
    .name = own_name, .backend = own_backend, .place = PLACE_HOST, .decline = decline_host, .setup = setup_host,       \
    .run = run_host, .release = problem_release_plan
#define PROBLEM_DEVICE_VARIANT(own_name, own_backend)                                                                  \
    .name = own_name, .backend = own_backend, .place = PLACE_DEVICE, .decline = decline, .setup = setup,               \
    .run = enqueue, .fetch = problem_fetch, .release = problem_release_plan

#ifdef __cplusplus
}
#endif
#endif
