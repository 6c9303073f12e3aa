/* Heat maps, rooflines, fitted curves, labels of several runs, the summary as Markdown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/lib/heat_map.h"
#include "reports/lib/overlay.h"
#include "reports/lib/page.h"
#include "reports/lib/plot_draw.h"
#include "reports/tests/html.h"
#include "reports/tests/sample.h"

enum { RANKS = 8, SLOW_FIRST = 2, SLOW_SECOND = 5 };

static char folder[256];
static struct result result;
static struct section *sections;
static size_t section_count;

static int set_up(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    return sample_place_make(folder, sizeof folder, "plots");
}

static int tear_down(void **state) {
    (void)state;
    return sample_place_remove(folder);
}

static void open_folder(const char *name, const char *csv) {
    struct problem problem;
    struct text text = {0};
    text_string(&text, csv);
    sample_write(folder, name, &text);
    text_release(&text);
    if (!result_read(folder, 0, &result, &problem)) fail_msg("%s", problem.line);
    sections = sections_build(&result, 1, &section_count);
}

static void close_folder(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    sections_release(sections, section_count);
    result_release(&result);
    unlink(path);
}

/* Three times the panels that fit: the last two have both columns, and answer what the heat map asks. */
static void crowded_heat_map(void **state) {
    (void)state;
    enum { LENGTHS = 3 * PANELS_MAX };
    struct text csv = {0};
    text_string(&csv, "suite,program,variant,device,dtype,mask,seq,head_dim,group,deterministic,metric,value,unit,status\n");
    for (int length = 1; length <= LENGTHS; length++)
        for (int kind = 0; kind < 4; kind++) {
            if (kind % 2 == 1 && length < LENGTHS - 1) continue;
            text_add(&csv, "attention,backward,%s,GPU,bf16,full,%d,128,1,%d,flop_rate,%d,TFLOP/s,ok\n",
                     kind < 2 ? "flash" : "cudnn", 1024 * length, kind % 2, 500 - 100 * kind);
        }
    open_folder("backward.csv", csv.data);
    struct plot plots[PLOTS_MAX];
    size_t count = plots_build(&sections[0], plots), at = 0;
    while (at < count && plots[at].kind != PLOT_HEAT_MAP) at++;
    assert_true(at < count);
    assert_int_equal(plots[at].panel_count, 2);
    assert_int_equal(plots[at].panels_left_out, LENGTHS - 2);
    struct heat_map *map = array_zeroed(1, sizeof *map);
    for (size_t i = 0; i < 2; i++) {
        char label[64];
        snprintf(label, sizeof label, "%zu", 1024 * (LENGTHS - 1 + i));
        assert_non_null(strstr(plots[at].panels[i].label, label));
        heat_map_build(&plots[at], &plots[at].panels[i], map);
        assert_int_equal(map->x_count, 2);
        assert_int_equal(map->y_count, 2);
        assert_true(map->cell[0][0]->value == 500 && map->cell[0][1]->value == 400);
        assert_true(map->cell[1][0]->value == 300 && map->cell[1][1]->value == 200);
    }
    free(map);
    plots_release(plots, count);
    close_folder("backward.csv");
    text_release(&csv);
}

/* A matrix in which one link is slow, and each cell was measured by two variants, the worse of which must not show. */
static void heat_map(void **state) {
    (void)state;
    struct text csv = {0};
    text_string(&csv, "suite,program,variant,device,ranks,first,second,bytes,pattern,mode,metric,value,unit,status\n");
    for (int first = 0; first < RANKS; first++)
        for (int second = 0; second < RANKS; second++)
            for (int worse = 0; worse < 2 && first != second; worse++) {
                bool slow = first == SLOW_FIRST && second == SLOW_SECOND;
                text_add(&csv, "collectives,pairs,nccl,GPU,8,%d,%d,1024,one_way,%s,bandwidth,%g,GB/s,ok\n", first,
                         second, worse ? "cold" : "hot", (slow ? 70 : 100 + 0.1 * (first + second)) - 20 * worse);
            }
    open_folder("pairs.csv", csv.data);
    struct plot plots[PLOTS_MAX];
    size_t count = plots_build(&sections[0], plots);
    assert_int_equal(count, 1);
    assert_int_equal(plots[0].kind, PLOT_HEAT_MAP);
    assert_int_equal(plots[0].panel_count, 1);
    assert_int_equal(plots[0].hidden_cases, RANKS * (RANKS - 1));
    struct heat_map *map = array_zeroed(1, sizeof *map);
    const struct panel *panel = &plots[0].panels[0];
    heat_map_build(&plots[0], panel, map);
    assert_int_equal(map->x_count, RANKS);
    assert_int_equal(map->y_count, RANKS);
    assert_null(map->cell[3][3]);
    assert_true(map->cell[SLOW_FIRST][SLOW_SECOND]->value == 70);
    assert_true(map->cell[SLOW_SECOND][SLOW_FIRST]->value == 100 + 0.1 * (SLOW_FIRST + SLOW_SECOND));
    assert_int_equal(heat_color(panel, 70), 0);
    assert_int_equal(heat_color(panel, panel->y_high), HEAT_COLORS - 1);
    struct heat_reading reading;
    heat_map_read(panel, &reading);
    assert_int_equal(reading.count, RANKS * (RANKS - 1));
    assert_int_equal(reading.outliers, 1);
    assert_ptr_equal(reading.worst, map->cell[SLOW_FIRST][SLOW_SECOND]);
    struct text page = {0};
    struct peers peers = {0};
    page_write(&result, 1, &peers, gnuplot_works(), &page, NULL);
    assert_null(html_unbalanced(page.data));
    assert_non_null(strstr(page.data, "1 stands out as worse"));
    if (gnuplot_works()) assert_non_null(strstr(page.data, "56 cells, median "));
    text_release(&page);
    free(map);
    plots_release(plots, count);
    close_folder("pairs.csv");
    text_release(&csv);
}

