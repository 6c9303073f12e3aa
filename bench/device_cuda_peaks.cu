/* device_cuda_peaks.cu: what a CUDA device can do at most, from its properties. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "device_cuda.h"
#include "telemetry.h"

/* FLOP (a multiply-add counts two) or integer operations per clock and multiprocessor, of the fastest unit that takes
   the type, dense. fp64 and below 32 bits: the tensor cores where they are faster. 8.6 and 8.9 are those of the
   professional cards; the consumer cards accumulate in fp32 at half of it. Sources: the vendor's tuning guides and
   datasheet rates divided by multiprocessors and boost clock. int32 has no figure that holds for all instructions. */
static const struct {
    int major, minor;
    int rate[DTYPE_COUNT];
} rates[] = {
#define RATES(fp64, fp32, tf32, half, fp8, int8) {fp64, fp32, tf32, half, half, fp8, fp8, int8, 0, int8}
    {8, 0, RATES(128, 128, 1024, 2048, 0, 4096)},
    {8, 6, RATES(4, 256, 512, 1024, 0, 2048)},
    {8, 9, RATES(4, 256, 512, 1024, 2048, 2048)},
    {9, 0, RATES(256, 256, 2048, 4096, 8192, 8192)},
    {10, 0, RATES(128, 256, 4096, 8192, 16384, 16384)},
#undef RATES
};
static_assert(DTYPE_fp64 == 0 && DTYPE_fp32 == 1 && DTYPE_tf32 == 2 && DTYPE_bf16 == 3 && DTYPE_fp16 == 4 &&
                  DTYPE_fp8_e4m3 == 5 && DTYPE_fp8_e5m2 == 6 && DTYPE_int8 == 7 && DTYPE_int32 == 8 &&
                  DTYPE_uint8 == 9 && DTYPE_COUNT == 10,
              "RATES follows the order of dtype.def");

static double attribute(enum cudaDeviceAttr which) {
    int value = 0;
    if (cudaDeviceGetAttribute(&value, which, device_cuda_index()) == cudaSuccess) return value;
    cudaGetLastError();
    return 0;
}

static struct limit known(double value, const char *source) {
    return value > 0 ? (struct limit){value, source} : (struct limit){0, NULL};
}

int device_cuda_multiprocessors(void) {
    return (int)attribute(cudaDevAttrMultiProcessorCount);
}

double device_cuda_clock_maximum(void) {
    return 1e3 * attribute(cudaDevAttrClockRate); /* the attribute is in kHz */
}

/* Two transfers a clock: every memory these devices have is double data rate in the unit the driver reports. */
struct limit device_cuda_memory_bandwidth(void) {
    double clock = 1e3 * attribute(cudaDevAttrMemoryClockRate), bits = attribute(cudaDevAttrGlobalMemoryBusWidth);
    return known(2 * clock * bits / 8, "memory clock x bus width");
}

struct limit device_cuda_flop_rate(enum dtype dtype) {
    int major = (int)attribute(cudaDevAttrComputeCapabilityMajor);
    int minor = (int)attribute(cudaDevAttrComputeCapabilityMinor);
    for (size_t i = 0; i < ARRAY_LENGTH(rates); i++)
        if (rates[i].major == major && rates[i].minor == minor)
            return known(rates[i].rate[dtype] * device_cuda_multiprocessors() *
                             device_cuda_clock_maximum(),
                         "boost clock");
    return known(0, NULL);
}

/* First word of a file of the device in Linux' sysfs as a number; 0: not there. */
static double pci_property(const char *file) {
    char path[256], address[32];
    double value = 0;
    snprintf(address, sizeof address, "%s", device_cuda_pci_address());
    for (char *c = address; *c != '\0'; c++) *c = (char)tolower((unsigned char)*c);
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/%s", address, file);
    FILE *stream = fopen(path, "r");
    if (stream == NULL) return 0;
    if (fscanf(stream, "%lf", &value) != 1) value = 0;
    fclose(stream);
    return value;
}

/* 2.5 and 5 GT/s a lane, coded 8b/10b, from generation 3 on 8 GT/s and doubling, coded 128b/130b. Where NVML knows no
   generation Linux may know the speed; behind another kind of link neither does. */
struct limit device_cuda_host_link_bandwidth(void) {
    int generation, width;
    telemetry_pcie(&generation, &width);
    double lanes = width, transfers = generation < 3 ? 2.5e9 * generation : 8e9 * (1 << (generation - 3));
    if (generation < 1) transfers = 1e9 * pci_property("max_link_speed"), lanes = pci_property("max_link_width");
    double coding = transfers > 5e9 ? 128.0 / 130.0 : 0.8;
    return known(transfers * lanes / 8 * coding, "PCIe speed x width");
}

struct limit device_cuda_link_bandwidth(void) {
    double links = telemetry_link_count() * telemetry_link_rate();
    return links > 0 ? known(links, "NVLinks x rate") : device_cuda_host_link_bandwidth();
}
