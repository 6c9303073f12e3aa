/* problem.h: softmax attention as the programs measure it: from the axes of a case to a problem, its operands and the
   operator's plan. What prefill and backward share.

   Shapes are given as a model gives them:
     batch     = tokens / seq, at least 1               heads    = hidden / head_dim
     queries   = seq                                    kv_heads = heads / group
     keys      = past + seq                             scale    = 1 / sqrt(head_dim)
   Operands are packed, [batch][head][token][head_dim], seeded N(0,1). */
#ifndef ATTENTION_PROBLEM_H
#define ATTENTION_PROBLEM_H

#include "attention/op/attention.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The first axes of a program are PROBLEM_AXES, in this order; its own follow from PROBLEM_AXIS_COUNT on. */
enum {
    PROBLEM_AXIS_MASK,
    PROBLEM_AXIS_DTYPE,
    PROBLEM_AXIS_SEQ,
    PROBLEM_AXIS_PAST,
    PROBLEM_AXIS_TOKENS,
    PROBLEM_AXIS_HIDDEN,
    PROBLEM_AXIS_HEAD_DIM,
    PROBLEM_AXIS_GROUP,
    PROBLEM_AXIS_COUNT
};
extern const char *const problem_dtype_words[];

#define PROBLEM_AXES                                                                                                   \
    {.name = "mask",                                                                                                   \
     .help = mask_help,                                                                                                \
     .kind = AXIS_WORD,                                                                                                \
     .host = {"full,causal,causal_sliding", "full,causal,causal_sliding", "full,causal,causal_sliding"},                                                                              \
     .device = {"full,causal,causal_sliding", "full,causal", "full,causal,causal_sliding"},                                                                          \
     .words = mask_words},                                                                                             \
        {.name = "dtype",                                                                                              \
         .help = "format of query, key, value and output",                                                             \
         .kind = AXIS_WORD,                                                                                            \
         .host = {"fp32", "fp32", "fp32"},                                                                             \
         .device = {"bf16", "bf16", "bf16,fp16"},                                                                      \
         .words = problem_dtype_words},                                                                                \
        {.name = "seq",                                                                                                \
         .help = "queries of a sequence, and its keys after the past ones",                                            \
         .kind = AXIS_INTEGER,                                                                                         \
         .host = {"256,2k", "256:2k:2", "256:8k:2"},                                                                   \
         .device = {"512,2k", "512:16k:2", "512:16k:2"},                                                               \
         .minimum = 1,                                                                                                 \
         .maximum = 16 * MIB},                                                                                         \
        {.name = "past",                                                                                               \
         .help = "keys before the first query, of a prompt that is read in chunks",                                    \
         .kind = AXIS_INTEGER,                                                                                         \
         .host = {"0", "0", "0"},                                                                                      \
         .minimum = 0,                                                                                                 \
         .maximum = 16 * MIB},                                                                                         \
        {.name = "tokens",                                                                                             \
         .help = "queries in all: batch = tokens / seq, at least 1",                                                   \
         .kind = AXIS_INTEGER,                                                                                         \
         .host = {"512", "2k", "8k"},                                                                                  \
         .device = {"4k", "16k", "16k"},                                                                               \
         .minimum = 1,                                                                                                 \
         .maximum = GIB},                                                                                              \
        {.name = "hidden",                                                                                             \
         .help = "width of the layer: heads = hidden / head_dim",                                                      \
         .kind = AXIS_INTEGER,                                                                                         \
         .host = {"128", "512", "512"},                                                                                \
         .device = {"512", "2k", "2k"},                                                                                \
         .minimum = 1,                                                                                                 \
         .maximum = MIB},                                                                                              \
        {.name = "head_dim",                                                                                           \
         .help = "elements of a query, key or value vector",                                                           \
         .kind = AXIS_INTEGER,                                                                                         \
         .host = {"64", "64", "64,128"},                                                                               \
         .device = {"64,128,256", "64,128,256", "64,128,256"},                                                         \
         .minimum = 1,                                                                                                 \
         .maximum = ATTENTION_HEAD_DIM_MAX},                                                                           \
    {                                                                                                                  \
        .name = "group", .help = "query heads that share a key/value head: kv_heads = heads / group",                  \
        .kind = AXIS_INTEGER, .host = {"1,2", "1,4", "1,4"}, .device = {"1,2", "1,8", "1,8"}, .minimum = 1,            \
        .maximum = MIB                                                                                                 \
    }

/* Streams of the seeded data. */
enum { STREAM_QUERY = 1, STREAM_KEY, STREAM_VALUE, STREAM_OUTPUT_GRADIENT };

/* run->state of a program. Gradients are there if problem.backward is set. */
struct problem {
    struct mask *mask;
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
/* Why the operator does not take the case, or NULL. */
const char *problem_decline_method(const struct run *run, struct problem_pass pass,
                                   const struct attention_operator *method);
double problem_forward_flops(const struct run *run); /* 0: out of memory */
void problem_describe(const struct run *run, struct problem_pass pass, struct work *work);
/* The operator of a table, ended by NULL, that has the variant's name. */
const struct attention_operator *problem_method(const struct run *run, const struct attention_operator *const *table);

/* bench.setup: makes run->state, the mask, and host memory for everything, filled with data for host variants. */
void problem_setup(struct run *run, struct problem_pass pass);
/* variant.setup after the buffers: the plan. */
void problem_prepare(struct run *run, const struct attention_operator *method);
void problem_release_plan(struct run *run); /* variant.release */
void problem_release(struct run *run);      /* bench.release */

/* variant.setup, device: memory and data there, the plan and its workspaces; for backward also forward's results. */
void problem_setup_device(struct run *run, const struct attention_operator *method);
/* variant.fetch, device: operands and results to the host, since the check must see what was timed. */
void problem_fetch(struct run *run);

#ifdef __cplusplus
}
#endif
#endif
