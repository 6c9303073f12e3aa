#include "number.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "markup.h"
#include "rows.h"

/* Digits in groups of three, with the narrow space that does not break. */
static void add_grouped(struct text *text, double value) {
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%.0f", fabs(value));
    if (value < 0) text_string(text, "-");
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0 && length > 4) text_string(text, "\xe2\x80\xaf");
        text_bytes(text, &digits[i], 1);
    }
}

void number_value(struct text *text, double value) {
    double size = fabs(value);
    if (!isfinite(value)) text_string(text, isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
    else if (size >= 1e12 || (size > 0 && size < 1e-4)) text_add(text, "%.3g", value);
    else if (size >= 1000) add_grouped(text, value);
    else if (size >= 100) text_add(text, "%.1f", value);
    else if (size >= 10) text_add(text, "%.2f", value);
    else if (size >= 1) text_add(text, "%.3f", value);
    else text_add(text, "%.4g", value);
}

void number_bytes(struct text *text, double bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    while (fabs(bytes) >= 1024 && unit + 1 < ARRAY_LENGTH(units)) {
        bytes /= 1024;
        unit++;
    }
    text_add(text, bytes == floor(bytes) ? "%.0f %s" : fabs(bytes) >= 100 ? "%.0f %s" : "%.3g %s", bytes, units[unit]);
}

void number_percent(struct text *text, double share) {
    text_add(text, share >= 0.0995 ? "%.0f\xc2\xa0%%" : "%.2g\xc2\xa0%%", share * 100);
}

void number_share(struct text *text, double share) {
    if (share > 2) text_add(text, share < 10 ? "%.1f\xc3\x97" : "%.0f\xc3\x97", share);
    else number_percent(text, share);
}

const char *number_unit(const char *unit, double largest, double *factor) {
    static const struct {
        const char *unit, *smaller;
    } units[] = {{"TFLOP/s", "GFLOP/s"}, {"TOP/s", "GOP/s"}, {"us", "ns"}};
    *factor = 1;
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        if (strcmp(units[i].unit, unit) != 0 || !(largest < 1)) continue;
        *factor = 1000;
        return units[i].smaller;
    }
    return unit;
}

int axis_is_bytes(const char *axis) {
    size_t length = strlen(axis);
    return strcmp(axis, "bytes") == 0 || (length > 6 && strcmp(axis + length - 6, "_bytes") == 0);
}

void number_axis(struct text *text, const char *axis, const char *value) {
    double number;
    if (axis_is_bytes(axis) && number_parse(value, &number) && isfinite(number)) number_bytes(text, number);
    else text_string(text, value);
}

void number_tick(struct text *text, const char *axis, double value) {
    static const char *const units[] = {"", "K", "M", "G", "T"};
    if (axis_is_bytes(axis)) {
        number_bytes(text, value);
        return;
    }
    size_t unit = 0;
    while (value >= 1024 && fmod(value, 1024) == 0 && unit + 1 < ARRAY_LENGTH(units)) {
        value /= 1024;
        unit++;
    }
    text_add(text, "%.6g%s", value, units[unit]);
}
