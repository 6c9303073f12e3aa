/* turns.c: measurements side by side: all are set up and checked, then timed in turn, so that each finds the device as
   hot as the others do. Most often there is one. */
#include "session.h"
#include "telemetry.h"

static bool is_timed(const struct session *session) {
    return !session->ended && session->run.variant->measure == NULL && session->outcome->status == STATUS_ok;
}

/* After a failure the device's context may be poisoned: nobody else's time would count. */
static bool device_is_lost(const struct session *session) {
    return session->outcome->status == STATUS_failed && session->run.variant->place == PLACE_DEVICE;
}

/* What each of them is at next, whether there is more of it, and whether the device bears it. */
static bool each_in_turn(struct session *const *sessions, size_t count, bool backwards,
                         void (*step)(struct session *session), bool *more) {
    *more = false;
    for (size_t i = 0; i < count; i++) {
        struct session *session = sessions[backwards ? count - 1 - i : i];
        if (!is_timed(session)) continue;
        if (count > 1) session->shared->started = bench_seconds(); /* the time limit is of one measurement */
        session_step(session, step);
        if (device_is_lost(session)) return false;
        *more = *more || (is_timed(session) && !session->sampling.over);
    }
    return true;
}

/* Where the time cap ended somebody's sampling the device's clock may have fallen meanwhile, and a median may lie on
   either side: what came first was warm-up, for all. */
static void leave_out_warm_up(struct session *const *sessions, size_t count) {
    bool all_settled = true;
    for (size_t i = 0; i < count; i++)
        if (is_timed(sessions[i])) all_settled = all_settled && sessions[i]->sampling.settled;
    if (all_settled || count == 1 || sessions[0]->options->iterations > 0) return;
    for (size_t i = 0; i < count; i++)
        if (is_timed(sessions[i])) sampling_drop_half(sessions[i]);
}

/* Rounds of samples, forth and back, so that whatever drifts meanwhile favours none, until the last one has enough:
   what stopped earlier would have seen another device. */
static bool time_in_turn(struct session *const *sessions, size_t count) {
    bool more, well;
    telemetry_reset();
    well = each_in_turn(sessions, count, false, session_begin_timing, &more);
    for (bool backwards = false; well && more; backwards = !backwards)
        well = each_in_turn(sessions, count, backwards, session_take_round, &more);
    if (well) leave_out_warm_up(sessions, count);
    return well && each_in_turn(sessions, count, false, session_end_timing, &more);
}

void measure(const struct options *options, struct shared *shared, const struct plan *plan, struct turn *turns,
             size_t count) {
    struct session *sessions[TURNS_MAX];
    size_t ready = 0;
    bool well = true, held = false;
    for (; ready < count && well; ready++) {
        struct turn *turn = &turns[ready];
        struct session *session = session_new(options, shared, &plan->list[turn->index], turn);
        sessions[ready] = session;
        session->in_turn = count > 1;
        if (count > 1) shared->started = bench_seconds();
        session_step(session, session_prepare);
        well = !device_is_lost(session);
        bool declined = session->phase == PHASE_IDLE;
        if (held && !declined && turn->outcome.status == STATUS_skipped) turn->end = TURN_ALONE;
        held = held || blocks_held(session) > 0;
    }
    well = well && time_in_turn(sessions, count);
    for (size_t i = 0; i < count; i++)
        if (!well && (i >= ready || !device_is_lost(sessions[i]))) turns[i].end = TURN_AGAIN;
    while (ready > 0) session_close(sessions[--ready]);
}
