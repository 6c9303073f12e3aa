/* verify.h: what a run of the trainer left behind, held against the reference. Each function returns the largest error
   it met, relative as said, so that 0 is exact; NaN is an error too. */
#ifndef LRA_TASKS_VERIFY_H
#define LRA_TASKS_VERIFY_H

#include "lra_tasks/engine/trainer.h"

/* The state before a step, and that step: trainer_gradient and trainer_update, after which the trainer is verified. */
struct snapshot {
    const real *parameter, *first, *second; /* [parameters.total] */
    const struct example *example;          /* [batch] */
    int64_t step;
    double rate;
};

/* Every loss of the batch, recomputed: |loss - reference| / (1 + reference). */
double verify_losses(const struct trainer *trainer, const struct snapshot *snapshot);

/* The gradient that one shard left: for each part of the parameters, a direction v of random signs and the central
   difference of the reference along it. |g v - difference| / |g| estimates, for random signs, the relative error
   |g - reference gradient| / |g| of that part. A thousandth of the whole gradient is added to the divisor, so that a
   part with hardly a gradient does not divide rounding by rounding. */
double verify_gradient(const struct trainer *trainer, const struct snapshot *snapshot, int64_t shard, uint64_t seed);

/* The sum over the shards and AdamW, recomputed for every parameter. Gradient and moments: |value - reference| over the
   largest reference of their kind. Parameters: over the rate, which is about the size of an update, plus a thousandth
   of the parameter, which leaves room for its rounding. */
double verify_update(const struct trainer *trainer, const struct snapshot *snapshot);

/* Logits of `samples` of the `count` examples, without dropout, by the parameters of the snapshot:
   |logit - reference| / (1 + |reference|). */
double verify_logits(const struct trainer *trainer, const struct snapshot *snapshot, const struct example *example,
                     int64_t count, const real *logits, int64_t samples);

#endif
