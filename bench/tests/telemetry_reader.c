/* telemetry_reader: prints what telemetry.c makes of five readings, for test_telemetry.sh. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/telemetry.h"

static void read_five(void) {
    struct telemetry telemetry;
    printf("open %d\n", telemetry_open("0000:18:00.0"));
    for (int i = 0; i < 5; i++) {
        telemetry_poll();
        telemetry_poll(); /* at once: not a second reading */
        usleep(3000);
    }
    telemetry_read(&telemetry);
    printf("polls %d clock %g power %g throttled %d\n", telemetry.polls, telemetry.clock_mhz, telemetry.power_w,
           telemetry.throttled);
    printf("links %d rate %g\n", telemetry_link_count(), telemetry_link_rate());
    int generation, width;
    telemetry_pcie(&generation, &width);
    printf("pcie %d x%d\n", generation, width);
    telemetry_reset();
    telemetry_read(&telemetry);
    printf("reset %d %g %g %d\n", telemetry.polls, telemetry.clock_mhz, telemetry.power_w, telemetry.throttled);
    fflush(stdout);
}

int main(void) {
    struct gpu gpus[4];
    struct gpu_driver driver;
    int count = telemetry_machine(gpus, 4, &driver);
    printf("gpus %d driver %s cuda %s\n", count, driver.version, driver.cuda);
    for (int i = 0; i < count; i++)
        printf("%s %s %s %g GiB %g %g MHz %g W pcie %d x%d links %d %g\n", gpus[i].name, gpus[i].uuid,
               gpus[i].pci_address, gpus[i].memory_bytes / (double)(1 << 30), gpus[i].clock_maximum_mhz,
               gpus[i].memory_clock_mhz, gpus[i].power_limit_w, gpus[i].pcie_generation, gpus[i].pcie_width,
               gpus[i].link_count, gpus[i].link_rate);
    printf("none %d\n", telemetry_open("0000:99:00.0") || telemetry_open(NULL));
    fflush(stdout);
    if (fork() == 0) { /* as a worker does, whose parent had NVML open */
        read_five();
        _exit(0);
    }
    wait(NULL);
    return 0;
}
