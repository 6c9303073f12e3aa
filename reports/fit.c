/* fit: what do the curves of the collectives come down to?

   Reads a result folder and fits every curve (one collective, variant, number of ranks and so on, by message size) by
   t(S) = a + S b in pieces (lib/piecewise.h): latency, bandwidth, the sizes where the library changes protocol, the
   half-power size, R^2, and how many points it predicts within 10 %. Writes into the folder

     fit.csv         rows as every program's, a fixed set of metrics a curve: fit_latency (of the first piece: a short
                     message), fit_bandwidth (1/b of the last: a long one), half_power_size, break_points, r_squared,
                     fit_within, and bus_bandwidth, the last piece's at infinite size, with the limit of the links
     fit.pieces.csv  a row a piece, from which a plot draws the fit over the points

   A last line says for how many curves 90 % of the points are predicted within 10 %.
   Exit status: 0 written, 2 bad usage or input, 3 no curve of eight sizes or more. */
#include <argp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/device.h"
#include "bench/file.h"
#include "reports/lib/index.h"
#include "reports/lib/number.h"
#include "reports/lib/piecewise.h"
#include "reports/lib/result.h"

enum { EXIT_BAD_INPUT = 2, EXIT_NOTHING = 3, POINTS_MAX = 512 };
static const double wanted = 0.9;

/* Points of one curve: rows of call_time, and of bus_bandwidth beside them. */
struct curve {
    const struct row *rows[POINTS_MAX], *bus[POINTS_MAX];
    size_t count, bus_count;
};
static struct curve *curves;
static size_t curve_count, curve_capacity;

static void __attribute__((noreturn)) end(int status, const char *line) {
    fprintf(stderr, "fit: %s\n", line);
    exit(status);
}

static double bytes_of(const struct row *row) {
    double bytes;
    return number_parse(row_axis(row, "bytes"), &bytes) ? bytes : NAN;
}

/* The axes of a curve: all but the size, "name=value;name=value". */
static void add_axes(const struct row *row, struct text *text) {
    const char *separator = "";
    for (size_t a = 0; a < row->table->axis_count; a++) {
        if (strcmp(row->table->axis[a], "bytes") == 0 || row->axis_value[a][0] == '\0') continue;
        text_add(text, "%s%s=%s", separator, row->table->axis[a], row->axis_value[a]);
        separator = ";";
    }
}

static void add_key(const struct row *row, struct text *key) {
    static const enum column columns[] = {COLUMN_program, COLUMN_variant, COLUMN_backend, COLUMN_device,
                                          COLUMN_dtype,   COLUMN_ranks,   COLUMN_mode};
    for (size_t i = 0; i < ARRAY_LENGTH(columns); i++) text_add(key, "%s\x1f", row->field[columns[i]]);
    text_add(key, "%d\x1f", row->launch);
    add_axes(row, key);
}

static void take_row(const struct row *row, struct index *index) {
    bool time = strcmp(row->field[COLUMN_metric], "call_time") == 0;
    bool bus = strcmp(row->field[COLUMN_metric], "bus_bandwidth") == 0;
    bool ours = strcmp(row->field[COLUMN_suite], "collectives") == 0 && strcmp(row->field[COLUMN_program], "fit") != 0;
    if (!ours || !(time || bus) || !row_measured(row) || !(bytes_of(row) > 0) || !(row->value > 0)) return;
    struct text key = {0};
    int added;
    add_key(row, &key);
    size_t number = index_add(index, key.data, &added);
    text_release(&key);
    if (added) {
        curves = array_grow(curves, number, &curve_capacity, sizeof *curves);
        memset(&curves[number], 0, sizeof curves[number]);
        curve_count = number + 1;
    }
    struct curve *curve = &curves[number];
    if (time && curve->count < POINTS_MAX) curve->rows[curve->count++] = row;
    if (bus && curve->bus_count < POINTS_MAX) curve->bus[curve->bus_count++] = row;
}

static int compare_sizes(const void *a, const void *b) {
    double x = bytes_of(*(const struct row *const *)a), y = bytes_of(*(const struct row *const *)b);
    return (x > y) - (x < y);
}

/* Half of the 95 % interval of the median, relative: how far the point may lie from where it belongs. */
static double uncertainty(const struct row *row) {
    double half = (row_number(row, COLUMN_ci_high_us) - row_number(row, COLUMN_ci_low_us)) / 2;
    return half >= 0 && isfinite(half) ? half / row->value : 0;
}

