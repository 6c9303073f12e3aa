/* memory_latency: how long does one dependent access take, in every level of the memory?

   Every node (one a line: `stride` is 64 bytes on the host, 128 on a device) holds the address of the next, along a
   random tour of all nodes, so that neither a prefetcher nor a second access in flight can help: the time of a step is
   the latency of the level that holds `bytes`. After lat_mem_rd (McVoy and Staelin, lmbench, 1996) and, on GPUs, the
   pointer chases of arXiv 2402.13499 and 2501.12084. Figures: ns, and clocks of the unit that waits (host: ns times
   the clock found by dependent additions right after; GPU: clock64 in the kernel). Bytes and FLOPs: none. Limit: of the
   clocks of a host's first two caches what is published of them (AMD's by the vendor, Intel's by others who measured),
   where lib/documented_latency.c has it.
   `pages`: 4 KiB or 2 MiB pages, asked for by madvise and verified; what a TLB miss adds is their difference.

   chase         one thread, alone
   chase_loaded  the same while all other cores read memory as fast as they can; bandwidth is what they got. In ns
                 alone: threads of one core share what clocks are counted by
   chase_remote  the same in the memory of another NUMA node

   Check: after all samples the walk must stand at the node where the tour, in closed form, is after that many steps.

   NOTES
   - The usual way to draw a cycle (Sattolo's shuffle) needs a table as long as the nodes and takes minutes for 16 GiB
     on one core. A keyed one-to-one mixing of the step number gives a random tour too, each node of it computed apart:
     by all threads, on the device, and again by the check.
   - Against what is published: an EPYC of family 26 shows 4.00 clocks in L1 and 14.0 in L2, a Xeon of family 6 model
     207 5.03 and 16.1, where 4, 14, 5 and 16 are said. With small pages L2 is walked up to 64 of them: at 512 KiB a
     first-level TLB of 96 already adds 2 clocks.
   - Samples of the host are shorter than the turns that the system gives to those who share a core: most see none of
     the others, and the median none at all. Samples of 4 ms on a busy machine showed 8 and 28 clocks for 4 and 14. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <omp.h>

#include "bench/counters.h"
#include "bench/topology.h"
#include "kernels/lib/documented_latency.h"
#include "kernels/lib/own_samples.h"
#include "kernels/memory_latency.h"

enum { LOAD_LEAST = 256 << 20, MPOL_BIND = 2, MPOL_F_NODE_OF_ADDRESS = 3 }; /* as in linux/mempolicy.h */
enum { WARM_STEPS = 64 * UNROLL, HUGE_PAGE = 2 << 20, PAGES_HELD = 64 }; /* at least, by a first-level TLB */

/* A lap, after which every level holds what it can, or as far as the time goes. Returns seconds a step, of the last. */
static double warm_up(struct run *run, latency_sample *sample) {
    struct latency_state *state = run->state;
    double start = bench_seconds(), clocks, last;
    uint64_t walked = 0;
    do {
        last = sample(run, WARM_STEPS, &clocks);
        walked += WARM_STEPS;
    } while (walked < state->tour.count + WARM_STEPS && bench_seconds() - start < 0.3 * run->budget);
    state->position = walked % state->tour.count;
    return last / WARM_STEPS;
}

void latency_measure(struct run *run, latency_sample *sample) {
    static double seconds[OWN_SAMPLES_MOST], clocks[OWN_SAMPLES_MOST];
    static const double long_seconds[PRESET_COUNT] = {1e-3, 4e-3, 10e-3};
    struct latency_state *state = run->state;
    double step = fmax(warm_up(run, sample), 1e-12);
    bool alone = run->variant->place == PLACE_HOST && !state->loaded;
    double sample_seconds = alone ? 3e-4 : long_seconds[run->preset];
    int64_t steps = ((int64_t)(sample_seconds / step) / UNROLL + 1) * UNROLL;
    double start = bench_seconds();
    size_t count = 0;
    do {
        seconds[count] = sample(run, steps, &clocks[count]);
        state->position = (state->position + (uint64_t)steps) % state->tour.count;
        count++;
    } while (!own_samples_enough(run, seconds, count, start));
    struct limit none = {0, NULL};
    bench_report_samples(run, METRIC_latency, (double)steps, seconds, count, none);
    if (state->loaded) return;
    double all = statistics(clocks, count).median;
    bench_report_plain(run, METRIC_latency_clocks, all / (double)steps, state->documented);
}

