/* limits.c: the physical limits a row is held against: measured on the host, from properties on a device. */
#include "limits_host.h"
#include "network.h"
#include "session.h"
#include "topology.h"

static struct shared *shared_limits;
static int limit_threads;

void limits_use(struct shared *shared, int threads) {
    shared_limits = shared;
    limit_threads = threads;
}

static const struct host_limits *host_limits(void) {
    if (!shared_limits->limits_known) {
        topology_bind_team(limit_threads); /* an earlier case may have left a smaller team, pinned to one core */
        host_limits_measure(&shared_limits->limits, limit_threads);
        shared_limits->limits_known = true;
    }
    return &shared_limits->limits;
}

static bool on_device(const struct run *run) {
    return run->variant->place == PLACE_DEVICE;
}

struct limit limit_memory_bandwidth(const struct run *run) {
    if (on_device(run)) return device_backend->memory_bandwidth();
    return (struct limit){host_limits()->bandwidth, "measured copies"};
}

struct limit limit_flop_rate(const struct run *run, enum dtype dtype) {
    if (on_device(run)) return device_backend->flop_rate(dtype);
    if (dtype == DTYPE_fp32) return (struct limit){host_limits()->fp32, "measured fma chains"};
    if (dtype == DTYPE_fp64) return (struct limit){host_limits()->fp64, "measured fma chains"};
    return (struct limit){0, NULL};
}

/* Ranks on one host talk through memory: every byte is read once and written once. */
struct limit limit_link_bandwidth(const struct run *run) {
    if (on_device(run)) return device_backend->link_bandwidth();
    return (struct limit){host_limits()->bandwidth / 2, "measured copies / 2"};
}

struct limit limit_host_link_bandwidth(const struct run *run) {
    return on_device(run) ? device_backend->host_link_bandwidth() : (struct limit){0, NULL};
}

/* Rank 0 asks its own ports; nodes of a cluster that is worth the name are alike. */
struct limit limit_network_bandwidth(const struct run *run) {
    static struct limit ports;
    static bool asked;
    double given = ((const struct session *)run)->options->network_rate;
    if (given > 0) return (struct limit){given * 1e9, "network rate as given"};
    if (!asked) ports = network_bandwidth("/sys");
    asked = true;
    return ports;
}
