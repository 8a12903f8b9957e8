/* Tuned kernels at the front door: which file is used, what it changes, and that nothing else is changed by it. */
#include "base/alloc.h"
#include "base/file.h"
#include "device/tuning.h"
#include "scry/backend.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], file[160];

static void set_up(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
    setenv("SCRY_FAKE_KERNELS", "1", 1);
    setenv("SCRY_FAKE_DRIVER", "2.0", 1);
    unsetenv("SCRY_DEVICE");
    unsetenv("SCRY_TUNED");
    snprintf(folder, sizeof folder, "/tmp/scry-tuning-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    setenv("SCRY_CACHE_DIR", folder, 1);
}

static void clean_up(void)
{
    unlink(file);
    rmdir(folder);
}

TestSuite(device_tuning, .init = set_up, .fini = clean_up);

static scry_device *open_fake(const char *kernels, bool untuned)
{
    scry_device              *device  = NULL;
    const scry_device_options options = {.name = "fake", .kernels = kernels, .untuned = untuned};
    cr_assert_eq(scry_device_open(&device, &options), SCRY_OK, "%s", scry_last_error());
    return device;
}

static scry_device_tuning tuning_of(const scry_device *device)
{
    scry_device_tuning tuning;
    scry_device_get_tuning(device, &tuning);
    return tuning;
}

/* What runs a small matmul, which is of class "tiny". */
static const char *kernel_of(scry_device *device, scry_precision precision)
{
    static scry_op_info info;
    scry_buffer        *arena = NULL;
    cr_assert_eq(scry_buffer_create(&arena, device, ARENA_BYTES), SCRY_OK);
    scry_op op   = device_op(SCRY_OP_MATMUL, arena);
    op.precision = precision;
    cr_expect_eq(scry_device_query(device, &op, &info), SCRY_OK, "%s", scry_last_error());
    scry_buffer_destroy(&arena);
    return info.kernel;
}

/* Keeps `kernel` for the class "tiny" of matmul where the fake device's tuning is looked for. */
static void tune_fake(const char *kernel)
{
    scry_device  *device = open_fake(NULL, true);
    char         *path   = NULL;
    scry__tuning *tuning = scry__tuning_create(scry_device_get_info(device));
    cr_assert_eq(scry__tuning_path(&path, scry_device_get_info(device)), SCRY_OK, "%s", scry_last_error());
    scry__tuned_class *class = scry__tuning_at(tuning, SCRY_OP_MATMUL, scry__shape_class_find(SCRY_OP_MATMUL, "tiny"));
    snprintf(class->kernel, sizeof class->kernel, "%s", kernel);
    snprintf(class->own, sizeof class->own, "first");
    class->seconds     = 1e-6;
    class->own_seconds = 2e-6;
    scry__tuning_at(tuning, SCRY_OP_MATMUL, scry__shape_class_find(SCRY_OP_MATMUL, "thin")); /* it stays as it was */
    snprintf(tuning->date, sizeof tuning->date, "2026-11-21T01:02:03Z");
    cr_assert_eq(scry__tuning_write(tuning, path), SCRY_OK, "%s", scry_last_error());
    snprintf(file, sizeof file, "%s", path);
    scry__free(tuning);
    scry__free(path);
    scry_device_destroy(&device);
}

Test(device_tuning, file__is_named_after_the_device_and_survives_a_round_trip)
{
    scry__tuning *read = NULL;
    tune_fake("second");
    cr_expect(!strncmp(file + strlen(folder), "/tuning-fake-fake-", 18), "%s", file);
    scry_device *device = open_fake(NULL, false);
    cr_assert_eq(scry__tuning_read(&read, file, scry_device_get_info(device)), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(read->count, 2);
    cr_expect_str_eq(read->classes[0].kernel, "second");
    cr_expect_str_eq(read->classes[0].own, "first");
    cr_expect_eq(read->classes[0].own_seconds, 2e-6);
    cr_expect_str_eq(read->classes[1].kernel, "");
    cr_expect_str_eq(read->driver, "2.0");
    scry_device_tuning tuning = tuning_of(device);
    cr_expect(tuning.classes == 2 && tuning.choices == 1, "%d, %d", tuning.classes, tuning.choices);
    cr_expect_str_eq(tuning.file, file);
    cr_expect_str_eq(tuning.date, "2026-11-21T01:02:03Z");
    scry__free(read);
    scry_device_destroy(&device);
}

Test(device_tuning, choice__runs_where_nothing_else_is_asked_for)
{
    static const struct {
        const char    *kernel, *kernels, *variable, *value;
        bool           untuned;
        scry_precision precision;
        const char    *runs;
    } cases[] = {
        {"second", NULL, NULL, NULL, false, SCRY_STRICT_F32, "second"},
        {"second", "matmul=first", NULL, NULL, false, SCRY_STRICT_F32, "first"},
        {"first", "matmul=second", NULL, NULL, false, SCRY_STRICT_F32, "second"},
        {"second", NULL, NULL, NULL, true, SCRY_STRICT_F32, "first"},
        {"second", NULL, "SCRY_TUNED", "0", false, SCRY_STRICT_F32, "first"},
        {"second", NULL, "SCRY_TUNED", "", false, SCRY_STRICT_F32, "second"},
        {"second", NULL, "SCRY_TUNED", "/nonesuch", false, SCRY_STRICT_F32, "first"},
        {"second", NULL, NULL, NULL, false, SCRY_ALLOW_F16, "first"}, /* strict f32 was measured, nothing else */
        {"second", NULL, "SCRY_FAKE_REFUSE", "matmul=second", false, SCRY_STRICT_F32, "first"},
        {"third", NULL, NULL, NULL, false, SCRY_STRICT_F32, "first"}, /* it is not there any more */
        {"", NULL, NULL, NULL, false, SCRY_STRICT_F32, "first"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tune_fake(cases[i].kernel);
        if (cases[i].variable) setenv(cases[i].variable, cases[i].value, 1);
        scry_device *device = open_fake(cases[i].kernels, cases[i].untuned);
        cr_expect_str_eq(kernel_of(device, cases[i].precision), cases[i].runs, "case %zu", i);
        cr_expect_str_eq(kernel_of(device, cases[i].precision), cases[i].runs, "case %zu, asked again", i);
        scry_device_destroy(&device);
        if (cases[i].variable) unsetenv(cases[i].variable);
    }
}

Test(device_tuning, choice__does_not_outlive_its_op)
{
    scry_buffer *arena = NULL;
    tune_fake("second");
    scry_device *device = open_fake(NULL, false);
    cr_assert_eq(scry_buffer_create(&arena, device, ARENA_BYTES), SCRY_OK);
    scry_op op = device_op(SCRY_OP_MATMUL, arena);
    cr_expect_str_eq(kernel_of(device, SCRY_STRICT_F32), "second");
    cr_expect_null(device->kernel[SCRY_OP_MATMUL]);
    cr_expect_eq(scry_device_run(device, &op), SCRY_OK, "%s", scry_last_error());
    cr_expect_null(device->kernel[SCRY_OP_MATMUL]);
    setenv("SCRY_FAKE_FAIL", "run:7", 1);
    cr_expect_eq(scry_device_run(device, &op), SCRY_IO);
    unsetenv("SCRY_FAKE_FAIL");
    cr_expect_null(device->kernel[SCRY_OP_MATMUL], "after a failure too");
    scry_buffer_destroy(&arena);
    scry_device_destroy(&device);
}

/* The kernel "second" leaves outputs alone here, so what is read tells which one ran. */
Test(device_tuning, run__takes_the_same_kernel_as_query)
{
    tune_fake("second");
    setenv("SCRY_FAKE_WRONG", "matmul=second", 1);
    for (int tuned = 0; tuned < 2; tuned++) {
        const float  zeros[ARENA_STEP / sizeof(float)] = {0};
        float        result                            = 0;
        scry_buffer *arena                             = NULL;
        scry_device *device                            = open_fake(NULL, !tuned);
        cr_assert_eq(scry_buffer_create(&arena, device, ARENA_BYTES), SCRY_OK);
        for (size_t at = 0; at < ARENA_BYTES; at += sizeof zeros)
            cr_assert_eq(scry_buffer_write(arena, at, zeros, sizeof zeros), SCRY_OK);
        scry_op     op  = device_op(SCRY_OP_MATMUL, arena);
        const float one = 1;
        op.matmul.beta  = 0;
        cr_assert_eq(scry_buffer_write(arena, op.matmul.bias.offset, &one, sizeof one), SCRY_OK);
        cr_assert_eq(scry_device_run(device, &op), SCRY_OK, "%s", scry_last_error());
        cr_assert_eq(scry_buffer_read(arena, op.matmul.c.offset, &result, sizeof result), SCRY_OK);
        cr_expect_eq(result, tuned ? 0 : 1);
        scry_buffer_destroy(&arena);
        scry_device_destroy(&device);
    }
}

#define HEAD   "\"schema\": \"scry.tuning/1\", \"version\": \"%s\", \"date\": \"x\", "
#define DEVICE "\"backend\": \"fake\", \"description\": \"fake\", \"driver\": \"2.0\", "
#define TINY   "\"op\": \"matmul\", \"class\": \"tiny\", \"kernel\": \"second\", \"own\": \"first\", "
#define TIMES  "\"seconds\": 1, \"own_seconds\": 2"

Test(device_tuning, file__that_is_not_sound_is_not_used)
{
    static const struct {
        const char *text, *reason; /* text with %s for the version; reason NULL: it is used */
    } cases[] = {
        {"{" HEAD DEVICE "\"classes\": [{" TINY TIMES "}]}", NULL},
        {"{" HEAD DEVICE "\"classes\": []}", NULL},
        {"", "line 1"},
        {"{" HEAD DEVICE "\"classes\": [{" TINY TIMES "}]", "line 1"},
        {"[]", "expected an object"},
        {"{}", "no key \"schema\""},
        {"{\"schema\": \"scry.tuning/2\", \"version\": \"%s\"}", "it is of schema \"scry.tuning/2\""},
        {"{\"schema\": \"scry.tuning/1\", \"version\": \"0.0.%s\"}", "it is of scry version \"0.0."},
        {"{" HEAD "\"backend\": \"cpu\", \"description\": \"fake\", \"driver\": \"2.0\", \"classes\": []}",
         "it is of backend \"cpu\": expected \"fake\""},
        {"{" HEAD "\"backend\": \"fake\", \"description\": \"other\", \"driver\": \"2.0\", \"classes\": []}",
         "it is of device \"other\": expected \"fake\""},
        {"{" HEAD "\"backend\": \"fake\", \"description\": \"fake\", \"driver\": \"1.9\", \"classes\": []}",
         "it is of driver \"1.9\": expected \"2.0\""},
        {"{" HEAD DEVICE "\"classes\": 3}", "expected an array"},
        {"{" HEAD DEVICE "\"classes\": [3]}", "classes[0]: expected an object"},
        {"{" HEAD DEVICE "\"classes\": [{" TIMES "}]}", "classes[0]: no key \"op\""},
        {"{" HEAD DEVICE "\"classes\": [{\"op\": \"x\", \"class\": \"tiny\", \"own\": \"first\", " TIMES "}]}",
         "expected an op and one of its classes, found \"x\""},
        {"{" HEAD DEVICE "\"classes\": [{\"op\": \"add\", \"class\": \"tiny\", \"own\": \"first\", " TIMES "}]}",
         "expected an op and one of its classes, found \"add\" and \"tiny\""},
        {"{" HEAD DEVICE "\"classes\": [{" TINY TIMES "}, {" TINY TIMES "}]}", "is there already"},
        {"{" HEAD DEVICE "\"classes\": [{" TINY "\"seconds\": 1}]}", "no key \"own_seconds\""},
        {"{" HEAD DEVICE "\"classes\": [{" TINY TIMES ", \"more\": 1}]}", "key \"more\""},
        {"{" HEAD DEVICE
         "\"classes\": [{\"op\": \"matmul\", \"class\": \"tiny\", \"kernel\": 3, \"own\": \"first\", " TIMES "}]}",
         "key \"kernel\""},
        {"{" HEAD DEVICE "\"classes\": [{\"op\": \"matmul\", \"class\": \"tiny\", \"kernel\": \""
         "a-name-far-longer-than-any-kernel-has-and-therefore-no-name-of-a-kernel\", \"own\": \"first\", " TIMES "}]}",
         "expected fewer than 64 bytes"},
    };
    tune_fake("second");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        snprintf(text, sizeof text, cases[i].text, scry_version());
        cr_assert_eq(scry__file_write(file, text, strlen(text)), SCRY_OK);
        scry_device       *device = open_fake(NULL, false);
        scry_device_tuning tuning = tuning_of(device);
        cr_expect_str_eq(tuning.file, file, "case %zu", i);
        if (cases[i].reason)
            cr_expect(strstr(tuning.reason, cases[i].reason), "case %zu: %s", i, tuning.reason);
        else
            cr_expect_str_eq(tuning.reason, "", "case %zu", i);
        bool used = !cases[i].reason && strstr(cases[i].text, "tiny");
        cr_expect_str_eq(kernel_of(device, SCRY_STRICT_F32), used ? "second" : "first", "case %zu", i);
        scry_device_destroy(&device);
    }
}

Test(device_tuning, open__needs_no_folder_and_says_what_memory_it_lacks)
{
    static const char *const variables[] = {"SCRY_CACHE_DIR", "XDG_CACHE_HOME", "HOME"};
    scry_device             *device      = NULL;
    tune_fake("second");
    scry_status status = SCRY_OUT_OF_MEMORY;
    for (long n = 1; n < 100 && status; n++) {
        scry__alloc_fail_at(n);
        status = scry_device_open(&device, &(scry_device_options){.name = "fake"});
        scry__alloc_fail_at(0);
        cr_expect(status == SCRY_OK || status == SCRY_OUT_OF_MEMORY || status == SCRY_NO_DEVICE, "%ld: %s", n,
                  scry_last_error());
    }
    cr_expect_eq(status, SCRY_OK);
    scry_device_destroy(&device);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) unsetenv(variables[i]);
    device = open_fake(NULL, false);
    cr_expect_str_eq(tuning_of(device).file, "");
    cr_expect_str_eq(kernel_of(device, SCRY_STRICT_F32), "first");
    scry_device_destroy(&device);
}
