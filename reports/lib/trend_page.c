/* trend_page.c: histories as one self-contained page. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "markup.h"
#include "number.h"
#include "page.h"
#include "plot_draw.h"
#include "svg.h"
#include "trend.h"

enum { WIDTH = 760, HEIGHT = 260, PLOTS_SHOWN = 60, TICKS = 8, LINES_SHOWN = 400 };

static void percent(struct text *out, double change) { text_add(out, "%+.1f\xc2\xa0%%", change * 100); }

static void figure(struct text *out, const struct history *history, double value) {
    double factor;
    const char *unit = number_unit(history->unit, fabs(value), &factor);
    number_value(out, value * factor);
    if (strcmp(unit, "1") != 0) text_string(out, "\xc2\xa0"), text_html(out, unit);
}

static void metric_words(struct text *out, const char *metric) {
    for (const char *c = metric; *c != 0; c++) {
        char one[2] = {*c == '_' ? ' ' : *c, 0};
        text_html(out, one);
    }
}

static void head(const struct histories *histories, size_t count, struct text *out) {
    text_string(out,
                "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                "<meta name=\"color-scheme\" content=\"light dark\">\n<meta http-equiv=\"Content-Security-Policy\" "
                "content=\"default-src 'none'; style-src 'unsafe-inline'; script-src '");
    text_string(out, page_script_hash);
    text_string(out, "'\">\n<title>Plumbline: history</title>\n<style>\n");
    text_string(out, page_style);
    text_string(out, "</style>\n</head>\n<body>\n<header>\n<p class=\"brand\">Plumbline</p>\n<h1>History</h1>\n");
    text_add(out, "<p class=\"lead\">%zu run%s, %zu case%s", histories->run_count, histories->run_count == 1 ? "" : "s",
             count, count == 1 ? "" : "s");
    if (histories->run_count > 0) {
        text_string(out, ", ");
        text_html(out, histories->runs[0].created);
        text_string(out, " to ");
        text_html(out, histories->runs[histories->run_count - 1].created);
    }
    text_string(out, "</p>\n</header>\n<main>\n");
}

static void change_line(const struct histories *histories, const struct trend *trend, size_t number, struct text *out) {
    const struct segment *segment = &trend->segments[number];
    struct text cause = {0};
    trend_cause(histories, trend, number, &cause);
    text_string(out, "<tr><th scope=\"row\">");
    text_html(out, trend->history->label);
    text_string(out, "</th><td class=\"word\">");
    metric_words(out, trend->history->metric);
    text_string(out, "</td><td>");
    figure(out, trend->history, trend->segments[number - 1].median);
    text_string(out, "</td><td>");
    figure(out, trend->history, segment->median);
    text_string(out, "</td><td>");
    percent(out, segment->change);
    text_string(out, trend->history->better == NEITHER ? "</td><td class=\"word\">changed"
                     : segment->change > 0             ? "</td><td class=\"word\">better"
                                                       : "</td><td class=\"word\">worse");
    text_add(out, "</td><td>%.3g</td><td class=\"note\">", segment->probability);
    text_html(out, cause.data);
    text_string(out, "</td></tr>\n");
    text_release(&cause);
}

static void changes(const struct histories *histories, const struct trend *trends, size_t count, struct text *out) {
    size_t lines = 0;
    text_string(out, "<section id=\"changes\">\n<h2>What changed for good</h2>\n");
    for (size_t i = 0; i < count; i++)
        for (size_t s = 1; s < trends[i].segment_count && lines < LINES_SHOWN; s++) {
            if (lines++ == 0)
                text_string(out,
                            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Changes\">\n<table>\n"
                            "<caption>Medians before and after each change point (E-divisive means).</caption>\n"
                            "<thead><tr><th scope=\"col\">case</th><th scope=\"col\">metric</th><th scope=\"col\" "
                            "class=\"number\">before</th><th scope=\"col\" class=\"number\">after</th><th "
                            "scope=\"col\" class=\"number\">change</th><th scope=\"col\">verdict</th><th "
                            "scope=\"col\" class=\"number\">by chance</th><th scope=\"col\" class=\"note\">from"
                            "</th></tr></thead>\n<tbody>\n");
            change_line(histories, &trends[i], s, out);
        }
    text_string(out, lines > 0 ? "</tbody>\n</table>\n</div>\n</section>\n" : "<p>Nothing.</p>\n</section>\n");
}

static void script_of(const struct histories *histories, const struct trend *trend, double factor, const char *unit,
                      struct text *script) {
    const struct history *history = trend->history;
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < history->count; i++) {
        low = fmin(low, history->observations[i].value * factor);
        high = fmax(high, history->observations[i].value * factor);
    }
    double margin = fmax(0.1 * (high - low), 0.02 * fabs(high));
    struct text label = {0};
    text_add(&label, "%s, %s", history->metric, strcmp(unit, "us") == 0 ? "\xc2\xb5s" : unit);
    text_add(script,
             "set terminal svg size %d,%d dynamic font 'sans-serif,13' noenhanced\nset encoding utf8\nunset key\n"
             "set tics nomirror out scale 0.5 textcolor rgb '#%06x'\nset border 3 linecolor rgb '#%06x'\n"
             "set grid ytics linetype 1 linecolor rgb '#%06x' linewidth 0.5\nset ylabel ",
             WIDTH, HEIGHT, SVG_INK, SVG_GRID, SVG_GRID);
    gnuplot_quoted(script, label.data);
    text_release(&label);
    text_add(script, " textcolor rgb '#%06x'\nset xrange [-0.5:%zu.5]\nset yrange [%.9g:%.9g]\nset xtics (", SVG_INK,
             history->count - 1, low - margin, high + margin);
    size_t step = (history->count + TICKS - 1) / TICKS;
    for (size_t i = 0; i < history->count; i += step) {
        struct text day = {0};
        text_add(&day, "%.10s", histories->runs[history->observations[i].run].created);
        text_string(script, i > 0 ? ", " : "");
        gnuplot_quoted(script, day.data);
        text_add(script, " %zu", i);
        text_release(&day);
    }
    text_string(script, ")\n$v << EOD\n");
    for (size_t i = 0; i < history->count; i++)
        text_add(script, "%zu %.9g\n", i, history->observations[i].value * factor);
    text_string(script, "EOD\n");
    for (size_t s = 0; s < trend->segment_count; s++) {
        const struct segment *segment = &trend->segments[s];
        double from = (double)segment->begin - 0.5, to = (double)segment->end - 0.5;
        text_add(script, "set arrow from %g,%.9g to %g,%.9g nohead linewidth 2.5 linecolor rgb '#%06x'\n", from,
                 segment->median * factor, to, segment->median * factor, SVG_SERIES + 1);
        if (s > 0)
            text_add(script,
                     "set arrow from %g,graph 0 to %g,graph 1 nohead linewidth 1.5 dashtype 2 linecolor rgb "
                     "'#%06x'\n",
                     from, from, SVG_LIMIT);
    }
    text_add(script, "plot $v using 1:2 with points pointtype 7 pointsize 0.7 linecolor rgb '#%06x'\n", SVG_SERIES);
}

static void plot(const struct histories *histories, const struct trend *trend, size_t number, bool draw,
                 struct text *out) {
    const struct history *history = trend->history;
    const struct observation *last = &history->observations[history->count - 1];
    struct text script = {0}, drawing = {0}, title = {0}, description = {0};
    char prefix[32];
    double factor;
    const char *unit = number_unit(history->unit, fabs(last->value), &factor);
    text_string(out, "<section class=\"program\">\n<h3>");
    text_html(out, history->label);
    text_string(out, "</h3>\n<p class=\"quiet\">");
    metric_words(out, history->metric);
    text_add(out, " \xc2\xb7 %zu runs \xc2\xb7 ", history->count);
    text_html(out, history->hardware);
    text_string(out, "</p>\n");
    snprintf(prefix, sizeof prefix, "h%zu-", number);
    text_add(&title, "%s of %s over time", history->metric, history->label);
    text_add(&description, "%zu runs, %zu change points; first ", history->count, trend->segment_count - 1);
    figure(&description, history, history->observations[0].value);
    text_string(&description, ", last ");
    figure(&description, history, last->value);
    script_of(histories, trend, factor, unit, &script);
    if (draw && gnuplot_draw(script.data, &drawing))
        svg_inline(out, drawing.data, prefix, "plot", title.data, description.data, SVG_KEEP_COLORS);
    text_string(out, "<p>Last ");
    figure(out, history, last->value);
    for (size_t s = 1; s < trend->segment_count; s++) {
        struct text cause = {0};
        trend_cause(histories, trend, s, &cause);
        text_string(out, "; ");
        percent(out, trend->segments[s].change);
        text_string(out, history->better == NEITHER      ? " from "
                         : trend->segments[s].change > 0 ? ", better, from "
                                                         : ", worse, from ");
        text_html(out, cause.data);
        text_release(&cause);
    }
    text_string(out, ".</p>\n</section>\n");
    text_release(&script), text_release(&drawing), text_release(&title), text_release(&description);
}

void trend_page(const struct histories *histories, const struct trend *trends, size_t count, bool draw,
                struct text *out) {
    size_t shown = 0;
    head(histories, count, out);
    if (draw && !gnuplot_works()) {
        text_string(out, "<p class=\"notice\">gnuplot is not on this machine: no plots.</p>\n");
        draw = false;
    }
    changes(histories, trends, count, out);
    text_string(out, "<h2 class=\"suite\">Case by case</h2>\n<p>Points are medians of runs, lines the medians between "
                     "change points; a change is better or worse by the metric's direction.</p>\n");
    for (int changed = 1; changed >= 0; changed--)
        for (size_t i = 0; i < count && shown < PLOTS_SHOWN; i++)
            if ((trends[i].segment_count > 1) == (changed == 1) && trends[i].history->count > 0)
                plot(histories, &trends[i], shown++, draw, out);
    if (shown < count) text_add(out, "<p class=\"quiet\">%zu more cases: name fewer by filters.</p>\n", count - shown);
    text_string(out, "</main>\n<script>");
    text_string(out, page_script);
    text_string(out, "</script>\n</body>\n</html>\n");
}
