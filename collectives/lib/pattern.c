/* pattern.c: ranges of the exactly predictable data, and filling and comparing it on the host. */
#include "collectives/lib/pattern.h"

enum { RANGE_BITS = 30, PRODUCT_DOUBLINGS = 6 };

const char *const operation_names[OPERATION_MOVE + 1] = {
    [OPERATION_SUM] = "sum", [OPERATION_PROD] = "prod", [OPERATION_MIN] = "min",
    [OPERATION_MAX] = "max", [OPERATION_AVG] = "avg",   [OPERATION_MOVE] = NULL,
};

/* The largest L such that the format holds every whole number from 0 to L. */
static int64_t largest_whole(enum dtype dtype) {
    if (dtype == DTYPE_uint8) return UINT8_MAX;
    if (dtype_is_integer(dtype)) return (INT64_C(1) << (8 * dtype_size(dtype) - 1)) - 1;
    return (int64_t)(2 / dtype_epsilon(dtype));
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* 1/n is a power of two that fp8_e4m3, the format with the least exponents, still holds beside its whole numbers. */
static bool average_is_exact(enum dtype dtype, int ranks) {
    return dtype_is_integer(dtype) || ((ranks & (ranks - 1)) == 0 && ranks <= 256);
}

struct pattern pattern_make(const struct run *run, enum dtype dtype, enum operation operation, int ranks) {
    struct pattern pattern = {.seed = run->seed, .dtype = dtype, .operation = operation, .ranks = ranks,
                              .zeros = run->zeros, .stride = 1};
    int64_t largest = largest_whole(dtype), range = largest, terms = 1;
    if (operation == OPERATION_SUM || operation == OPERATION_AVG) {
        pattern.stride = (int)divide_up(ranks, largest);
        terms = divide_up(ranks, pattern.stride);
        range = largest / terms;
    } else if (operation == OPERATION_PROD) {
        pattern.stride = (int)divide_up(ranks, PRODUCT_DOUBLINGS);
        range = 2;
    }
    range = smaller(range, (INT64_C(1) << RANGE_BITS) - 1); /* the span stays below 2^31 */
    bool negative = dtype != DTYPE_uint8 && !(operation == OPERATION_AVG && dtype_is_integer(dtype));
    pattern.lowest = negative ? -range : 0;
    pattern.span = (uint64_t)(range - pattern.lowest + 1);

    pattern.scale = operation == OPERATION_SUM    ? (double)(range * terms)
                    : operation == OPERATION_PROD ? (double)(1 << smaller(ranks, PRODUCT_DOUBLINGS))
                                                  : (double)range;
    /* A rounded 1/n and a rounded product each cost half an epsilon of the sum of magnitudes, which is at most the
       scale; each of n - 1 additions costs another half of the scale. */
    if (operation == OPERATION_AVG && !average_is_exact(dtype, ranks))
        pattern.tolerance = (ranks + 1) * dtype_epsilon(dtype) / 2;
    return pattern;
}

void pattern_fill(const struct pattern *pattern, int rank, void *array, size_t count, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t i = 0; i < count; i++) dtype_store(pattern->dtype, array, i, pattern_value(pattern, rank, i));
}

double pattern_error(const struct pattern *pattern, const struct origin *origin, const void *array, size_t count,
                     int threads) {
    double largest = 0;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(max : largest)
    for (size_t j = 0; j < count; j++) {
        double difference = fabs(dtype_load(pattern->dtype, array, j) - pattern_expected(pattern, origin, j));
        if (isnan(difference)) difference = INFINITY;
        if (difference > largest) largest = difference;
    }
    return largest / pattern->scale;
}
