/* The page: whole, safe whatever the rows hold, and small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/lib/number.h"
#include "reports/lib/page.h"
#include "reports/lib/svg.h"
#include "reports/tests/html.h"
#include "reports/tests/sample.h"

static char folder[256];

static int set_up(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    return sample_place_make(folder, sizeof folder, "page");
}

static int tear_down(void **state) {
    (void)state;
    return sample_place_remove(folder);
}

static void assert_balanced(const char *page) {
    const char *at = html_unbalanced(page);
    if (at != NULL) fail_msg("not balanced: '%.80s'", at);
}

static void assert_has(const char *page, const char *part) {
    if (strstr(page, part) == NULL) fail_msg("the page lacks '%s'", part);
}

static void assert_lacks(const char *page, const char *part) {
    const char *at = strstr(page, part);
    if (at != NULL) fail_msg("the page has '%.80s'", at);
}

/* The page of the folders, with figures from published (may be NULL). */
static struct text page_of(const char *const *folders, size_t count, const char *published, bool draw) {
    struct result results[4] = {{0}};
    struct peers peers = {0};
    struct problem problem;
    struct text page = {0};
    for (size_t i = 0; i < count; i++)
        if (!result_read(folders[i], (int)i, &results[i], &problem)) fail_msg("%s", problem.line);
    if (published != NULL && !peers_read(published, &peers, &problem)) fail_msg("%s", problem.line);
    page_write(results, count, &peers, draw, &page, NULL);
    for (size_t i = 0; i < count; i++) result_release(&results[i]);
    peers_release(&peers);
    return page;
}

static void write_file(const char *name, const char *content) {
    struct text text = {0};
    text_string(&text, content);
    sample_write(folder, name, &text);
    text_release(&text);
}

static void escapes(void **state) {
    (void)state;
    struct text text = {0};
    text_html(&text, "a<b>&\"'\n\x01\xff\xc0\xaf\xed\xa0\x80\xe2\x80\xae z\xc3\xa9");
    assert_string_equal(text.data,
                        "a&lt;b&gt;&amp;&quot;&#39;\n\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd z\xc3\xa9");
    text_release(&text);
}

static void drawings(void **state) {
    (void)state;
    struct text out = {0};
    const char *drawing =
        "<?xml version='1.0'?><svg viewBox='0 0 10px 20px' onload='x()'><title>no</title><script>alert(1)</script>"
        "<g id='a' onclick=\"x()\" style='fill:url(http://x)'><path d='M0 0' stroke='rgb(  0,   0,   5)' "
        "fill=\"none\"/>"
        "<g></g><image href='http://x/'/><use xlink:href='#a'/><use xlink:href='http://x/#a'/>"
        "<text fill='black'>1 &amp; 2 & \"3\"<b>4</b></text><foreignObject><p>5</p></foreignObject></svg>";
    assert_int_equal(svg_inline(&out, drawing, "p-", "plot", "T<", "D&", SVG_KEEP_COLORS), 1);
    assert_balanced(out.data);
    assert_has(out.data, "viewBox=\"0 0 10 20\"");
    assert_has(out.data, "<title id=\"p-t\">T&lt;</title><desc id=\"p-d\">D&amp;</desc>");
    assert_has(out.data, "<g id=\"p-a\"><path d=\"M0 0\" stroke=\"var(--series-2)\" fill=\"none\"/>");
    assert_has(out.data, "<use href=\"#p-a\"/>");
    assert_has(out.data, "<text fill=\"var(--ink)\">1 &amp; 2 &amp; &quot;3&quot;4</text>");
    static const char *const never[] = {"script", "alert", "onload",  "onclick", "style",
                                        "http",   "image", "foreign", "<p>",     "<g></g>"};
    for (size_t i = 0; i < ARRAY_LENGTH(never); i++) assert_lacks(out.data, never[i]);
    text_clear(&out);
    assert_int_equal(svg_inline(&out, "<svg viewBox='0 0 10 10'><g><g><text>a", "p", "c", "", "", SVG_DROP_COLORS), 1);
    assert_balanced(out.data);
    assert_int_equal(svg_inline(&out, "no drawing", "p", "c", "", "", SVG_DROP_COLORS), 0);
    assert_int_equal(svg_inline(&out, "<svg viewBox='0 0 nan 10'></svg>", "p", "c", "", "", SVG_DROP_COLORS), 0);
    text_release(&out);
}

