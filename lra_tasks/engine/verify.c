/* verify.c: see verify.h. Single precision against the double-precision reference. */
#include "lra_tasks/engine/verify.h"

#include <float.h>
#include <stdlib.h>

#include "bench/check.h"
#include "bench/random.h"
#include "lra_tasks/engine/reference.h"

static double worse(double a, double b) { return isnan(a) || a > b ? a : b; } /* fmax would lose a NaN */

static double *widened(const struct trainer *trainer, const real *value) {
    double *copy = malloc((size_t)trainer->parameters.total * sizeof *copy);
    for (int64_t i = 0; copy && i < trainer->parameters.total; i++) copy[i] = (double)value[i];
    return copy;
}

static double training_loss(const struct trainer *trainer, const struct snapshot *snapshot, int64_t identity,
                            const double *parameters) {
    const struct reference_pass pass = {.shape = &trainer->shape, .example = &snapshot->example[identity],
                                        .identity = identity, .training = true, .seed = trainer->seed,
                                        .step = (uint64_t)snapshot->step};
    return reference_loss(&pass, parameters, NULL);
}

double verify_losses(const struct trainer *trainer, const struct snapshot *snapshot) {
    double *parameters = widened(trainer, snapshot->parameter), *error = calloc((size_t)trainer->batch, sizeof *error);
    double worst = parameters && error ? 0 : NAN;
    if (worst == 0) {
#pragma omp parallel for num_threads(trainer->threads) schedule(dynamic)
        for (int64_t i = 0; i < trainer->batch; i++) {
            double reference = training_loss(trainer, snapshot, i, parameters);
            error[i] = fabs((double)trainer->loss[i] - reference) / (1 + reference);
        }
        for (int64_t i = 0; i < trainer->batch; i++) worst = worse(error[i], worst);
    }
    free(parameters);
    free(error);
    return worst;
}

static double shard_loss(const struct trainer *trainer, const struct snapshot *snapshot, int64_t shard,
                         const double *parameters) {
    double sum = 0;
    for (int64_t i = 0; i < SHARD_EXAMPLES; i++) {
        int64_t identity = trainer->order[shard * SHARD_EXAMPLES + i];
        if (identity >= 0) sum += training_loss(trainer, snapshot, identity, parameters) / (double)trainer->batch;
    }
    return sum;
}

static double sign(uint64_t seed, uint64_t stream, int64_t index) {
    return random_bits(seed, stream, (uint64_t)index) >> 63 ? 1 : -1;
}

/* The error along one direction: signs within one part of one layer. parameters are changed and restored. */
static double direction_error(const struct trainer *trainer, const struct snapshot *snapshot, int64_t shard,
                              double whole, int64_t first, int64_t size, uint64_t seed, double *parameters) {
    const double step = 1e-5;
    const real *gradient = trainer->gradient + (1 + shard) * trainer->parameters.total + first;
    double along = 0, squares = 0, loss[2];
    for (int64_t i = 0; i < size; i++) {
        along += (double)gradient[i] * sign(seed, (uint64_t)first, i);
        squares += (double)gradient[i] * (double)gradient[i];
    }
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < size; i++)
            parameters[first + i] = (double)snapshot->parameter[first + i] +
                                    (side ? step : -step) * sign(seed, (uint64_t)first, i);
        loss[side] = shard_loss(trainer, snapshot, shard, parameters);
    }
    for (int64_t i = 0; i < size; i++) parameters[first + i] = (double)snapshot->parameter[first + i];
    return fabs(along - (loss[1] - loss[0]) / (2 * step)) / (sqrt(squares) + 1e-3 * whole);
}