/* The points stand at operations per byte, the slope is stream's limit of the same device. */
static void roofline(void **state) {
    (void)state;
    struct text csv = {0};
    text_string(&csv,
                "suite,program,variant,device,dtype,size,shape,mode,metric,value,unit,status,flops,bytes_moved,limit,"
                "limit_source\n");
    for (int size = 256; size <= 4096; size *= 2)
        text_add(&csv, "kernels,gemm,lib,GPU,bf16,%d,square,cold,flop_rate,%d,TFLOP/s,ok,%.15g,%.15g,800,clock\n", size,
                 size / 8, 2.0 * size * size * size, 6.0 * size * size);
    text_string(&csv, "kernels,gemm,lib,GPU,bf16,8192,square,cold,flop_rate,600,TFLOP/s,ok,,,800,clock\n");
    text_string(&csv, "kernels,stream,copy,GPU,fp64,65536,,cold,bandwidth,3000,GB/s,ok,,,4000,memory clock\n");
    text_string(&csv, "kernels,stream,copy,CPU,fp64,65536,,loop,bandwidth,30,GB/s,ok,,,9000,wrong device\n");
    char *stream = strstr(csv.data, "kernels,stream");
    struct text second = {0}, header = {0};
    text_bytes(&header, csv.data, (size_t)(strchr(csv.data, '\n') + 1 - csv.data));
    text_add(&second, "%s%s", header.data, stream);
    *stream = 0;
    sample_write(folder, "stream.csv", &second);
    open_folder("gemm.csv", csv.data);
    struct plot plots[PLOTS_MAX];
    size_t count = plots_build(&sections[0], plots), at = 0;
    while (at < count && plots[at].kind != PLOT_ROOFLINE) at++;
    assert_true(at < count);
    const struct panel *panel = &plots[at].panels[0];
    assert_int_equal(panel->series_count, 1);
    assert_int_equal(panel->series[0].count, 5); /* not the one without bytes */
    assert_true(fabs(panel->x_low - 256 / 3.0) < 1e-9 && fabs(panel->x_high - 4096 / 3.0) < 1e-9);
    struct overlay overlay;
    struct peers peers = {0};
    overlay_find(&plots[at], panel, &peers, &overlay);
    assert_true(overlay.memory == 4);
    assert_string_equal(overlay.memory_source, "memory clock");
    assert_int_equal(overlay.limit_count, 1);
    struct text script = {0};
    panel_script(&plots[at], panel, &overlay, &script);
    assert_non_null(strstr(script.data, "from first 200,first 800 to first ")); /* the ridge */
    plots_release(plots, count);
    close_folder("gemm.csv");
    struct text path = {0};
    text_add(&path, "%s/stream.csv", folder);
    unlink(path.data);
    text_release(&path);
    text_release(&script), text_release(&csv), text_release(&second), text_release(&header);
}

