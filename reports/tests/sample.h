/* sample.h: result folders made up for the tests of report and compare. The figures are curves with noise on them, no
   measurements; shapes, columns and quoting are those of the programs. */
#ifndef REPORTS_TESTS_SAMPLE_H
#define REPORTS_TESTS_SAMPLE_H

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/random.h"
#include "reports/lib/csv_read.h"
#include "reports/lib/markup.h"
#include "reports/lib/rows.h"

/* The name of a temporary file or folder of this process. */
static inline void sample_place(char *path, size_t size, const char *name) {
    const char *folder = getenv("TMPDIR");
    if (folder == NULL || folder[0] == 0) folder = "/tmp";
    snprintf(path, size, "%s/plumbline-%s-%ld", folder, name, (long)getpid());
}

/* Makes such a folder; 0: made. */
static inline int sample_place_make(char *path, size_t size, const char *name) {
    sample_place(path, size, name);
    return mkdir(path, 0777);
}

static inline int sample_place_remove(const char *folder) {
    char command[512];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

#define SAMPLE_CPU "AMD EPYC 9575F 64-Core"
#define SAMPLE_GPU "NVIDIA H200"

/* What to make. Start from {0}: one launch, quiet, with a GPU. */
struct sample {
    uint64_t seed;
    int launches;          /* 0: 1 */
    double between;        /* relative scatter from launch to launch, 0: 0.004 */
    double within;         /* relative scatter from call to call, 0: 0.01 */
    const char *slow_name; /* program or variant that is slowed */
    double slow_by;        /* 0.1: ten percent more time */
    bool no_gpu, no_samples;
    const char *status_of; /* this variant's rows get `status` */
    const char *status;
    const char *hardware; /* fingerprint, NULL: one like any other */
    int schema;           /* 0: 1 */
};

/* One measurement that sample_row writes. */
struct sample_case {
    const char *suite, *program, *variant, *backend, *device, *dtype, *ranks;
    const char *axes; /* values between commas */
    const char *mode, *metric, *unit, *better;
    double seconds; /* of one call; 0: value is no rate */
    double amount;  /* value = amount / seconds for rates, seconds * amount for times, amount otherwise */
    double limit;
    const char *limit_source;
};

struct sample_file {
    const struct sample *sample;
    struct text csv, samples;
    uint64_t rows;
};

static inline void sample_header(struct sample_file *file, const char *axes) {
#define COLUMN(identifier, meaning) text_string(&file->csv, #identifier ",");
#define AXES                                                                                                           \
    if (axes[0] != 0) text_add(&file->csv, "%s,", axes);
#include "bench/columns.def"
#undef COLUMN
#undef AXES
    file->csv.data[file->csv.length - 1] = '\r';
    text_string(&file->csv, "\n");
    text_add(&file->samples, "variant,dtype,ranks,%s%smode,launch,metric,sample,time_us\r\n", axes,
             axes[0] != 0 ? "," : "");
}

static inline void sample_quoted(struct text *text, const char *value) {
    text_field(text, value);
    text_string(text, ",");
}

enum { SAMPLE_CALLS = 24 };

static inline void sample_value(struct sample_file *file, const struct sample_case *c, double time) {
    double value = strcmp(c->better, "lower") == 0 ? time * c->amount : c->amount / time;
    if (!(c->seconds > 0)) value = c->amount;
    sample_quoted(&file->csv, c->metric);
    text_add(&file->csv, "%.6g,", value);
    sample_quoted(&file->csv, c->unit);
    text_add(&file->csv, "%s,", c->better);
    const struct sample *s = file->sample;
    bool other = s->status_of != NULL && strcmp(s->status_of, c->variant) == 0;
    text_add(&file->csv, "%s,%s,", other ? s->status : "ok", other ? "\"made up, \"\"quoted\"\"\"" : "");
    if (c->seconds > 0)
        text_add(&file->csv, "%d,%.6g,%.6g,%.6g,%.6g,%.6g,%.4g,,,", SAMPLE_CALLS, time * 1e6, time * 0.98e6,
                 time * 1.03e6, time * (1 - s->within / 4) * 1e6, time * (1 + s->within / 4) * 1e6, s->within);
    else text_string(&file->csv, ",,,,,,,,,");
    if (c->limit > 0)
        text_add(&file->csv, "%.6g,%s,%.4g,", c->limit, c->limit_source,
                 strcmp(c->better, "lower") == 0 ? c->limit / value : value / c->limit);
    else text_string(&file->csv, ",,,");
    text_string(&file->csv, "1.2e-07,2e-05,512,1980,,\r\n");
}

static inline void sample_row(struct sample_file *file, const struct sample_case *c) {
    const struct sample *s = file->sample;
    for (int launch = 1; launch <= s->launches; launch++) {
        uint64_t stream = ++file->rows;
        bool slow = s->slow_name != NULL &&
                    (strcmp(s->slow_name, c->variant) == 0 || strcmp(s->slow_name, c->program) == 0);
        double time = c->seconds * (slow ? 1 + s->slow_by : 1) * (1 + s->between * random_normal(s->seed, stream, 0));
        text_add(&file->csv, "%s,%s,%s,%s,", c->suite, c->program, c->variant, c->backend);
        sample_quoted(&file->csv, c->device);
        text_add(&file->csv, "%s,%s,%s%s%s,%d,", c->dtype, c->ranks, c->axes, c->axes[0] ? "," : "", c->mode, launch);
        sample_value(file, c, time);
        for (int i = 0; i < SAMPLE_CALLS && c->seconds > 0; i++)
            text_add(&file->samples, "%s,%s,%s,%s%s%s,%d,%s,%d,%.6g\r\n", c->variant, c->dtype, c->ranks, c->axes,
                     c->axes[0] ? "," : "", c->mode, launch, c->metric, i,
                     time * (1 + s->within * random_normal(s->seed, stream, (uint64_t)i + 1)) * 1e6);
    }
}

static inline void sample_absent(struct sample_file *file, const char *suite, const char *program, const char *variant,
                                 int axis_count, const char *reason) {
    text_add(&file->csv, "%s,%s,%s,cuda,,,1,", suite, program, variant);
    for (int i = 0; i < axis_count; i++) text_string(&file->csv, ",");
    text_string(&file->csv, ",1,,,,,skipped,");
    sample_quoted(&file->csv, reason);
    text_string(&file->csv, ",,,,,,,,,,,,,,,,,\r\n");
}

static inline void sample_write(const char *folder, const char *name, const struct text *text) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "wb");
    if (out == NULL || fwrite(text->data, 1, text->length, out) != text->length || fclose(out) != 0) {
        perror(path);
        exit(1);
    }
}

