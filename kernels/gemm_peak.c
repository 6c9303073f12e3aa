/* gemm_peak.c: What is the largest rate that a matrix product reaches here, and at which shape?

   C = A B, m x n x k, each a multiple of 128 up to `largest`. The search starts from cubes of an eighth, a quarter and
   half of `largest` and climbs: it tries to multiply and divide each dimension by 2, 1.5 and 1.25, goes where that is
   fastest and stops where nothing is, or when its time is spent. The best few are then timed once more, and the best
   of these is the row: flop_rate (op_rate), with the shape in the reason. Each shape is timed in a short burst, then
   the machine rests as long: this asks what the units can do, not what the power supply lets them do for long, which
   is what gemm's rows show. Published figures of this kind are searches too, over grids of m, n and k (the tool
   mamf-finder): 794.5 TFLOP/s in bf16 on an H100 at 2048 x 2048 x 13312.

   FLOPs 2 m n k of the shape found. Data, formats and check: gemm.c; the check is of the shape found.
   On a device cuBLASLt's first guess and our own kernel, on the host OpenBLAS.

   Limits: a climb finds a good shape, not surely the best; --time-cap gives it more time. Only the time in which calls
   are made counts: a library that loads other code for other shapes takes longer.
   NOTES
   - Without the rests a device that reaches its power limit times the first shapes faster than the last: on an H200 a
     search of three shapes ended with 795 TFLOP/s, and the next one, of a hundred, with 674. */
#include "gemm_peak.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/check.h"
#include "bench/statistics.h"

enum { AXIS_LARGEST, AXIS_DTYPE };
enum { STEP = 128, SHAPES_MAX = 1024, FINALISTS = 3, DIMENSIONS = 3 };

static const char *const dtype_words[] = {"fp64", "fp32", "tf32", "bf16", "fp16", "fp8_e4m3", "int8", NULL};

static const struct axis axes[] = {
    [AXIS_LARGEST] = {.name = "largest", .help = "of m, n and k in the search", .kind = AXIS_INTEGER,
                      .host = {"512", "2k", "8k"}, .device = {"2k", "16k", "16k"}, .minimum = STEP, .maximum = MIB},
    [AXIS_DTYPE] = {.name = "dtype", .help = "format of A and B", .kind = AXIS_WORD, .words = dtype_words,
                    .host = {"fp32", "fp64,fp32", "fp64,fp32"},
                    .device = {"bf16", "bf16,fp8_e4m3", "all"}},
    {0}};

struct gemm_problem gemm_problem_of(const struct run *run) {
    int64_t largest = run->value[AXIS_LARGEST] / STEP * STEP;
    return gemm_problem_sized(largest, largest, largest, bench_dtype(run), false, run->seed, run->zeros);
}

/* Which shape it will be is not known yet: no FLOPs, no bytes, no rate. */
static void describe(const struct run *run, struct work *work) {
    (void)run;
    (void)work;
}

struct shape {
    int64_t size[DIMENSIONS]; /* m, n, k */
    double rate;
};
struct search {
    void (*prepare)(struct run *run), (*call)(struct run *run);
    int64_t largest;
    double spent; /* seconds in calls */
    int count;
    struct shape shape[SHAPES_MAX];
};

static void use(struct run *run, const struct search *search, const struct shape *shape) {
    struct gemm *gemm = run->state;
    struct gemm_problem *problem = &gemm->problem;
    problem->m = shape->size[0];
    problem->n = shape->size[1];
    problem->k = shape->size[2];
    if (gemm->c != NULL) bench_output(run, gemm->c, gemm_output_bytes(problem), PLACE_HOST, false);
    if (search->prepare != NULL) search->prepare(run);
}

/* A burst of calls of the shape in use, then a rest. */
static size_t time_burst(struct run *run, struct search *search, double cap, double **seconds) {
    double start = bench_seconds();
    size_t count = bench_time_call(run, search->call, cap, seconds);
    double took = bench_seconds() - start;
    struct timespec rest = {.tv_sec = (time_t)took, .tv_nsec = (long)((took - floor(took)) * 1e9)};
    search->spent += took;
    nanosleep(&rest, NULL);
    return count;
}

