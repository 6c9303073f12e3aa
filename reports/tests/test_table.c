/* merge, show and export: what goes in comes out, whatever the fields hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/lib/table_write.h"
#include "reports/tests/sample.h"

static char folders[2][300];

static void write_folder(int number, const char *host, const char *csv) {
    struct text text = {0};
    text_add(&text, "{\"schema\":1,\"host\":\"%s\"}", host);
    sample_write(folders[number], "manifest.json", &text);
    text_clear(&text);
    text_string(&text, csv);
    sample_write(folders[number], "rows.csv", &text);
    text_release(&text);
}

static const char *const first_rows =
    "suite,program,variant,device,dtype,ranks,size,note,launch,metric,value,unit,status,reason,limit\r\n"
    "kernels,gemm,a,D,bf16,1,64,\"x\"\"y\\\nz\",1,flop_rate,1.5,TFLOP/s,ok,,3\r\n"
    "kernels,gemm,b,D,bf16,1,128,,1,flop_rate,+2.50,TFLOP/s,ok,,\r\n"
    "kernels,gemm,c,D,bf16,1,128,,1,flop_rate,,TFLOP/s,skipped,\"no, memory\",\r\n"
    "kernels,gemm,d,D,bf16,1,128,,1,flop_rate,inf,TFLOP/s,ok,,\r\n";
static const char *const second_rows = "program,variant,seq,size,metric,value,status\n"
                                       "gemm,a,9,64,flop_rate,7,ok\nprefill,a,16,,call_time,1e3,ok\n";

static int set_up(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        if (sample_place_make(folders[i], sizeof folders[i], i == 0 ? "table" : "table-other") != 0) return -1;
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    return sample_place_remove(folders[0]) | sample_place_remove(folders[1]);
}

static void select_words(struct selection *selection, const char *const *words, size_t count) {
    struct problem problem;
    *selection = (struct selection){0};
    for (size_t i = 0; i < count; i++)
        if (!selection_word(selection, words[i], &problem)) fail_msg("%s", problem.line);
    if (!selection_finish(selection, &problem)) fail_msg("%s", problem.line);
}

static void conditions(void **state) {
    (void)state;
    write_folder(0, "h", first_rows);
    write_folder(1, "h", second_rows);
    static const struct {
        const char *condition;
        size_t rows;
    } cases[] = {{"program=gemm", 5},  {"program=gemm,prefill", 6},
                 {"variant!=a,b", 2},  {"size>=128", 3},
                 {"size<128", 2},      {"size>128", 0},
                 {"reason~memory", 1}, {"status=ok", 5},
                 {"host=h", 6},        {"note=", 5},
                 {"value<=1.5", 1},    {"seq=16", 1}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct selection selection;
        select_words(&selection, (const char *const[]){folders[0], cases[i].condition, folders[1]}, 3);
        if (selection.row_count != cases[i].rows)
            fail_msg("%s: %zu rows, not %zu", cases[i].condition, selection.row_count, cases[i].rows);
        selection_release(&selection);
    }
    static const char *const bad[][2] = {{"colour=red", "no such column; valid: host"},
                                         {"size>big", "is not a number"},
                                         {"=gemm", "neither a file"},
                                         {"nowhere", "No such file"}};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct selection selection = {0};
        struct problem problem = {""};
        bool good = selection_word(&selection, folders[0], &problem) &&
                    selection_word(&selection, bad[i][0], &problem) && selection_finish(&selection, &problem);
        assert_false(good);
        if (strstr(problem.line, bad[i][1]) == NULL) fail_msg("%s: %s", bad[i][0], problem.line);
        selection_release(&selection);
    }
}

/* What was merged reads back as what there was; a case that comes again is another launch, or of another host. */
static void merging(void **state) {
    (void)state;
    for (int hosts = 1; hosts <= 2; hosts++) {
        struct selection selection;
        struct text out = {0};
        char path[400];
        write_folder(0, "h", first_rows);
        write_folder(1, hosts == 2 ? "other" : "h", first_rows);
        select_words(&selection, (const char *const[]){folders[0], folders[1]}, 2);
        table_merge(&selection, &out);
        selection_release(&selection);
        sample_write(folders[0], "merged.csv", &out);
        snprintf(path, sizeof path, "%s/merged.csv", folders[0]);
        select_words(&selection, (const char *const[]){path}, 1);
        assert_int_equal(selection.row_count, 8);
        for (size_t i = 0; i < 8; i++) {
            const struct row *row = selection.rows[i];
            assert_int_equal(row->launch, i < 4 || hosts == 2 ? 1 : 2);
            assert_string_equal(row_axis(row, "note"), i % 4 == 0 ? "x\"y\\\nz" : "");
            assert_string_equal(row_axis(row, "host"), hosts == 1 ? "" : i < 4 ? "h" : "other");
        }
        assert_string_equal(selection.rows[2]->field[COLUMN_reason], "no, memory");
        unlink(path);
        selection_release(&selection);
        text_release(&out);
    }
}

