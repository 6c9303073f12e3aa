/* main.c: the main of every benchmark program. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lifeline.h"
#include "rows.h"
#include "topology.h"

static struct shared *share(size_t size) {
    struct shared *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) die(EXIT_USAGE, "shared memory: %s", strerror(errno));
    return shared;
}

static void probe(struct shared *found, int index) {
    found->device_count = device_backend->count(found->device_reason);
    bool spread = index < 0 && rank_backend != NULL && found->device_count > 0;
    if (index < 0) index = spread ? rank_backend->local_rank() % found->device_count : 0;
    if (found->device_count <= index) return;
    char reason[REASON_SIZE];
    if (!device_backend->start(index, reason)) return;
    snprintf(found->device_name, sizeof found->device_name, "%s", device_backend->device_name());
}

/* Asks for devices in a child, so that the supervisor itself never starts the device's runtime (see supervise.c). */
static void find_devices(const struct options *options, struct shared *found) {
    if (device_backend == NULL || cuda_variants[0].name == NULL) {
        snprintf(found->device_reason, REASON_SIZE, "this program was built without device code");
        return;
    }
    snprintf(found->device_reason, REASON_SIZE, "the device's runtime crashed when asked for devices");
    if (rank_backend != NULL) {
        probe(found, options->device);
        return;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        probe(found, options->device);
        _exit(0);
    }
    if (pid > 0) waitpid(pid, NULL, 0);
}

static void refuse_absent(const struct options *options, const struct shared *found) {
    if (options->device >= 0 && options->device >= found->device_count)
        die(EXIT_ABSENT, "--device: '%d' is not here: %d devices%s%s", options->device, found->device_count,
            found->device_count == 0 ? ": " : "", found->device_count == 0 ? found->device_reason : "");
    if (options->places == PLACES_DEVICE && found->device_count == 0)
        die(EXIT_ABSENT, "--place: 'device' is not here: %s", found->device_reason);
    for (const struct variant *v = cuda_variants; v->name != NULL && found->device_count == 0; v++) {
        bool asked = (options->backends != NULL && list_has(options->backends, v->backend)) ||
                     (options->variants != NULL && list_has(options->variants, v->name));
        if (asked) die(EXIT_ABSENT, "'%s' is not here: %s", v->name, found->device_reason);
    }
}

/* An axis is a column and an option: a program whose axis takes the name of another one would be read wrongly. */
static void refuse_names(void) {
    static const char *const taken[] = {
#define COLUMN(identifier, meaning) #identifier,
#include "columns.def"
#undef COLUMN
#define OPTION(name, argument, help) #name,
#include "options.def"
#undef OPTION
    };
    for (const struct axis *axis = bench.axes; axis->name != NULL; axis++)
        for (size_t i = 0; i < ARRAY_LENGTH(taken); i++)
            if (strcmp(axis->name, taken[i]) == 0 && strcmp(axis->name, "dtype") != 0 &&
                strcmp(axis->name, "ranks") != 0)
                die(EXIT_USAGE, "an axis cannot be called '%s': a column or an option is", axis->name);
}

static const struct options *asked; /* for what happens before there is a plan */

/* The row of a launch that did not get as far as a case. */
static void write_lonely_row(enum status status, const char *reason) {
    const struct variant *variant = asked->places == PLACES_DEVICE || bench.variants[0].name == NULL
                                        ? &cuda_variants[0] : &bench.variants[0];
    const struct measurement measurement = {.variant = variant, .absent = reason};
    struct outcome outcome = {.status = status, .memory = -1, .clock_mhz = -1, .power_w = -1, .throttled = -1};
    char key[KEY_SIZE];
    if (variant->name == NULL) return;
    snprintf(outcome.reason, REASON_SIZE, "%s", reason);
    rows_open(asked);
    measurement_key(asked, &measurement, key);
    if (!rows_known(key)) rows_write(asked, share(sizeof(struct shared)), &measurement, &outcome);
}

