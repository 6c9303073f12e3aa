/* flash_backward_turns.c: who adds when to the gradients of queries.

   The walk of all blocks over the work is foretold, and the first to come to a query tile is the first to add. So a
   block that keeps to the plan's pace never waits for long, while with any order that only knows the key tiles, such as
   from the first key to the last, those that start together wait for each other at every query tile. Turns that grow
   along the walk of each block, and along the query tile, cannot wait in a circle. */
#include "flash_backward_turns.h"

#include <stdlib.h>

#include "flash_queue.h"

#define ADD_COST 0.9 /* from one addition to a query tile to the next, in entries */

/* Where a block is: the entries that are left of its key tile, and their turns; key tiles so far. */
struct walk {
    struct backward_work *work; /* NULL: none, or done with it */
    int at, end;
    int64_t round;
};

struct turns {
    struct backward_plan *plan;
    int64_t query_tiles, next, rounds; /* next: of the listed work; rounds: most key tiles of a block */
    int blocks, tile_keys;
    struct flash_block *queue;
    struct walk *walk;    /* of each block */
    int64_t *place;       /* of each listed work, among those of all blocks */
    double *free;         /* of each query tile: when the last addition has ended */
    uint16_t *taken;      /* and how many there were */
    double *keys_free;    /* the same of each key tile, where parts add their sums */
    unsigned *keys_taken;
};

/* The block on top of the queue takes the next work from the list. */
static double take(struct turns *turns, struct walk *walk, int number, double now) {
    walk->work = &turns->plan->work[turns->next];
    turns->place[turns->next++] = walk->round++ * turns->blocks + number;
    if (walk->round > turns->rounds) turns->rounds = walk->round;
    walk->at = walk->work->entry_begin;
    walk->end = walk->work->entry_end;
    return now + TILE_COST + (walk->at < walk->end);
}

/* It adds what it has made of an entry and makes the next, which can follow when the addition has ended. */
static double add(struct turns *turns, struct walk *walk, double now) {
    const struct backward_work *work = walk->work;
    const struct backward_entry *entry = &turns->plan->entry[walk->at];
    int64_t tile = (work->batch_head * turns->plan->group + entry->head) * turns->query_tiles + entry->tile;
    double begin = turns->free[tile] > now ? turns->free[tile] : now, end = begin + ADD_COST;
    turns->plan->turn[work->turn_begin + (unsigned)(walk->at - work->entry_begin)] = turns->taken[tile]++;
    turns->free[tile] = end;
    if (++walk->at < walk->end) now += 1;
    return now > end ? now : end;
}

/* It adds its sums of keys to those of the other parts. */
static double add_keys(struct turns *turns, struct walk *walk, double now) {
    struct backward_work *work = walk->work;
    int64_t tile = work->batch_head * turns->plan->lines + work->first_key / turns->tile_keys;
    double begin = turns->keys_free[tile] > now ? turns->keys_free[tile] : now;
    work->key_turn = turns->keys_taken[tile]++;
    walk->work = NULL;
    return turns->keys_free[tile] = begin + SUMS_COST;
}

/* Returns when the last block ends. */
static double walk_all(struct turns *turns) {
    double last = 0;
    for (int i = 0; i < turns->blocks; i++) turns->queue[i].number = i;
    for (int running = turns->blocks; running > 0;) {
        int number = turns->queue[0].number;
        double now = turns->queue[0].ready;
        struct walk *walk = &turns->walk[number];
        if (walk->at < walk->end)
            flash_queue_wait(turns->queue, running, add(turns, walk, now));
        else if (walk->work && turns->plan->parts > 1)
            flash_queue_wait(turns->queue, running, add_keys(turns, walk, now));
        else if (turns->next < turns->plan->work_count)
            flash_queue_wait(turns->queue, running, take(turns, walk, number, now));
        else
            running = flash_queue_leave(turns->queue, running);
        last = now > last ? now : last;
    }
    return last;
}

/* From the list to where blocks find it. room: of the list that may follow. */
static bool place_work(struct turns *turns, int64_t room) {
    struct backward_plan *plan = turns->plan;
    int64_t count = turns->rounds * turns->blocks;
    if (count > INT32_MAX) return false;
    struct backward_work *work = malloc((size_t)(count > room ? count : room) * sizeof(*work));
    if (!work) return false;
    for (int64_t i = 0; i < count; i++) work[i] = (struct backward_work){.first_key = -1};
    for (int64_t i = 0; i < plan->work_count; i++) work[turns->place[i]] = plan->work[i];
    free(plan->work);
    plan->work = work;
    plan->work_count = count;
    return true;
}

static void give_back(struct turns *turns) {
    free(turns->queue), free(turns->walk), free(turns->place);
    free(turns->free), free(turns->taken), free(turns->keys_free), free(turns->keys_taken);
}

/* False: out of memory. */
static bool prepare(struct turns *turns, size_t tiles, size_t key_tiles) {
    struct backward_plan *plan = turns->plan;
    free(plan->turn);
    plan->turn_count = 0;
    for (int64_t i = 0; i < plan->work_count; i++) {
        plan->work[i].turn_begin = (unsigned)plan->turn_count;
        plan->turn_count += plan->work[i].entry_end - plan->work[i].entry_begin;
    }
    plan->turn = malloc((size_t)(plan->turn_count + 1) * sizeof(*plan->turn));
    turns->queue = calloc((size_t)turns->blocks, sizeof(*turns->queue));
    turns->walk = calloc((size_t)turns->blocks, sizeof(*turns->walk));
    turns->place = malloc((size_t)plan->work_count * sizeof(*turns->place));
    turns->free = calloc(tiles, sizeof(*turns->free));
    turns->taken = calloc(tiles, sizeof(*turns->taken));
    turns->keys_free = calloc(key_tiles, sizeof(*turns->keys_free));
    turns->keys_taken = calloc(key_tiles, sizeof(*turns->keys_taken));
    return plan->turn && turns->queue && turns->walk && turns->place && turns->free && turns->taken &&
           turns->keys_free && turns->keys_taken;
}

double backward_plan_turns(struct backward_plan *plan, const struct attention_problem *problem, int64_t query_tiles,
                           int tile_keys, int blocks) {
    struct turns turns = {.plan = plan,
                          .query_tiles = query_tiles,
                          .tile_keys = tile_keys,
                          .blocks = blocks < plan->work_count ? blocks : (int)plan->work_count};
    bool done = prepare(&turns, (size_t)(problem->batch * problem->heads * query_tiles),
                        (size_t)(problem->batch * problem->kv_heads * plan->lines)) &&
                plan->turn_count <= UINT32_MAX && plan->lines <= UINT16_MAX;
    double last = done ? walk_all(&turns) : 0;
    done = done && place_work(&turns, problem->batch * problem->heads * plan->lines);
    give_back(&turns);
    return done ? last : -1;
}