static void numbers(void **state) {
    (void)state;
    static const struct {
        double bytes;
        const char *text;
    } sizes[] = {{512, "512 B"}, {65536, "64 KiB"}, {1536, "1.5 KiB"}, {(double)GIB, "1 GiB"}};
    struct text text = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        text_clear(&text);
        number_bytes(&text, sizes[i].bytes);
        assert_string_equal(text.data, sizes[i].text);
    }
    text_clear(&text);
    number_tick(&text, "seq", 16384);
    text_string(&text, " ");
    number_tick(&text, "bytes", 1048576);
    text_string(&text, " ");
    number_tick(&text, "size", 1000);
    text_string(&text, " ");
    number_value(&text, 21.336);
    text_string(&text, " ");
    number_value(&text, 1.25e-7);
    assert_string_equal(text.data, "16K 1 MiB 1000 21.34 1.25e-07");
    text_release(&text);
}

static void whole_page(void **state) {
    (void)state;
    const char *folders[] = {folder};
    sample_folder(folder, (struct sample){.seed = 1});
    write_file("published.csv", "program,device,variant,dtype,axes,metric,value,unit,source\n"
                                "gemm,H200,cublaslt,bf16,shape=square;size=8k,flop_rate,656,TFLOP/s,\"a <source>\"\n");
    char published_path[300];
    snprintf(published_path, sizeof published_path, "%s/published.csv", folder);
    struct text page = page_of(folders, 1, published_path, true);
    assert_balanced(page.data);
    static const char *const parts[] = {
        "In short",  "The machine",      "What is the bandwidth of memory", "measured copy", "bound first operator",
        "33.4<span", "a &lt;source&gt;", "What was not measured",           "not run: ",     "<caption>",
        "aria-label"};
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) assert_has(page.data, parts[i]);
    if (strstr(page.data, "gnuplot is not on this machine") == NULL) assert_has(page.data, "<svg class=\"plot\"");
    static const char *const outside[] = {"http:", "https:", "url(", "@import", "<script ", "<link", "<img", "src="};
    for (size_t i = 0; i < ARRAY_LENGTH(outside); i++) assert_lacks(page.data, outside[i]);
    assert_null(strstr(strstr(page.data, "<script>") + 1, "<script"));
    size_t cards = 0; /* ten of the many; no suite is left out for its place in the order */
    for (const char *at = page.data; (at = strstr(at, "<li class=\"card\">")) != NULL; at++) cards++;
    assert_int_equal(cards, 10);
    const char *end = strstr(page.data, "<nav "),
               *accuracy = strstr(page.data, "listops</a> <span class=\"quiet\">accuracy");
    assert_true(accuracy != NULL && accuracy < end);
    text_release(&page);
}

static void several_runs(void **state) {
    (void)state;
    char other[300];
    snprintf(other, sizeof other, "%s/other", folder);
    const char *folders[] = {folder, other};
    sample_folder(folder, (struct sample){.seed = 1});
    sample_folder(other, (struct sample){.seed = 2, .no_gpu = true, .status_of = "openmp", .status = "wrong"});
    struct text page = page_of(folders, 2, NULL, false);
    assert_balanced(page.data);
    assert_has(page.data, "2 runs side by side");
    assert_has(page.data, "Wrong results");
    assert_has(page.data, "made up, &quot;quoted&quot;");
    assert_has(page.data, "no CUDA device: &quot;none&quot;, of 0");
    text_release(&page);
}

/* Markup in every field, in names of axes, and in the manifest. */
static void hostile(void **state) {
    (void)state;
    const char *folders[] = {folder};
    char command[512];
    snprintf(command, sizeof command, "rm -f %s/*.csv", folder);
    assert_int_equal(system(command), 0);
    struct text csv = {0};
    const char *bad = "<img src=x onerror=alert(1)>'\"\"`$(id)\\'&--><!--";
    text_add(
        &csv,
        "suite,program,variant,backend,device,dtype,ranks,\"%s\",bytes,mode,metric,value,unit,better,status,reason,"
        "limit,limit_source\n",
        bad);
    for (int i = 0; i < 24; i++) {
        text_add(&csv,
                 "\"%s\",\"%s%d\",\"%s%d\",\"%s\",\"%s\",\"%s\",\"%s\",\"%s%d\",%d,\"%s\",\"%s\",%d,\"%s\",higher,%s,"
                 "\"%s\",9,"
                 "\"%s\"\n",
                 bad, bad, i / 12, bad, i % 2, bad, bad, bad, bad, bad, i % 3, 1 << i, bad, bad, i, bad,
                 i % 6    ? "ok"
                 : i % 12 ? "wrong"
                          : "failed",
                 bad, bad);
    }
    sample_write(folder, "hostile.csv", &csv);
    write_file("manifest.json",
               "{\"schema\":1,\"host\":\"<b>h</b>\",\"gpus\":[{\"<i>\":\"</dd>\"}],\"cpu\":{\"model\":\"<u>\"}}");
    struct text page = page_of(folders, 1, NULL, true);
    assert_balanced(page.data);
    assert_lacks(page.data, "<img");
    assert_lacks(page.data, "<b>h");
    assert_has(page.data, "&lt;img src=x");
    text_release(&page);
    text_release(&csv);
}

