#include "headline.h"

#include <math.h>
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

size_t headlines_find(const struct plot *plot, struct headline *headlines, size_t most) {
    size_t count = 0;
    for (size_t i = 0; i < plot->point_count; i++)
        if (plot->points[i].row->better != NEITHER) count = offer(plot, &plot->points[i], headlines, count, most);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            const struct point *a = headlines[i].point, *b = headlines[j].point;
            if (i == j || !same_place(a, b)) continue;
            if (better_than(b, a) || (b->value == a->value && j < i)) headlines[i].rank++;
        }
    return count;
}

size_t headlines_choose(struct headline *headlines, size_t count, size_t most) {
    size_t kept = 0, rank = 0, taken = 0;
    size_t cut = 0; /* of the first rank that does not fit whole, how many are taken */
    for (; taken < count && taken < most; rank++) {
        size_t of_rank = 0;
        for (size_t i = 0; i < count; i++) of_rank += headlines[i].rank == rank;
        cut = of_rank <= most - taken ? of_rank : most - taken;
        taken += cut;
    }
    for (size_t i = 0; i < count; i++) {
        if (headlines[i].rank >= rank || (headlines[i].rank + 1 == rank && cut == 0)) continue;
        if (headlines[i].rank + 1 == rank) cut--;
        headlines[kept++] = headlines[i];
    }
    return kept;
}

const char *share_verdict(double share) {
    if (!isfinite(share)) return "no limit known";
    if (share > 1.05) return "above the limit as stated";
    if (share >= 0.9) return "at the limit";
    if (share >= 0.7) return "near the limit";
    if (share >= 0.4) return "room to gain";
    return "far from the limit";
}
