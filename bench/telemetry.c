/* telemetry.c: NVML, opened at run time. nvml.h does not come with every toolkit, so that the few functions, structures
   and numbers used are declared here, after NVIDIA's NVML API Reference (its ABI is stable; the names carry a version
   where it is not). */
#include "telemetry.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct nvmlDevice_st;
struct nvml_memory { /* nvmlMemory_t */
    unsigned long long total, free, used;
};
struct nvml_pci { /* nvmlPciInfo_t */
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};
struct nvml_field { /* nvmlFieldValue_t */
    unsigned field, scope;
    long long timestamp, latency;
    unsigned type;
    int status;
    union {
        double real;
        unsigned number;
        unsigned long long long_number;
    } value;
};
enum { NVML_OK = 0, CLOCK_SM = 1, CLOCK_MEMORY = 2, FIELD_LINK_SPEED = 90, FIELD_POWER_NOW = 186, LINKS_MAX = 18 + 18 };
/* nvmlClocksEventReasons: those that mean that the device would have run faster. Not here: idle (1), application clocks
   (2), sync boost (16), display clocks (256). */
enum { POWER_CAP = 0x4, HARDWARE_SLOWDOWN = 0x8, THERMAL = 0x20, HARDWARE_THERMAL = 0x40, POWER_BRAKE = 0x80 };
static const unsigned long long slowing = POWER_CAP | HARDWARE_SLOWDOWN | THERMAL | HARDWARE_THERMAL | POWER_BRAKE;

/* FUNCTION(member, symbol, parameters). Those a driver lacks are NULL. */
#define NVML_FUNCTIONS                                                                                                 \
    FUNCTION(start, "nvmlInit_v2", (void))                                                                             \
    FUNCTION(stop, "nvmlShutdown", (void))                                                                             \
    FUNCTION(driver, "nvmlSystemGetDriverVersion", (char *text, unsigned size))                                        \
    FUNCTION(cuda, "nvmlSystemGetCudaDriverVersion", (int *version))                                                   \
    FUNCTION(count, "nvmlDeviceGetCount_v2", (unsigned *count))                                                        \
    FUNCTION(by_index, "nvmlDeviceGetHandleByIndex_v2", (unsigned index, struct nvmlDevice_st **device))               \
    FUNCTION(by_address, "nvmlDeviceGetHandleByPciBusId_v2", (const char *address, struct nvmlDevice_st **device))     \
    FUNCTION(name, "nvmlDeviceGetName", (struct nvmlDevice_st *device, char *text, unsigned size))                     \
    FUNCTION(uuid, "nvmlDeviceGetUUID", (struct nvmlDevice_st *device, char *text, unsigned size))                     \
    FUNCTION(pci, "nvmlDeviceGetPciInfo_v3", (struct nvmlDevice_st *device, struct nvml_pci *pci))                     \
    FUNCTION(memory, "nvmlDeviceGetMemoryInfo", (struct nvmlDevice_st *device, struct nvml_memory *memory))            \
    FUNCTION(clock, "nvmlDeviceGetClockInfo", (struct nvmlDevice_st *device, unsigned type, unsigned *mhz))            \
    FUNCTION(clock_maximum, "nvmlDeviceGetMaxClockInfo", (struct nvmlDevice_st *device, unsigned type, unsigned *mhz)) \
    FUNCTION(power, "nvmlDeviceGetPowerUsage", (struct nvmlDevice_st *device, unsigned *milliwatts))                   \
    FUNCTION(power_limit, "nvmlDeviceGetEnforcedPowerLimit", (struct nvmlDevice_st *device, unsigned *milliwatts))     \
    FUNCTION(reasons, "nvmlDeviceGetCurrentClocksThrottleReasons",                                                     \
             (struct nvmlDevice_st *device, unsigned long long *reasons))                                              \
    FUNCTION(pcie_generation, "nvmlDeviceGetMaxPcieLinkGeneration", (struct nvmlDevice_st *device, unsigned *value))   \
    FUNCTION(pcie_width, "nvmlDeviceGetMaxPcieLinkWidth", (struct nvmlDevice_st *device, unsigned *value))             \
    FUNCTION(link_state, "nvmlDeviceGetNvLinkState", (struct nvmlDevice_st *device, unsigned link, unsigned *active))  \
    FUNCTION(link_version, "nvmlDeviceGetNvLinkVersion",                                                               \
             (struct nvmlDevice_st *device, unsigned link, unsigned *version))                                         \
    FUNCTION(fields, "nvmlDeviceGetFieldValues", (struct nvmlDevice_st *device, int count, struct nvml_field *fields))

