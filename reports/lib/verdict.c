#include "verdict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bootstrap.h"
#include "markup.h"

enum { HOST_CASES_MIN = 8 };
static const double noise_factor = 3;

const char *const verdict_names[VERDICT_COUNT] = {
#define VERDICT(identifier, fails, meaning) #identifier,
#include "verdicts.def"
#undef VERDICT
};
const char *const verdict_meanings[VERDICT_COUNT] = {
#define VERDICT(identifier, fails, meaning) meaning,
#include "verdicts.def"
#undef VERDICT
};
const bool verdict_fails[VERDICT_COUNT] = {
#define VERDICT(identifier, fails, meaning) fails,
#include "verdicts.def"
#undef VERDICT
};

static double log_ratio(double old, double new_value) { return old > 0 && new_value > 0 ? log(new_value / old) : NAN; }

static double column_ratio(const struct pair *pair, enum column column) {
    return log_ratio(pair_column(pair, BASELINE, column), pair_column(pair, NEW_RUN, column));
}

/* d of the values: figures that may be zero or negative are compared by their difference over the baseline's size. */
static double worse_by(const struct judgement *judgement, const struct row *row) {
    double old = judgement->value[BASELINE], now = judgement->value[NEW_RUN], change;
    if (row->better == NEITHER || !isfinite(old) || !isfinite(now)) return NAN;
    if (old > 0 && now > 0) change = log(now / old);
    else change = old == now ? 0 : (now - old) / fmax(fabs(old), 1e-300);
    return row->better == LOWER ? change : -change;
}

/* The smallest d that the fastest calls and the clock cycles support; clock_shift: of the median case. */
static double agreed_by(const struct judge *judge, const struct judgement *judgement, double clock_shift) {
    const struct pair *pair = judgement->pair;
    double least = judgement->worse;
    const struct metric_facts *facts = metric_facts(pair_row(pair)->field[COLUMN_metric]);
    if (facts == NULL || facts->form == PLAIN) return least;
    double sign = least < 0 ? -1 : 1; /* an improvement must be agreed on too */
    double minima = column_ratio(pair, COLUMN_time_min_us), clocks = column_ratio(pair, COLUMN_clock_mhz);
    const struct pair *cycles = match_sibling(judge->match, pair, "cycles");
    double counted = cycles != NULL ? column_ratio(cycles, COLUMN_value) : NAN;
    if (!isfinite(counted) && isfinite(clocks)) counted = judgement->worse + clocks - clock_shift;
    if (isfinite(minima)) least = sign * fmin(sign * least, sign * minima);
    if (isfinite(counted)) least = sign * fmin(sign * least, sign * counted);
    return least;
}

static double clock_shift_of(const struct judge *judge) {
    double *shifts = array_zeroed(judge->count, sizeof *shifts);
    size_t count = 0;
    for (size_t i = 0; i < judge->count; i++) {
        double shift = column_ratio(judge->judgements[i].pair, COLUMN_clock_mhz);
        if (isfinite(shift)) shifts[count++] = shift;
    }
    double median = count > 0 ? median_of(shifts, count) : 0;
    free(shifts);
    return median;
}

/* The gravest status of a side's launches; ROW_STATUS_COUNT: no row. *row: the one that has it. */
static enum row_status side_status(const struct pair *pair, int side, const struct row **row) {
    static const enum row_status order[] = {ROW_wrong, ROW_failed, ROW_timeout, ROW_skipped, ROW_ok};
    for (size_t o = 0; pair != NULL && o < ARRAY_LENGTH(order); o++)
        for (size_t i = 0; i < pair->count[side]; i++)
            if (pair->rows[side][i]->status == order[o]) {
                *row = pair->rows[side][i];
                return order[o];
            }
    return ROW_STATUS_COUNT;
}

static bool is_bad(enum row_status status) {
    return status == ROW_wrong || status == ROW_failed || status == ROW_timeout;
}