double verify_gradient(const struct trainer *trainer, const struct snapshot *snapshot, int64_t shard, uint64_t seed) {
    const struct parameter_table *table = &trainer->parameters;
    const real *gradient = trainer->gradient + (1 + shard) * table->total;
    const int64_t layers = trainer->shape.layers;
    double squares = 0, worst = 0;
    for (int64_t i = 0; i < table->total; i++) squares += (double)gradient[i] * (double)gradient[i];
#pragma omp parallel num_threads(trainer->threads)
    {
        double *parameters = widened(trainer, snapshot->parameter), mine = parameters ? 0 : NAN;
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < PARAMETER_COUNT * layers; i++) {
            int64_t part = i % PARAMETER_COUNT, layer = i / PARAMETER_COUNT;
            if (!parameters || (layer > 0 && table->stride[part] == 0)) continue;
            mine = worse(direction_error(trainer, snapshot, shard, sqrt(squares),
                                         table->first[part] + layer * table->stride[part], table->size[part], seed,
                                         parameters),
                         mine);
        }
#pragma omp critical
        worst = worse(mine, worst);
        free(parameters);
    }
    return worst;
}

/* AdamW on one value, as the paper has it. */
static double adamw_reference(const struct adamw *adamw, int64_t step, double parameter, double first, double second) {
    double mean = first / (1 - pow(adamw->beta1, (double)step));
    double root = sqrt(second / (1 - pow(adamw->beta2, (double)step)));
    return parameter - adamw->rate * (mean / (root + adamw->epsilon) + adamw->decay * parameter);
}

struct largest {
    double error, reference;
};
static void compare(struct largest *largest, double value, double reference) {
    largest->error = worse(fabs(value - reference), largest->error);
    largest->reference = worse(fabs(reference), largest->reference);
}

double verify_update(const struct trainer *trainer, const struct snapshot *snapshot) {
    const struct adamw *adamw = &trainer->adamw;
    struct largest sum = {0, DBL_MIN}, first = sum, second = sum;
    double worst = 0;
    for (int64_t i = 0; i < trainer->parameters.total; i++) {
        double gradient = (double)trainer->gradient[i], shards = 0;
        for (int64_t shard = 1; shard <= trainer->shards; shard++)
            shards += (double)trainer->gradient[shard * trainer->parameters.total + i];
        compare(&sum, gradient, shards);
        double mean = adamw->beta1 * (double)snapshot->first[i] + (1 - adamw->beta1) * gradient;
        double square = adamw->beta2 * (double)snapshot->second[i] + (1 - adamw->beta2) * gradient * gradient;
        compare(&first, (double)trainer->first[i], mean);
        compare(&second, (double)trainer->second[i], square);
        double value = adamw_reference(adamw, snapshot->step, (double)snapshot->parameter[i], mean, square);
        worst = worse(fabs((double)trainer->parameter[i] - value) / (snapshot->rate + 1e-3 * fabs(value)), worst);
    }
    worst = worse(sum.error / sum.reference, worst);
    worst = worse(first.error / first.reference, worst);
    return worse(second.error / second.reference, worst);
}

double verify_logits(const struct trainer *trainer, const struct snapshot *snapshot, const struct example *example,
                     int64_t count, const real *logits, int64_t samples) {
    const int64_t classes = trainer->shape.classes;
    double *parameters = widened(trainer, snapshot->parameter), worst = 0;
    double *reference = malloc((size_t)(samples * classes) * sizeof *reference);
    int64_t *row = malloc((size_t)samples * sizeof *row);
    if (parameters && reference && row) {
        samples = sample_rows(count, samples, trainer->seed, row);
#pragma omp parallel for num_threads(trainer->threads) schedule(dynamic)
        for (int64_t s = 0; s < samples; s++) {
            const struct reference_pass pass = {.shape = &trainer->shape, .example = &example[row[s]]};
            if (isnan(reference_loss(&pass, parameters, reference + s * classes))) reference[s * classes] = NAN;
        }
        for (int64_t i = 0; i < samples * classes; i++) {
            double logit = (double)logits[row[i / classes] * classes + i % classes];
            worst = worse(fabs(logit - reference[i]) / (1 + fabs(reference[i])), worst);
        }
    } else {
        worst = NAN;
    }
    free(parameters);
    free(reference);
    free(row);
    return worst;
}