static inline void sample_finish(struct sample_file *file, const char *folder, const char *program) {
    char name[128];
    snprintf(name, sizeof name, "%s.csv", program);
    sample_write(folder, name, &file->csv);
    snprintf(name, sizeof name, "%s.samples.csv", program);
    if (!file->sample->no_samples) sample_write(folder, name, &file->samples);
    text_release(&file->csv);
    text_release(&file->samples);
}

static inline void sample_stream(const struct sample *s, const char *folder) {
    static const char *const operations[] = {"copy", "triad", "read"};
    struct sample_file file = {.sample = s};
    char axes[64];
    sample_header(&file, "operation,bytes,team");
    for (int o = 0; o < 3; o++)
        for (int device = 0; device < (s->no_gpu ? 1 : 2); device++)
            for (int v = 0; v < 2; v++)
                for (int64_t bytes = 16 * KIB; bytes <= (device ? 4 * GIB : 512 * MIB); bytes *= 4) {
                    double cached = device ? 1 : 1 + 9 / (1 + pow((double)bytes / (32.0 * MIB), 4));
                    double peak = (device ? 4.4e12 : 25e9) * cached * (1 - 0.06 * o) * (1 - 0.1 * v);
                    snprintf(axes, sizeof axes, "%s,%lld,%d", operations[o], (long long)bytes, device ? 1 : 2);
                    struct sample_case c = {"kernels",
                                            "stream",
                                            v        ? device ? "persistent" : "openmp"
                                            : device ? "vector"
                                                     : "openmp_nontemporal",
                                            device ? "cuda" : "openmp",
                                            device ? SAMPLE_GPU : SAMPLE_CPU,
                                            "fp64",
                                            "1",
                                            axes,
                                            device ? "cold" : "loop",
                                            "bandwidth",
                                            "GB/s",
                                            "higher",
                                            2e-6 + 2.0 * (double)bytes / peak,
                                            2e-9 * (double)bytes,
                                            device ? 4800 : 27.5,
                                            device ? "memory clock x bus width" : "measured copy"};
                    sample_row(&file, &c);
                }
    if (s->no_gpu) sample_absent(&file, "kernels", "stream", "vector", 3, "no CUDA device: \"none\", of 0");
    sample_finish(&file, folder, "stream");
}