/* How many ranks the launcher says it started, asked before MPI may change the environment; 0: it says nothing. */
static int ranks_by_launcher(void) {
    static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++)
        if (getenv(sizes[i]) != NULL) return atoi(getenv(sizes[i]));
    return 0;
}

/* Ranks that a launcher of another MPI starts know nothing of one another: each would measure alone. */
static void refuse_lone(int launched) {
    char reason[REASON_SIZE], host[64] = "";
    if (rank_backend->size() > 1 || launched <= 1 || asked->action == ACTION_LIST) return;
    gethostname(host, sizeof host - 1);
    snprintf(reason, sizeof reason, "the launcher started %d ranks and this MPI sees one: rank 0 on %s is alone (use "
             "this MPI's own mpirun, or srun --mpi=pmix)", launched, host);
    if (speaks()) {
        fprintf(stderr, "%s: %s\n", bench.name, reason);
        write_lonely_row(STATUS_failed, reason);
    }
    lifeline_leave();
    rank_backend->finish();
    _Exit(EXIT_WRONG);
}

static void agree(const struct options *options) {
    char reason[REASON_SIZE];
    if (ranks_agree(options->command_line, reason)) return;
    bool first = rank_backend->rank() == 0;
    if (first) fprintf(stderr, "%s: %s\n", bench.name, reason);
    lifeline_leave();
    rank_backend->finish();
    _Exit(EXIT_USAGE);
}

static int run(struct options *options) {
    struct plan plan;
    struct shared *found = share(sizeof *found);
    refuse_names();
    topology_start();
    if (rank_backend != NULL) topology_take_share(rank_backend->local_rank(), rank_backend->local_size());
    if (options->threads > topology_cores())
        die(EXIT_ABSENT, "--threads: '%d' is more than the %d cores allowed here", options->threads, topology_cores());
    if (options->threads == 0) options->threads = topology_cores();
    if (options->places != PLACES_HOST) find_devices(options, found);
    refuse_absent(options, found);
    sweep_plan(options, found->device_count, found->device_reason, &plan);
    if (plan.count == 0) die(EXIT_USAGE, "the options leave no measurement (--variant, --backend and --place)");
    if (options->action == ACTION_LIST) {
        for (size_t i = 0; i < plan.count && speaks(); i++) {
            char key[KEY_SIZE];
            measurement_key(options, &plan.list[i], key);
            printf("%s\n", key);
        }
        free(plan.list);
        return EXIT_MEASURED;
    }
    struct shared *shared = share(sizeof *shared + plan.count * sizeof shared->summaries[0]);
    memcpy(shared, found, sizeof *shared);
    if (rank_backend == NULL || rank_backend->rank() == 0) rows_open(options);
    int status = supervise(options, &plan, shared);
    if (rank_backend == NULL || rank_backend->rank() == 0) progress_table(options, &plan, shared);
    free(plan.list);
    return status;
}

int main(int argc, char **argv) {
    struct options options;
    options_parse(argc, argv, &options);
    switch (options.action) {
    case ACTION_HELP: options_help(stdout); return EXIT_MEASURED;
    case ACTION_SCHEMA: rows_schema(stdout); return EXIT_MEASURED;
    case ACTION_VERSION: printf("plumbline %s, schema %d\n", PLUMBLINE_VERSION, SCHEMA_VERSION); return EXIT_MEASURED;
    case ACTION_DESCRIBE:
        printf("%s\t%s\t%d\t%s\n", bench.suite, bench.name, bench.ranks, bench.question);
        return EXIT_MEASURED;
    case ACTION_LIST:
    case ACTION_MEASURE: break;
    }
    if (rank_backend != NULL) {
        int launched = ranks_by_launcher();
        asked = &options;
        speaks();
        lifeline_arrive(options.case_timeout, write_lonely_row);
        rank_backend->start();
        lifeline_connect();
        refuse_lone(launched);
        agree(&options);
    }
    int status = run(&options);
    if (rank_backend != NULL) {
        lifeline_leave();
        rank_backend->finish();
    }
    return status;
}
