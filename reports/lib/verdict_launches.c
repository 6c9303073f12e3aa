/* Verdicts where both sides have launches enough for their own scatter to be known; see verdict.h. */
#include <math.h>
#include <stdlib.h>

#include "rank_test.h"
#include "verdict.h"

static const double errors_least = 3, errors_contradicting = 2;

bool judged_by_launches(const struct judgement *judgement) {
    return judgement->launches >= LAUNCHES_MANY && judgement->shift[MEASURE_TIME].known;
}

/* The measure that scatters least; times where none does less. */
static enum measure quietest(const struct shift shift[MEASURES]) {
    enum measure by = MEASURE_TIME;
    for (int measure = 0; measure < MEASURES; measure++)
        if (shift[measure].known && shift[measure].spread < shift[by].spread) by = (enum measure)measure;
    return by;
}

void ask_launches(struct judge *judge) {
    double *p = array_zeroed(judge->count + judge->others, sizeof *p);
    for (size_t i = judge->count; i < judge->count + judge->others; i++) p[i] = 1;
    for (size_t i = 0; i < judge->count; i++) {
        struct judgement *judgement = &judge->judgements[i];
        p[i] = NAN;
        if (!isfinite(judgement->worse) || !row_is_timed(pair_row(judgement->pair))) continue;
        for (int measure = 0; measure < MEASURES; measure++)
            judgement->shift[measure] = shift_of(judgement->pair, (enum measure)measure);
        judgement->by = quietest(judgement->shift);
        judgement->spread = judgement->shift[judgement->by].spread;
        if (judged_by_launches(judgement)) p[i] = judgement->shift[judgement->by].p;
    }
    judge->family = holm_adjust(p, judge->count + judge->others);
    for (size_t i = 0; i < judge->count; i++) judge->judgements[i].p_holm = p[i];
    free(p);
    share_spreads(judge);
}

/* The largest p at which launches that do not overlap pass for apart: that of five and four. */
static const double apart_level = 0.016;

static bool lie_apart(const struct shift *shift) {
    return shift->p <= fmin(shift->least * (1 + 1e-9), apart_level);
}

/* Do the launches of both sides lie apart by more than chance? Holm's correction decides where a level is given, or so
   many launches can reach it in so large a family; else they must not overlap at all. */
static bool launches_part(const struct judge *judge, const struct judgement *judgement) {
    const struct shift *shift = &judgement->shift[judgement->by];
    if (judge->level > 0) return judgement->p_holm <= judge->level;
    if (shift->least * (double)judge->family <= FAMILY_LEVEL) return judgement->p_holm <= FAMILY_LEVEL;
    return lie_apart(shift);
}

static double allowed(const struct judge *judge, double error, double floor) {
    return fmax(floor, fmax(errors_least, chance_quantile(judge->family)) * error);
}

/* The first measure that does not bear the change out, given what it can itself tell; NULL: none. */
static const char *contradiction(const struct judgement *judgement) {
    static const char *const notes[MEASURES] = {"the times say otherwise", "the clock cycles say otherwise",
                                                "the fastest calls say otherwise"};
    double sign = judgement->judged < 0 ? -1 : 1;
    for (int measure = 0; measure < MEASURES; measure++) {
        const struct shift *shift = &judgement->shift[measure];
        if (!shift->known || measure == (int)judgement->by) continue;
        if (sign * shift->worse + errors_contradicting * shift->error < judgement->tolerance) return notes[measure];
    }
    return NULL;
}

static bool interrupted(const struct pair *pair) {
    return pair_interrupted(pair, BASELINE) || pair_interrupted(pair, NEW_RUN);
}

/* The quietest measure sees no change: does another one, beyond what it allows itself? */
static bool others_differ(const struct judge *judge, const struct judgement *judgement, double floor) {
    for (int measure = 0; measure < MEASURES; measure++) {
        const struct shift *shift = &judgement->shift[measure];
        if (shift->known && fabs(shift->worse) > allowed(judge, shift->error, floor) && lie_apart(shift)) return true;
    }
    return false;
}

/* Why a change beyond the tolerance is not called one; NULL: it is. */
static const char *doubt(const struct judge *judge, const struct judgement *judgement) {
    const char *note = contradiction(judgement);
    if (note == NULL && interrupted(judgement->pair)) note = "calls were interrupted";
    if (note == NULL && !launches_part(judge, judgement)) note = "launches overlap";
    return note;
}

void judge_launches(struct judge *judge, struct judgement *judgement, double floor) {
    const struct shift *shift = &judgement->shift[judgement->by];
    double change = judgement->judged = shift->worse;
    judgement->noise = shift_error(shift, judgement->spread);
    judgement->tolerance = allowed(judge, judgement->noise, floor);
    judgement->verdict = VERDICT_unsure;
    const char *note = fabs(change) > judgement->tolerance ? doubt(judge, judgement) : "";
    if (fabs(change) <= floor) {
        if (others_differ(judge, judgement, floor)) note = "times, clock cycles and fastest calls disagree";
        else judgement->verdict = VERDICT_same;
    } else if (note == NULL) judgement->verdict = change > 0 ? VERDICT_slower : VERDICT_faster;
    judgement->undecided = change > judgement->tolerance && note != NULL;
    if (shift->lopsided && judgement->verdict != VERDICT_slower) {
        judgement->verdict = VERDICT_unsure;
        judgement->undecided = true;
        note = "most launches of one side were disturbed";
    }
    judgement->note = note != NULL ? note : "";
}
