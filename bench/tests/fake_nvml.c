/* fake_nvml: a libnvidia-ml.so.1 with two made-up devices, so that test_telemetry.sh can try telemetry.c without a
   driver. What it pretends comes from the environment: FAKE_CLOCKS, FAKE_REASONS and FAKE_POWERS are lists that
   successive readings walk through, FAKE_LINK_SPEED is in MB/s (0: not supported), FAKE_LINK_VERSION a number. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct nvmlDevice_st {
    int index;
};
static struct nvmlDevice_st devices[2] = {{0}, {1}};
static int running;

static unsigned long environment(const char *name, int item) {
    const char *list = getenv(name);
    for (; list != NULL && item > 0; item--)
        list = strchr(list, ',') != NULL ? strchr(list, ',') + 1 : NULL;
    return list != NULL ? strtoul(list, NULL, 0) : 0;
}

int nvmlInit_v2(void) {
    return environment("FAKE_BROKEN", 0) != 0 ? 9 : (running++, 0); /* 9: NVML_ERROR_DRIVER_NOT_LOADED */
}
int nvmlShutdown(void) {
    running--;
    return 0;
}
int nvmlSystemGetDriverVersion(char *text, unsigned size) {
    return snprintf(text, size, "580.1.2") < 0;
}
int nvmlSystemGetCudaDriverVersion(int *version) {
    *version = 13010;
    return 0;
}
int nvmlDeviceGetCount_v2(unsigned *count) {
    *count = 2;
    return running > 0 ? 0 : 1; /* 1: NVML_ERROR_UNINITIALIZED */
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct nvmlDevice_st **device) {
    *device = &devices[index % 2];
    return index < 2 ? 0 : 2;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char *address, struct nvmlDevice_st **device) {
    *device = &devices[1];
    return running > 0 && strcmp(address, "0000:18:00.0") == 0 ? 0 : 6; /* 6: NVML_ERROR_NOT_FOUND */
}
int nvmlDeviceGetName(struct nvmlDevice_st *device, char *text, unsigned size) {
    (void)device;
    return snprintf(text, size, "NVIDIA Fake") < 0;
}
int nvmlDeviceGetUUID(struct nvmlDevice_st *device, char *text, unsigned size) {
    return snprintf(text, size, "GPU-%d", device->index) < 0;
}
int nvmlDeviceGetPciInfo_v3(struct nvmlDevice_st *device, char *pci) {
    memset(pci, 0, 68);
    snprintf(pci + 36, 32, "00000000:%d8:00.0", device->index); /* busId, the last member of nvmlPciInfo_t */
    return 0;
}
int nvmlDeviceGetMemoryInfo(struct nvmlDevice_st *device, unsigned long long *memory) {
    (void)device;
    memory[0] = 141ull << 30;
    return 0;
}
int nvmlDeviceGetClockInfo(struct nvmlDevice_st *device, unsigned type, unsigned *mhz) {
    static int reading;
    (void)device;
    *mhz = (unsigned)environment("FAKE_CLOCKS", reading++);
    return type == 1 ? 0 : 2;
}
int nvmlDeviceGetMaxClockInfo(struct nvmlDevice_st *device, unsigned type, unsigned *mhz) {
    (void)device;
    *mhz = type == 1 ? 1980 : 3201;
    return 0;
}
int nvmlDeviceGetPowerUsage(struct nvmlDevice_st *device, unsigned *milliwatts) {
    static int reading;
    (void)device;
    *milliwatts = (unsigned)environment("FAKE_POWERS", reading++);
    return 0;
}
int nvmlDeviceGetEnforcedPowerLimit(struct nvmlDevice_st *device, unsigned *milliwatts) {
    (void)device;
    *milliwatts = 700000;
    return 0;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(struct nvmlDevice_st *device, unsigned long long *reasons) {
    static int reading;
    (void)device;
    *reasons = environment("FAKE_REASONS", reading++);
    return 0;
}
int nvmlDeviceGetMaxPcieLinkGeneration(struct nvmlDevice_st *device, unsigned *value) {
    (void)device;
    *value = 5;
    return 0;
}
int nvmlDeviceGetNvLinkState(struct nvmlDevice_st *device, unsigned link, unsigned *active) {
    *active = link % 2; /* the even ones are down */
    return device->index == 1 && link < 18 ? 0 : 3;
}
int nvmlDeviceGetNvLinkVersion(struct nvmlDevice_st *device, unsigned link, unsigned *version) {
    (void)device;
    *version = (unsigned)environment("FAKE_LINK_VERSION", 0);
    return link % 2 == 1 ? 0 : 2; /* only an active link answers */
}
int nvmlDeviceGetFieldValues(struct nvmlDevice_st *device, int count, unsigned *field) {
    (void)device;
    unsigned speed = (unsigned)environment("FAKE_LINK_SPEED", 0);
    int status = speed == 0 ? 3 : 0; /* 3: NVML_ERROR_NOT_SUPPORTED */
    memcpy(&field[7], &status, sizeof status);
    field[8] = speed;
    return count == 1 && field[0] == 90 ? 0 : 2;
}
