/* trainer.h: a training step on the CPU: batch in, gradient, AdamW.

   The examples of a batch are sorted by length and dealt to shards of about equal size. A thread takes a shard at a
   time, computes forward and backward with single-threaded BLAS, and leaves the gradient in the shard's own array; then
   the arrays are added in the order of the shards. Every number is therefore the same for any number of threads. */
#ifndef LRA_TASKS_TRAINER_H
#define LRA_TASKS_TRAINER_H

#include "lra_tasks/engine/model.h"

enum { SHARD_EXAMPLES = 2, BATCH_MAXIMUM = 4096 };

struct worker {
    real *activation; /* [activations.total] */
    uint16_t *token;  /* [SHARD_EXAMPLES, positions] */
    int64_t start[SHARD_EXAMPLES + 1], identity[SHARD_EXAMPLES];
    uint8_t label[SHARD_EXAMPLES];
};

struct trainer {
    struct model_shape shape;
    struct adamw adamw; /* rate is set for each step */
    int64_t batch, shards;
    int threads;
    uint64_t seed;
    struct parameter_table parameters;
    struct activation_table activations;
    real *parameter, *first, *second; /* [parameters.total] each; first and second are AdamW's moments */
    real *gradient;                   /* [1 + shards, parameters.total]: the sum, then each shard's */
    real *loss;                       /* [batch], of the last trainer_gradient */
    int64_t *order;                   /* [shards, SHARD_EXAMPLES]: indices into the batch, -1: none */
    struct worker *worker;            /* [threads] */
};

/* Takes memory from `allocate`, which returns zeroed bytes or does not return, and initializes the parameters by the
   seed. shape, adamw, batch (up to BATCH_MAXIMUM), threads and seed are set by the caller. */
void trainer_create(struct trainer *trainer, void *(*allocate)(void *context, size_t bytes), void *context);

/* Gradient of the mean loss over example[batch], into trainer->gradient. step selects the dropout. */
void trainer_gradient(struct trainer *trainer, const struct example *example, int64_t step);
/* Adds up the shards' gradients and applies AdamW at the rate; step counts from 1. */
void trainer_update(struct trainer *trainer, double rate, int64_t step);
/* logits [count, classes] without dropout. */
void trainer_evaluate(struct trainer *trainer, const struct example *example, int64_t count, real *logits);

/* The linear one-cycle schedule: from peak / 25 up to peak over the first fifth of the steps, then down to
   peak / 250000. step is 1 .. steps. */
double one_cycle_rate(double peak, int64_t step, int64_t steps);

#endif
