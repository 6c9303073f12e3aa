/* Every parser of the reports, fed with damaged files from a fixed seed, in this process: each file is read right or
   refused in one line that names file and line, and nothing crashes; under `make asan` with the sanitizers watching.
   A parser is a line of the table below. PARSER_MUTATIONS in the environment asks for a number of files (1000000 is the
   figure in reports/README.md) and takes as long as they take; else it is a few seconds' worth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reports/lib/limit_rules.h"
#include "reports/lib/page.h"
#include "reports/lib/samples.h"
#include "reports/lib/table_write.h"
#include "reports/tests/html.h"
#include "reports/tests/mutate.h"
#include "reports/tests/sample.h"

enum { EDITS_MAX = 3, MUTATIONS = 20000 };
static const double SECONDS_MAX = 6;

static const char rows_file[] =
    "suite,program,variant,backend,device,dtype,ranks,bytes,operation,mode,launch,metric,value,unit,better,status,"
    "reason,samples,time_us,ci_low_us,ci_high_us,noise,bytes_moved,flops,limit,limit_source,limit_share,error,"
    "tolerance\r\n"
    "collectives,all_reduce,nccl,nccl,GPU,fp32,2,1024,sum,cold,1,bus_bandwidth,20.5,GB/s,higher,ok,,20,10,9.9,10.1,"
    "0.01,2048,,25,link rate,0.82,0,0\r\n"
    "collectives,all_reduce,nccl,nccl,GPU,fp32,2,4096,sum,cold,1,bus_bandwidth,21.5,GB/s,higher,ok,,20,10,9.9,10.1,"
    "0.01,8192,,25,link rate,0.86,0,0\r\n"
    "collectives,all_reduce,nccl,nccl,GPU,fp32,4,4096,sum,cold,1,bus_bandwidth,nan,GB/s,higher,wrong,\"bad, "
    "\"\"very\"\"\nbad\",20,10,9.9,10.1,0.01,8192,,25,link rate,0.76,1,0\r\n"
    "collectives,all_reduce,ring,nccl,,,,,,,1,,,,,skipped,no device,,,,,,,,,,,,\r\n";
static const char pairs_file[] =
    "suite,program,variant,device,dtype,ranks,first,second,bytes,pattern,mode,metric,value,unit,better,status\n"
    "collectives,pairs,mpi,CPU,,2,0,1,64,one_way,own,bandwidth,10,GB/s,higher,ok\n"
    "collectives,pairs,mpi,CPU,,2,1,0,64,one_way,own,bandwidth,11,GB/s,higher,ok\n"
    "collectives,pairs,mpi,CPU,,2,1,2,64,one_way,own,bandwidth,5,GB/s,higher,ok\n"
    "kernels,gemm,lib,CPU,fp32,1,,,,,loop,flop_rate,1,TFLOP/s,higher,ok\n";
static const char samples_file[] =
    "variant,dtype,ranks,operation,bytes,mode,launch,metric,sample,time_us\r\n"
    "openmp,fp64,1,copy,1024,loop,1,bandwidth,0,10\r\nopenmp,fp64,1,copy,1024,loop,1,bandwidth,1,10.5\r\n"
    "openmp,fp64,1,copy,4096,loop,1,bandwidth,0,11\r\n";
static const char manifest_file[] =
    "{\"schema\": 1, \"host\": \"h\", \"created\": \"2026-11-22T10:00:00Z\",\n\"cpu\": {\"model\": \"m\", \"cores\": "
    "2, \"isa\": [\"avx2\"]},\n\"memory_mib\": 1024,\n\"gpus\": [{\"name\": \"g\", \"memory_mib\": 9}],\n\"driver\": "
    "{\"version\": \"580.1\", \"cuda\": \"13.0\"},\n\"fingerprint\": {\"hardware\": \"x\", \"software\": \"y\"}}\n";
static const char pieces_file[] =
    "suite,program,variant,backend,device,dtype,ranks,axes,mode,launch,piece,pieces,from_bytes,to_bytes,points,"
    "latency_us,bandwidth_gb_s,bus_factor,r_squared\r\n"
    "collectives,all_reduce,nccl,nccl,GPU,fp32,2,operation=sum,cold,1,1,2,1024,2048,3,10,25,1,0.99\r\n"
    "collectives,all_reduce,nccl,nccl,GPU,fp32,2,operation=sum,cold,1,2,2,4096,8192,3,12,,1,0.99\r\n";
static const char published_file[] =
    "program,device,variant,dtype,axes,metric,value,unit,source\n"
    "all_reduce,,nccl,fp32,bytes=1k;operation=sum,bus_bandwidth,22,GB/s,\"a paper, 2020\"\n";
static const char limits_file[] = "program,device,variant,dtype,axes,metric,least_share,why\n"
                                  "all_reduce,GPU,,fp32,bytes=1k;operation=sum,bus_bandwidth,0.7,\"a cable, loose\"\n"
                                  "gemm,,,bf16,,flop_rate,0.6,\n";
static const char conditions_file[] =
    "program=gemm,all_reduce status!=skipped bytes>=1000 bytes<1e6 reason~bad value>0 host=h";

static char folder[256];

/* The parsers proper: true, or false with problem. The file is in `folder`, all others there are whole. */
static bool read_result(const char *path, struct problem *problem) {
    struct result result;
    struct text html = {0}, markdown = {0};
    struct peers peers = {0};
    (void)path;
    bool good = result_read(folder, 0, &result, problem) && result_read_fits(&result, problem);
    if (good) { /* and what is made of it must be well formed */
        page_write(&result, 1, &peers, false, &html, &markdown);
        const char *at = html_unbalanced(html.data);
        if (at != NULL) fail_msg("not balanced: '%.80s'", at);
    }
    text_release(&html);
    text_release(&markdown);
    result_release(&result);
    return good;
}

