/* trainer.c: shards over threads, their sum, and the update. */
#include "lra_tasks/engine/trainer.h"

#include <omp.h>
#include <stdlib.h>

enum { UPDATE_BLOCK = 2048 }; /* values a thread adds up and updates at a time: they stay in its first cache */

void trainer_create(struct trainer *trainer, void *(*allocate)(void *context, size_t bytes), void *context) {
    const int64_t rows = SHARD_EXAMPLES * trainer->shape.positions;
    trainer->shards = (trainer->batch + SHARD_EXAMPLES - 1) / SHARD_EXAMPLES;
    trainer->parameters = parameter_table(&trainer->shape);
    trainer->activations = activation_table(&trainer->shape, rows, SHARD_EXAMPLES);
    const size_t total = (size_t)trainer->parameters.total;
    trainer->parameter = allocate(context, total * sizeof(real));
    trainer->first = allocate(context, 2 * total * sizeof(real));
    trainer->second = trainer->first + total;
    trainer->gradient = allocate(context, (size_t)(1 + trainer->shards) * total * sizeof(real));
    trainer->loss = allocate(context, (size_t)trainer->batch * sizeof(real));
    trainer->order = allocate(context, (size_t)trainer->shards * SHARD_EXAMPLES * sizeof *trainer->order);
    trainer->worker = allocate(context, (size_t)trainer->threads * sizeof *trainer->worker);
    const size_t threads = (size_t)trainer->threads, activations = (size_t)trainer->activations.total;
    real *activation = allocate(context, threads * activations * sizeof(real));
    uint16_t *token = allocate(context, threads * (size_t)rows * sizeof *token);
    for (size_t t = 0; t < threads; t++) {
        trainer->worker[t].activation = activation + t * activations;
        trainer->worker[t].token = token + t * (size_t)rows;
    }
    model_initialize(&trainer->shape, trainer->parameter, trainer->seed);
    blas_set_threads(1);
}

struct sortable {
    int32_t length, index;
};

static int longer_first(const void *a, const void *b) {
    const struct sortable *left = a, *right = b;
    return left->length != right->length ? right->length - left->length : left->index - right->index;
}

/* Deals the sorted examples forth and back, so that each shard gets long and short ones; the longest shards, which come
   first, are then also started first. */
static void deal(struct trainer *trainer, const struct example *example) {
    struct sortable sorted[BATCH_MAXIMUM];
    for (int32_t i = 0; i < trainer->batch; i++) sorted[i] = (struct sortable){example[i].length, i};
    qsort(sorted, (size_t)trainer->batch, sizeof *sorted, longer_first);
    for (int64_t i = 0; i < trainer->shards * SHARD_EXAMPLES; i++) {
        int64_t round = i / trainer->shards, place = i % trainer->shards;
        int64_t shard = round % 2 ? trainer->shards - 1 - place : place;
        trainer->order[shard * SHARD_EXAMPLES + round] = i < trainer->batch ? sorted[i].index : -1;
    }
}

/* Packs the named examples; labels only where they are wanted. */
static struct model_input pack(struct worker *worker, const struct example *example, const int64_t *index,
                               int64_t count) {
    int64_t examples = 0, rows = 0;
    for (int64_t i = 0; i < count; i++) {
        if (index[i] < 0) continue;
        const struct example *source = &example[index[i]];
        memcpy(worker->token + rows, source->token, (size_t)source->length * sizeof *worker->token);
        worker->start[examples] = rows;
        worker->identity[examples] = index[i];
        worker->label[examples++] = source->label;
        rows += source->length;
    }
    worker->start[examples] = rows;
    return (struct model_input){.packing = {examples, worker->start, worker->identity}, .token = worker->token,
                                .label = worker->label};
}

static void shard_gradient(struct trainer *trainer, struct worker *worker, const struct example *example,
                           int64_t shard, int64_t step) {
    real *gradient = trainer->gradient + (1 + shard) * trainer->parameters.total;
    struct model_input input = pack(worker, example, trainer->order + shard * SHARD_EXAMPLES, SHARD_EXAMPLES);
    input.training = true;
    input.seed = trainer->seed;
    input.step = (uint64_t)step;
    memset(gradient, 0, (size_t)trainer->parameters.total * sizeof *gradient);
    model_forward(&trainer->shape, trainer->parameter, worker->activation, &trainer->activations, &input);
    model_backward(&trainer->shape, trainer->parameter, worker->activation, &trainer->activations, &input,
                   1 / (real)trainer->batch, gradient);
    const real *loss = worker->activation + trainer->activations.first[ACTIVATION_loss];
    for (int64_t e = 0; e < input.packing.examples; e++) trainer->loss[input.packing.identity[e]] = loss[e];
}

void trainer_gradient(struct trainer *trainer, const struct example *example, int64_t step) {
    deal(trainer, example);
#pragma omp parallel for num_threads(trainer->threads) schedule(dynamic)
    for (int64_t shard = 0; shard < trainer->shards; shard++)
        shard_gradient(trainer, &trainer->worker[omp_get_thread_num()], example, shard, step);
}

void trainer_update(struct trainer *trainer, double rate, int64_t step) {
    const int64_t total = trainer->parameters.total;
    trainer->adamw.rate = rate;
#pragma omp parallel for num_threads(trainer->threads)
    for (int64_t first = 0; first < total; first += UPDATE_BLOCK) {
        const int64_t count = total - first < UPDATE_BLOCK ? total - first : UPDATE_BLOCK;
        real *restrict sum = trainer->gradient + first;
        memset(sum, 0, (size_t)count * sizeof *sum);
        for (int64_t shard = 0; shard < trainer->shards; shard++) {
            const real *restrict part = trainer->gradient + (1 + shard) * total + first;
#pragma omp simd
            for (int64_t i = 0; i < count; i++) sum[i] += part[i];
        }
        adamw_update(trainer->parameter + first, trainer->first + first, trainer->second + first, sum, count,
                     &trainer->adamw, step);
    }
}

void trainer_evaluate(struct trainer *trainer, const struct example *example, int64_t count, real *logits) {
    const int64_t classes = trainer->shape.classes;
#pragma omp parallel for num_threads(trainer->threads) schedule(dynamic)
    for (int64_t first = 0; first < count; first += SHARD_EXAMPLES) {
        struct worker *worker = &trainer->worker[omp_get_thread_num()];
        int64_t index[SHARD_EXAMPLES];
        for (int64_t i = 0; i < SHARD_EXAMPLES; i++) index[i] = first + i < count ? first + i : -1;
        struct model_input input = pack(worker, example, index, SHARD_EXAMPLES);
        model_forward(&trainer->shape, trainer->parameter, worker->activation, &trainer->activations, &input);
        memcpy(logits + first * classes, worker->activation + trainer->activations.first[ACTIVATION_logits],
               (size_t)(input.packing.examples * classes) * sizeof *logits);
    }
}

double one_cycle_rate(double peak, int64_t step, int64_t steps) {
    const double start = peak / 25, end = start / 1e4, at = (double)step / (double)steps, rise = 0.2;
    return at < rise ? start + (peak - start) * at / rise : end + (peak - end) * (1 - at) / (1 - rise);
}
