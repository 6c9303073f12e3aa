/* launch_overhead: what does it cost to start a kernel, in a stream and in a graph?

   A kernel of one thread that does nothing, `kernels` of them one after the other in a call. call_time is the time of
   a call over `kernels`, by the host's clock. With kernels = 1 it is a round trip, from the launch to the end of the
   first wait; with many, the pace at which kernels can follow one another, and the least that a program of small
   kernels pays for each. Bytes and FLOPs: none. Limit: none known.

     stream       launches one by one, then a wait
     graph        one launch of a graph that is a chain of the kernels, then a wait
     submit       the launches alone, without the wait: what the host's thread is busy with
     synchronize  a wait for a stream that has nothing to do; kernels is 1

   Check: the same call with kernels that count themselves must count `kernels`. The timed ones are the same kernel
   without a counter: adding to memory would take longer than all else that it does.
 * needs: cuda
 */
#include "bench/device.h"
#include "bench/topology.h"
#include "kernels/launch_overhead.h"

/* The host's thread stays on a core near the device. */
static void setup(struct run *run) {
    topology_bind_near(device_backend->pci_address());
    topology_bind_team(1);
    struct launch_state *state = bench_alloc(run, sizeof *state);
    run->state = state;
    state->kernels = run->value[AXIS_KERNELS];
}

static void check(struct run *run, struct verdict *verdict) {
    const struct launch_state *state = run->state;
    verdict->error = state->ran == (unsigned long long)state->kernels ? 0 : 1;
    verdict->tolerance = 0;
}

static const struct axis axes[] = {
    [AXIS_KERNELS] = {.name = "kernels", .help = "kernels of one call, one after the other", .kind = AXIS_INTEGER,
                      .host = {"1,100", "1,10,100,1000", "1:10000:10"}, .minimum = 1, .maximum = 1000000},
    {0}};

static const struct variant variants[] = {{0}};

const struct bench bench = {.suite = "kernels", .name = "launch_overhead",
                            .question = "What does it cost to start a kernel, in a stream and in a graph?",
                            .axes = axes, .variants = variants, .setup = setup, .check = check};