static bool read_samples(const char *path, struct problem *problem) {
    struct samples samples = {0};
    bool good = samples_read(path, &samples, problem);
    samples_release(&samples);
    return good;
}

static bool read_published(const char *path, struct problem *problem) {
    struct peers peers = {0};
    bool good = peers_read(path, &peers, problem);
    peers_release(&peers);
    return good;
}

static bool read_limits(const char *path, struct problem *problem) {
    struct limit_rules rules = {0};
    bool good = limit_rules_read(path, &rules, problem);
    limit_rules_release(&rules);
    return good;
}

static void check_json_lines(char *lines) {
    char *rest = NULL;
    for (char *line = strtok_r(lines, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        cJSON *object = cJSON_Parse(line);
        if (!cJSON_IsObject(object)) fail_msg("no JSON: %s", line);
        cJSON_Delete(object);
    }
}

/* Each line of Prometheus' format: a comment, or a name, labels without a stray quote, a number. */
static void check_prometheus(const char *lines) {
    for (const char *at = lines; *at != 0; at += strcspn(at, "\n") + 1) {
        size_t name = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
        if (at[0] == '#') continue;
        const char *end = at + name;
        bool quoted = false;
        if (*end == '{')
            for (; *end != 0 && *end != '\n' && (quoted || *end != '}'); end++) {
                if (quoted && *end == '\\') end++;
                else if (*end == '"') quoted = !quoted;
            }
        end += *end == '}';
        if (name == 0 || quoted || *end != ' ' || strtod(end + 1, (char **)&end) != strtod("nan", NULL)) {
            if (name > 0 && !quoted && *end == '\n') continue;
            fail_msg("no sample of Prometheus: %.200s", at);
        }
    }
}

/* What merge writes must read back with as many rows. */
static void check_merged(const struct text *merged, size_t rows) {
    char path[300];
    struct table table;
    struct problem problem;
    snprintf(path, sizeof path, "%s/merged.out", folder);
    sample_write(folder, "merged.out", merged);
    if (!table_read(path, &table, &problem)) fail_msg("merged: %s", problem.line);
    if (table.row_count != rows) fail_msg("merged: %zu rows of %zu", table.row_count, rows);
    table_release(&table);
}

static bool read_table(const char *path, struct problem *problem) {
    struct selection selection = {0};
    struct table_view view = {.sorts = {{"value", true}}, .sort_count = 1};
    struct text out = {0};
    bool good = selection_word(&selection, path, problem) && selection_finish(&selection, problem);
    if (good) {
        table_show(&selection, &view, &out);
        text_clear(&out);
        table_prometheus(&selection, &out);
        check_prometheus(out.data);
        text_clear(&out);
        table_json_lines(&selection, &out);
        if (out.data != NULL) check_json_lines(out.data);
        text_clear(&out);
        table_merge(&selection, &out);
        check_merged(&out, selection.row_count);
    }
    text_release(&out);
    selection_release(&selection);
    return good;
}

/* Words between spaces as conditions over the rows; their problems name the word, not a file. */
static bool read_conditions(const char *path, struct problem *problem) {
    struct selection selection = {0};
    struct text file = {0};
    char rows[300], *rest = NULL;
    snprintf(rows, sizeof rows, "%s/all_reduce.csv", folder);
    bool good = file_read(path, &file, problem) && selection_word(&selection, rows, problem);
    for (char *word = strtok_r(file.data, " \n", &rest); word != NULL && good; word = strtok_r(NULL, " \n", &rest))
        good = word[0] == '/' || word[0] == '.' || selection_word(&selection, word, problem);
    good = good && selection_finish(&selection, problem);
    selection_release(&selection);
    text_release(&file);
    return good;
}

static struct parser {
    const char *name, *file, *content;
    bool (*read)(const char *path, struct problem *problem);
    bool names_file; /* its problems begin with the file and a line */
    long made, refused;
} parsers[] = {{"rows, page and summary", "all_reduce.csv", rows_file, read_result, true, 0, 0},
               {"rows of a matrix", "pairs.csv", pairs_file, read_result, true, 0, 0},
               {"manifest", "manifest.json", manifest_file, read_result, true, 0, 0},
               {"samples", "all_reduce.samples.csv", samples_file, read_samples, true, 0, 0},
               {"pieces of fits", "fit.pieces.csv", pieces_file, read_result, true, 0, 0},
               {"published", "published.csv", published_file, read_published, true, 0, 0},
               {"limits", "limits.rules", limits_file, read_limits, true, 0, 0},
               {"table tools", "all_reduce.csv", rows_file, read_table, true, 0, 0},
               {"conditions", "conditions.txt", conditions_file, read_conditions, false, 0, 0}};

static void write_whole_file(const struct parser *parser) {
    struct text text = {0};
    text_string(&text, parser->content);
    sample_write(folder, parser->file, &text);
    text_release(&text);
}

static int set_up(void **state) {
    (void)state;
    if (sample_place_make(folder, sizeof folder, "parsers") != 0) return -1;
    for (size_t i = 0; i < ARRAY_LENGTH(parsers); i++) write_whole_file(&parsers[i]);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    return sample_place_remove(folder);
}

/* "FILE:LINE: message", one line of printable characters. */
static void assert_told(const struct parser *parser, const char *path, const struct problem *problem, long seed) {
    const char *line = problem->line;
    size_t length = strlen(path), digits = 0;
    bool good = strlen(line) > 5 && strpbrk(line, "\r\n") == NULL;
    if (good && parser->names_file) {
        good = strncmp(line, path, length) == 0 && line[length] == ':';
        if (good) digits = strspn(line + length + 1, "0123456789");
        good = good && digits > 0 && strncmp(line + length + 1 + digits, ": ", 2) == 0 && line[length + 1] != '0' &&
               strlen(line) > length + digits + 5;
    }
    if (!good) fail_msg("%s, seed %ld: '%s'", parser->name, seed, line);
}

static void whole_files(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(parsers); i++) {
        struct problem problem = {""};
        char path[300];
        snprintf(path, sizeof path, "%s/%s", folder, parsers[i].file);
        if (!parsers[i].read(path, &problem)) fail_msg("%s: %s", parsers[i].name, problem.line);
    }
}

