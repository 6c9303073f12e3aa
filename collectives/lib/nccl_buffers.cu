/* nccl_buffers.cu: buffers that NCCL knows of; see nccl_calls.h.
 * needs: nccl mpi
 */
#include <string.h>

#include "bench/cuda.h"
#include "collectives/lib/nccl_calls.h"

enum { BUFFERS_MAX = 2 };

/* Of the measurement under way. */
static struct buffer {
    void *pointer, *handle; /* handle: registered */
    size_t bytes;
    void *window; /* symmetric */
} buffers[BUFFERS_MAX];
static int buffer_count;

static void *allocate(struct run *run, size_t bytes) {
    void *pointer;
    BENCH_CHECK(run, buffer_count < BUFFERS_MAX);
    NCCL_CHECK(run, ncclMemAlloc(&pointer, bytes));
    buffers[buffer_count++] = (struct buffer){.pointer = pointer, .handle = NULL, .bytes = bytes, .window = NULL};
    return pointer;
}

void nccl_setup_registered(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    nccl_join(run);
    device_setup(run, allocate);
    for (int i = 0; i < buffer_count; i++)
        NCCL_CHECK(run, ncclCommRegister((ncclComm_t)c->library, buffers[i].pointer, buffers[i].bytes,
                                         &buffers[i].handle));
}

#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0)
void nccl_setup_symmetric(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    nccl_join(run);
    device_setup(run, allocate);
    for (int i = 0; i < buffer_count; i++) {
        ncclWindow_t window = NULL;
        NCCL_CHECK(run, ncclCommWindowRegister((ncclComm_t)c->library, buffers[i].pointer, buffers[i].bytes, &window,
                                               NCCL_WIN_COLL_SYMMETRIC));
        if (window == NULL) bench_skip(run, "NCCL makes no symmetric window here");
        buffers[i].window = window;
    }
}
#endif

/* Also after a setup that ended early. */
void nccl_release(struct run *run) {
    const struct collective *c = (const struct collective *)run->state;
    cudaStreamSynchronize(run->stream);
    while (buffer_count > 0) {
        struct buffer *buffer = &buffers[--buffer_count];
        if (buffer->handle != NULL) ncclCommDeregister((ncclComm_t)c->library, buffer->handle);
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0)
        if (buffer->window != NULL) ncclCommWindowDeregister((ncclComm_t)c->library, (ncclWindow_t)buffer->window);
#endif
        ncclMemFree(buffer->pointer);
    }
}

bool nccl_covers_more(const struct run *run) {
    bool whole = run->value[COLLECTIVE_RANKS] == collective_ranks_launched() && run->value[COLLECTIVE_RANKS] > 1;
    bool apart = !collective_works_in_place(run);
    if (run->preset == PRESET_FULL) return true;
    return strcmp(run->bench->name, "all_reduce") == 0 && whole && apart;
}
