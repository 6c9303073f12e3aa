/* supervise.c: runs the plan in a worker process and watches it.

   The supervisor never touches CUDA, MPI or OpenMP, so that it may fork at any time. A worker that crashes, hangs past
   the case's time limit, or says that its context is spent, is replaced by a fresh one, and the measurement it was at
   becomes a row. With MPI there is no fork (a launcher's process must be the one that initializes): measurements
   run inline, a thread watches clock and ranks (lifeline.h), and what cannot be survived ends the launch, after its row
   is written; run_all.sh then starts it again with --resume. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "counters.h"
#include "lifeline.h"
#include "rows.h"
#include "session.h"
#include "telemetry.h"
#include "topology.h"

/* How a worker ends of its own will: finished, asking for a fresh one, or with die's status added. Whatever else it
   ends with is a benchmark's doing, exit(0) in a callback included. */
enum { EXIT_FINISHED = 64 };
const char *const phase_names[] = {"start", "setup", "check", "timing", "writing"};

struct context {
    const struct options *options;
    const struct plan *plan;
    struct shared *shared;
};

/* Of an inline run whose end the lifeline's thread has decided: it alone goes on. */
static struct {
    const struct context *context;
    volatile bool decided;
    pthread_t by;
    bool took_over; /* rank 0 is lost: this rank writes in its place */
} ending;

static bool writes(void) {
    return rank_backend == NULL || rank_backend->rank() == 0 || ending.took_over;
}

/* What stands for a measurement: its first timed figure. A check may have reported others before. */
static const struct figure *main_figure(const struct outcome *outcome) {
    for (int i = 0; i < outcome->figure_count; i++)
        if (outcome->figures[i].timing.count > 0) return &outcome->figures[i];
    return outcome->figure_count > 0 ? &outcome->figures[0] : NULL;
}

static void finish_row(const struct context *context, size_t index, struct outcome *outcome) {
    struct shared *shared = context->shared;
    while (ending.decided && !pthread_equal(pthread_self(), ending.by)) pause();
    if (writes()) {
        shared->phase = PHASE_WRITING;
        rows_write(context->options, shared, &context->plan->list[index], outcome);
    }
    struct summary *summary = &shared->summaries[index];
    *summary = (struct summary){.measured = true, .status = outcome->status};
    snprintf(summary->reason, sizeof summary->reason, "%.95s", outcome->reason);
    const struct figure *figure = main_figure(outcome);
    if (figure != NULL) {
        const struct metric_description *metric = &metrics[figure->metric];
        double limit = figure->limit.value / metric->scale;
        summary->metric = figure->metric;
        summary->value = figure->value;
        summary->noise = figure->timing.noise;
        summary->limit_share = limit <= 0 ? 0 : metric->better == LOWER ? limit / figure->value : figure->value / limit;
    }
    shared->count[outcome->status]++;
    shared->finished++;
    shared->current = index + 1;
    shared->phase = PHASE_IDLE;
    if (writes()) progress_line(context->options, context->plan, shared, index);
}

/* A row for a measurement that cannot speak for itself any more. */
static void obituary(const struct context *context, size_t index, enum status status, const char *reason) {
    struct outcome outcome = {.status = status, .memory = -1, .clock_mhz = -1, .power_w = -1, .throttled = -1};
    snprintf(outcome.reason, REASON_SIZE, "%s", reason);
    finish_row(context, index, &outcome);
}

/* Skips what is measured already, by this process or in the folder. Returns false when there is nothing to do. */
static bool begin(const struct context *context, size_t index) {
    char key[KEY_SIZE];
    if (context->shared->summaries[index].measured) return false;
    measurement_key(context->options, &context->plan->list[index], key);
    if (writes() && rows_known(key)) {
        if (context->options->resume == NULL)
            die(EXIT_USAGE, "--out: '%s' already holds %s; use --resume, or another --launch", context->options->out,
                key);
        return false;
    }
    const char *in_flight = rows_in_flight();
    bool died = context->options->failed_in_flight && in_flight != NULL && strcmp(in_flight, key) == 0;
    context->shared->current = index;
    context->shared->started = bench_seconds();
    if (writes()) rows_start(key);
    if (died) obituary(context, index, STATUS_failed, "the launch died during this case");
    return !died;
}

