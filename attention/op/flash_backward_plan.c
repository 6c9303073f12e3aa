/* flash_backward_plan.c: which block of the backward flash kernel does what, and when. */
#include "flash_backward_plan.h"

#include <stdlib.h>

#include "flash_work.h"

void backward_plan_free(struct backward_plan *plan) {
    free(plan->begin), free(plan->order), free(plan->entry), free(plan->work);
    *plan = (struct backward_plan){0};
}

/* Entries of the mask's lines, those of the heads that share keys one after the other; without room for them, their
   number. */
static void list_lines(struct backward_plan *plan, const struct attention_problem *problem,
                       const struct mask_tiles *tiles) {
    int64_t group = problem->heads / problem->kv_heads, count = 0;
    const int32_t *begin = mask_tiles_begin(tiles);
    const struct mask_tile *entry = mask_tiles_entry(tiles);
    for (int64_t line = 0; line < plan->heads * plan->lines; line++) {
        plan->begin[line] = (int)count;
        for (int64_t i = 0; i < group; i++) {
            int64_t head = mask_head(tiles->heads, line / plan->lines * group + i, problem->heads);
            int64_t from = head * plan->lines + line % plan->lines;
            for (int32_t at = begin[from]; at < begin[from + 1]; at++, count++)
                if (plan->entry)
                    plan->entry[count] = (struct backward_entry){(int)i, entry[at].tile, entry[at].where, 0};
        }
    }
    plan->begin[plan->heads * plan->lines] = (int)count;
    plan->entry_count = count;
}

/* By falling number of entries, else as they come. */
static void order_lines(struct backward_plan *plan) {
    int64_t count = plan->heads * plan->lines;
    int longest = 0, at = 0;
    for (int64_t i = 0; i < count; i++) {
        int length = plan->begin[i + 1] - plan->begin[i];
        if (length > longest) longest = length;
    }
    int *first = calloc((size_t)longest + 2, sizeof(*first));
    if (!first) { /* any order will do */
        for (int64_t i = 0; i < count; i++) plan->order[i] = (int)i;
        return;
    }
    for (int64_t i = 0; i < count; i++) first[plan->begin[i + 1] - plan->begin[i]]++;
    for (int length = longest; length >= 0; length--) {
        int here = first[length];
        first[length] = at;
        at += here;
    }
    for (int64_t i = 0; i < count; i++) plan->order[first[plan->begin[i + 1] - plan->begin[i]]++] = (int)i;
    free(first);
}

/* How many key tiles come before, for each entry and its query tile. */
static bool count_turns(struct backward_plan *plan, int64_t group, int64_t query_tiles) {
    unsigned *taken = calloc((size_t)(plan->heads * group * query_tiles), sizeof(*taken));
    if (!taken) return false;
    for (int64_t i = 0; i < plan->heads * plan->lines; i++) {
        int line = plan->order[i];
        for (int at = plan->begin[line]; at < plan->begin[line + 1]; at++) {
            struct backward_entry *entry = &plan->entry[at];
            entry->turn = taken[(line / plan->lines * group + entry->head) * query_tiles + entry->tile]++;
        }
    }
    free(taken);
    return true;
}

/* Heads of keys that are worked on at the same time: where all lines are equally long as few as there are blocks for,
   so that the memory is asked at an even rate; else as many as fit in the cache with their queries and sums. */
static int64_t section_of(const struct backward_plan *plan, const struct attention_problem *problem, int blocks) {
    int64_t last = plan->heads * plan->lines - 1;
    int most = plan->begin[plan->order[0] + 1] - plan->begin[plan->order[0]];
    int least = plan->begin[plan->order[last] + 1] - plan->begin[plan->order[last]];
    if (most == least) return (blocks + plan->lines - 1) / plan->lines;
    /* queries and their output gradients in 2 bytes, sums in 4 */
    int64_t bytes = 8 * problem->head_dim * problem->queries * (problem->heads / problem->kv_heads);
    return CACHE_SECTION / bytes > 1 ? CACHE_SECTION / bytes : 1;
}

static void list_work(struct backward_plan *plan, const struct attention_problem *problem, int64_t section,
                      int tile_keys) {
    int64_t heads = problem->batch * problem->kv_heads;
    for (int64_t first = 0; first < heads; first += section)
        for (int64_t i = 0; i < plan->heads * plan->lines; i++)
            for (int64_t head = first; head < heads && head < first + section; head++) {
                int line = plan->order[i];
                if (plan->heads > 1 && head % problem->kv_heads != line / plan->lines) continue;
                int first_key = (int)(line % plan->lines) * tile_keys;
                plan->work[plan->work_count++] =
                    (struct backward_work){first_key, (int)head, plan->begin[line], plan->begin[line + 1]};
            }
}

bool backward_plan_new(struct backward_plan *plan, const struct attention_problem *problem,
                       const struct mask_tiles *tiles, int blocks) {
    int64_t group = problem->heads / problem->kv_heads;
    int64_t query_tiles = (problem->queries + tiles->tile_queries - 1) / tiles->tile_queries;
    *plan = (struct backward_plan){0};
    plan->heads = tiles->heads > 1 ? problem->kv_heads : 1;
    plan->lines = tiles->lines;
    int64_t works = problem->batch * problem->kv_heads * plan->lines;
    if (works > INT32_MAX / 2 || (int64_t)tiles->entry_count * group > INT32_MAX / 2) return false;
    plan->begin = malloc((size_t)(plan->heads * plan->lines + 1) * sizeof(*plan->begin));
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
    list_work(plan, problem, section_of(plan, problem, blocks), tiles->tile_keys);
    if (count_turns(plan, group, query_tiles)) return true;
    backward_plan_free(plan);
    return false;
}