/* Verdicts that need no figures; VERDICT_COUNT: figures decide. */
static enum case_verdict by_status(const struct judge *judge, struct judgement *judgement) {
    const struct pair *pair = judgement->pair, *bare = match_sibling(judge->match, pair, "");
    const struct row *row[SIDES] = {NULL, NULL};
    enum row_status status[SIDES];
    for (int side = 0; side < SIDES; side++) {
        status[side] = side_status(pair, side, &row[side]);
        if (status[side] == ROW_STATUS_COUNT) status[side] = side_status(bare, side, &row[side]);
    }
    if (row[NEW_RUN] != NULL && status[NEW_RUN] != ROW_ok) judgement->note = row[NEW_RUN]->field[COLUMN_reason];
    if (status[BASELINE] == ROW_ok) {
        if (status[NEW_RUN] == ROW_wrong) return VERDICT_wrong;
        if (is_bad(status[NEW_RUN])) return VERDICT_failed;
        if (status[NEW_RUN] != ROW_ok) return VERDICT_missing;
        if (pair_row(pair)->better == NEITHER) return VERDICT_noted;
        if (!isfinite(judgement->value[BASELINE])) return VERDICT_broken;
        if (isfinite(judgement->value[NEW_RUN])) return VERDICT_COUNT;
        judgement->note = "the value is no finite number";
        return VERDICT_failed;
    }
    if (is_bad(status[BASELINE])) return status[NEW_RUN] == ROW_ok ? VERDICT_fixed : VERDICT_broken;
    if (status[NEW_RUN] == ROW_wrong) return VERDICT_wrong;
    return status[NEW_RUN] == ROW_STATUS_COUNT ? VERDICT_noted : VERDICT_new;
}

/* Why a case cannot be judged although it differs; NULL: it can. */
static const char *excuse_for(const struct judge *judge, const struct judgement *judgement) {
    const struct row *row = pair_row(judgement->pair);
    if (!row_is_timed(row) || row_on_device(row)) return NULL;
    for (int side = 0; side < SIDES; side++)
        if (judge->interrupted[side] > BUSY_SHARE) return "the host was busy";
    for (int side = 0; side < SIDES; side++)
        if (pair_interrupted(judgement->pair, side)) return "calls were interrupted";
    bool ranks = strcmp(row->field[COLUMN_backend], "mpi") == 0;
    if (ranks && !judge->few_decide && judgement->launches < LAUNCHES_SOME) return "one launch: where were its cores?";
    return NULL;
}

static enum case_verdict by_figures(const struct judge *judge, struct judgement *judgement, double floor) {
    bool timed = row_is_timed(pair_row(judgement->pair));
    if (fabs(judgement->worse) <= floor) return VERDICT_same;
    const char *excuse = excuse_for(judge, judgement);
    if (excuse != NULL) {
        judgement->note = excuse;
        return VERDICT_unsure;
    }
    if (judgement->agreed > judgement->tolerance) return timed ? VERDICT_slower : VERDICT_worse;
    if (judgement->agreed < -judgement->tolerance) return timed ? VERDICT_faster : VERDICT_improved;
    return VERDICT_unsure;
}

static bool is_asked(const struct judge *judge, const struct pair *pair) {
    struct text key = {0};
    if (judge->only == NULL) return true;
    text_clear(&key);
    match_key(judge->match, pair, &key);
    bool asked = index_find(judge->only, key.data) != INDEX_NONE;
    text_release(&key);
    return asked;
}

