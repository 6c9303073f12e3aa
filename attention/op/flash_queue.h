/* flash_queue.h: blocks that take work from one list, whoever is free first: what the plans of the flash kernels
   foretell. */
#ifndef ATTENTION_FLASH_QUEUE_H
#define ATTENTION_FLASH_QUEUE_H

#include <stdint.h>

/* In a heap with the earliest on top; all zero is one. */
struct flash_block {
    double ready; /* for more, in a plan's own unit of time */
    int number;
};

/* The block on top is ready again then. */
static inline void flash_queue_wait(struct flash_block *heap, int blocks, double ready) {
    struct flash_block moved = {ready, heap[0].number};
    int at = 0;
    for (int child = 1; child < blocks; child = 2 * at + 1) {
        if (child + 1 < blocks && heap[child + 1].ready < heap[child].ready) child++;
        if (heap[child].ready >= ready) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

/* The block on top leaves; returns how many are left. */
static inline int flash_queue_leave(struct flash_block *heap, int blocks) {
    heap[0].number = heap[blocks - 1].number;
    flash_queue_wait(heap, blocks - 1, heap[blocks - 1].ready);
    return blocks - 1;
}

#endif
