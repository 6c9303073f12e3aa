/* manifest.c: see manifest.h. The fingerprint of the hardware holds what decides results and stays the same from one
   boot to the next on every machine of a kind: no names, no addresses, no serial numbers; no memory size, which some
   virtual machines grow while they run; not the cores that this process is bound to, which differ between ranks. */
#define _GNU_SOURCE 1 /* environ */
#include "manifest.h"

#include <cjson/cJSON.h>
#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "counters.h"
#include "device.h"
#include "file.h"
#include "libraries.h"
#include "rows.h"
#include "telemetry.h"
#include "topology.h"

#ifndef PLUMBLINE_COMMIT
#define PLUMBLINE_COMMIT ""
#endif
#ifndef PLUMBLINE_FLAGS
#define PLUMBLINE_FLAGS ""
#endif
#ifndef PLUMBLINE_VERSION
#define PLUMBLINE_VERSION ""
#endif

enum { GPUS_MAX = 64, TEXT_SIZE = 1024, FILE_SIZE_MAX = 1 << 24 };

struct machine {
    struct gpu gpus[GPUS_MAX];
    int gpu_count;
    struct gpu_driver driver;
    struct utsname system;
    char processor[TEXT_SIZE]; /* with family and model number: many virtual machines give no full name */
};

static void add_text(cJSON *object, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void add_text(cJSON *object, const char *name, const char *format, ...) {
    char text[TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cJSON_AddStringToObject(object, name, text);
}

/* Appends; what does not fit is cut off. */
static void append(char text[TEXT_SIZE], const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(char text[TEXT_SIZE], const char *format, ...) {
    size_t length = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, TEXT_SIZE - length, format, arguments);
    va_end(arguments);
}

static void look(struct machine *machine) {
    char family[64], model[64];
    memset(machine, 0, sizeof *machine);
    machine->gpu_count = telemetry_machine(machine->gpus, GPUS_MAX, &machine->driver);
    uname(&machine->system);
    append(machine->processor, "%s", topology_processor());
    if (topology_processor_field("cpu family", family, sizeof family) &&
        topology_processor_field("model", model, sizeof model))
        append(machine->processor, " (family %s model %s)", family, model);
}

static void add_instruction_sets(cJSON *cpu) {
    static const char *const known[] = {
        "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16",
        "avx512_fp16", "avx_vnni", "amx_tile", "amx_bf16", "amx_int8", "amx_fp16", /* x86: flags */
        "asimd", "asimddp", "fphp", "sve", "sve2", "bf16", "i8mm", "svebf16", "sme"}; /* ARM: Features */
    char flags[8192], word[8192], *rest = flags;
    cJSON *list = cJSON_AddArrayToObject(cpu, "isa");
    if (!topology_processor_field("flags", flags, sizeof flags) &&
        !topology_processor_field("Features", flags, sizeof flags))
        return;
    while (sscanf(rest, "%8191s", word) == 1) {
        for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
            if (strcmp(word, known[i]) == 0)
                cJSON_AddItemToArray(list, cJSON_CreateString(word));
        rest += strspn(rest, " ") + strlen(word);
    }
}

static void add_cpu(cJSON *root, const struct machine *machine) {
    cJSON *cpu = cJSON_AddObjectToObject(root, "cpu");
    cJSON_AddStringToObject(cpu, "model", machine->processor);
    cJSON_AddNumberToObject(cpu, "cores", topology_machine_cores());
    cJSON_AddNumberToObject(cpu, "cores_usable", topology_cores());
    cJSON_AddNumberToObject(cpu, "numa_nodes", topology_numa_nodes());
    for (int level = 1; level <= 4; level++) {
        char name[32];
        snprintf(name, sizeof name, "l%d_cache_mib", level);
        if (topology_cache(level) > 0)
            cJSON_AddNumberToObject(cpu, name, (double)topology_cache(level) / (double)MIB);
    }
    cJSON_AddNumberToObject(cpu, "last_level_caches_mib", (double)topology_last_cache_total() / (double)MIB);
    cJSON_AddNumberToObject(cpu, "clock_mhz", (double)(int)(counters_clock() * 1e-6 + 0.5));
    add_instruction_sets(cpu);
}

static void add_gpus(cJSON *root, const struct machine *machine) {
    cJSON *list = cJSON_AddArrayToObject(root, "gpus");
    for (int i = 0; i < machine->gpu_count; i++) {
        const struct gpu *gpu = &machine->gpus[i];
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "name", gpu->name);
        cJSON_AddNumberToObject(object, "memory_mib", (double)(int64_t)(gpu->memory_bytes / (double)MIB));
        cJSON_AddNumberToObject(object, "clock_maximum_mhz", gpu->clock_maximum_mhz);
        cJSON_AddNumberToObject(object, "memory_clock_mhz", gpu->memory_clock_mhz);
        cJSON_AddNumberToObject(object, "power_limit_w", gpu->power_limit_w);
        cJSON_AddNumberToObject(object, "pcie_generation", gpu->pcie_generation);
        cJSON_AddNumberToObject(object, "pcie_width", gpu->pcie_width);
        cJSON_AddNumberToObject(object, "nvlink_count", gpu->link_count > 0 ? gpu->link_count : 0);
        cJSON_AddNumberToObject(object, "nvlink_gb_per_s", gpu->link_rate * 1e-9);
        cJSON_AddStringToObject(object, "pci_address", gpu->pci_address);
        cJSON_AddStringToObject(object, "uuid", gpu->uuid);
        cJSON_AddItemToArray(list, object);
    }
    cJSON *driver = cJSON_AddObjectToObject(root, "driver");
    if (machine->driver.version[0] != '\0')
        cJSON_AddStringToObject(driver, "version", machine->driver.version);
    if (machine->driver.cuda[0] != '\0')
        cJSON_AddStringToObject(driver, "cuda", machine->driver.cuda);
}

/* Is the variable one of these: exact names, or prefixes that end in '*'? */
static bool is_among(const char *variable, const char *const *patterns, size_t count) {
    size_t length = strcspn(variable, "=");
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(patterns[i]);
        bool prefix = patterns[i][size - 1] == '*';
        if (prefix ? length >= size && strncmp(variable, patterns[i], size - 1) == 0
                   : length == size && strncmp(variable, patterns[i], size) == 0)
            return true;
    }
    return false;
}

