/* limits_host.c: bandwidth by streams over arrays larger than the caches, arithmetic by chains that stay in registers.
   Both take the best of several short passes: what disturbs a pass can only make it slower. */
#include "limits_host.h"

#include <omp.h>
#include <stddef.h>
#include <sys/mman.h>

#include "bench.h"
#include "topology.h"

#if defined __x86_64__
#include <immintrin.h>
#endif

/* Vectors as wide as the target's registers, and as many accumulators as its register file holds beside two factors.
   To keep two units of four clocks latency busy takes 8 chains, four units 16. */
#if defined __AVX512F__
enum { VECTOR_BYTES = 64, CHAINS = 24 };
#elif defined __AVX__
enum { VECTOR_BYTES = 32, CHAINS = 12 };
#elif defined __x86_64__
enum { VECTOR_BYTES = 16, CHAINS = 12 };
#else
enum { VECTOR_BYTES = 16, CHAINS = 24 };
#endif
typedef float vector_fp32 __attribute__((vector_size(VECTOR_BYTES)));
typedef double vector_fp64 __attribute__((vector_size(VECTOR_BYTES)));

/* Runs `turns` multiply-adds on every chain and returns what depends on them all. The values converge to 1. */
#define DEFINE_CHAINS(name, vector, scalar)                                                                            \
    static double name(long turns) {                                                                                   \
        vector chain[CHAINS], factor, addend, sum = {0};                                                               \
        factor = sum + (scalar)0.5;                                                                                    \
        addend = sum + (scalar)0.5;                                                                                    \
        __asm__("" : "+m"(factor), "+m"(addend)); /* not to be folded */                                               \
        for (int i = 0; i < CHAINS; i++)                                                                               \
            chain[i] = sum + (scalar)i;                                                                                \
        for (long turn = 0; turn < turns; turn++) {                                                                    \
            _Pragma("GCC unroll 24") for (int i = 0; i < CHAINS; i++) chain[i] = chain[i] * factor + addend;           \
        }                                                                                                              \
        for (int i = 0; i < CHAINS; i++)                                                                               \
            sum += chain[i];                                                                                           \
        double total = 0;                                                                                              \
        for (size_t i = 0; i < sizeof sum / sizeof sum[0]; i++)                                                        \
            total += (double)sum[i];                                                                                   \
        return total;                                                                                                  \
    }
DEFINE_CHAINS(chains_fp32, vector_fp32, float)
DEFINE_CHAINS(chains_fp64, vector_fp64, double)

static volatile double used; /* results go here, so that they are computed */

static double flop_rate(double (*chains)(long), size_t element, int threads) {
    enum { TURNS = 20000, PASSES = 24 }; /* 20000 turns of 24 chains: 240000 clocks on two units, 0.1 ms at 2.4 GHz */
    double flops = 2.0 * CHAINS * ((double)VECTOR_BYTES / (double)element) * TURNS * threads, best = 0;
    for (int pass = 0; pass < PASSES; pass++) {
        double first = 0, last = 0, sum = 0;
#pragma omp parallel num_threads(threads) reduction(+ : sum)
        {
            sum += chains(TURNS / 4); /* all cores busy and awake before the clock starts */
#pragma omp barrier
#pragma omp master
            first = omp_get_wtime();
            sum += chains(TURNS);
#pragma omp barrier
#pragma omp master
            last = omp_get_wtime();
        }
        used = sum;
        if (last > first && flops / (last - first) > best)
            best = flops / (last - first);
    }
    return best;
}

/* Past the caches, as a copy loop must do that does not want to read what it overwrites. */
static inline void stream_vector(double *to, vector_fp64 vector) {
#if defined __AVX512F__
    _mm512_stream_pd(to, (__m512d)vector);
#elif defined __AVX__
    _mm256_stream_pd(to, (__m256d)vector);
#elif defined __x86_64__
    _mm_stream_pd(to, (__m128d)vector);
#else
    *(vector_fp64 *)to = vector; /* such processors stop reading lines once they see a stream of stores */
#endif
}

static inline vector_fp64 load_vector(const double *from) {
    return *(const vector_fp64 *)from;
}