static void mutations(void **state) {
    (void)state;
    const char *wanted = getenv("PARSER_MUTATIONS");
    long count = wanted != NULL ? atol(wanted) : MUTATIONS, made = 0;
    clock_t begin = clock();
    for (; made < count; made++) {
        if (wanted == NULL && (double)(clock() - begin) / CLOCKS_PER_SEC > SECONDS_MAX) break;
        struct random random = {.seed = (uint64_t)made};
        struct parser *parser = &parsers[below(&random, ARRAY_LENGTH(parsers))];
        struct problem problem = {""};
        struct text text = {0};
        char path[300];
        text_string(&text, parser->content);
        for (size_t edits = 1 + below(&random, EDITS_MAX); edits > 0; edits--) mutate(&text, &random);
        sample_write(folder, parser->file, &text);
        snprintf(path, sizeof path, "%s/%s", folder, parser->file);
        bool good = parser->read(path, &problem);
        parser->made++;
        parser->refused += !good;
        if (!good) assert_told(parser, path, &problem, made);
        write_whole_file(parser);
        text_release(&text);
    }
    print_message("%ld files in %.0f s of CPU\n", made, (double)(clock() - begin) / CLOCKS_PER_SEC);
    for (size_t i = 0; i < ARRAY_LENGTH(parsers); i++) {
        const struct parser *parser = &parsers[i];
        print_message("%8ld %s, %ld refused\n", parser->made, parser->name, parser->refused);
        if (parser->made > 200) /* both ways were taken */
            assert_in_range(parser->refused, parser->made / 100, parser->made - parser->made / 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(whole_files), cmocka_unit_test(mutations)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