static bool fit_curve(struct curve *curve, struct fit *fit) {
    double sizes[POINTS_MAX], seconds[POINTS_MAX], noises[POINTS_MAX];
    qsort(curve->rows, curve->count, sizeof curve->rows[0], compare_sizes);
    qsort(curve->bus, curve->bus_count, sizeof curve->bus[0], compare_sizes);
    for (size_t i = 0; i < curve->count; i++) {
        sizes[i] = bytes_of(curve->rows[i]);
        seconds[i] = curve->rows[i]->value * 1e-6;
        noises[i] = uncertainty(curve->rows[i]);
    }
    return piecewise_fit(sizes, seconds, noises, curve->count, fit);
}

/* Bus over algorithm bandwidth, at the largest size that has both; NAN: one rank, or none was measured. */
static double bus_factor_of(const struct curve *curve) {
    for (size_t i = curve->bus_count; i-- > 0;)
        for (size_t j = 0; j < curve->count; j++)
            if (bytes_of(curve->bus[i]) == bytes_of(curve->rows[j]))
                return curve->bus[i]->value * 1e9 / (bytes_of(curve->rows[j]) / (curve->rows[j]->value * 1e-6));
    return NAN;
}

static void add_number(struct text *text, double value) {
    if (isfinite(value)) text_add(text, "%.6g", value);
    text_add(text, ",");
}

static void add_case(struct text *csv, const struct row *row, const char *program) {
    static const enum column columns[] = {COLUMN_variant, COLUMN_backend, COLUMN_device, COLUMN_dtype, COLUMN_ranks};
    text_add(csv, "collectives,%s,", program);
    for (size_t i = 0; i < ARRAY_LENGTH(columns); i++) {
        text_field(csv, row->field[columns[i]]);
        text_add(csv, ",");
    }
}

static void add_axes_field(struct text *csv, const struct row *row) {
    struct text axes = {0};
    add_axes(row, &axes);
    text_field(csv, axes.data != NULL ? axes.data : "");
    text_add(csv, ",");
    text_release(&axes);
}

/* One row; the columns that a fit has nothing for stay empty. */
static void add_row(struct text *csv, const struct row *row, const char *metric, double value, const char *reason,
                    const struct row *limit) {
    const char *unit = metric_facts(metric)->unit;
    if (!isfinite(value)) return;
    add_case(csv, row, "fit");
    text_field(csv, row->field[COLUMN_program]);
    text_add(csv, ",");
    add_axes_field(csv, row);
    text_add(csv, "%s,%d,%s,%.6g,%s,neither,ok,", row->field[COLUMN_mode], row->launch, metric, value, unit);
    text_field(csv, reason);
    for (int column = COLUMN_reason + 1; column < COLUMN_COUNT; column++) {
        text_add(csv, ",");
        if (limit == NULL || !(row_number(limit, COLUMN_limit) > 0)) continue;
        if (column == COLUMN_limit) text_add(csv, "%s", limit->field[COLUMN_limit]);
        if (column == COLUMN_limit_source) text_field(csv, limit->field[COLUMN_limit_source]);
        if (column == COLUMN_limit_share) text_add(csv, "%.4g", value / row_number(limit, COLUMN_limit));
    }
    text_add(csv, "\r\n");
}

static void add_fit(struct text *csv, const struct curve *curve, const struct fit *fit, double factor) {
    const struct row *row = curve->rows[0];
    const struct piece *first = &fit->pieces[0], *last = &fit->pieces[fit->count - 1];
    struct text breaks = {0};
    for (size_t k = 1; k < fit->count; k++) {
        if (k > 1) text_add(&breaks, ", ");
        number_bytes(&breaks, fit->pieces[k].from);
    }
    double bandwidth = last->per_byte > 0 ? 1e-9 / last->per_byte : NAN;
    add_row(csv, row, "fit_latency", first->latency * 1e6, "", NULL);
    add_row(csv, row, "fit_bandwidth", bandwidth, "", NULL);
    add_row(csv, row, "half_power_size", fit->half_power, "", NULL);
    add_row(csv, row, "break_points", (double)fit->count - 1, breaks.data != NULL ? breaks.data : "", NULL);
    add_row(csv, row, "r_squared", fit->r_squared, "", NULL);
    add_row(csv, row, "fit_within", fit->within, "", NULL);
    add_row(csv, row, "bus_bandwidth", bandwidth * factor, "of an endless message, by the fit",
            curve->bus_count > 0 ? curve->bus[curve->bus_count - 1] : NULL);
    text_release(&breaks);
}