static inline void sample_gemm(const struct sample *s, const char *folder) {
    static const char *const dtypes[] = {"fp64", "fp32", "tf32", "bf16", "fp16", "fp8_e4m3"};
    static const double peaks[] = {60e12, 52e12, 400e12, 720e12, 700e12, 1300e12};
    static const char *const shapes[] = {"square", "qkv", "mlp_up"};
    struct sample_file file = {.sample = s};
    char axes[64];
    sample_header(&file, "shape,size,tokens");
    for (int shape = 0; shape < 3; shape++)
        for (int d = 0; d < 8; d++)
            for (int64_t size = 256; size <= (d < 2 ? 2048 : 16384); size *= 2) {
                if (d >= 2 && s->no_gpu) continue;
                double flops = 2.0 * (double)size * (double)size * (double)size,
                       small = (double)size / ((double)size + 900);
                double peak = d < 2 ? (d ? 0.45e12 : 0.22e12) : peaks[d - 2] * small;
                snprintf(axes, sizeof axes, "%s,%lld,%d", shapes[shape], (long long)size, 512);
                struct sample_case c = {"kernels",
                                        "gemm",
                                        d < 2 ? "openblas" : "cublaslt",
                                        d < 2 ? "openblas" : "cublaslt",
                                        d < 2 ? SAMPLE_CPU : SAMPLE_GPU,
                                        dtypes[d < 2 ? d : d - 2],
                                        "1",
                                        axes,
                                        d < 2 ? "loop" : "cold",
                                        "flop_rate",
                                        "TFLOP/s",
                                        "higher",
                                        3e-6 + flops / peak,
                                        flops * 1e-12,
                                        d < 2 ? 0.5 / (d ? 1 : 2) : peaks[d - 2] * 1.37e-12,
                                        d < 2 ? "measured fma chains" : "datasheet clock"};
                sample_row(&file, &c);
            }
    sample_finish(&file, folder, "gemm");
}

static inline void sample_latency(const struct sample *s, const char *folder) {
    struct sample_file file = {.sample = s};
    char axes[64];
    sample_header(&file, "bytes,stride,pages");
    for (int pages = 0; pages < 2; pages++)
        for (int64_t bytes = 4 * KIB; bytes <= 256 * MIB; bytes *= 2) {
            double ns = 1.1 + 3 / (1 + pow(48e3 / (double)bytes, 4)) + 12 / (1 + pow(1e6 / (double)bytes, 4)) +
                        (pages ? 85 : 120) / (1 + pow(32e6 / (double)bytes, 4));
            snprintf(axes, sizeof axes, "%lld,64,%s", (long long)bytes, pages ? "2m" : "4k");
            struct sample_case c = {"kernels", "memory_latency", "chase", "c",     SAMPLE_CPU, "",  "1", axes,
                                    "own",     "latency",        "ns",    "lower", ns * 1e-9,  1e9, 0,   ""};
            sample_row(&file, &c);
        }
    sample_finish(&file, folder, "memory_latency");
}