static void many_rows(void **state) {
    (void)state;
    const char *folders[] = {folder};
    struct text csv = {0};
    text_string(&csv,
                "suite,program,variant,dtype,ranks,size,shape,mode,metric,value,unit,better,status,reason,noise\n");
    for (int i = 0; i < 100000; i++)
        text_add(&csv, "kernels,many,v%d,fp32,1,%d,s%d,loop,flop_rate,%d,TFLOP/s,higher,%s,,0.01\n", i % 50,
                 1 << (i / 50 % 20), i / 1000, i, i % 1000 ? "ok" : "skipped");
    sample_write(folder, "hostile.csv", &csv);
    struct text page = page_of(folders, 1, NULL, false);
    assert_balanced(page.data);
    assert_true(page.length < 5 * 1000 * 1000);
    assert_has(page.data, "Every 20th of 99900 cases");
    text_release(&page);
    text_release(&csv);
}

static void published(void **state) {
    (void)state;
    struct peers peers = {0};
    struct problem problem;
    struct table table;
    char path[300];
    const struct peer *found[PEERS_OF_ROW_MAX];
    write_file("rows.csv", "program,variant,device,dtype,ranks,size,mode,metric,value,unit,status\n"
                           "gemm,lib,NVIDIA H200,bf16,1,8192,cold,flop_rate,650,TFLOP/s,ok\n"
                           "gemm,lib,NVIDIA H100,bf16,1,8192,cold,flop_rate,650,TFLOP/s,ok\n");
    write_file("peers.csv",
               "program,device,variant,dtype,axes,metric,value,unit,source\n"
               "gemm,H200,,bf16,size=8k,flop_rate,656.5,TFLOP/s,A\ngemm,,lib,,ranks=1,flop_rate,1,TFLOP/s,B\n"
               "gemm,H200,,fp16,,flop_rate,1,TFLOP/s,C\ngemm,,,,size=4096,flop_rate,1,TFLOP/s,D\n"
               "gemm,,,,,call_time,1,us,E\n");
    snprintf(path, sizeof path, "%s/rows.csv", folder);
    assert_true(table_read(path, &table, &problem));
    snprintf(path, sizeof path, "%s/peers.csv", folder);
    assert_true(peers_read(path, &peers, &problem));
    assert_int_equal(peers_of(&peers, table.rows[0], found), 2);
    assert_string_equal(found[0]->source, "A");
    assert_string_equal(found[1]->source, "B");
    assert_int_equal(peers_of(&peers, table.rows[1], found), 1);
    static const char *const bad[] = {"gemm,,,,size,flop_rate,1,TFLOP/s,A\n", "gemm,,,,,flop_rate,x,TFLOP/s,A\n",
                                      "gemm,,,,,flop_rate,1,TFLOP/s,\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct text text = {0};
        text_add(&text, "program,device,variant,dtype,axes,metric,value,unit,source\n%s", bad[i]);
        sample_write(folder, "peers.csv", &text);
        text_release(&text);
        assert_false(peers_read(path, &peers, &problem));
        assert_non_null(strstr(problem.line, "peers.csv:2: "));
    }
    table_release(&table);
    peers_release(&peers);
}

static void manifests(void **state) {
    (void)state;
    static const struct {
        const char *content, *part;
    } bad[] = {{"{\"schema\":1,\n\"host\":", "manifest.json:2: damaged JSON"},
               {"{\"schema\":99}", "schema 99 is newer"},
               {"[]", "no schema number"},
               {"{\"schema\":1}\nx", "manifest.json:2: damaged JSON: something follows"},
               {"", "damaged JSON"}};
    struct result result;
    struct problem problem;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        write_file("manifest.json", bad[i].content);
        assert_false(result_read(folder, 0, &result, &problem));
        if (strstr(problem.line, bad[i].part) == NULL) fail_msg("'%s' is not '%s'", problem.line, bad[i].part);
        result_release(&result);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes),    cmocka_unit_test(drawings),     cmocka_unit_test(numbers),
        cmocka_unit_test(whole_page), cmocka_unit_test(several_runs), cmocka_unit_test(hostile),
        cmocka_unit_test(many_rows),  cmocka_unit_test(published),    cmocka_unit_test(manifests)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