static void add_pieces(struct text *csv, const struct curve *curve, const struct fit *fit, double factor) {
    const struct row *row = curve->rows[0];
    for (size_t k = 0; k < fit->count; k++) {
        const struct piece *piece = &fit->pieces[k];
        add_case(csv, row, row->field[COLUMN_program]);
        add_axes_field(csv, row);
        text_add(csv, "%s,%d,%zu,%zu,%.0f,%.0f,%zu,", row->field[COLUMN_mode], row->launch, k + 1, fit->count,
                 piece->from, piece->to, piece->points);
        add_number(csv, piece->latency * 1e6);
        add_number(csv, piece->per_byte > 0 ? 1e-9 / piece->per_byte : NAN);
        add_number(csv, factor);
        text_add(csv, "%.6g\r\n", fit->r_squared);
    }
}

static void say(const struct curve *curve, const struct fit *fit) {
    const struct row *row = curve->rows[0];
    struct text text = {0};
    text_add(&text, "%s %s %s ranks=%s ", row->field[COLUMN_program], row->field[COLUMN_variant],
             row->field[COLUMN_dtype], row->field[COLUMN_ranks]);
    add_axes(row, &text);
    text_add(&text, ": %.3g us", fit->pieces[0].latency * 1e6);
    double per_byte = fit->pieces[fit->count - 1].per_byte;
    if (per_byte > 0) text_add(&text, ", %.4g GB/s", 1e-9 / per_byte);
    if (isfinite(fit->half_power)) text_add(&text, ", half at "), number_bytes(&text, fit->half_power);
    for (size_t k = 1; k < fit->count; k++) text_add(&text, k == 1 ? ", breaks at " : ", "), number_bytes(&text,
                                                                                    fit->pieces[k].from);
    fprintf(stderr, "%s; R2 %.4f, %.0f %% of %zu points within 10 %%\n", text.data, fit->r_squared, 100 * fit->within,
            fit->points);
    text_release(&text);
}

static void write_file(const char *folder, const char *name, const struct text *text) {
    char path[4096], reason[REASON_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!file_replace(path, text->data, text->length, reason)) end(EXIT_BAD_INPUT, reason);
}

static void add_headers(struct text *rows, struct text *pieces) {
    const char *separator = "";
#define COLUMN(identifier, meaning) text_add(rows, "%s%s", separator, #identifier), separator = ",";
#define AXES text_add(rows, ",of,curve");
#include "bench/columns.def"
#undef COLUMN
#undef AXES
    text_add(rows, "\r\n");
    text_add(pieces, "suite,program,variant,backend,device,dtype,ranks,axes,mode,launch,piece,pieces,from_bytes,"
                     "to_bytes,points,latency_us,bandwidth_gb_s,bus_factor,r_squared\r\n");
}

static int fit_folder(const char *folder) {
    struct result result;
    struct problem problem;
    struct index index = {0};
    struct text rows = {0}, pieces = {0};
    size_t fitted = 0, good = 0;
    if (!result_read(folder, 0, &result, &problem)) end(EXIT_BAD_INPUT, problem.line);
    for (size_t t = 0; t < result.table_count; t++)
        for (size_t r = 0; r < result.tables[t].row_count; r++) take_row(result.tables[t].rows[r], &index);
    add_headers(&rows, &pieces);
    for (size_t i = 0; i < curve_count; i++) {
        struct fit fit;
        if (!fit_curve(&curves[i], &fit)) continue;
        double factor = bus_factor_of(&curves[i]);
        add_fit(&rows, &curves[i], &fit, factor);
        add_pieces(&pieces, &curves[i], &fit, factor);
        say(&curves[i], &fit);
        fitted++;
        good += fit.within >= wanted;
    }
    if (fitted == 0) end(EXIT_NOTHING, "no curve of eight sizes or more here");
    write_file(folder, "fit.csv", &rows);
    write_file(folder, "fit.pieces.csv", &pieces);
    fprintf(stderr, "fit: of %zu curves, %zu have 90 %% of their points predicted within 10 %%; %zu have too few "
            "sizes\n", fitted, good, curve_count - fitted);
    text_release(&rows);
    text_release(&pieces);
    free(curves);
    index_release(&index);
    result_release(&result);
    return 0;
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    const char **folder = state->input;
    if (key == ARGP_KEY_ARG && *folder == NULL) {
        *folder = argument;
        return 0;
    }
    if (key == ARGP_KEY_ARG) argp_error(state, "one folder; '%s' is another", argument);
    if (key == ARGP_KEY_END && *folder == NULL) argp_error(state, "no result folder given");
    return ARGP_ERR_UNKNOWN;
}

int main(int argc, char **argv) {
    static const struct argp argp = {.parser = parse, .args_doc = "FOLDER",
                                     .doc = "Fits every curve of the collectives in a result folder, and writes "
                                            "fit.csv and fit.pieces.csv into it."};
    const char *folder = NULL;
    argp_err_exit_status = EXIT_BAD_INPUT;
    argp_parse(&argp, argc, argv, 0, NULL, &folder);
    return fit_folder(folder);
}