static void **walk(void **node, int64_t steps) {
#define STEP node = (void **)*node;
#define STEPS_8 STEP STEP STEP STEP STEP STEP STEP STEP
    _Static_assert(UNROLL == 64, "a round of the loop is 64 steps");
    for (int64_t i = 0; i < steps; i += UNROLL) {
        STEPS_8 STEPS_8 STEPS_8 STEPS_8 STEPS_8 STEPS_8 STEPS_8 STEPS_8
    }
#undef STEP
#undef STEPS_8
    return node;
}

static double sample_host(struct run *run, int64_t steps, double *clocks) {
    struct latency_state *state = run->state;
    double start = bench_seconds();
    state->cursor = walk(state->cursor, steps);
    __asm__ volatile("" ::"r"(state->cursor) : "memory"); /* the walk ends before the clock is read */
    double seconds = bench_seconds() - start;
    *clocks = state->loaded ? 0 : seconds * counters_clock(); /* at once: turbo wanders from sample to sample */
    return seconds;
}

static void measure_host(struct run *run) {
    struct latency_state *state = run->state;
    latency_measure(run, sample_host);
    *state->end_output = (uint64_t)((char *)state->cursor - state->nodes) / state->stride;
}

/* One stretch of what the other cores read. */
static uint64_t read_stretch(const uint64_t *words, size_t count) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += words[i];
    return sum;
}

/* Thread 0 walks, the others read until it has finished. */
static void measure_loaded(struct run *run) {
    struct latency_state *state = run->state;
    size_t caches = 4 * topology_last_cache_total(), load_bytes = caches > LOAD_LEAST ? caches : LOAD_LEAST;
    const size_t words = load_bytes / sizeof(uint64_t), stretch = 65536;
    uint64_t *load = bench_alloc(run, load_bytes), sum = 0;
    double bytes = 0, start = 0;
    bool over = false;
    state->loaded = true;
#pragma omp parallel num_threads(run->threads) reduction(+ : bytes, sum)
    {
        size_t others = (size_t)run->threads - 1, self = (size_t)omp_get_thread_num();
        if (self == 0) {
            start = bench_seconds();
            latency_measure(run, sample_host);
            __atomic_store_n(&over, true, __ATOMIC_RELEASE);
        } else {
            size_t first = words / others * (self - 1), at = 0, own = words / others / stretch * stretch;
            while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
                sum += read_stretch(load + first + at, stretch);
                bytes += (double)(stretch * sizeof *load);
                at = at + stretch < own ? at + stretch : 0;
            }
        }
    }
    double seconds = bench_seconds() - start;
    BENCH_CHECK(run, sum == 0); /* the memory is zero; without the sum nothing need be read */
    bench_report_samples(run, METRIC_bandwidth, bytes, &seconds, 1, limit_memory_bandwidth(run));
    *state->end_output = (uint64_t)((char *)state->cursor - state->nodes) / state->stride;
}

static void fetch_host(struct run *run) {
    struct latency_state *state = run->state;
    state->end = *state->end_output;
}

/* Bytes of huge pages under the mapping that holds `address`, from /proc/self/smaps; -1: not told. */
static int64_t huge_page_bytes(const void *address) {
    char line[256];
    int64_t kib = -1;
    bool here = false;
    FILE *smaps = fopen("/proc/self/smaps", "r");
    if (smaps == NULL) return -1;
    while (kib < 0 && fgets(line, sizeof line, smaps) != NULL) {
        unsigned long long from, to, amount;
        if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
            here = from <= (uintptr_t)address && (uintptr_t)address < to;
        else if (here && sscanf(line, "AnonHugePages: %llu kB", &amount) == 1)
            kib = (int64_t)amount;
    }
    fclose(smaps);
    return kib < 0 ? -1 : kib * KIB;
}

