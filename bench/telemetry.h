/* telemetry.h: clock, power and throttle reasons of a GPU by NVML, opened at run time (libnvidia-ml.so.1), so that no
   program needs the driver to start. */
#ifndef BENCH_TELEMETRY_H
#define BENCH_TELEMETRY_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
struct telemetry {
    int polls;
    double clock_mhz; /* median over the polls */
    double power_w;   /* largest that the driver told anew since the first poll; 0: none, the time was too short */
    bool throttled;   /* power cap, thermal or hardware slow-down seen (idle and application clocks do not count) */
};
bool telemetry_open(const char *pci_address); /* false: no NVML or no such device */
void telemetry_reset(void);
void telemetry_poll(void);                    /* for a waiting loop: once a millisecond at most, a tenth of the time */
void telemetry_read(struct telemetry *telemetry);
int telemetry_link_count(void);               /* active NVLinks of the opened device, -1: unknown */
double telemetry_link_rate(void);             /* bytes/s of one link, one direction; 0: unknown */
void telemetry_pcie(int *generation, int *width); /* what the opened device and its slot can do together; 0: unknown */

/* Every GPU that NVML shows, for the manifest. Empty text and 0: not known. */
struct gpu {
    char name[96], uuid[96], pci_address[32];
    double memory_bytes, clock_maximum_mhz, memory_clock_mhz, power_limit_w;
    int pcie_generation, pcie_width; /* what card and slot can do together */
    int link_count;                  /* active NVLinks, -1: unknown */
    double link_rate;                /* bytes/s of one link, one direction */
};
struct gpu_driver {
    char version[96]; /* of the kernel driver */
    char cuda[16];    /* the newest CUDA it runs */
};
/* Returns how many of at most `capacity` were described; 0 without NVML. NVML is stopped again where this call started
   it, so that the process may fork afterwards. */
int telemetry_machine(struct gpu *gpus, int capacity, struct gpu_driver *driver);
#ifdef __cplusplus
}
#endif
#endif