static struct {
#define FUNCTION(member, symbol, parameters) int (*member) parameters;
    NVML_FUNCTIONS
#undef FUNCTION
} nvml;
/* True where the function exists and returns success. */
#define NVML(member, ...) (nvml.member != NULL && nvml.member(__VA_ARGS__) == NVML_OK)

static void *library;
static long owner; /* the process that started NVML: a forked child starts it anew */
static struct nvmlDevice_st *opened;

enum { CLOCKS_MAX = 4096 };
static struct {
    int polls, clock_count[CLOCKS_MAX]; /* a histogram by MHz: any number of polls without memory for each */
    unsigned stale; /* milliwatts of the first poll: the driver renews them some ten times a second */
    bool renewed;
    double power_w;
    bool throttled;
    struct timespec last;
    double cost; /* seconds of the last poll */
} readings;

static bool nvml_start(void) {
    if (library != NULL && owner == (long)getpid())
        return true;
    if (library == NULL)
        library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return false;
/* POSIX lets a pointer to data hold a function; ISO C, which has no such cast, is content with memcpy. */
#define FUNCTION(member, symbol, parameters) memcpy(&nvml.member, &(void *){dlsym(library, symbol)}, sizeof(void *));
    NVML_FUNCTIONS
#undef FUNCTION
    if (!NVML(start)) {
        dlclose(library);
        library = NULL;
        return false;
    }
    owner = (long)getpid();
    return true;
}

static void nvml_stop(void) {
    if (library == NULL || owner != (long)getpid())
        return;
    (void)NVML(stop);
    dlclose(library);
    library = NULL;
}

/* A small whole number that a function (device, &value) gives; 0: unknown. */
static unsigned ask(int (*function)(struct nvmlDevice_st *, unsigned *), struct nvmlDevice_st *device) {
    unsigned value = 0;
    return function != NULL && function(device, &value) == NVML_OK ? value : 0;
}

/* Power now, where the driver tells it (Hopper and later average what they call the power usage over a second). */
static unsigned milliwatts_now(struct nvmlDevice_st *device) {
    struct nvml_field power = {.field = FIELD_POWER_NOW};
    if (NVML(fields, device, 1, &power) && power.status == NVML_OK && power.value.number > 0)
        return power.value.number;
    return ask(nvml.power, device);
}

static int link_count(struct nvmlDevice_st *device, unsigned *first) {
    int count = 0;
    if (nvml.link_state == NULL)
        return -1;
    for (unsigned link = 0; link < LINKS_MAX; link++) {
        unsigned active = 0;
        if (!NVML(link_state, device, link, &active) || active == 0)
            continue;
        if (count++ == 0)
            *first = link;
    }
    return count;
}

/* Bytes/s of one link in one direction. The driver tells the signalling rate (26.56 GB/s on Hopper) where it tells one,
   of which the largest nominal rate below it is what data gets; else the version decides: 3 bytes in the enumeration
   nvmlNvlinkVersion_t stand for 2.2, 5 for 3.1, 6 for 4.0, 7 for 5.0. */
static double link_rate(struct nvmlDevice_st *device, unsigned link) {
    static const double nominal[] = {100e9, 50e9, 25e9, 20e9};
    struct nvml_field speed = {.field = FIELD_LINK_SPEED};
    if (NVML(fields, device, 1, &speed) && speed.status == NVML_OK && speed.value.number > 0) {
        double rate = speed.value.number * 1e6;
        for (size_t i = 0; i < sizeof nominal / sizeof *nominal; i++)
            if (rate * 1.01 >= nominal[i]) /* 1.01: Pascal's 20 GB/s is told as 19.92 */
                return nominal[i];
        return rate;
    }
    unsigned version = 0;
    if (!NVML(link_version, device, link, &version) || version == 0)
        return 0;
    return version >= 7 ? 50e9 : version >= 2 ? 25e9 : 20e9;
}

bool telemetry_open(const char *pci_address) {
    opened = NULL;
    telemetry_reset();
    if (pci_address == NULL || !nvml_start())
        return false;
    if (!NVML(by_address, pci_address, &opened))
        opened = NULL;
    return opened != NULL;
}

void telemetry_reset(void) {
    memset(&readings, 0, sizeof readings);
}

