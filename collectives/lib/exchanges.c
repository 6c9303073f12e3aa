/* exchanges.c: see exchanges.h.
 * needs: mpi
 */
#include "collectives/lib/exchanges.h"

static struct exchange *with;
static struct exchange_counts counts;

const struct exchange *exchanges(void) { return with; }
const struct exchange_counts *exchange_counts(void) { return &counts; }

struct exchange_load exchange_load(const struct run *run, exchange_rule *rule, int rank) {
    struct exchange_load load = {.own = rule(run, rank, rank)};
    for (int peer = 0; peer < run->value[COLLECTIVE_RANKS]; peer++) {
        load.sent += rule(run, rank, peer);
        load.received += rule(run, peer, rank);
    }
    return load;
}

void exchanges_make(struct run *run, exchange_rule *rule) {
    struct collective *c = run->state;
    size_t ranks = (size_t)c->ranks;
    int *table = bench_alloc(run, 4 * ranks * sizeof *table);
    counts = (struct exchange_counts){table, table + ranks, table + 2 * ranks, table + 3 * ranks};
    with = bench_alloc(run, ranks * sizeof *with);
    c->input_count = 0;
    c->output_count = 0;
    if (c->rank < 0) return;
    for (int peer = 0; peer < c->ranks; peer++) {
        struct exchange *e = &with[peer];
        *e = (struct exchange){.sent = rule(run, c->rank, peer), .sent_at = c->input_count,
                               .received = rule(run, peer, c->rank), .received_at = c->output_count};
        for (int before = 0; before < c->rank; before++) e->source_at += rule(run, peer, before);
        c->input_count += e->sent;
        c->output_count += e->received;
        counts.sent[peer] = (int)e->sent;
        counts.sent_at[peer] = (int)e->sent_at;
        counts.received[peer] = (int)e->received;
        counts.received_at[peer] = (int)e->received_at;
    }
}
