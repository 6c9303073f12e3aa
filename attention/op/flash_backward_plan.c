/* flash_backward_plan.c: which block of the backward flash kernel does what, and when. */
#include "flash_backward_plan.h"

#include <stdlib.h>
#include <string.h>

#include "flash_backward_turns.h"
#include "flash_queue.h"
#include "flash_work.h"

/* Bytes of queries, their output gradients and sums that blocks work on at the same time: what the second-level cache
   holds (CACHE_SECTION), or more where a head's lines are so long, in entries, that memory keeps up with them. */
enum { LONG_LINE = 32, LONG_SECTION = 2 * CACHE_SECTION };
enum { FORETOLD_TURNS = 4 * 1024 * 1024 }; /* with more, what is best is judged without turns: they take 20 ns each */
#define SECTION_WORTH 1.03 /* the cache is worth so much more time */
#define PARTS_WORTH 0.98   /* parts of the heads that share keys take at most this share of the time */

void backward_plan_free(struct backward_plan *plan) {
    free(plan->begin), free(plan->order), free(plan->entry), free(plan->work);
    free(plan->turn);
    *plan = (struct backward_plan){0};
}

/* Entries of the mask's lines, those of the heads that share keys one after the other; without room for them, their
   number. Where the order counts the lines of a head start at different query tiles. */
static void list_lines(struct backward_plan *plan, const struct attention_problem *problem,
                       const struct mask_tiles *tiles) {
    int64_t group = plan->group, count = 0;
    int64_t query_tiles = (problem->queries + tiles->tile_queries - 1) / tiles->tile_queries;
    const int32_t *begin = mask_tiles_begin(tiles);
    const struct mask_tile *entry = mask_tiles_entry(tiles);
    for (int64_t line = 0; line < plan->heads * plan->lines; line++) {
        for (int64_t i = 0; i < group; i++) {
            plan->begin[line * group + i] = (int)count;
            int64_t head = mask_head(tiles->heads, line / plan->lines * group + i, problem->heads);
            int64_t from = head * plan->lines + line % plan->lines;
            int64_t first = problem->deterministic ? line % plan->lines * query_tiles / plan->lines : 0;
            for (int before = 0; before < 2; before++) /* first: where the line starts */
                for (int32_t at = begin[from]; at < begin[from + 1]; at++) {
                    if ((entry[at].tile < first) != before) continue;
                    if (plan->entry)
                        plan->entry[count] = (struct backward_entry){(int)i, entry[at].tile, entry[at].where};
                    count++;
                }
        }
    }
    plan->begin[plan->heads * plan->lines * group] = (int)count;
    plan->entry_count = count;
}

static int length_of(const struct backward_plan *plan, int64_t line) {
    return plan->begin[(line + 1) * plan->group] - plan->begin[line * plan->group];
}

/* By falling number of entries, else as they come. */
static void order_lines(struct backward_plan *plan) {
    int64_t count = plan->heads * plan->lines;
    int longest = 0, at = 0;
    for (int64_t i = 0; i < count; i++) {
        int length = length_of(plan, i);
        if (length > longest) longest = length;
    }
    int *first = calloc((size_t)longest + 2, sizeof(*first));
    if (!first) { /* any order will do */
        for (int64_t i = 0; i < count; i++) plan->order[i] = (int)i;
        return;
    }
    for (int64_t i = 0; i < count; i++) first[length_of(plan, i)]++;
    for (int length = longest; length >= 0; length--) {
        int here = first[length];
        first[length] = at;
        at += here;
    }
    for (int64_t i = 0; i < count; i++) plan->order[first[length_of(plan, i)]++] = (int)i;
    free(first);
}

/* Of the queries of a head and their output gradients in 2 bytes each, and sums in 4. */
static int64_t bytes_of_head(const struct attention_problem *problem) {
    return 8 * problem->head_dim * problem->queries;
}

/* When the last of `blocks` blocks that take the work in this order ends, in entries. */
static double end_of_work(const struct backward_plan *plan, struct flash_block *queue, int blocks) {
    double last = 0;
    memset(queue, 0, (size_t)blocks * sizeof(*queue));
    for (int64_t i = 0; i < plan->work_count; i++) {
        const struct backward_work *work = &plan->work[i];
        double cost = TILE_COST + (plan->parts > 1 ? SUMS_COST : 0) + work->entry_end - work->entry_begin;
        double end = queue[0].ready + cost;
        flash_queue_wait(queue, blocks, end);
        last = end > last ? end : last;
    }
    return last;
}

/* What the work is listed for. */
struct listing {
    const struct attention_problem *problem;
    int64_t query_tiles;
    int tile_keys, blocks;
    bool with_turns;           /* foretell them, too */
    struct flash_block *queue; /* of the blocks */
};

/* All key tiles, the longest first, in sections of so many heads of keys or, in parts, of so many parts. Returns when
   the last block ends, in entries; < 0: out of memory. */
