/* Damaged files, thousands of them from a fixed seed: each is read right or refused in one line that names the file.
   REPORTS_MUTATIONS in the environment asks for another number; the test stops after MUTATION_SECONDS in any case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reports/lib/page.h"
#include "reports/lib/verdict_table.h"
#include "reports/tests/html.h"
#include "reports/tests/mutate.h"
#include "reports/tests/sample.h"

enum { MUTATIONS = 4000, EDITS_MAX = 2 };
static const double MUTATION_SECONDS = 8;

enum input { ROWS, SAMPLES_FILE, MANIFEST, PUBLISHED, INPUTS };
static const char *const names[INPUTS] = {"stream.csv", "stream.samples.csv", "manifest.json", "published.csv"};
static const char *const contents[INPUTS] = {
    "suite,program,variant,backend,device,dtype,ranks,operation,bytes,mode,launch,metric,value,unit,better,status,"
    "reason,"
    "samples,time_us,time_min_us,time_p95_us,ci_low_us,ci_high_us,noise,limit,limit_source,limit_share,throttled\r\n"
    "kernels,stream,openmp,openmp,CPU,fp64,1,copy,1024,loop,1,bandwidth,20.5,GB/"
    "s,higher,ok,,20,10,9,11,9.9,10.1,0.01,25,"
    "measured copy,0.82,\r\n"
    "kernels,stream,openmp,openmp,CPU,fp64,1,copy,4096,loop,1,bandwidth,21.5,GB/"
    "s,higher,ok,,20,10,9,11,9.9,10.1,0.01,25,"
    "measured copy,0.86,\r\n"
    "kernels,stream,openmp,openmp,CPU,fp64,1,copy,16384,loop,1,bandwidth,19,GB/s,higher,wrong,\"bad, "
    "\"\"very\"\"\",20,10,9,11,"
    "9.9,10.1,0.01,25,measured copy,0.76,1\r\n"
    "kernels,stream,vector,cuda,,,1,,,,1,,,,,skipped,no device,,,,,,,,,,,\r\n",
    "variant,dtype,ranks,operation,bytes,mode,launch,metric,sample,time_us\r\n"
    "openmp,fp64,1,copy,1024,loop,1,bandwidth,0,10\r\nopenmp,fp64,1,copy,1024,loop,1,bandwidth,1,10.5\r\n"
    "openmp,fp64,1,copy,4096,loop,1,bandwidth,0,11\r\n",
    "{\"schema\": 1, \"host\": \"h\", \"cpu\": {\"model\": \"m\", \"cores\": 2, \"isa\": [\"avx2\"]},\n\"memory_mib\": "
    "1024,\n"
    "\"gpus\": [{\"name\": \"g\", \"memory_mib\": 9}], \"fingerprint\": {\"hardware\": \"x\", \"software\": \"y\"}}\n",
    "program,device,variant,dtype,axes,metric,value,unit,source\n"
    "stream,,openmp,fp64,bytes=1k;operation=copy,bandwidth,22,GB/s,\"a paper, 2020\"\n"};

static char folders[2][256];

static int set_up(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        if (sample_place_make(folders[i], sizeof folders[i], i == 0 ? "whole" : "mutant") != 0) return -1;
        for (int input = 0; input < INPUTS; input++) {
            struct text text = {0};
            text_string(&text, contents[input]);
            sample_write(folders[i], names[input], &text);
            text_release(&text);
        }
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    return sample_place_remove(folders[0]) | sample_place_remove(folders[1]);
}

static void assert_told(const struct problem *problem, const char *mutant) {
    if (strncmp(problem->line, folders[1], strlen(folders[1])) == 0 && strpbrk(problem->line, "\r\n") == NULL &&
        strlen(problem->line) > strlen(folders[1]) + 10)
        return;
    fail_msg("'%s' for: %s", problem->line, mutant);
}

/* Reads everything and makes of it what report and compare make; counts what was refused. */
static bool accepted(const char *mutant) {
    struct result results[SIDES];
    struct samples samples = {0};
    struct peers peers = {0};
    struct problem problem = {""};
    struct match match;
    struct text out = {0};
    char path[300];
    const char *published = (snprintf(path, sizeof path, "%s/published.csv", folders[1]), path);
    assert_true(result_read(folders[0], 0, &results[0], &problem));
    bool good = result_read(folders[1], 1, &results[1], &problem) && peers_read(published, &peers, &problem);
    snprintf(path, sizeof path, "%s/stream.samples.csv", folders[1]);
    good = good && samples_read(path, &samples, &problem);
    if (good) {
        page_write(results, SIDES, &peers, false, &out, NULL);
        const char *at = html_unbalanced(out.data);
        if (at != NULL) fail_msg("not balanced: '%.80s' for: %s", at, mutant);
        text_clear(&out);
        good = match_build(results, &match, &problem);
        struct judge judge = {.results = results, .match = &match};
        const struct samples *both[SIDES] = {&samples, &samples};
        if (good) judge_all(&judge, both), verdict_table(&judge, TABLE_MARKDOWN, ROWS_ALL, 0, &out);
        judge_release(&judge);
        match_release(&match);
    }
    if (!good) assert_told(&problem, mutant);
    text_release(&out);
    samples_release(&samples);
    peers_release(&peers);
    for (int side = 0; side < SIDES; side++) result_release(&results[side]);
    return good;
}

static void mutations(void **state) {
    (void)state;
    const char *wanted = getenv("REPORTS_MUTATIONS");
    long count = wanted != NULL ? atol(wanted) : MUTATIONS, good = 0, made = 0;
    double end = (double)clock() / CLOCKS_PER_SEC + (wanted != NULL ? 1e9 : MUTATION_SECONDS);
    for (; made < count && (double)clock() / CLOCKS_PER_SEC < end; made++) {
        struct random random = {.seed = (uint64_t)made};
        enum input input = (enum input)below(&random, INPUTS);
        struct text text = {0};
        text_string(&text, contents[input]);
        for (size_t edits = 1 + below(&random, EDITS_MAX); edits > 0; edits--) mutate(&text, &random);
        sample_write(folders[1], names[input], &text);
        good += accepted(text.data);
        text_clear(&text);
        text_string(&text, contents[input]);
        sample_write(folders[1], names[input], &text);
        text_release(&text);
    }
    print_message("%ld mutations, %ld refused\n", made, made - good);
    assert_true(good > made / 100 && good < made - made / 100); /* both ways were taken */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(mutations)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