/* Binds memory that nobody has touched yet to a NUMA node other than that of this thread. */
static void bind_far(struct run *run, void *address, size_t bytes) {
    unsigned cpu, node;
    BENCH_CHECK(run, syscall(SYS_getcpu, &cpu, &node, NULL) == 0);
    unsigned far = (node + 1) % (unsigned)topology_numa_nodes();
    unsigned long mask = 1ul << far;
    if (far >= 8 * sizeof mask || syscall(SYS_mbind, address, bytes, MPOL_BIND, &mask, 8 * sizeof mask, 0) != 0)
        bench_skip(run, "mbind to NUMA node %u: %m", far);
    memset(address, 0, 1);
    int got = -1;
    if (syscall(SYS_get_mempolicy, &got, NULL, 0, address, MPOL_F_NODE_OF_ADDRESS) == 0 && got != (int)far)
        bench_skip(run, "the memory came to NUMA node %d, not %u", got, far);
}

/* Memory in pages of the size asked for, touched by this thread, near it. It lies between pages without access, so that
   the kernel cannot join it to a neighbour and count that one's huge pages too. */
static void map_pages(struct run *run, struct latency_state *state, size_t bytes, bool remote) {
    size_t rounded = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE, available = topology_memory_available();
    bool huge = run->value[AXIS_PAGES] == PAGES_2M;
    if (rounded > available - available / 16)
        bench_skip(run, "needs %.3g GiB of memory, %.3g GiB available", (double)rounded / (double)GIB,
                   (double)available / (double)GIB);
    state->mapping_bytes = rounded + 2 * HUGE_PAGE;
    char *mapping = mmap(NULL, state->mapping_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) bench_skip(run, "mmap of %.3g GiB: %m", (double)rounded / (double)GIB);
    state->mapping = mapping;
    state->nodes = (char *)((uintptr_t)mapping / HUGE_PAGE * HUGE_PAGE + HUGE_PAGE);
    BENCH_CHECK(run, mprotect(state->nodes, rounded, PROT_READ | PROT_WRITE) == 0);
    if (madvise(state->nodes, rounded, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) != 0 && huge)
        bench_skip(run, "madvise(MADV_HUGEPAGE): %m");
    if (remote) bind_far(run, state->nodes, rounded);
    memset(state->nodes, 0, rounded);
    int64_t got = huge_page_bytes(state->nodes);
    if (huge && got < (int64_t)rounded)
        bench_skip(run, "the kernel gave %.4g of %.4g MiB in huge pages", (double)got / (double)MIB,
                   (double)rounded / (double)MIB);
}

/* Every thread links a stretch of the tour. */
static void link_nodes(const struct run *run, struct latency_state *state) {
    const struct tour *tour = &state->tour;
    const uint64_t stretch = 4096;
#pragma omp parallel for schedule(static) num_threads(run->threads)
    for (uint64_t from = 0; from < tour->count; from += stretch) {
        uint64_t to = from + stretch < tour->count ? from + stretch : tour->count;
        char *node = state->nodes + node_at(tour, from) * state->stride;
        for (uint64_t step = from; step < to; step++) {
            char *next = state->nodes + node_at(tour, step + 1 < tour->count ? step + 1 : 0) * state->stride;
            *(void **)node = next;
            node = next;
        }
    }
}

static void setup_chase(struct run *run, bool remote) {
    struct latency_state *state = run->state;
    state->end_output = bench_alloc(run, sizeof *state->end_output);
    bench_output(run, state->end_output, sizeof *state->end_output, PLACE_HOST, false);
    map_pages(run, state, (size_t)run->value[AXIS_BYTES], remote);
    link_nodes(run, state);
    int64_t reach = run->value[AXIS_PAGES] == PAGES_2M ? INT64_MAX : PAGES_HELD * 4096;
    if (!remote && run->value[AXIS_BYTES] <= reach)
        state->documented = documented_latency((size_t)run->value[AXIS_BYTES]);
    state->cursor = (void **)(state->nodes + node_at(&state->tour, 0) * state->stride);
}