static void start_device(const struct context *context) {
    char reason[REASON_SIZE];
    int index = context->options->device;
    if (index < 0) index = rank_backend != NULL ? rank_backend->local_rank() % context->shared->device_count : 0;
    topology_unbind_thread(); /* or the threads that CUDA and NCCL make would all inherit one core */
    if (!device_backend->start(index, reason)) die(EXIT_ABSENT, "--device: %s", reason);
    telemetry_open(device_backend->pci_address());
    topology_bind_near(device_backend->pci_address());
}

/* With ranks every rank must skip the same measurements: rank 0 knows the folder. */
static bool begin_together(const struct context *context, size_t index) {
    bool wanted = begin(context, index);
    if (rank_backend != NULL) rank_backend->broadcast(&wanted, sizeof wanted);
    return wanted;
}

/* A rank that failed leaves its peers inside a call that will never end, so the launch ends with it. */
static void name_rank(struct outcome *outcome) {
    char host[256] = "", reason[REASON_SIZE];
    gethostname(host, sizeof host - 1);
    snprintf(reason, sizeof reason, "rank %d on %s: %.200s", rank_backend->rank(), host, outcome->reason);
    memcpy(outcome->reason, reason, sizeof reason);
}

/* Returns false after a failure on a device, whose context may be poisoned. */
static bool finish(const struct context *context, struct turn *turn) {
    struct outcome *outcome = &turn->outcome;
    bool failed = outcome->status == STATUS_failed, alone = failed && rank_backend != NULL;
    char reason[REASON_SIZE];
    memcpy(reason, outcome->reason, sizeof reason);
    if (alone) name_rank(outcome);
    finish_row(context, turn->index, outcome);
    if (alone) {
        fprintf(stderr, "%s: %s\n", bench.name, outcome->reason);
        lifeline_fail(reason);
    }
    outcome_release(outcome);
    return !failed || context->plan->list[turn->index].variant->place != PLACE_DEVICE;
}

/* Measures them in turn and writes the rows, then in the same way, by itself, what found no room beside the others. */
static void run_turns(const struct context *context, struct turn *turns, size_t count) {
    bool well = true;
    measure(context->options, context->shared, context->plan, turns, count);
    for (size_t i = 0; i < count; i++)
        if (turns[i].end == TURN_OVER && !finish(context, &turns[i])) well = false;
    if (!well) {
        fflush(NULL);
        _exit(EXIT_RESTART);
    }
    for (size_t i = 0; i < count; i++)
        if (turns[i].end == TURN_ALONE && begin(context, turns[i].index)) run_turns(context, &turns[i], 1);
}

/* How many measurements from index on are timed in turn: variants of one case that ask for it. */
static size_t company(const struct context *context, size_t index) {
    const struct measurement *first = &context->plan->list[index];
    size_t count = 1;
    if (rank_backend != NULL || context->options->slowdown > 0) return 1;
    for (; count < TURNS_MAX && index + count < context->plan->count; count++) {
        const struct measurement *next = &first[count];
        if (!next[-1].variant->in_turn || !next->variant->in_turn || next->variant->place != first->variant->place ||
            memcmp(next->value, first->value, sizeof first->value) != 0)
            break;
    }
    return count;
}

static void run_from(const struct context *context, size_t first) {
    bool device_started = false;
    for (size_t index = first; index < context->plan->count;) {
        struct turn turns[TURNS_MAX];
        size_t count = 0, end = index + company(context, index);
        for (; index < end; index++)
            if (begin_together(context, index)) turns[count++].index = index;
        if (count == 0) continue;
        const struct measurement *measurement = &context->plan->list[turns[0].index];
        if (measurement->variant->place == PLACE_DEVICE && measurement->absent == NULL && !device_started) {
            start_device(context);
            device_started = true;
        }
        run_turns(context, turns, count);
    }
}

static void prepare_process(const struct context *context) {
    limits_use(context->shared, context->options->threads);
    if (!context->plan->count) return;
    topology_bind_team(context->options->threads);
    counters_start();
}