static inline void sample_all_reduce(const struct sample *s, const char *folder) {
    struct sample_file file = {.sample = s};
    char axes[64], ranks[16];
    sample_header(&file, "bytes,in_place,operation");
    for (int n = 2; n <= 4; n *= 2)
        for (int place = 0; place < 2; place++)
            for (int64_t bytes = 8; bytes <= GIB; bytes *= 8)
                for (int metric = 0; metric < 2; metric++) {
                    double factor = 2.0 * (n - 1) / n, seconds = 9e-6 * n / 2 + factor * (double)bytes / 360e9;
                    snprintf(axes, sizeof axes, "%lld,%s,sum", (long long)bytes, place ? "in_place" : "out_of_place");
                    snprintf(ranks, sizeof ranks, "%d", n);
                    struct sample_case c = {"collectives",
                                            "all_reduce",
                                            "nccl",
                                            "nccl",
                                            SAMPLE_GPU,
                                            "fp32",
                                            ranks,
                                            axes,
                                            "synchronized",
                                            metric ? "call_time" : "bus_bandwidth",
                                            metric ? "us" : "GB/s",
                                            metric ? "lower" : "higher",
                                            seconds,
                                            metric ? 1e6 : factor * (double)bytes * 1e-9,
                                            metric ? 0 : 450,
                                            "link rate"};
                    sample_row(&file, &c);
                }
    sample_finish(&file, folder, "all_reduce");
}

static inline void sample_listops(const struct sample *s, const char *folder) {
    static const struct {
        const char *metric, *unit, *better;
        double amount, seconds;
    } rows[] = {{"steps_rate", "steps/s", "higher", 1, 0.061},
                {"accuracy", "1", "higher", 0.3655, 0},
                {"bound_largest_class", "1", "neither", 0.1551, 0},
                {"bound_first_operator", "1", "neither", 0.334, 0},
                {"loss", "nats", "lower", 1.72, 0},
                {"memory", "MiB", "lower", 412, 0}};
    struct sample_file file = {.sample = s};
    sample_header(&file, "lengths,steps");
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct sample_case c = {"lra_tasks",
                                "listops",
                                "encoder",
                                "openblas",
                                SAMPLE_CPU,
                                "fp32",
                                "1",
                                "short,1000",
                                "own",
                                rows[i].metric,
                                rows[i].unit,
                                rows[i].better,
                                rows[i].seconds,
                                rows[i].amount,
                                0,
                                ""};
        sample_row(&file, &c);
    }
    sample_finish(&file, folder, "listops");
}

static inline void sample_manifest(const struct sample *s, const char *folder) {
    struct text text = {0};
    text_add(&text,
             "{\n\t\"schema\": %d,\n\t\"suite\": \"plumbline\",\n\t\"created\": \"2026-01-02T03:04:05Z\",\n"
             "\t\"host\": \"sample\",\n\t\"os\": \"Debian GNU/Linux 12\",\n\t\"kernel\": \"6.1\",\n"
             "\t\"cpu\": {\"model\": \"" SAMPLE_CPU
             "\", \"cores\": 2, \"l2_cache_mib\": 1, \"isa\": [\"avx2\", \"fma\"]},\n"
             "\t\"memory_mib\": 24105,\n\t\"gpus\": [%s],\n\t\"libraries\": {\"hwloc\": \"2.9.0\"},\n"
             "\t\"compiler\": \"gcc 12\",\n\t\"environment\": {},\n"
             "\t\"fingerprint\": {\"hardware\": \"%s\", \"software\": \"Linux; gcc 12\"}\n}\n",
             s->schema, s->no_gpu ? "" : "{\"name\": \"" SAMPLE_GPU "\", \"memory_mib\": 143771}",
             s->hardware != NULL ? s->hardware : SAMPLE_CPU "; 2 cores");
    sample_write(folder, "manifest.json", &text);
    text_release(&text);
}

/* Fills folder, which may be there. */
static inline void sample_folder(const char *folder, struct sample sample) {
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) perror(folder), exit(1);
    if (sample.launches == 0) sample.launches = 1;
    if (sample.between == 0) sample.between = 0.004;
    if (sample.within == 0) sample.within = 0.01;
    if (sample.schema == 0) sample.schema = 1;
    sample_manifest(&sample, folder);
    sample_stream(&sample, folder);
    sample_gemm(&sample, folder);
    sample_latency(&sample, folder);
    if (!sample.no_gpu) sample_all_reduce(&sample, folder);
    sample_listops(&sample, folder);
}
#endif
