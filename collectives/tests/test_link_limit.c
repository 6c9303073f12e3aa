/* test_link_limit.c: limits of several nodes, against the bytes that links carry when the collective is played through,
   and the rates that ports state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/network.h"
#include "collectives/lib/link_limit.h"

static const struct limit nvlink = {450e9, "NVLink"}, network = {400e9, "ports"}, unknown = {0, NULL};

/* Seconds that the busiest link needs for S = 1 byte, of k nodes with g ranks each, counted block by block. */
static double seconds_of(enum bus bus, int k, int g, double within, double between) {
    int n = k * g;
    double own = 1.0 / n, inner = 0, outer = 0; /* bytes of one rank's link, of one node's network, in one direction */
    switch (bus) {
    case BUS_ALL_REDUCE: /* reduce within, all-reduce between over g shares, gather within */
        inner = 2 * (g - 1) / (double)g;
        outer = 2 * (k - 1) / (double)k;
        break;
    case BUS_SHARED:
        inner = (g - 1) / (double)g;
        outer = (k - 1) / (double)k;
        break;
    case BUS_EXCHANGE: /* each of g ranks sends a share to each rank of the other nodes */
        for (int rank = 0; rank < g; rank++)
            for (int peer = g; peer < n; peer++) outer += own;
        inner = 0; /* what stays within a node goes beside it */
        break;
    case BUS_ROOT:
        for (int peer = g; peer < n; peer++) outer += own;
        break;
    case BUS_WHOLE: outer = 1; break;
    }
    double a = inner / within, b = outer / between;
    return a > b ? a : b;
}

static void limits_are_what_the_links_allow(void **state) {
    (void)state;
    for (enum bus bus = BUS_ALL_REDUCE; bus <= BUS_WHOLE; bus++)
        for (int k = 2; k <= 16; k *= 2)
            for (int g = 1; g <= 8; g *= 2) {
                struct limit slow = {40e9, "ports"}; /* so that the network is what holds back */
                double expected = bus_factor(bus, k * g) / seconds_of(bus, k, g, 1e30, slow.value);
                assert_float_equal(link_limit(nvlink, slow, k * g, k, g, bus).value / expected, 1, 1e-12);
            }
    for (int k = 2; k <= 4; k *= 2) { /* and here the links within the nodes */
        struct limit fast = {1e30, "ports"};
        double expected =
            bus_factor(BUS_ALL_REDUCE, 8 * k) / seconds_of(BUS_ALL_REDUCE, k, 8, nvlink.value, fast.value);
        assert_float_equal(link_limit(nvlink, fast, 8 * k, k, 8, BUS_ALL_REDUCE).value / expected, 1, 1e-12);
        assert_string_equal(link_limit(nvlink, fast, 8 * k, k, 8, BUS_ALL_REDUCE).source, "NVLink");
    }
}

/* Why users see 1.9 times the wire's rate: 2 nodes of 8, 50 GB/s a rank, 750 GB/s of bus bandwidth. */
static void bus_bandwidth_may_exceed_the_wire(void **state) {
    (void)state;
    assert_float_equal(link_limit(unknown, network, 16, 2, 8, BUS_ALL_REDUCE).value, 750e9, 1);
    assert_string_equal(link_limit(unknown, network, 16, 2, 8, BUS_ALL_REDUCE).source, "ports");
}

static void no_network_no_limit(void **state) {
    (void)state;
    assert_true(link_limit(nvlink, unknown, 16, 2, 8, BUS_ALL_REDUCE).value == 0);
}

static void put(const char *root, const char *folder, const char *file, const char *text) {
    char path[512], command[600];
    snprintf(command, sizeof command, "mkdir -p %s/%s", root, folder);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof path, "%s/%s/%s", root, folder, file);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void rates_are_those_of_the_ports(void **state) {
    (void)state;
    char root[] = "/tmp/plumbline-ports-XXXXXX", command[128];
    assert_non_null(mkdtemp(root));
    assert_true(network_bandwidth(root).value == 0);

    put(root, "class/net/lo", "speed", "10\n"); /* no device behind it */
    put(root, "class/net/eth0/device", "vendor", "x\n");
    put(root, "class/net/eth0", "speed", "25000\n");
    put(root, "class/net/eth1/device", "vendor", "x\n");
    put(root, "class/net/eth1", "speed", "-1\n");
    assert_float_equal(network_bandwidth(root).value, 25e9 / 8, 1);
    assert_string_equal(network_bandwidth(root).source, "Ethernet port");

    put(root, "class/infiniband/mlx5_0/ports/1", "state", "4: ACTIVE\n");
    put(root, "class/infiniband/mlx5_0/ports/1", "rate", "400 Gb/sec (4X NDR)\n");
    put(root, "class/infiniband/mlx5_1/ports/1", "state", "4: ACTIVE\n");
    put(root, "class/infiniband/mlx5_1/ports/1", "rate", "200 Gb/sec (4X HDR)\n");
    put(root, "class/infiniband/mlx5_2/ports/1", "state", "1: DOWN\n");
    put(root, "class/infiniband/mlx5_2/ports/1", "rate", "400 Gb/sec (4X NDR)\n");
    assert_float_equal(network_bandwidth(root).value, 75e9, 1);
    assert_string_equal(network_bandwidth(root).source, "InfiniBand ports");
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_what_the_links_allow),
        cmocka_unit_test(bus_bandwidth_may_exceed_the_wire),
        cmocka_unit_test(no_network_no_limit),
        cmocka_unit_test(rates_are_those_of_the_ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