static pid_t start_worker(const struct context *context, size_t first, int *life) {
    int ends[2];
    if (pipe(ends) != 0) die(EXIT_USAGE, "pipe: %s", strerror(errno));
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) die(EXIT_USAGE, "fork: %s", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a killed supervisor leaves nobody behind */
        close(ends[0]);
        die_base = EXIT_FINISHED;
        prepare_process(context);
        run_from(context, first);
        fflush(NULL);
        _exit(EXIT_FINISHED);
    }
    close(ends[1]);
    *life = ends[0];
    return pid;
}

/* Waits until the worker ends; kills it when a measurement exceeds its time. Returns the wait status. */
static int watch(const struct context *context, pid_t pid, int life, bool *timed_out) {
    struct shared *shared = context->shared;
    int status;
    *timed_out = false;
    for (;;) {
        struct pollfd end = {.fd = life, .events = POLLIN};
        if (poll(&end, 1, 200) > 0) break;
        bool measuring = shared->current < context->plan->count && shared->phase != PHASE_IDLE;
        if (measuring && bench_seconds() - shared->started > context->options->case_timeout) {
            *timed_out = true;
            kill(pid, SIGKILL);
            break;
        }
    }
    close(life);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return status;
}

/* What a dead worker left. */
static void bury(const struct context *context, int status, bool timed_out) {
    char reason[REASON_SIZE];
    struct shared *shared = context->shared;
    size_t index = shared->current;
    const char *phase = phase_names[shared->phase];
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_RESTART) return;
    bool told = WIFEXITED(status) && (WEXITSTATUS(status) == EXIT_FINISHED + EXIT_USAGE ||
                                      WEXITSTATUS(status) == EXIT_FINISHED + EXIT_ABSENT);
    if (told) _Exit(WEXITSTATUS(status) - EXIT_FINISHED);
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGPIPE || WTERMSIG(status) == SIGINT)) _Exit(EXIT_USAGE);
    if (timed_out) {
        snprintf(reason, sizeof reason, "took longer than %g s, in %s", context->options->case_timeout, phase);
        obituary(context, index, STATUS_timeout, reason);
    } else {
        if (WIFSIGNALED(status))
            snprintf(reason, sizeof reason, "signal %d (%s) in %s", WTERMSIG(status), strsignal(WTERMSIG(status)),
                     phase);
        else
            snprintf(reason, sizeof reason, "the process exited with %d in %s", WEXITSTATUS(status), phase);
        obituary(context, index, STATUS_failed, reason);
    }
}

static void supervise_workers(const struct context *context) {
    for (size_t next = 0; next < context->plan->count;) {
        int life;
        bool timed_out;
        pid_t pid = start_worker(context, next, &life);
        int status = watch(context, pid, life, &timed_out);
        if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FINISHED) break;
        bury(context, status, timed_out);
        while (next < context->plan->count && context->shared->summaries[next].measured) next++;
    }
}

static void take_over(void) {
    ending.took_over = true;
    rows_take_over(ending.context->options);
}

/* The row of a case that the launch cannot survive; by the lifeline's thread. */
static void bury_together(enum status status, const char *reason) {
    struct shared *shared = ending.context->shared;
    size_t index = shared->current;
    char key[KEY_SIZE];
    for (int i = 0; i < 10 && shared->phase == PHASE_WRITING; i++) usleep(100000);
    ending.by = pthread_self();
    ending.decided = true;
    if (index >= ending.context->plan->count || shared->current != index) return; /* between cases: no row is missing */
    if (!writes()) take_over();
    measurement_key(ending.context->options, &ending.context->plan->list[index], key);
    if (!rows_known(key)) obituary(ending.context, index, status, reason);
}

int supervise(const struct options *options, const struct plan *plan, struct shared *shared) {
    static struct context context; /* the lifeline's thread goes on reading it after this function has returned */
    context = (struct context){options, plan, shared};
    ending.context = &context;
    shared->run_started = bench_seconds();
    shared->to_do = plan->count;
    shared->current = plan->count;
    if (rank_backend == NULL) {
        supervise_workers(&context);
    } else {
        prepare_process(&context);
        lifeline_watch(shared, options->case_timeout, bury_together);
        run_from(&context, 0);
        shared->phase = PHASE_IDLE;
        rank_backend->barrier();
    }
    bool bad = shared->count[STATUS_wrong] + shared->count[STATUS_failed] + shared->count[STATUS_timeout] > 0;
    return bad ? EXIT_WRONG : EXIT_MEASURED;
}
