#include "headline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool better_than(const struct point *a, const struct point *b) {
    return a->row->better == LOWER ? a->value < b->value : a->value > b->value;
}

static bool same_place(const struct point *a, const struct point *b) {
    return a->row->result == b->row->result && strcmp(a->row->field[COLUMN_device], b->row->field[COLUMN_device]) == 0;
}

static bool further(const struct plot *plot, const struct point *a, const struct point *b) {
    return plot->headline == FIRST ? a->x < b->x : a->x > b->x;
}

/* Puts the point where its place and number format are, or behind the others. */
static size_t offer(const struct plot *plot, const struct point *point, struct headline *headlines, size_t count,
                    size_t most) {
    for (size_t i = 0; i < count; i++) {
        const struct point *held = headlines[i].point;
        if (!same_place(point, held)) continue;
        if (strcmp(point->row->field[COLUMN_dtype], held->row->field[COLUMN_dtype]) != 0) continue;
        if (further(plot, point, held) || (point->x == held->x && better_than(point, held))) headlines[i].point = point;
        return count;
    }
    if (count < most) headlines[count++] = (struct headline){.plot = plot, .point = point};
    return count;
}

static int ranks_of(const struct point *point) { return atoi(point->row->field[COLUMN_ranks]); }

size_t headlines_find(const struct plot *plot, struct headline *headlines, size_t most) {
    size_t count = 0;
    int ranks = 0; /* of the widest: what one rank says to itself is no headline where there are several */
    for (size_t i = 0; i < plot->point_count; i++)
        if (ranks_of(&plot->points[i]) > ranks) ranks = ranks_of(&plot->points[i]);
    for (size_t i = 0; i < plot->point_count; i++)
        if (plot->points[i].row->better != NEITHER && ranks_of(&plot->points[i]) == ranks)
            count = offer(plot, &plot->points[i], headlines, count, most);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            const struct point *a = headlines[i].point, *b = headlines[j].point;
            if (i == j || !same_place(a, b)) continue;
            if (better_than(b, a) || (b->value == a->value && j < i)) headlines[i].rank++;
        }
    return count;
}

/* Of two that nothing else decides between: of one plot the better figure, else the one that is read first. */
static bool precedes(const struct headline *a, const struct headline *b) {
    return a->plot == b->plot ? better_than(a->point, b->point) : a < b;
}

/* How often its program and its suite are among the chosen already. */
static void count_chosen(const struct headline *headlines, const bool *chosen, size_t count, const struct headline *of,
                         size_t *program, size_t *suite) {
    *program = *suite = 0;
    for (size_t i = 0; i < count; i++) {
        const struct section *section = headlines[i].plot->section;
        if (!chosen[i] || strcmp(section->suite, of->plot->section->suite) != 0) continue;
        ++*suite;
        *program += strcmp(section->program, of->plot->section->program) == 0;
    }
}

size_t headlines_choose(struct headline *headlines, size_t count, size_t most) {
    bool *chosen = array_zeroed(count, sizeof *chosen);
    for (size_t taken = 0; taken < count && taken < most; taken++) {
        size_t next = count, least = 0, least_suite = 0;
        for (size_t i = 0; i < count; i++) {
            size_t program, suite;
            if (chosen[i]) continue;
            count_chosen(headlines, chosen, count, &headlines[i], &program, &suite);
            size_t cost = headlines[i].rank + program;
            bool less = next == count || cost < least || (cost == least && suite < least_suite) ||
                        (cost == least && suite == least_suite && precedes(&headlines[i], &headlines[next]));
            if (less) next = i, least = cost, least_suite = suite;
        }
        chosen[next] = true;
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (chosen[i]) headlines[kept++] = headlines[i];
    free(chosen);
    return kept;
}

static const char *share_verdict(double share) {
    if (!isfinite(share)) return "no limit known";
    if (share > 1.05) return "above the limit as stated";
    if (share >= 0.9) return "at the limit";
    if (share >= 0.7) return "near the limit";
    if (share >= 0.4) return "room to gain";
    return "far from the limit";
}

const char *headline_verdict(const struct headline *headline) {
    const struct section *section = headline->plot->section;
    const struct row *row = headline->point->row;
    double share = row_limit_share(row), bound = NAN;
    if (isfinite(share) || strcmp(row->field[COLUMN_metric], "accuracy") != 0) return share_verdict(share);
    for (size_t m = 0; m < section->metric_count; m++) {
        const struct row *figure = headline->point->line->figures[m].row;
        if (figure != NULL && metric_is_bound(section->metrics[m])) bound = fmax(bound, figure->value);
    }
    if (!isfinite(bound)) return "no trivial rule to hold it against";
    return row->value > bound ? "better than trivial rules" : "no better than a trivial rule";
}