static double list_section(struct backward_plan *plan, const struct listing *listing, int64_t section) {
    const struct attention_problem *problem = listing->problem;
    int64_t parts = plan->parts, of_part = plan->group / parts, all = problem->batch * problem->kv_heads * parts;
    plan->work_count = 0;
    for (int64_t first = 0; first < all; first += section)
        for (int64_t i = 0; i < plan->heads * plan->lines; i++)
            for (int64_t at = first; at < all && at < first + section; at++) {
                int64_t line = plan->order[i], head = at / parts, part = at % parts;
                if (plan->heads > 1 && head % problem->kv_heads != line / plan->lines) continue;
                const int *begin = &plan->begin[line * plan->group + part * of_part];
                plan->work[plan->work_count++] =
                    (struct backward_work){.first_key = (int)(line % plan->lines) * listing->tile_keys,
                                           .batch_head = (int)head,
                                           .entry_begin = begin[0],
                                           .entry_end = begin[of_part]};
            }
    if (!listing->with_turns) return end_of_work(plan, listing->queue, listing->blocks);
    return backward_plan_turns(plan, problem, listing->query_tiles, listing->tile_keys, listing->blocks);
}

/* Are all lines equally long? */
static bool is_even(const struct backward_plan *plan) {
    return length_of(plan, plan->order[0]) == length_of(plan, plan->order[plan->heads * plan->lines - 1]);
}

/* A section is what is worked on at the same time: where all lines are equally long as few heads as there are blocks
   for, so that the memory is asked at an even rate; else as many as fit, or more where blocks would wait too long, for
   the last one or for their turns. Returns what list_section does. */
static double list_sections(struct backward_plan *plan, const struct listing *listing) {
    const struct attention_problem *problem = listing->problem;
    int64_t all = problem->batch * problem->kv_heads * plan->parts;
    if (is_even(plan)) return list_section(plan, listing, (listing->blocks + plan->lines - 1) / plan->lines);
    double best = list_section(plan, listing, all);
    bool is_long = plan->entry_count >= LONG_LINE * plan->heads * plan->lines * plan->group;
    int64_t section = (is_long ? LONG_SECTION : CACHE_SECTION) / (bytes_of_head(problem) * plan->group / plan->parts);
    for (section = section > 1 ? section : 1; section < all; section *= 2) {
        double end = list_section(plan, listing, section);
        if (end <= SECTION_WORTH * best) return end; /* or out of memory */
    }
    return list_section(plan, listing, all);
}

/* By what longer blocks take that work on all heads that share keys: where lines are uneven they do not stay at one
   place of them, unless turns hold them together, and ask for more than the cache holds. From times of 2, 4 and 8 heads
   that share keys under a causal mask, 512 .. 8k, on an H200: as long again for each 128 MiB. */
static double scattering(const struct backward_plan *plan, const struct listing *listing) {
    const struct attention_problem *problem = listing->problem;
    int64_t heads = problem->batch * problem->kv_heads, busy = (listing->blocks + plan->lines - 1) / plan->lines;
    int64_t more = (busy < heads ? busy : heads) * plan->group * bytes_of_head(problem) - CACHE_SECTION;
    if (problem->deterministic || is_even(plan) || more <= 0) return 1;
    return 1 + (double)more / (4.0 * CACHE_SECTION);
}

/* Heads that share keys are worked on together, so that their sums of keys stay in registers, or where that takes
   longer apart. */
static bool list_work(struct backward_plan *plan, struct listing *listing) {
    const struct attention_problem *problem = listing->problem;
    listing->queue = malloc((size_t)listing->blocks * sizeof(*listing->queue));
    if (!listing->queue) return false;
    listing->with_turns = problem->deterministic &&
                          plan->entry_count / plan->heads * problem->batch * problem->kv_heads <= FORETOLD_TURNS;
    double end = list_sections(plan, listing);
    if (plan->group > 1 && end >= 0) {
        double together = end * scattering(plan, listing);
        plan->parts = plan->group;
        end = list_sections(plan, listing);
        if (end >= PARTS_WORTH * together) {
            plan->parts = 1;
            end = list_sections(plan, listing);
        }
    }
    free(listing->queue);
    if (problem->deterministic && !listing->with_turns)
        end = backward_plan_turns(plan, problem, listing->query_tiles, listing->tile_keys, listing->blocks);
    return end >= 0;
}

bool backward_plan_new(struct backward_plan *plan, const struct attention_problem *problem,
                       const struct mask_tiles *tiles, int blocks) {
    int64_t group = problem->heads / problem->kv_heads;
    int64_t query_tiles = (problem->queries + tiles->tile_queries - 1) / tiles->tile_queries;
    *plan = (struct backward_plan){0};
    plan->heads = tiles->heads > 1 ? problem->kv_heads : 1;
    plan->lines = tiles->lines;
    plan->group = group;
    plan->parts = 1;
    int64_t works = problem->batch * problem->heads * plan->lines;
    if (works > INT32_MAX / 2 || (int64_t)tiles->entry_count * group > INT32_MAX / 2) return false;
    plan->begin = malloc((size_t)(plan->heads * plan->lines * group + 1) * sizeof(*plan->begin));
    plan->order = malloc((size_t)(plan->heads * plan->lines) * sizeof(*plan->order));
    plan->work = malloc((size_t)works * sizeof(*plan->work));
    if (plan->begin) list_lines(plan, problem, tiles);
    plan->entry = malloc((size_t)(plan->entry_count + 1) * sizeof(*plan->entry));
    if (!plan->begin || !plan->order || !plan->work || !plan->entry) {
        backward_plan_free(plan);
        return false;
    }
    list_lines(plan, problem, tiles);
    order_lines(plan);
    struct listing listing = {problem, query_tiles, tiles->tile_keys, blocks, false, NULL};
    if (list_work(plan, &listing)) return true;
    backward_plan_free(plan);
    return false;
}