/* Nothing but what is allowed leaves the environment: it may hold secrets. Of Open MPI's parameters, those that mpirun
   hands down about this very launch tell nothing but its paths, addresses and keys. */
static bool may_record(const char *variable) {
    static const char *const allowed[] = {
        "OMP_*", "GOMP_*", "OPENBLAS_*", "NCCL_*", "OMPI_MCA_*", "UCX_*", "MALLOC_*", "CUDA_VISIBLE_DEVICES",
        "CUDA_DEVICE_MAX_CONNECTIONS", "LD_PRELOAD", "SLURM_JOB_ID", "SLURM_JOB_NODELIST", "SLURM_NNODES"};
    static const char *const of_launch[] = {"OMPI_MCA_orte_*", "OMPI_MCA_ess", "OMPI_MCA_ess_*", "OMPI_MCA_pmix",
                                            "OMPI_MCA_initial_wdir", "OMPI_MCA_shmem_RUNTIME_QUERY_hint"};
    return is_among(variable, allowed, ARRAY_LENGTH(allowed)) &&
           !is_among(variable, of_launch, ARRAY_LENGTH(of_launch));
}

static void add_environment(cJSON *root) {
    cJSON *object = cJSON_AddObjectToObject(root, "environment");
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        char name[256];
        size_t length = strcspn(*variable, "=");
        if (!may_record(*variable) || length >= sizeof name || (*variable)[length] == '\0')
            continue;
        snprintf(name, sizeof name, "%.*s", (int)length, *variable);
        cJSON_AddStringToObject(object, name, *variable + length + 1);
    }
}

static void describe_hardware(const struct machine *machine, char text[TEXT_SIZE]) {
    int cores = topology_machine_cores();
    text[0] = '\0';
    append(text, "%s; %d core%s", machine->processor, cores, cores == 1 ? "" : "s");
    for (int first = 0, next; first < machine->gpu_count; first = next) {
        for (next = first + 1; next < machine->gpu_count; next++)
            if (strcmp(machine->gpus[next].name, machine->gpus[first].name) != 0)
                break;
        append(text, "; %d x %s", next - first, machine->gpus[first].name);
    }
    if (machine->gpu_count == 0)
        append(text, "; no GPU");
}

static void describe_software(const struct machine *machine, const cJSON *libraries, char text[TEXT_SIZE]) {
    const cJSON *library;
    text[0] = '\0';
    append(text, "%s %s; gcc %s; %s", machine->system.sysname, machine->system.release, __VERSION__, PLUMBLINE_FLAGS);
    if (machine->driver.version[0] != '\0')
        append(text, "; driver %s", machine->driver.version);
    cJSON_ArrayForEach(library, libraries) append(text, "; %s %s", library->string, library->valuestring);
}

static void add_system(cJSON *root, const struct machine *machine) {
    char host[256] = "", line[256], os[256] = "";
    FILE *file = fopen("/etc/os-release", "r");
    while (file != NULL && os[0] == '\0' && fgets(line, sizeof line, file) != NULL)
        sscanf(line, "PRETTY_NAME=\"%255[^\"\n]", os);
    if (file != NULL)
        fclose(file);
    gethostname(host, sizeof host - 1);
    cJSON_AddStringToObject(root, "host", host);
    cJSON_AddStringToObject(root, "os", os[0] != '\0' ? os : machine->system.sysname);
    add_text(root, "kernel", "%s %s", machine->system.release, machine->system.machine);
}