/* Times a shape, once; returns the one in the list, or NULL when the list is full. */
static const struct shape *try_shape(struct run *run, struct search *search, const int64_t *size, double cap) {
    for (int i = 0; i < search->count; i++)
        if (memcmp(search->shape[i].size, size, sizeof search->shape[i].size) == 0) return &search->shape[i];
    if (search->count == SHAPES_MAX) return NULL;
    struct shape *shape = &search->shape[search->count];
    double *seconds;
    memcpy(shape->size, size, sizeof shape->size);
    use(run, search, shape);
    size_t count = time_burst(run, search, cap, &seconds);
    shape->rate = gemm_flops(&((struct gemm *)run->state)->problem) / statistics(seconds, count).median;
    free(seconds);
    search->count++;
    return shape;
}

static int64_t scaled(int64_t size, double factor, int64_t largest) {
    int64_t moved = (int64_t)((double)size * factor / STEP + 0.5) * STEP;
    return moved < STEP ? STEP : moved > largest ? largest : moved;
}

/* From one shape to the best of its neighbours, as long as that is better and less than `until` is spent. */
static void climb(struct run *run, struct search *search, int64_t start, double until, double cap) {
    static const double factors[] = {2, 0.5, 1.5, 1 / 1.5, 1.25, 0.8};
    int64_t cube = scaled(start, 1, search->largest), from[DIMENSIONS] = {cube, cube, cube};
    const struct shape *best = try_shape(run, search, from, cap), *here;
    do {
        here = best;
        for (int d = 0; d < DIMENSIONS && here != NULL; d++) {
            for (size_t f = 0; f < ARRAY_LENGTH(factors) && search->spent < until; f++) {
                int64_t size[DIMENSIONS];
                memcpy(size, here->size, sizeof size);
                size[d] = scaled(size[d], factors[f], search->largest);
                const struct shape *found = try_shape(run, search, size, cap);
                if (found != NULL && found->rate > best->rate) best = found;
            }
        }
    } while (best != here);
}

static int faster_first(const void *left, const void *right) {
    const struct shape *a = left, *b = right;
    return (a->rate < b->rate) - (a->rate > b->rate);
}

/* The best few again; the best of them is reported and left in run->state. */
static void report(struct run *run, struct search *search) {
    struct gemm *gemm = run->state;
    int finalists = search->count < FINALISTS ? search->count : FINALISTS, best = 0;
    double *seconds[FINALISTS], best_rate = 0;
    size_t count[FINALISTS];
    qsort(search->shape, (size_t)search->count, sizeof search->shape[0], faster_first);
    for (int i = 0; i < finalists; i++) {
        use(run, search, &search->shape[i]);
        count[i] = time_burst(run, search, run->budget / 20, &seconds[i]);
        double rate = gemm_flops(&gemm->problem) / statistics(seconds[i], count[i]).median;
        if (rate > best_rate) {
            best_rate = rate;
            best = i;
        }
    }
    use(run, search, &search->shape[best]);
    search->call(run);
    const struct gemm_problem *p = &gemm->problem;
    gemm->entry_count = (int)sample_rows(p->m * p->n, GEMM_ENTRIES, run->seed, gemm->entry);
    enum metric metric = dtype_is_integer(p->dtype) ? METRIC_op_rate : METRIC_flop_rate;
    bench_report_samples(run, metric, gemm_flops(p), seconds[best], count[best], limit_flop_rate(run, p->dtype));
    bench_note(run, "at %lld x %lld x %lld (m x n x k), the best of %d shapes", (long long)p->m, (long long)p->n,
               (long long)p->k, search->count);
    for (int i = 0; i < finalists; i++) free(seconds[i]);
}

void gemm_peak_search(struct run *run, void (*prepare)(struct run *run), void (*call)(struct run *run)) {
    struct search *search = bench_alloc(run, sizeof *search);
    search->prepare = prepare;
    search->call = call;
    search->largest = ((struct gemm *)run->state)->problem.m;
    for (int part = 0; part < 3; part++) /* each may use what the ones before left of their share */
        climb(run, search, search->largest >> (3 - part), run->budget * (part + 1) / 3, run->budget / 200);
    report(run, search);
}

static void measure_openblas(struct run *run) {
    gemm_peak_search(run, NULL, gemm_run_openblas);
}

static const struct variant variants[] = {{.name = "openblas", .backend = "openblas", .place = PLACE_HOST,
                                           .decline = gemm_declines_openblas, .setup = gemm_setup_openblas,
                                           .measure = measure_openblas},
                                          {0}};

const struct bench bench = {.suite = "kernels", .name = "gemm_peak",
                            .question = "What is the largest rate of a matrix product here, and at which shape?",
                            .axes = axes, .variants = variants, .describe = describe, .setup = gemm_setup,
                            .check = gemm_check};