static double seconds_between(const struct timespec *from, const struct timespec *to) {
    return (double)(to->tv_sec - from->tv_sec) + 1e-9 * (double)(to->tv_nsec - from->tv_nsec);
}

void telemetry_poll(void) {
    struct timespec now;
    if (opened == NULL)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double since = seconds_between(&readings.last, &now);
    if (readings.polls > 0 && (since < 1e-3 || since < 9 * readings.cost)) /* a tenth of the time at most */
        return;
    unsigned mhz = 0, milliwatts = milliwatts_now(opened);
    unsigned long long reasons = 0;
    if (!NVML(clock, opened, CLOCK_SM, &mhz) || mhz >= CLOCKS_MAX)
        return;
    (void)NVML(reasons, opened, &reasons);
    readings.clock_count[mhz]++;
    if (readings.polls++ == 0) readings.stale = milliwatts;
    readings.renewed = readings.renewed || milliwatts != readings.stale;
    if (readings.renewed && milliwatts * 1e-3 > readings.power_w) readings.power_w = milliwatts * 1e-3;
    readings.throttled = readings.throttled || (reasons & slowing) != 0;
    /* after the reading: on some machines one takes milliseconds, and the caller has its own work to wait for */
    clock_gettime(CLOCK_MONOTONIC, &readings.last);
    readings.cost = seconds_between(&now, &readings.last);
}

void telemetry_read(struct telemetry *telemetry) {
    *telemetry = (struct telemetry){readings.polls, 0, readings.power_w, readings.throttled};
    int seen = 0;
    for (int mhz = 0; mhz < CLOCKS_MAX && 2 * seen < readings.polls; mhz++) {
        seen += readings.clock_count[mhz];
        telemetry->clock_mhz = mhz;
    }
}

int telemetry_link_count(void) {
    unsigned first;
    return opened != NULL ? link_count(opened, &first) : -1;
}

double telemetry_link_rate(void) {
    unsigned first = 0;
    return opened != NULL && link_count(opened, &first) > 0 ? link_rate(opened, first) : 0;
}

static void ask_pcie(struct nvmlDevice_st *device, int *generation, int *width) {
    *generation = (int)ask(nvml.pcie_generation, device);
    *width = (int)ask(nvml.pcie_width, device);
}

void telemetry_pcie(int *generation, int *width) {
    *generation = *width = 0;
    if (opened != NULL) ask_pcie(opened, generation, width);
}

static void describe(struct nvmlDevice_st *device, struct gpu *gpu) {
    struct nvml_memory memory = {0};
    struct nvml_pci pci = {0};
    unsigned mhz[2] = {0}, first = 0;
    memset(gpu, 0, sizeof *gpu);
    (void)NVML(name, device, gpu->name, sizeof gpu->name);
    (void)NVML(uuid, device, gpu->uuid, sizeof gpu->uuid);
    if (NVML(pci, device, &pci))
        snprintf(gpu->pci_address, sizeof gpu->pci_address, "%.31s", pci.bus_id);
    (void)NVML(memory, device, &memory);
    gpu->memory_bytes = (double)memory.total;
    (void)NVML(clock_maximum, device, CLOCK_SM, &mhz[0]);
    (void)NVML(clock_maximum, device, CLOCK_MEMORY, &mhz[1]);
    gpu->clock_maximum_mhz = mhz[0];
    gpu->memory_clock_mhz = mhz[1];
    gpu->power_limit_w = ask(nvml.power_limit, device) * 1e-3;
    ask_pcie(device, &gpu->pcie_generation, &gpu->pcie_width);
    gpu->link_count = link_count(device, &first);
    gpu->link_rate = gpu->link_count > 0 ? link_rate(device, first) : 0;
}

int telemetry_machine(struct gpu *gpus, int capacity, struct gpu_driver *driver) {
    unsigned count = 0;
    int found = 0, version = 0;
    bool keep = library != NULL && owner == (long)getpid();
    memset(driver, 0, sizeof *driver);
    if (!nvml_start())
        return 0;
    (void)NVML(driver, driver->version, sizeof driver->version);
    if (NVML(cuda, &version))
        snprintf(driver->cuda, sizeof driver->cuda, "%d.%d", version / 1000, version % 1000 / 10);
    (void)NVML(count, &count);
    for (unsigned index = 0; index < count && found < capacity; index++) {
        struct nvmlDevice_st *device = NULL;
        if (NVML(by_index, index, &device))
            describe(device, &gpus[found++]);
    }
    if (!keep)
        nvml_stop();
    return found;
}