static void json(void **state) {
    (void)state;
    struct selection selection;
    struct text out = {0};
    write_folder(0, "h", first_rows);
    select_words(&selection, (const char *const[]){folders[0]}, 1);
    table_json_lines(&selection, &out);
    char *rest = NULL;
    static const double values[] = {1.5, 2.5};
    size_t line = 0;
    for (char *text = strtok_r(out.data, "\n", &rest); text != NULL; text = strtok_r(NULL, "\n", &rest), line++) {
        cJSON *object = cJSON_Parse(text);
        assert_true(cJSON_IsObject(object));
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, "value");
        if (line < 2) assert_true(cJSON_IsNumber(value) && value->valuedouble == values[line]);
        if (line == 2) assert_null(value);
        if (line == 3) assert_string_equal(cJSON_GetStringValue(value), "inf"); /* no number of JSON */
        if (line == 0)
            assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "note")), "x\"y\\\nz");
        cJSON_Delete(object);
    }
    assert_int_equal(line, 4);
    selection_release(&selection);
    text_release(&out);
}

static void prometheus(void **state) {
    (void)state;
    struct selection selection;
    struct text out = {0};
    write_folder(0, "h", first_rows);
    write_folder(1, "h", second_rows);
    select_words(&selection, (const char *const[]){folders[0], folders[1]}, 2);
    table_prometheus(&selection, &out);
    static const char *const parts[] = {
        "# HELP plumbline_flop_rate floating-point operations of the definition, over the time, in TFLOP/s\n"
        "# TYPE plumbline_flop_rate gauge\n",
        "plumbline_flop_rate{host=\"h\",suite=\"kernels\",program=\"gemm\",variant=\"a\",device=\"D\",dtype=\"bf16\","
        "ranks=\"1\",launch=\"1\",size=\"64\",note=\"x\\\"y\\\\\\nz\"} 1.5\n",
        "plumbline_flop_rate{host=\"h\",program=\"gemm\",variant=\"a\",seq=\"9\",size=\"64\"} 7\n",
        "plumbline_call_time{host=\"h\",program=\"prefill\",variant=\"a\",seq=\"16\"} 1000\n",
        "metric=\"flop_rate\"} 0.5\n",
        "plumbline_rows{status=\"skipped\"} 1\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        if (strstr(out.data, parts[i]) == NULL) fail_msg("lacks %s in\n%s", parts[i], out.data);
    /* one block for each metric, however the rows are mixed */
    const char *again = strstr(strstr(out.data, "# TYPE plumbline_flop_rate") + 1, "# TYPE plumbline_flop_rate");
    assert_null(again);
    selection_release(&selection);
    text_release(&out);
}

static void showing(void **state) {
    (void)state;
    struct selection selection;
    struct text out = {0};
    write_folder(0, "h", first_rows);
    select_words(&selection, (const char *const[]){folders[0], "status=ok"}, 2);
    struct table_view view = {.columns = {"variant", "value", "note"},
                              .column_count = 3,
                              .limit = 2,
                              .sorts = {{"size", true}, {"variant", true}},
                              .sort_count = 2};
    table_show(&selection, &view, &out);
    assert_string_equal(out.data,
                        "variant  value  note\n-------  -----  ----\nd          inf\nb        +2.50\n2 of 3 rows\n");
    text_clear(&out);
    view = (struct table_view){.sorts = {{"value", false}}, .sort_count = 1};
    table_show(&selection, &view, &out);
    assert_non_null(strstr(out.data, "suite kernels, program gemm, device D, dtype bf16, ranks 1"));
    assert_non_null(strstr(out.data, "x\"y\\?z"));
    selection_release(&selection);
    text_release(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(conditions), cmocka_unit_test(merging), cmocka_unit_test(json),
                                       cmocka_unit_test(prometheus), cmocka_unit_test(showing)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
