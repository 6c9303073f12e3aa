/* flash_work.c: which plan of tiles the forward flash kernel walks, and in which order. */
#include "flash_work.h"

#include <math.h>
#include <stdlib.h>

#include "flash_queue.h"

enum { BLOCKS_MAX = 1024 };
#define LONG_LINE 0.3       /* of what a block has to do */
#define SECTION_WORTH 1.05  /* the second-level cache is worth so much more time */
#define GATHER_PAIRS 0x1p34 /* of a mask at most: seconds of the host */
#define WASTE_WORTH 1.2     /* of the mask's area: below it nothing is looked for */
#define GAIN 0.96           /* a plan that is to replace another costs at most this share */

/* What a line of the plan costs, in full key tiles of the plain kernel, from times of lines of each length on an H200
   (flash_forward.h): tests of a partial tile, what happens once a query tile, tiles fetched in pieces. The sparse
   kernel leaves out parts, but its products of them do not overlap with anything. */
static float cost_of(const struct mask_tiles *tiles, bool sparse, int64_t line) {
    float cost = sparse ? 1.3f : 0.6f, full = sparse ? 1.06f : 1;
    for (int32_t i = mask_tiles_begin(tiles)[line]; i < mask_tiles_begin(tiles)[line + 1]; i++) {
        struct mask_tile entry = mask_tiles_entry(tiles)[i];
        float parts = (float)__builtin_popcount(mask_tile_parts(entry));
        bool apart = tiles->step > 0 && entry.tile == MASK_TILE_RUNS;
        cost += mask_tile_form(entry) == MASK_TILE_FULL ? full : sparse ? 0.6f + 0.17f * parts : 1.25f;
        cost += apart ? 0.15f : 0;
    }
    return cost;
}

struct line_cost {
    float cost;
    int32_t line;
    bool joins;
};
static int dearest_first(const void *a, const void *b) {
    const struct line_cost *first = a, *second = b;
    if (first->cost != second->cost) return first->cost > second->cost ? -1 : 1;
    return (first->line > second->line) - (first->line < second->line);
}

/* The lines of all heads of the mask, dearest first, for free; NULL: out of memory. */
static struct line_cost *order_lines(const struct mask_tiles *tiles, bool sparse) {
    int64_t lines = (int64_t)tiles->heads * tiles->lines;
    struct line_cost *order = malloc((size_t)lines * sizeof(*order));
    if (!order) return NULL;
    for (int64_t line = 0; line < lines; line++)
        order[line] = (struct line_cost){cost_of(tiles, sparse, line), (int32_t)line,
                                         line % tiles->lines >= tiles->joins_from};
    qsort(order, (size_t)lines, sizeof(*order), dearest_first);
    return order;
}

static bool is_even(const struct mask_tiles *tiles, const struct line_cost *order) {
    return order[0].cost - order[(int64_t)tiles->lines * tiles->heads - 1].cost < 0.5f;
}

/* A list of work under way, and when each of the blocks ends that take it in this order, in key tiles. work: NULL, or
   room for all of it. */
struct listing {
    const struct attention_problem *problem;
    const struct mask_tiles *tiles;
    const struct line_cost *order;
    struct flash_work *work;
    int64_t count;
    int blocks;
    struct flash_block queue[BLOCKS_MAX];
};

/* Lines of the heads first .. after - 1, of one part, that cost more than `above`, but no more than `most`. */
static void list_heads(struct listing *listing, int64_t first, int64_t after, bool second, double above, double most) {
    const struct mask_tiles *tiles = listing->tiles;
    const int32_t *begin = mask_tiles_begin(tiles);
    int64_t heads = listing->problem->heads, lines = tiles->lines;
    int rows = tiles->step > 0 ? 1 : tiles->tile_queries; /* a line's number, or its first query */
    for (int64_t i = 0; i < lines * tiles->heads; i++) {
        struct line_cost order = listing->order[i];
        if (order.joins != second || order.cost <= above || order.cost > most) continue;
        for (int64_t head = first; head < after; head++) {
            if (mask_head(tiles->heads, head % heads, heads) != order.line / lines) continue;
            if (listing->work)
                listing->work[listing->count++] = (struct flash_work){(int)(order.line % lines) * rows, (int)head,
                                                                      begin[order.line], begin[order.line + 1]};
            flash_queue_wait(listing->queue, listing->blocks, listing->queue[0].ready + order.cost);
        }
    }
}

