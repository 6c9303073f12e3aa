#include "peers.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "csv_read.h"

enum peer_column { PROGRAM, DEVICE, VARIANT, DTYPE, AXES_OF_CASE, METRIC_NAME, VALUE, UNIT, SOURCE, PEER_COLUMNS };
static const char *const names[PEER_COLUMNS] = {"program", "device", "variant", "dtype", "axes",
                                                "metric",  "value",  "unit",    "source"};

struct peers_reading {
    const char *path;
    struct peers *peers;
    bool header_seen;
    size_t field[PEER_COLUMNS];
};

/* name=value;name=value */
bool peer_take_axes(struct peer *peer, char *axes) {
    char *rest = NULL;
    for (char *part = strtok_r(axes, ";", &rest); part != NULL; part = strtok_r(NULL, ";", &rest)) {
        char *equals = strchr(part, '=');
        if (equals == NULL || equals == part || peer->axis_count == PEER_AXES_MAX) return false;
        *equals = 0;
        peer->axes[peer->axis_count++] = (struct peer_axis){part, equals + 1};
    }
    return true;
}

static bool record_take(void *context, size_t line, char *const *fields, size_t count, struct problem *problem) {
    struct peers_reading *reading = context;
    struct peers *peers = reading->peers;
    if (!reading->header_seen) {
        reading->header_seen = true;
        return csv_columns(reading->path, line, fields, count, names, PEER_COLUMNS, reading->field, problem);
    }
    char *text[PEER_COLUMNS];
    for (int column = 0; column < PEER_COLUMNS; column++) {
        const char *field = fields[reading->field[column]];
        text[column] = pool_copy(&peers->pool, field, strlen(field));
    }
    struct peer peer = {.program = text[PROGRAM],
                        .device = text[DEVICE],
                        .variant = text[VARIANT],
                        .dtype = text[DTYPE],
                        .metric = text[METRIC_NAME],
                        .unit = text[UNIT],
                        .source = text[SOURCE]};
    if (!number_parse(text[VALUE], &peer.value) || !isfinite(peer.value))
        return problem_set(problem, reading->path, line, "value: '%.60s' is not a number", text[VALUE]);
    if (peer.source[0] == 0) return problem_set(problem, reading->path, line, "a figure without its source");
    if (!peer_take_axes(&peer, text[AXES_OF_CASE]))
        return problem_set(problem, reading->path, line, "axes: '%.60s' is not name=value;name=value",
                           fields[reading->field[AXES_OF_CASE]]);
    peers->list = array_grow(peers->list, peers->count, &peers->capacity, sizeof *peers->list);
    peers->list[peers->count++] = peer;
    return true;
}

static bool file_take(const char *path, struct peers *peers, struct problem *problem) {
    struct peers_reading reading = {.path = path, .peers = peers};
    return csv_read(path, record_take, &reading, problem);
}

static bool entry_take(const char *folder, const char *name, struct peers *peers, struct problem *problem) {
    size_t length = strlen(name);
    if (name[0] == '.') return true;
    const char *path = pool_format(&peers->pool, "%s/%s", folder, name);
    if (length > 4 && strcmp(name + length - 4, ".csv") == 0) return file_take(path, peers, problem);
    path = pool_format(&peers->pool, "%s/published.csv", path);
    return access(path, F_OK) != 0 || file_take(path, peers, problem);
}

bool peers_read(const char *path, struct peers *peers, struct problem *problem) {
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) return file_take(path, peers, problem);
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    bool good = count >= 0 || problem_set(problem, path, 0, "cannot be listed");
    for (int i = 0; i < count; i++) {
        good = good && entry_take(path, entries[i]->d_name, peers, problem);
        free(entries[i]);
    }
    if (count >= 0) free(entries);
    return good;
}

bool peers_find(const char *executable, struct peers *peers, struct problem *problem) {
    const char *slash = strrchr(executable, '/');
    if (slash == NULL) return true;
    int folder = (int)(slash - executable);
    const char *installed = pool_format(&peers->pool, "%.*s/../share/plumbline/published", folder, executable);
    if (access(installed, F_OK) == 0) return peers_read(installed, peers, problem);
    const char *checkout = pool_format(&peers->pool, "%.*s/../..", folder, executable);
    const char *mark = pool_format(&peers->pool, "%s/bench/columns.def", checkout);
    return access(mark, F_OK) != 0 || peers_read(checkout, peers, problem);
}

void peers_release(struct peers *peers) {
    free(peers->list);
    pool_release(&peers->pool);
    *peers = (struct peers){0};
}

/* A number that may end in k, m or g (powers of 1024), as value lists have it. */
static bool scaled(const char *text, double *number) {
    static const char suffixes[] = "kmg";
    char digits[32];
    size_t length = strlen(text);
    if (length == 0 || length >= sizeof digits) return false;
    memcpy(digits, text, length + 1);
    const char *suffix = strchr(suffixes, digits[length - 1] | 0x20);
    if (suffix != NULL) digits[length - 1] = 0;
    if (!number_parse(digits, number)) return false;
    if (suffix != NULL) *number *= pow(1024, (double)(suffix - suffixes + 1));
    return true;
}

static bool same_value(const char *a, const char *b) {
    double x, y;
    return strcmp(a, b) == 0 || (scaled(a, &x) && scaled(b, &y) && x == y);
}

static bool empty_or_same(const char *wanted, const char *there) {
    return wanted[0] == 0 || strcmp(wanted, there) == 0;
}

bool peer_matches(const struct peer *peer, const struct row *row) {
    if (strcmp(peer->program, row->field[COLUMN_program]) != 0) return false;
    if (strcmp(peer->metric, row->field[COLUMN_metric]) != 0 || !empty_or_same(peer->unit, row->field[COLUMN_unit]))
        return false;
    if (!empty_or_same(peer->variant, row->field[COLUMN_variant])) return false;
    if (!empty_or_same(peer->dtype, row->field[COLUMN_dtype])) return false;
    if (strstr(row->field[COLUMN_device], peer->device) == NULL) return false;
    for (int i = 0; i < peer->axis_count; i++)
        if (!same_value(peer->axes[i].value, row_text(row, peer->axes[i].name))) return false;
    return true;
}

size_t peers_of(const struct peers *peers, const struct row *row, const struct peer *found[PEERS_OF_ROW_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < peers->count && count < PEERS_OF_ROW_MAX; i++)
        if (peer_matches(&peers->list[i], row)) found[count++] = &peers->list[i];
    return count;
}