static void setup_host(struct run *run) {
    setup_chase(run, false);
}

static void setup_remote(struct run *run) {
    setup_chase(run, true);
}

static void release_host(struct run *run) {
    struct latency_state *state = run->state;
    if (state != NULL && state->mapping != NULL) munmap(state->mapping, state->mapping_bytes);
}

static const char *decline(const struct run *run) {
    int64_t bytes = run->value[AXIS_BYTES], stride = run->value[AXIS_STRIDE];
    if (stride % (int64_t)sizeof(void *) != 0) return "the stride is no multiple of an address's 8 bytes";
    return bytes < 2 * stride || bytes % stride != 0 ? "bytes is not a multiple of the stride, at least two" : NULL;
}

static const char *decline_host(const struct run *run) {
    bool small = run->value[AXIS_PAGES] == PAGES_4K;
    return small && sysconf(_SC_PAGESIZE) != 4096 ? "this kernel's small pages are not of 4 KiB" : NULL;
}

/* Past the caches; of a quick run one case. */
static bool covers_memory(const struct run *run) {
    if (run->preset == PRESET_FULL) return run->value[AXIS_BYTES] >= 64 * MIB;
    return run->value[AXIS_BYTES] == 256 * MIB && run->value[AXIS_PAGES] == PAGES_2M;
}

static const char *decline_loaded(const struct run *run) {
    if (run->threads < 2) return "needs another core that makes the load";
    return decline_host(run);
}

static const char *decline_remote(const struct run *run) {
    if (topology_numa_nodes() < 2) return "this machine has one NUMA node";
    return decline_host(run);
}

static void setup(struct run *run) {
    struct latency_state *state = bench_alloc(run, sizeof *state);
    state->stride = (uint64_t)run->value[AXIS_STRIDE];
    state->tour = tour_make((uint64_t)run->value[AXIS_BYTES] / state->stride, run->seed);
    run->state = state;
}

static void check(struct run *run, struct verdict *verdict) {
    const struct latency_state *state = run->state;
    verdict->error = (state->end == node_at(&state->tour, state->position) ? 0 : 1) + (double)state->astray;
    verdict->tolerance = 0;
}

static const char *const page_sizes[] = {"4k", "2m", NULL};

static const struct axis axes[] = {
    [AXIS_BYTES] = {.name = "bytes", .help = "memory that the nodes are spread over", .kind = AXIS_INTEGER,
                    .host = {"4k,256k,8m", "4k:1g:4", "4k:4g:2"}, .device = {"16k,1m,64m", "4k:16g:4", "4k:16g:2"}},
    [AXIS_STRIDE] = {.name = "stride", .help = "bytes from node to node: a cache line", .kind = AXIS_INTEGER,
                     .host = {"64", "64", "64"}, .device = {"128", "128", "32,128"}, .minimum = 8,
                     .maximum = INT64_C(1) << 30},
    [AXIS_PAGES] = {.name = "pages", .help = "page size of the host's memory (a device has its own)",
                    .kind = AXIS_WORD, .words = page_sizes, .host = {"all", "all", "all"},
                    .device = {"2m", "2m", "2m"}},
    {0}};

static const struct variant variants[] = {
    {.name = "chase", .backend = "c", .place = PLACE_HOST, .decline = decline_host, .setup = setup_host,
     .fetch = fetch_host, .measure = measure_host, .release = release_host},
    {.name = "chase_loaded", .backend = "c", .place = PLACE_HOST, .decline = decline_loaded, .setup = setup_host,
     .fetch = fetch_host, .measure = measure_loaded, .release = release_host, .covers = covers_memory},
    {.name = "chase_remote", .backend = "c", .place = PLACE_HOST, .decline = decline_remote, .setup = setup_remote,
     .fetch = fetch_host, .measure = measure_host, .release = release_host, .covers = covers_memory},
    {0}};

const struct bench bench = {.suite = "kernels", .name = "memory_latency",
                            .question = "How long does one dependent access take, in every level of the memory?",
                            .axes = axes, .variants = variants, .decline = decline, .setup = setup, .check = check};
