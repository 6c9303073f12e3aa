/* Reading CSV files: what is right is read right, what is wrong is named with file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/tests/sample.h"

#define HEADER "suite,program,variant,ranks,size,mode,metric,value,status\r\n"

static char path[256];

static int set_up(void **state) {
    (void)state;
    sample_place(path, sizeof path, "rows");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    return unlink(path);
}

/* Reads content as a table. */
static bool read_bytes(const char *content, size_t length, struct table *table, struct problem *problem) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    return table_read(path, table, problem);
}

static bool read_text(const char *content, struct table *table, struct problem *problem) {
    return read_bytes(content, strlen(content), table, problem);
}

static void assert_refused(const char *content, size_t line, const char *part) {
    struct table table;
    struct problem problem;
    char prefix[300];
    assert_false(read_text(content, &table, &problem));
    snprintf(prefix, sizeof prefix, "%s:%zu: ", path, line);
    if (strncmp(problem.line, prefix, strlen(prefix)) != 0 || strstr(problem.line, part) == NULL)
        fail_msg("'%s' is not '%s...%s...'", problem.line, prefix, part);
    table_release(&table);
}

static void good_rows(void **state) {
    (void)state;
    struct table table;
    struct problem problem;
    assert_true(read_text(
        HEADER "s,p,v,1,64,loop,bandwidth,2.5,ok\r\n\"s\",\"p\",\"a \"\"b\"\"\r\n,c\",1,128,loop,latency,4e1,ok",
        &table, &problem));
    assert_int_equal(table.row_count, 2);
    assert_int_equal(table.axis_count, 1);
    assert_string_equal(table.axis[0], "size");
    assert_string_equal(row_axis(table.rows[1], "size"), "128");
    assert_string_equal(table.rows[1]->field[COLUMN_variant], "a \"b\"\r\n,c");
    assert_int_equal(table.rows[1]->line, 3);
    assert_true(table.rows[1]->value == 40);
    assert_string_equal(table.rows[0]->field[COLUMN_unit], "GB/s"); /* by the metric's definition */
    assert_int_equal(table.rows[0]->better, HIGHER);
    assert_int_equal(table.rows[1]->better, LOWER);
    assert_int_equal(table.rows[0]->launch, 1);
    assert_true(isnan(row_number(table.rows[0], COLUMN_noise)));
    table_release(&table);
}

static void header_forms(void **state) {
    (void)state;
    struct table table;
    struct problem problem;
    /* LF, a mark of UTF-8, empty lines, a column of a newer program at the end */
    assert_true(read_text("\xef\xbb\xbf"
                          "suite,program,variant,ranks,size,mode,metric,value,status,later\n\n"
                          "s,p,v,1,64,,bandwidth,1,ok,x\n\n",
                          &table, &problem));
    assert_int_equal(table.row_count, 1);
    assert_int_equal(table.axis_count, 1);
    assert_int_equal(table.rows[0]->line, 3);
    table_release(&table);
    /* columns in another order: what is not known is an axis wherever it stands */
    assert_true(read_text("value,size,status,metric,variant,program\n2,64,ok,bandwidth,v,p\n", &table, &problem));
    assert_int_equal(table.axis_count, 1);
    assert_string_equal(row_axis(table.rows[0], "size"), "64");
    assert_string_equal(table.rows[0]->field[COLUMN_suite], "");
    table_release(&table);
    assert_true(read_text("", &table, &problem));
    assert_int_equal(table.row_count, 0);
    table_release(&table);
}

static void numbers(void **state) {
    (void)state;
    struct table table;
    struct problem problem;
    assert_true(read_text(HEADER
                          "s,p,v,1,1,,bandwidth,nan,ok\ns,p,v,1,2,,bandwidth,-inf,ok\ns,p,v,1,3,,bandwidth,,ok\n",
                          &table, &problem));
    for (size_t i = 0; i < 3; i++) assert_false(row_measured(table.rows[i]));
    table_release(&table);
    assert_refused(HEADER "s,p,v,1,1,,bandwidth,\"1,5\",ok\n", 2, "'1,5' is not a number");
    assert_refused(HEADER "s,p,v,1,1,,bandwidth,0x10,ok\n", 2, "'0x10' is not a number");
    assert_refused(HEADER "s,p,v,1,1,,bandwidth,1e,ok\n", 2, "is not a number");
}

static void refused(void **state) {
    (void)state;
    assert_refused(HEADER "s,p,v,1,64,loop,bandwidth,2.5\r\n", 2, "8 fields where the header has 9");
    assert_refused(HEADER "s,p,v,1,64,loop,bandwidth,2.5,ok\r\ns,p,v,1,64,lo", 3, "6 fields where the header has 9");
    assert_refused(HEADER "s,p,v,1,64,loop,bandwidth,2.5,fine\n", 2, "'fine' is none of ok");
    assert_refused(HEADER "s,p,\"v,1,64\n,loop,bandwidth\n", 3, "inside a quoted field");
    assert_refused(HEADER "s,p,v\"x\",1,64,loop,bandwidth,2.5,ok\n", 2, "quote");
    assert_refused("program,variant,metric,value,status,value\np,v,bandwidth,1,ok,2\n", 1, "value' stands there twice");
    assert_refused("program,variant,metric,value\np,v,bandwidth,1\n", 1, "no column status");
    assert_refused("suite,program,variant,metric,value,better,status\ns,p,v,m,1,up,ok\n", 2, "'up' is none of higher");
    assert_refused("program,variant,launch,metric,value,status\np,v,0,m,1,ok\n", 2, "launch: '0'");
    struct table table;
    struct problem problem;
    assert_false(read_bytes(HEADER "s,p,v\0,1", sizeof HEADER "s,p,v\0,1" - 1, &table, &problem));
    table_release(&table);
    assert_false(table_read("/nonexistent/x.csv", &table, &problem));
    assert_non_null(strstr(problem.line, "/nonexistent/x.csv"));
    table_release(&table);
    assert_false(table_read("/tmp", &table, &problem));
    table_release(&table);
}

static void intervals(void **state) {
    (void)state;
    struct table table;
    struct problem problem;
    double low, high;
    const char *header = "program,variant,metric,value,status,time_us,ci_low_us,ci_high_us,limit\n";
    char content[512];
    snprintf(content, sizeof content,
             "%sp,v,bandwidth,100,ok,10,8,20,200\np,v,latency,50,ok,10,8,20,25\n"
             "p,v,accuracy,1,ok,10,8,20,\n",
             header);
    assert_true(read_text(content, &table, &problem));
    assert_true(row_interval(table.rows[0], &low, &high));
    assert_true(low == 50 && high == 125);
    assert_true(row_interval(table.rows[1], &low, &high));
    assert_true(low == 40 && high == 100);
    assert_false(row_interval(table.rows[2], &low, &high));
    assert_true(row_limit_share(table.rows[0]) == 0.5);
    assert_true(row_limit_share(table.rows[1]) == 0.5);
    assert_true(isnan(row_limit_share(table.rows[2])));
    table_release(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(good_rows), cmocka_unit_test(header_forms),
                                       cmocka_unit_test(numbers), cmocka_unit_test(refused),
                                       cmocka_unit_test(intervals)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
