/* model_table.c: where everything lies, what the parameters start from, and what a pass costs. */
#include "lra_tasks/engine/model.h"

#include "bench/random.h"

enum { LAYERS_MAXIMUM = 1 << 16, ALIGNMENT = 16 };

const char *const parameter_names[PARAMETER_COUNT] = {
#define PARAMETER(identifier, layered, rows, columns, initial) #identifier,
#include "lra_tasks/engine/parameters.def"
#undef PARAMETER
};

/* Parts start at multiples of 16 values, a cache line in single precision. */
static int64_t carve(int64_t *first, int64_t *stride, int64_t *size, int64_t total, int64_t values, int64_t copies) {
    int64_t aligned = (values + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *first = total;
    *stride = copies > 1 ? aligned : 0;
    *size = values;
    return total + copies * aligned;
}

struct parameter_table parameter_table(const struct model_shape *shape) {
    struct parameter_table table = {.total = 0};
#define PARAMETER(identifier, layered, rows, columns, initial)                                                         \
    table.total = carve(&table.first[PARAMETER_##identifier], &table.stride[PARAMETER_##identifier],                   \
                        &table.size[PARAMETER_##identifier], table.total, (rows) * (columns),                          \
                        layered ? shape->layers : 1);
#include "lra_tasks/engine/parameters.def"
#undef PARAMETER
    return table;
}

struct activation_table activation_table(const struct model_shape *shape, int64_t rows, int64_t examples) {
    struct activation_table table = {.total = 0};
#define ACTIVATION(identifier, layered, values)                                                                        \
    table.total = carve(&table.first[ACTIVATION_##identifier], &table.stride[ACTIVATION_##identifier],                 \
                        &table.size[ACTIVATION_##identifier], table.total, values, layered ? shape->layers : 1);
#include "lra_tasks/engine/activations.def"
#undef ACTIVATION
    return table;
}

enum initial { NORMAL, UNIFORM, ONE, ZERO };

static void initialize(real *value, int64_t rows, int64_t columns, enum initial initial, uint64_t seed,
                       uint64_t stream) {
    const double bound = 1 / sqrt((double)rows);
    for (int64_t i = 0; i < rows * columns; i++)
        switch (initial) {
        case NORMAL: value[i] = (real)(0.02 * random_normal(seed, stream, (uint64_t)i)); break;
        case UNIFORM: value[i] = (real)(bound * (2 * random_uniform(seed, stream, (uint64_t)i) - 1)); break;
        case ONE: value[i] = 1; break;
        case ZERO: value[i] = 0; break;
        }
}

void model_initialize(const struct model_shape *shape, real *parameters, uint64_t seed) {
    const struct parameter_table table = parameter_table(shape);
#define PARAMETER(identifier, layered, rows, columns, initial)                                                         \
    for (int64_t layer = 0; layer < (layered ? shape->layers : 1); layer++)                                            \
        initialize(parameters + table.first[PARAMETER_##identifier] + layer * table.stride[PARAMETER_##identifier],    \
                   rows, columns, initial, seed, (uint64_t)(layer * PARAMETER_COUNT + PARAMETER_##identifier));
#include "lra_tasks/engine/parameters.def"
#undef PARAMETER
}

struct dropout model_dropout(const struct model_shape *shape, const struct model_input *input, int64_t layer,
                             enum dropout_site site) {
    return (struct dropout){.probability = input->training ? shape->dropout : 0,
                            .seed = input->seed,
                            .stream = (input->step * LAYERS_MAXIMUM + (uint64_t)layer) * SITE_COUNT + site};
}

double model_flops(const struct model_shape *shape, int64_t length, bool training) {
    const double width = (double)shape->width, mlp = (double)shape->mlp;
    const struct attention_shape attention = {shape->heads, shape->width / shape->heads};
    double of_token = 2 * (4 * width * width + 2 * width * mlp), of_head = 2 * (width + (double)shape->classes) * mlp;
    double dense = (double)shape->layers * (double)length * of_token + of_head;
    return (training ? 3 : 1) * dense + (double)shape->layers * shape->attention->flops(length, attention, training);
}
