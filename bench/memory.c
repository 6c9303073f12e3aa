/* memory.c: the memory of a measurement and its registered outputs. */
#include <string.h>
#include <sys/mman.h>

#include "random.h"
#include "session.h"
#include "topology.h"

enum { HUGE_PAGE = 2 << 20, SMALL_PAGE = 4096, CORRUPT_SHARE = 16 };

static void remember(struct session *session, void *pointer, size_t bytes, enum place place) {
    if (session->block_count == BLOCKS_MAX) bench_fail(&session->run, "more than %d allocations", BLOCKS_MAX);
    session->blocks[session->block_count++] = (struct block){pointer, bytes, place};
}

/* Touches every page by the thread that a static split gives it to, so that the page lies near that thread. */
static void first_touch(char *data, size_t bytes, int threads) {
    int64_t pages = (int64_t)((bytes + SMALL_PAGE - 1) / SMALL_PAGE);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t page = 0; page < pages; page++) data[page * SMALL_PAGE] = 0;
}

void *bench_alloc(struct run *run, size_t bytes) {
    size_t available = topology_memory_available();
    size_t rounded = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    if (bytes > SIZE_MAX / 2 || rounded > available - available / 16)
        bench_skip(run, "needs %.3g GiB of memory, %.3g GiB available", (double)bytes / (double)GIB,
                   (double)available / (double)GIB);
    if (bytes < HUGE_PAGE) rounded = (bytes + SMALL_PAGE) / SMALL_PAGE * SMALL_PAGE;
    size_t slack = bytes < HUGE_PAGE ? 0 : HUGE_PAGE;
    char *mapping = mmap(NULL, rounded + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED)
        bench_skip(run, "mmap of %.3g GiB failed, %.3g GiB available", (double)bytes / (double)GIB,
                   (double)available / (double)GIB);
    char *data = mapping;
    if (slack > 0) { /* cut the mapping to a 2 MiB boundary, so that huge pages fit it */
        data = (char *)(((uintptr_t)mapping + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
        size_t head = (size_t)(data - mapping);
        if (head > 0) munmap(mapping, head);
        if (slack - head > 0) munmap(data + rounded, slack - head);
        madvise(data, rounded, MADV_HUGEPAGE);
    }
    remember(session_of(run), data, rounded, PLACE_HOST);
    first_touch(data, rounded, run->threads);
    return data;
}

void *bench_device_alloc(struct run *run, size_t bytes) {
    char reason[REASON_SIZE] = "no device";
    void *pointer = device_backend != NULL ? device_backend->alloc(bytes, reason) : NULL;
    if (pointer == NULL) bench_skip(run, "%s", reason);
    remember(session_of(run), pointer, bytes, PLACE_DEVICE);
    return pointer;
}

void blocks_release(struct session *session) {
    while (session->block_count > 0) {
        struct block *block = &session->blocks[--session->block_count];
        if (block->place == PLACE_HOST) munmap(block->pointer, block->bytes);
        else device_backend->release(block->pointer);
    }
}

double blocks_held(const struct session *session) {
    double held = 0;
    for (int i = 0; i < session->block_count; i++) held += (double)session->blocks[i].bytes;
    return held;
}

void bench_output(struct run *run, void *pointer, size_t bytes, enum place place, bool in_place) {
    struct session *session = session_of(run);
    int i = 0;
    while (i < session->output_count && session->outputs[i].pointer != pointer) i++;
    if (i == OUTPUTS_MAX) bench_fail(run, "more than %d outputs", OUTPUTS_MAX);
    if (i == session->output_count) session->output_count++;
    session->outputs[i] = (struct output){pointer, bytes, place, in_place};
}

void outputs_poison(struct session *session) {
    char reason[REASON_SIZE];
    for (int i = 0; i < session->output_count; i++) {
        const struct output *output = &session->outputs[i];
        if (output->in_place) continue;
        if (output->place == PLACE_HOST) memset(output->pointer, 0xff, output->bytes);
        else if (!device_backend->fill(output->pointer, 0xff, output->bytes, reason))
            bench_fail(&session->run, "%s", reason);
    }
}

/* A contiguous sixteenth of each output, at a place drawn from the seed, has every byte changed: what a lost tile, a
   torn message or a race would leave. Sampling checks must be dense enough to see it. */
void outputs_corrupt(struct session *session) {
    char reason[REASON_SIZE];
    for (int i = 0; i < session->output_count; i++) {
        const struct output *output = &session->outputs[i];
        size_t length = output->bytes / CORRUPT_SHARE > 0 ? output->bytes / CORRUPT_SHARE : output->bytes;
        size_t at = random_bits(session->run.seed, 0xfa017, (uint64_t)i) % (output->bytes - length + 1);
        char *start = (char *)output->pointer + at;
        if (output->place == PLACE_HOST)
            for (size_t byte = 0; byte < length; byte++) start[byte] ^= 0x55;
        else if (!device_backend->corrupt(start, length, reason))
            bench_fail(&session->run, "%s", reason);
    }
}