static void prepare(struct judge *judge) {
    judge->judgements = array_zeroed(judge->match->count, sizeof *judge->judgements);
    for (size_t i = 0; i < judge->match->count; i++) {
        const struct pair *pair = &judge->match->pairs[i];
        if (pair_row(pair)->field[COLUMN_metric][0] == 0 || !is_asked(judge, pair)) continue; /* the reason of cases that were not measured */
        struct judgement *judgement = &judge->judgements[judge->count++];
        *judgement = (struct judgement){
            .pair = pair, .note = "", .worse = NAN, .agreed = NAN, .tolerance = NAN, .low = NAN, .high = NAN,
            .judged = NAN, .spread = NAN, .p_holm = NAN, .launches = launches_of(pair)};
        for (int side = 0; side < SIDES; side++) judgement->value[side] = pair_column(pair, side, COLUMN_value);
        judgement->verdict = by_status(judge, judgement);
        if (judgement->verdict == VERDICT_COUNT) judgement->worse = worse_by(judgement, pair_row(pair));
    }
}

static double interrupted_share(const struct judge *judge, int side) {
    size_t timed = 0, interrupted = 0;
    for (size_t i = 0; i < judge->count; i++) {
        const struct row *row = pair_row(judge->judgements[i].pair);
        if (!row_is_timed(row) || row_on_device(row) || !isfinite(judge->judgements[i].value[side])) continue;
        timed++;
        interrupted += pair_interrupted(judge->judgements[i].pair, side);
    }
    return timed >= HOST_CASES_MIN ? (double)interrupted / (double)timed : 0;
}

static void add_note(struct judgement *judgement) {
    if (judgement->note[0] != 0) return;
    if (judgement->verdict == VERDICT_unsure && fabs(judgement->judged) > judgement->tolerance)
        judgement->note = "the fastest call or the clock cycles say otherwise";
    if (judgement->verdict == VERDICT_slower && pair_column(judgement->pair, NEW_RUN, COLUMN_throttled) > 0)
        judgement->note = row_on_device(pair_row(judgement->pair)) ? "the device was throttled"
                                                                   : "the threads went without their cores";
}

static void judge_figures(struct judge *judge, struct judgement *judgement, const struct samples *const samples[SIDES],
                          const double drift[2], double clock_shift) {
    const struct row *row = pair_row(judgement->pair);
    bool timed = row_is_timed(row), device = row_on_device(row);
    bool lone = timed && !device && !judge->few_decide && judgement->launches < LAUNCHES_SOME;
    double floor = floor_of(judge, judgement->pair);
    judgement->tolerance = floor;
    judgement->judged = judgement->worse;
    if (timed) {
        struct ratio ratio;
        ratio_of(judge, judgement->pair, samples, &ratio);
        judgement->noise = ratio.error;
        judgement->low = ratio.low;
        judgement->high = ratio.high;
        judgement->tolerance = fmax(floor, fmax(noise_factor * judgement->noise, drift[device]));
    }
    if (judged_by_launches(judgement)) {
        judge_launches(judge, judgement, floor);
        add_note(judgement);
        return;
    }
    if (lone) judgement->tolerance = fmax(judgement->tolerance, log(LAUNCH_FACTOR));
    judgement->agreed = agreed_by(judge, judgement, clock_shift);
    judgement->verdict = by_figures(judge, judgement, floor);
    judge->lone += lone && judgement->verdict == VERDICT_unsure;
    add_note(judgement);
}

void judge_all(struct judge *judge, const struct samples *const samples[SIDES]) {
    prepare(judge);
    ask_launches(judge);
    for (int side = 0; side < SIDES; side++) judge->interrupted[side] = interrupted_share(judge, side);
    const double drift[] = {drift_of(judge, false), drift_of(judge, true)}, clock_shift = clock_shift_of(judge);
    for (size_t i = 0; i < judge->count; i++) {
        struct judgement *judgement = &judge->judgements[i];
        if (judgement->verdict == VERDICT_COUNT) judge_figures(judge, judgement, samples, drift, clock_shift);
        judge->counts[judgement->verdict]++;
    }
}

bool judge_passes(const struct judge *judge) {
    for (int verdict = 0; verdict < VERDICT_COUNT; verdict++)
        if (verdict_fails[verdict] && judge->counts[verdict] > 0) return false;
    return true;
}

void judge_release(struct judge *judge) {
    free(judge->judgements);
    judge->judgements = NULL;
}