/* Lists all work, heads in sections of `section`, all of a first part before a second one, and returns when the last
   block ends. A line that takes a good part of a block's time stands before all sections: one that a late section
   begins with would end last. */
static double list_section(const struct attention_problem *problem, const struct mask_tiles *tiles,
                           const struct line_cost *order, int64_t section, int blocks, struct flash_work *work) {
    struct listing listing = {.problem = problem, .tiles = tiles, .order = order, .work = work, .blocks = blocks};
    int64_t heads = problem->batch * problem->heads;
    double last = 0, all = 0;
    for (int64_t i = 0; i < (int64_t)tiles->lines * tiles->heads; i++)
        all += order[i].cost * (double)heads / tiles->heads;
    double most = is_even(tiles, order) ? INFINITY : LONG_LINE * all / blocks;
    for (int second = 0; second < 2; second++) {
        list_heads(&listing, 0, heads, second, most, INFINITY);
        for (int64_t first = 0; first < heads; first += section)
            list_heads(&listing, first, first + section < heads ? first + section : heads, second, -INFINITY, most);
    }
    for (int i = 0; i < blocks; i++) last = listing.queue[i].ready > last ? listing.queue[i].ready : last;
    return last;
}

struct flash_work *flash_work_list(const struct attention_problem *problem, const struct mask_tiles *tiles, bool sparse,
                                   int blocks) {
    int64_t heads = problem->batch * problem->heads, lines = tiles->lines;
    struct flash_work *work = malloc((size_t)(heads * lines) * sizeof(*work));
    if (blocks > BLOCKS_MAX) blocks = BLOCKS_MAX;
    struct line_cost *order = order_lines(tiles, sparse);
    if (work && order) {
        int64_t bytes = 2 * (int64_t)dtype_size(problem->dtype) * problem->keys * problem->head_dim;
        int64_t kv_heads = CACHE_SECTION / bytes > 1 ? CACHE_SECTION / bytes : 1;
        int64_t section = kv_heads * (problem->heads / problem->kv_heads);
        bool even = is_even(tiles, order);
        if (even) section = (blocks + lines - 1) / lines;
        if (tiles->joins_from < lines)
            section = heads;
        else if (!even && list_section(problem, tiles, order, heads, blocks, NULL) * SECTION_WORTH <
                              list_section(problem, tiles, order, section, blocks, NULL))
            section = heads;
        list_section(problem, tiles, order, section, blocks, work);
    } else {
        free(work);
        work = NULL;
    }
    free(order);
    return work;
}

static double cost_of_all(const struct mask_tiles *tiles, bool sparse) {
    double cost = 0;
    for (int64_t line = 0; line < (int64_t)tiles->heads * tiles->lines; line++) cost += cost_of(tiles, sparse, line);
    return cost;
}

/* NULL: none, or out of memory. */
static struct mask_tiles *gathered_tiles(const struct attention_problem *problem, int queries, int keys) {
    const struct attention_strides *operand[] = {&problem->query, &problem->key, &problem->value, &problem->output};
    struct mask_tiles *tiles = mask_stride(problem->mask) > 1 ? mask_tiles_split(problem->mask, queries, keys)
                                                              : mask_tiles_gather(problem->mask, queries, keys);
    for (int i = 0; i < 4 && tiles; i++)
        if (tiles->step * operand[i]->row > INT32_MAX) { /* elements of a step count in an int */
            free(tiles);
            tiles = NULL;
        }
    return tiles;
}

struct mask_tiles *flash_work_tiles(const struct attention_problem *problem, int queries, int keys, bool *sparse) {
    struct mask_tiles *tiles = mask_tiles_new(problem->mask, queries, keys, MASK_BY_QUERY);
    bool may = *sparse;
    *sparse = false;
    if (!tiles || !may) return tiles;
    double cost = cost_of_all(tiles, false), area = (double)mask_area(problem->mask);
    if (cost < WASTE_WORTH * area / queries / keys) return tiles;
    *sparse = cost_of_all(tiles, true) < GAIN * cost;
    if (area > GATHER_PAIRS) return tiles;
    struct mask_tiles *gathered = gathered_tiles(problem, queries, keys);
    bool better = gathered && cost_of_all(gathered, true) < GAIN * cost_of_all(tiles, *sparse);
    *sparse |= better;
    free(better ? tiles : gathered);
    return better ? gathered : tiles;
}