static void add_build(cJSON *root) {
    static const char suffix[] = "-dirty";
    size_t length = strlen(PLUMBLINE_COMMIT), tail = strlen(suffix);
    bool dirty = length >= tail && strcmp(&PLUMBLINE_COMMIT[length - tail], suffix) == 0;
    add_text(root, "compiler", "gcc %s", __VERSION__);
    cJSON_AddStringToObject(root, "flags", PLUMBLINE_FLAGS);
    add_text(root, "commit", "%.*s", (int)(dirty ? length - tail : length), PLUMBLINE_COMMIT);
    cJSON_AddBoolToObject(root, "dirty", dirty);
}

/* Which counters there are is found out without an OpenMP team, whose threads would not survive a fork. */
static void add_counters(cJSON *root) {
    int team = omp_get_max_threads();
    omp_set_num_threads(1);
    counters_start();
    cJSON_AddStringToObject(root, "counters", counters_source());
    counters_finish();
    omp_set_num_threads(team);
}

char *manifest_text(const char *arguments) {
    char created[32] = "", hardware[TEXT_SIZE], software[TEXT_SIZE];
    time_t now = time(NULL);
    struct tm utc;
    struct machine machine;
    look(&machine);
    if (gmtime_r(&now, &utc) != NULL)
        strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", &utc);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "schema", SCHEMA_VERSION);
    cJSON_AddStringToObject(root, "suite", "plumbline");
    cJSON_AddStringToObject(root, "version", PLUMBLINE_VERSION);
    cJSON_AddStringToObject(root, "created", created);
    add_system(root, &machine);
    add_cpu(root, &machine);
    double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    cJSON_AddNumberToObject(root, "memory_mib", (double)(int64_t)(memory / (double)MIB));
    add_counters(root);
    add_gpus(root, &machine);
    libraries_describe(cJSON_AddObjectToObject(root, "libraries"));
    add_build(root);
    add_environment(root);
    cJSON_AddStringToObject(root, "arguments", arguments != NULL ? arguments : "");
    describe_hardware(&machine, hardware);
    describe_software(&machine, cJSON_GetObjectItemCaseSensitive(root, "libraries"), software);
    cJSON *fingerprint = cJSON_AddObjectToObject(root, "fingerprint");
    cJSON_AddStringToObject(fingerprint, "hardware", hardware);
    cJSON_AddStringToObject(fingerprint, "software", software);
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

static bool is_there(const char *folder, const char *name, char path[TEXT_SIZE]) {
    snprintf(path, TEXT_SIZE, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

bool manifest_write(const char *folder, const char *arguments, char *reason) {
    char path[TEXT_SIZE];
    if (!is_there(folder, "topology.xml", path) && !topology_export(path, reason))
        return false;
    if (is_there(folder, "manifest.json", path))
        return true;
    char *text = manifest_text(arguments);
    if (text == NULL) {
        snprintf(reason, REASON_SIZE, "cannot write '%.400s': no memory", path);
        return false;
    }
    bool written = file_replace(path, text, strlen(text), reason);
    free(text);
    return written;
}

/* What makes a parsed file no manifest that this program can go by; NULL: nothing. */
static const char *find_fault(const cJSON *root, const char **hardware) {
    const cJSON *schema = cJSON_GetObjectItemCaseSensitive(root, "schema");
    const cJSON *fingerprint = cJSON_GetObjectItemCaseSensitive(root, "fingerprint");
    *hardware = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(fingerprint, "hardware"));
    if (root == NULL)
        return "damaged: this is no JSON";
    if (!cJSON_IsNumber(schema) || !(schema->valuedouble >= 1))
        return "damaged: it has no schema number";
    if (schema->valuedouble > SCHEMA_VERSION)
        return "its schema is newer than this program";
    if (*hardware == NULL)
        return "damaged: it has no fingerprint of the hardware";
    return NULL;
}

/* Control characters of a damaged file do not reach the terminal. */
static void make_printable(char *text) {
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

bool manifest_check(const char *folder, char *reason) {
    char path[TEXT_SIZE], here[TEXT_SIZE];
    size_t length = 0;
    const char *hardware = NULL;
    struct machine machine;
    is_there(folder, "manifest.json", path);
    char *text = file_load(path, FILE_SIZE_MAX, &length, reason);
    if (text == NULL)
        return false;
    cJSON *root = strlen(text) == length ? cJSON_ParseWithOpts(text, NULL, true) : NULL;
    const char *fault = find_fault(root, &hardware);
    if (fault != NULL) {
        snprintf(reason, REASON_SIZE, "'%.300s': %s", path, fault);
    } else {
        look(&machine);
        describe_hardware(&machine, here);
        if (strcmp(hardware, here) != 0) {
            snprintf(reason, REASON_SIZE, "'%.120s' is of other hardware: '%.150s', here is '%.150s'", path, hardware,
                     here);
            fault = reason;
        }
    }
    make_printable(reason);
    cJSON_Delete(root);
    free(text);
    return fault == NULL;
}