/* Two pieces; each point of the curve must be what its piece says, as bandwidth and as time; other curves have none. */
static void fit(void **state) {
    (void)state;
    struct text csv = {0}, pieces = {0};
    struct problem problem;
    text_string(&csv,
                "suite,program,variant,backend,device,dtype,ranks,bytes,operation,root,mode,metric,value,unit,status,"
                "time_us\n");
    const char *row = "collectives,all_reduce,nccl,nccl,GPU,%s,2,%d,sum,,synchronized,%s,%.9g,%s,ok,%.9g\n";
    for (int bytes = 8; bytes <= 1 << 20; bytes *= 2)
        for (int dtype = 0; dtype < 2; dtype++) {
            double time = 12 + bytes / 1e3;
            const char *name = dtype == 0 ? "fp32" : "bf16";
            text_add(&csv, row, name, bytes, "bus_bandwidth", bytes / time * 1e-3, "GB/s", time);
            text_add(&csv, row, name, bytes, "call_time", time, "us", time);
        }
    text_string(&pieces,
                "suite,program,variant,backend,device,dtype,ranks,axes,mode,launch,piece,pieces,from_bytes,"
                "to_bytes,points,latency_us,bandwidth_gb_s,bus_factor,r_squared\n"
                "collectives,all_reduce,nccl,nccl,GPU,fp32,2,operation=sum,synchronized,1,2,2,4096,9e9,3,5,4,1,1\n"
                "collectives,all_reduce,nccl,nccl,GPU,fp32,2,operation=sum,synchronized,1,1,2,8,2048,3,10,,1,1\n"
                "collectives,all_reduce,nccl,nccl,GPU,fp32,2,operation=sum,synchronized,2,1,1,8,9e9,3,99,9,1,1\n"
                "collectives,all_reduce,nccl,nccl,GPU,bf16,2,operation=max,synchronized,1,1,1,8,9e9,3,10,2,1,1\n");
    sample_write(folder, "fit.pieces.csv", &pieces);
    open_folder("all_reduce.csv", csv.data);
    assert_true(result_read_fits(&result, &problem));
    struct plot plots[PLOTS_MAX];
    size_t count = plots_build(&sections[0], plots);
    assert_int_equal(count, 2);
    for (size_t p = 0; p < count; p++)
        for (size_t s = 0; s < 2; s++) {
            const struct series *series = &plots[p].panels[0].series[s];
            double fitted[64];
            bool has = strcmp(series->label, "fp32") == 0;
            assert_int_equal(series->count, 18);
            assert_int_equal(overlay_fit(&plots[p], series, fitted), has);
            for (size_t i = 0; i < series->count && has; i++) {
                double x = series->points[i].x, time = x < 4096 ? 10 : 5 + x / 4e3;
                double expected = p == 0 ? x / time * 1e-3 : time;
                if (!(fabs(fitted[i] - expected) <= 1e-6 * expected))
                    fail_msg("%g at %g is not %g", fitted[i], x, expected);
            }
        }
    plots_release(plots, count);
    close_folder("all_reduce.csv");
    text_clear(&pieces);
    text_string(&pieces, "program,variant\n");
    sample_write(folder, "fit.pieces.csv", &pieces);
    result = (struct result){.folder = folder};
    assert_false(result_read_fits(&result, &problem));
    assert_non_null(strstr(problem.line, "fit.pieces.csv:1: no column backend"));
    result_release(&result);
    text_release(&csv), text_release(&pieces);
}

static void labels(void **state) {
    (void)state;
    struct result results[3] = {{.folder = "a/one"}, {.folder = "a/two"}, {.folder = "b/two"}};
    for (int i = 0; i < 3; i++) {
        results[i].machine = MACHINE_UNKNOWN;
        results[i].machine.host = "h";
        results[i].machine.created = "2026-11-22T10:00:00Z";
        results[i].machine.driver = i == 0 ? "570" : "580";
    }
    results[2].machine.created = "2026-11-23T10:00:00Z";
    results_label(results, 3);
    assert_string_equal(results[0].label, "driver 570, 2026-11-22T10:00");
    assert_string_equal(results[2].label, "driver 580, 2026-11-23T10:00");
    for (int i = 1; i < 3; i++) results[i].machine = results[0].machine;
    results_label(results, 3);
    assert_string_equal(results[0].label, "one");
    assert_string_equal(results[1].label, "a/two");
    assert_string_equal(results[2].label, "b/two");
    for (int i = 0; i < 3; i++) pool_release(&results[i].pool);
}

static void markdown(void **state) {
    (void)state;
    open_folder("m.csv", "suite,program,variant,device,size,metric,value,unit,status,reason\n"
                         "kernels,stream,\"a|b*<i>\n# c\",GPU,64,bandwidth,50,GB/s,ok,\n"
                         "kernels,stream,other,GPU,64,bandwidth,60,GB/s,wrong,\n");
    struct text text = {0};
    struct peers peers = {0};
    page_write(&result, 1, &peers, false, NULL, &text);
    assert_non_null(
        strstr(text.data, "| stream, bandwidth | a\\|b\\*\\<i\\> \\# c | GPU | 50.00 GB/s |  | no limit known |\n"));
    assert_non_null(strstr(text.data, "## Wrong results"));
    assert_non_null(strstr(text.data, "- wrong: 1\n"));
    text_release(&text);
    close_folder("m.csv");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(heat_map), cmocka_unit_test(crowded_heat_map),
                                       cmocka_unit_test(roofline), cmocka_unit_test(fit), cmocka_unit_test(labels),
                                       cmocka_unit_test(markdown)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
