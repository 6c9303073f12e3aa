/* Manifests: what is written can be read, says what it must, tells nothing it must not; damaged ones, newer ones and
   those of other machines are refused in one line that names the file. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/device.h"
#include "bench/file.h"
#include "bench/manifest.h"

static char folder[64];
static char path[256];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_manifest.%ld", (long)getpid());
    if (mkdir(folder, 0777) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static cJSON *made(const char *arguments) {
    char *text = manifest_text(arguments);
    assert_non_null(text);
    cJSON *root = cJSON_Parse(text);
    assert_non_null(root);
    free(text);
    return root;
}

static const cJSON *get(const cJSON *root, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, name);
    assert_non_null(item);
    return item;
}

static void test_contents(void **state) {
    (void)state;
    static const char *const strings[] = {"suite",    "version", "created", "host",   "os",       "kernel",
                                          "counters", "flags",   "commit",  "compiler", "arguments"};
    cJSON *root = made("--seq \"1k\" --odd 'x\\y\n'");
    for (size_t i = 0; i < ARRAY_LENGTH(strings); i++)
        assert_true(cJSON_IsString(get(root, strings[i])));
    assert_true(get(root, "schema")->valuedouble == 1);
    assert_string_equal(get(root, "suite")->valuestring, "plumbline");
    assert_string_equal(get(root, "arguments")->valuestring, "--seq \"1k\" --odd 'x\\y\n'");
    int year, month, day, hour, minute, second, end = 0;
    assert_int_equal(sscanf(get(root, "created")->valuestring, "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &year, &month, &day, &hour,
                            &minute, &second, &end),
                     6);
    assert_int_equal(end, 20);
    assert_int_equal(strlen(get(root, "created")->valuestring), 20);
    const cJSON *cpu = get(root, "cpu");
    assert_true(get(cpu, "model")->valuestring[0] != '\0');
    assert_true(get(cpu, "cores")->valuedouble >= get(cpu, "cores_usable")->valuedouble);
    assert_true(get(cpu, "cores_usable")->valuedouble >= 1 && get(cpu, "numa_nodes")->valuedouble >= 1);
    assert_true(get(cpu, "clock_mhz")->valuedouble > 0);
    assert_true(cJSON_IsArray(get(cpu, "isa")));
    assert_true(get(root, "memory_mib")->valuedouble > 0);
    assert_true(cJSON_IsArray(get(root, "gpus")) && cJSON_IsObject(get(root, "driver")));
    assert_true(cJSON_IsString(get(get(root, "libraries"), "hwloc")));
    assert_true(cJSON_IsBool(get(root, "dirty")));
    cJSON_Delete(root);
}

static void test_environment(void **state) {
    (void)state;
    static const char *const in[] = {"OMP_TEST_A",   "OPENBLAS_TEST", "NCCL_TEST",     "OMPI_MCA_test",
                                     "UCX_TEST",     "MALLOC_TEST",   "SLURM_JOB_ID",  "SLURM_JOB_NODELIST",
                                     "SLURM_NNODES", "GOMP_TEST",     "CUDA_VISIBLE_DEVICES"};
    static const char *const out[] = {"OMPX",        "SLURM_JOB_IDX", "SLURM_JOB",   "SLURM_JOB_USER", "omp_test",
                                      "MY_OMP_TEST", "API_TOKEN",     "OMPI_SECRET", "NCCL",           "OMP_"};
    /* what mpirun says of one launch: paths, addresses, a key */
    static const char *const of_launch[] = {
        "OMPI_MCA_orte_hnp_uri", "OMPI_MCA_orte_top_session_dir", "OMPI_MCA_orte_precondition_transports",
        "OMPI_MCA_initial_wdir", "OMPI_MCA_ess",                  "OMPI_MCA_ess_base_jobid",
        "OMPI_MCA_pmix",         "PMIX_SERVER_TMPDIR",            "OMPI_FILE_LOCATION"};
    for (size_t i = 0; i < ARRAY_LENGTH(in); i++)
        setenv(in[i], "a=b \"c\"", 1);
    for (size_t i = 0; i < ARRAY_LENGTH(out); i++)
        setenv(out[i], "s3cr3t", 1);
    for (size_t i = 0; i < ARRAY_LENGTH(of_launch); i++)
        setenv(of_launch[i], "/s3cr3t", 1);
    char *text = manifest_text("");
    assert_non_null(text);
    assert_null(strstr(text, "s3cr3t"));
    cJSON *root = cJSON_Parse(text);
    const cJSON *environment = get(root, "environment");
    for (size_t i = 0; i < ARRAY_LENGTH(in); i++)
        assert_string_equal(get(environment, in[i])->valuestring, "a=b \"c\"");
    for (size_t i = 0; i < ARRAY_LENGTH(out); i++)
        assert_null(cJSON_GetObjectItemCaseSensitive(environment, out[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(in); i++)
        unsetenv(in[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(out); i++)
        unsetenv(out[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(of_launch); i++)
        unsetenv(of_launch[i]);
    cJSON_Delete(root);
    free(text);
}

static void test_fingerprint(void **state) {
    (void)state;
    cJSON *one = made("--a"), *other = made("--b");
    const cJSON *print = get(one, "fingerprint"), *again = get(other, "fingerprint");
    const char *hardware = get(print, "hardware")->valuestring, *host = get(one, "host")->valuestring;
    assert_string_equal(hardware, get(again, "hardware")->valuestring);
    assert_string_equal(get(print, "software")->valuestring, get(again, "software")->valuestring);
    assert_non_null(strstr(hardware, get(get(one, "cpu"), "model")->valuestring));
    assert_true(strlen(host) < 4 || strstr(hardware, host) == NULL); /* machines of a kind are alike */
    assert_non_null(strstr(get(print, "software")->valuestring, get(get(one, "libraries"), "hwloc")->valuestring));
    cJSON_Delete(one);
    cJSON_Delete(other);
}

static void test_write(void **state) {
    (void)state;
    char reason[REASON_SIZE] = "", topology[300];
    struct stat before, after;
    snprintf(topology, sizeof topology, "%s/topology.xml", folder);
    assert_false(manifest_check(folder, reason)); /* none there yet */
    assert_non_null(strstr(reason, path));
    assert_true(manifest_write(folder, "--first", reason));
    assert_true(manifest_check(folder, reason));
    assert_int_equal(access(topology, R_OK), 0);
    assert_int_equal(stat(path, &before), 0);
    assert_true(manifest_write(folder, "--second", reason)); /* stays as it was */
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino == after.st_ino && before.st_size == after.st_size);
    assert_int_equal(unlink(topology), 0);
    assert_true(manifest_write(folder, "--third", reason)); /* what is missing comes back */
    assert_int_equal(access(topology, R_OK), 0);
    char command[300];
    snprintf(command, sizeof command, "ls '%s' | grep -q tmp", folder);
    assert_int_not_equal(system(command), 0);
    assert_false(manifest_write("/no/such/folder", "", reason));
    assert_non_null(strstr(reason, "/no/such/folder"));
    assert_null(strchr(reason, '\n'));
    assert_false(manifest_write(path, "", reason)); /* a file where the folder should be */
    assert_false(manifest_check("/no/such/folder", reason));
}

static void refuse(const char *text, size_t length, const char *why) {
    char reason[REASON_SIZE] = "";
    assert_true(file_replace(path, text, length, reason));
    assert_false(manifest_check(folder, reason));
    assert_non_null(strstr(reason, path));
    if (strstr(reason, why) == NULL)
        fail_msg("\"%s\" is refused with \"%s\", not \"%s\"", text, reason, why);
    for (const char *c = reason; *c != '\0'; c++)
        assert_true((unsigned char)*c >= ' ');
}

static void test_damaged(void **state) {
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "no JSON"},
        {"{", "no JSON"},
        {"manifest", "no JSON"},
        {"{\"schema\":1,\"fingerprint\":{\"hardware\":\"x", "no JSON"},
        {"{\"schema\":1,\"fingerprint\":{\"hardware\":\"x\"}} more", "no JSON"},
        {"null", "schema"},
        {"[]", "schema"},
        {"3", "schema"},
        {"{}", "schema"},
        {"{\"schema\":\"1\"}", "schema"},
        {"{\"schema\":0}", "schema"},
        {"{\"schema\":-1}", "schema"},
        {"{\"schema\":2,\"fingerprint\":{\"hardware\":\"x\"}}", "newer"},
        {"{\"schema\":1e300}", "newer"},
        {"{\"schema\":1}", "fingerprint"},
        {"{\"schema\":1,\"fingerprint\":\"x\"}", "fingerprint"},
        {"{\"schema\":1,\"fingerprint\":{\"hardware\":7}}", "fingerprint"},
        {"{\"schema\":1,\"fingerprint\":{\"hardware\":\"another machine\"}}", "'another machine', here is '"},
        {"{\"schema\":1,\"fingerprint\":{\"hardware\":\"a\\n\\u001b[2Jb\"}}", "'a??[2Jb', here is '"},
        {"{\"schema\":1,\"fingerprint\":{\"hardware\":\"\"}}", "other hardware"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        refuse(cases[i].text, strlen(cases[i].text), cases[i].why);
    refuse("{\"schema\":1}\0{}", 15, "no JSON"); /* a zero byte hides nothing */
    char *text = manifest_text("");
    assert_non_null(text);
    for (size_t length = 0; length + 1 < strlen(text); length += 97) /* cut off anywhere */
        refuse(text, length, "no JSON");
    char reason[REASON_SIZE] = "";
    assert_true(file_replace(path, text, strlen(text), reason));
    assert_true(manifest_check(folder, reason));
    free(text);
    char name[4000], long_name[4100];
    memset(name, 'x', sizeof name);
    snprintf(long_name, sizeof long_name, "{\"schema\":1,\"fingerprint\":{\"hardware\":\"%.*s\"}}", (int)sizeof name,
             name);
    refuse(long_name, strlen(long_name), "other hardware");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_false(manifest_check(folder, reason));
    assert_non_null(strstr(reason, "cannot read"));
}

static void test_files(void **state) {
    (void)state;
    char reason[REASON_SIZE] = "", file[300];
    size_t length = 0;
    snprintf(file, sizeof file, "%s/file", folder);
    assert_null(file_load(file, 100, &length, reason));
    assert_non_null(strstr(reason, "No such file"));
    static const char data[] = "12345\0" "67"; /* a zero inside, and one after the end */
    assert_true(file_replace(file, data, 8, reason));
    char *text = file_load(file, 8, &length, reason);
    assert_non_null(text);
    assert_int_equal(length, 8);
    assert_memory_equal(text, data, sizeof data);
    free(text);
    assert_null(file_load(file, 7, &length, reason));
    assert_non_null(strstr(reason, "too long"));
    assert_true(file_replace(file, "", 0, reason));
    text = file_load(file, 0, &length, reason);
    assert_non_null(text);
    assert_int_equal(length, 0);
    free(text);
    assert_false(file_replace("/dev/full/x", "a", 1, reason));
    assert_non_null(strstr(reason, "/dev/full/x"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents), cmocka_unit_test(test_environment), cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_write),    cmocka_unit_test(test_files),       cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