enum stream { STREAM_READ, STREAM_COPY, STREAM_TRIAD, STREAM_COUNT };
static const int arrays_moved[STREAM_COUNT] = {1, 2, 3};

/* Elements first..end-1, whole steps. */
enum { VECTOR_DOUBLES = VECTOR_BYTES / sizeof(double), SUMS = 8, STEP_BYTES = SUMS * VECTOR_BYTES };
static double stream_part(enum stream stream, double *const array[3], size_t first, size_t end) {
    vector_fp64 sums[SUMS] = {{0}}, sum = {0};
    switch (stream) {
    case STREAM_READ:
        for (size_t i = first; i < end; i += SUMS * VECTOR_DOUBLES)
            for (size_t j = 0; j < SUMS; j++)
                sums[j] += load_vector(array[0] + i + j * VECTOR_DOUBLES);
        break;
    case STREAM_COPY:
        for (size_t i = first; i < end; i += VECTOR_DOUBLES)
            stream_vector(array[1] + i, load_vector(array[0] + i));
        break;
    case STREAM_TRIAD:
        for (size_t i = first; i < end; i += VECTOR_DOUBLES)
            stream_vector(array[2] + i, load_vector(array[0] + i) + 3.0 * load_vector(array[1] + i));
        break;
    case STREAM_COUNT:
        break;
    }
    for (size_t j = 0; j < SUMS; j++)
        sum += sums[j];
    return sum[0] + sum[VECTOR_DOUBLES - 1];
}

/* Seconds of one pass over all parts. A part is a whole number of steps. */
static double stream_pass(enum stream stream, double *const array[3], size_t part, int threads) {
    double sum = 0, start = omp_get_wtime();
#pragma omp parallel num_threads(threads) reduction(+ : sum)
    {
        size_t thread = (size_t)omp_get_thread_num();
        sum += stream_part(stream, array, thread * part, (thread + 1) * part);
    }
    double seconds = omp_get_wtime() - start;
    used = sum;
    return seconds;
}

/* Bytes of one array: four times the last-level caches, as STREAM's rules ask, but no more than memory allows; 0 where
   that would measure the caches. */
static size_t array_bytes(void) {
    size_t caches = topology_last_cache_total(), most = topology_memory_available() / 4 / 3;
    if (caches < 16 * (size_t)MIB)
        caches = 16 * (size_t)MIB;
    size_t bytes = 4 * caches < 4 * (size_t)GIB ? 4 * caches : 4 * (size_t)GIB;
    if (bytes > most)
        bytes = most;
    return bytes >= caches ? bytes : 0;
}

static double bandwidth(int threads) {
    enum { PASSES_MINIMUM = 4 };
    const double budget = 0.15; /* seconds for each stream */
    size_t step = STEP_BYTES * (size_t)threads, bytes = array_bytes() / step * step;
    size_t part = bytes / (size_t)threads / sizeof(double);
    double *array[3], best = 0;
    char *memory = bytes == 0 ? MAP_FAILED
                              : mmap(NULL, 3 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 0;
    madvise(memory, 3 * bytes, MADV_HUGEPAGE);
    for (size_t i = 0; i < 3; i++)
        array[i] = (double *)(memory + i * bytes);
#pragma omp parallel num_threads(threads)
    {
        size_t first = (size_t)omp_get_thread_num() * part;
        for (size_t i = 0; i < 3; i++)
            for (size_t j = first; j < first + part; j++)
                array[i][j] = 1;
    }
    for (int stream = 0; stream < STREAM_COUNT; stream++) {
        double start = omp_get_wtime();
        for (int pass = 0; pass < PASSES_MINIMUM || omp_get_wtime() - start < budget; pass++) {
            double seconds = stream_pass((enum stream)stream, array, part, threads);
            double rate = (double)arrays_moved[stream] * (double)bytes / seconds;
            best = rate > best ? rate : best;
        }
    }
    munmap(memory, 3 * bytes);
    return best;
}

void host_limits_measure(struct host_limits *limits, int threads) {
    if (threads < 1)
        threads = 1;
    limits->fp32 = flop_rate(chains_fp32, sizeof(float), threads);
    limits->fp64 = flop_rate(chains_fp64, sizeof(double), threads);
    limits->bandwidth = bandwidth(threads);
}
