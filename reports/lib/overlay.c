#include "overlay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where a limit lies this many times above the highest point, a linear plot leaves it out. */
static const double LIMIT_FACTOR_MAX = 4;

static bool nearly(double a, double b) { return fabs(a - b) <= 0.01 * fabs(b); }

static void add_limit(struct overlay *overlay, size_t most, size_t *distinct, const struct point *point) {
    for (size_t i = 0; i < overlay->limit_count; i++)
        if (nearly(overlay->limits[i].value, point->limit)) return;
    if (++*distinct > most) return;
    const struct row *row = point->row;
    overlay->limits[overlay->limit_count++] = (struct overlay_limit){
        .value = point->limit, .source = row->field[COLUMN_limit_source], .dtype = row->field[COLUMN_dtype]};
}

/* A figure published for no particular x stands at the last one. */
static bool names_axis(const struct peer *peer, const char *axis) {
    for (int i = 0; i < peer->axis_count; i++)
        if (strcmp(peer->axes[i].name, axis) == 0) return true;
    return false;
}

static void add_peers(const struct plot *plot, struct overlay *overlay, const struct peers *peers,
                      const struct point *point, int color, bool last) {
    const struct peer *found[PEERS_OF_ROW_MAX];
    size_t count = peers_of(peers, point->row, found);
    for (size_t i = 0; i < count; i++) {
        bool known = overlay->peer_count == PEER_POINTS_MAX || (!last && !names_axis(found[i], plot->x));
        for (size_t p = 0; p < overlay->peer_count; p++)
            known = known || (overlay->peers[p].peer == found[i] && overlay->peers[p].x == point->x);
        if (!known) overlay->peers[overlay->peer_count++] = (struct overlay_peer){point->x, color, found[i]};
    }
}

/* The largest limit of memory that rows of a device and run state as their bandwidth's. */
static void memory_of(const struct row *const *rows, size_t count, const struct row *like, struct overlay *overlay) {
    for (size_t i = 0; i < count; i++) {
        const struct row *row = rows[i];
        double limit = row_number(row, COLUMN_limit) / 1000; /* from GB/s, as flop_rate is in TFLOP/s */
        if (strcmp(row->field[COLUMN_metric], "bandwidth") != 0 || row->result != like->result) continue;
        if (strcmp(row->field[COLUMN_device], like->field[COLUMN_device]) != 0) continue;
        if (!(limit > 0) || !isfinite(limit) || limit <= overlay->memory) continue;
        overlay->memory = limit;
        overlay->memory_source = row->field[COLUMN_limit_source];
    }
}

static void find_memory(const struct plot *plot, const struct panel *panel, struct overlay *overlay) {
    const struct section *section = plot->section;
    const struct row *like = panel->series[0].points[0].row;
    const struct result *result = &section->results[like->result];
    memory_of((const struct row *const *)section->rows, section->row_count, like, overlay);
    for (size_t t = 0; t < result->table_count && isnan(overlay->memory); t++) {
        const struct table *table = &result->tables[t];
        if (table->row_count > 0 && strcmp(table->rows[0]->field[COLUMN_program], "stream") == 0)
            memory_of((const struct row *const *)table->rows, table->row_count, like, overlay);
    }
}

bool overlay_fit(const struct plot *plot, const struct series *series, double *fitted) {
    const struct metric_facts *facts = metric_facts(plot->section->metrics[plot->metric]);
    const struct row *row = series->points[0].row;
    const struct fit_piece *pieces;
    bool found = false;
    if (plot->kind != PLOT_LINES || plot->x == NULL || strcmp(plot->x, "bytes") != 0) return false;
    size_t count = fit_pieces_of(&plot->section->results[row->result].fits, row, &pieces);
    if (count == 0 || facts == NULL || facts->form == PLAIN) return false;
    for (size_t i = 0; i < series->count; i++) {
        const struct point *point = &series->points[i];
        double time = fit_pieces_time_us(pieces, count, point->x), measured = row_number(point->row, COLUMN_time_us);
        fitted[i] = facts->form == RATE ? point->value * measured / time : point->value * time / measured;
        if (!(fitted[i] > 0) || !isfinite(fitted[i])) fitted[i] = NAN;
        found = found || isfinite(fitted[i]);
    }
    return found;
}

void overlay_find(const struct plot *plot, const struct panel *panel, const struct peers *peers,
                  struct overlay *overlay) {
    *overlay = (struct overlay){.memory = NAN};
    size_t distinct = 0, most = plot->kind == PLOT_ROOFLINE ? CEILINGS_MAX : LIMITS_MAX;
    for (size_t s = 0; s < panel->series_count; s++) {
        const struct series *series = &panel->series[s];
        for (size_t i = 0; i < series->count; i++) {
            const struct point *point = &series->points[i];
            if (isfinite(point->limit)) add_limit(overlay, most, &distinct, point);
            if (plot->kind == PLOT_LINES) add_peers(plot, overlay, peers, point, series->color, i + 1 == series->count);
        }
        double *fitted = array_zeroed(series->count, sizeof *fitted);
        overlay->fitted = overlay_fit(plot, series, fitted) || overlay->fitted;
        free(fitted);
    }
    if (plot->kind == PLOT_ROOFLINE) find_memory(plot, panel, overlay);
    overlay->many_limits = distinct > most;
    if (overlay->many_limits) overlay->limit_count = 0;
    for (size_t i = 0; i < overlay->limit_count; i++) {
        double limit = overlay->limits[i].value;
        if (plot->kind == PLOT_ROOFLINE) overlay->limits[i].drawn = true;
        else
            overlay->limits[i].drawn = panel->y_scale == LINEAR
                                           ? limit <= LIMIT_FACTOR_MAX * panel->y_high && limit >= 0
                                           : limit <= 100 * panel->y_high && limit >= 0.01 * panel->y_low;
    }
}
