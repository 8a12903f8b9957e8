/* The cpu backend's matmul kernels, each asked for by name. */
#include "cases/cases.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static scry_device *open_device(const char *name, const char *kernels)
{
    scry_device              *device  = NULL;
    const scry_device_options options = {.name = name, .kernels = kernels};
    cr_assert_eq(scry_device_open(&device, &options), SCRY_OK, "%s", scry_last_error());
    return device;
}

static bool has_library(void)
{
    scry_device       *device = open_device("cpu", NULL);
    const char *const *names  = scry_device_kernels(device, SCRY_OP_MATMUL);
    while (*names && strcmp(*names, "library")) names++;
    bool found = *names != NULL;
    scry_device_destroy(&device);
    return found;
}

/* The rows of the case table on one kernel: passed, or refused for the reason given. */
static void check_kernel(const char *kernel, const char *reason)
{
    char asked[64];
    int  passed = 0, refused = 0;
    snprintf(asked, sizeof asked, "matmul=%s", kernel);
    scry_device *reference = open_device("reference", NULL), *device = open_device("cpu", asked);
    for (int i = 0; i < scry__case_count(); i++) {
        scry__case        row = scry__case_at(i);
        scry__case_result result;
        if (row.kind != SCRY_OP_MATMUL || row.tier > SCRY__TIER_QUICK) continue;
        cr_expect_eq(scry__case_run(&result, i, 0, reference, device), SCRY_OK, "%s: %s", row.name, scry_last_error());
        if (result.status == SCRY_UNSUPPORTED)
            cr_expect(reason && strstr(result.detail, reason), "%s by %s: %s", row.name, kernel, result.detail);
        else
            cr_expect(result.passed, "%s by %s: %s", row.name, kernel, result.detail);
        passed += result.passed;
        refused += result.status == SCRY_UNSUPPORTED;
    }
    cr_expect_gt(passed, 0, "%s", kernel);
    cr_expect_eq(refused > 0, reason != NULL, "%s refused %d", kernel, refused);
    scry_device_destroy(&device);
    scry_device_destroy(&reference);
}

Test(cpu_matmul, kernels__pass_every_case_that_they_support)
{
    check_kernel("tile", NULL);
    check_kernel("rows", "up to 4 rows");
    if (has_library()) check_kernel("library", "OpenBLAS multiplies f32 only");
}

/* What query says will run. */
static void expect_kernel(const char *asked, int64_t rows, scry_dtype weight, bool supported, const char *kernel)
{
    scry_device *device = open_device("cpu", asked);
    scry_buffer *buffer = NULL;
    cr_assert_eq(scry_buffer_create(&buffer, device, 4096), SCRY_OK);
    scry_op      op = {.kind = SCRY_OP_MATMUL, .matmul.alpha = 1};
    scry_op_info info;
    op.matmul.a = scry_tensor_of(buffer, 0, SCRY_F32, 2, (int64_t[]){rows, 4});
    op.matmul.b = scry_tensor_of(buffer, 1024, weight, 2, (int64_t[]){4, 8});
    op.matmul.c = scry_tensor_of(buffer, 2048, SCRY_F32, 2, (int64_t[]){rows, 8});
    cr_assert_eq(scry_device_query(device, &op, &info), SCRY_OK, "%s", scry_last_error());
    cr_expect_eq(info.support == SCRY_SUPPORTED, supported, "%s, %d rows: %s", asked, (int)rows, info.reason);
    cr_expect(!strncmp(info.kernel, kernel, strlen(kernel)), "%s, %d rows: %s", asked, (int)rows, info.kernel);
    scry_buffer_destroy(&buffer);
    scry_device_destroy(&device);
}

Test(cpu_matmul, query__names_the_kernel)
{
    static const struct {
        const char *asked;
        int64_t     rows;
        scry_dtype  weight;
        bool        supported;
        const char *kernel;
    } cases[] = {
        {NULL, 4, SCRY_F32, true, "rows"},
        {NULL, 5, SCRY_F32, true, "tile"},
        {"matmul=tile", 1, SCRY_BF16, true, "tile"},
        {"matmul=rows", 5, SCRY_F32, false, "rows"},
        {"matmul=library", 5, SCRY_F32, true, "library (OpenBLAS "},
        {"matmul=library", 5, SCRY_F16, false, "library (OpenBLAS "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].asked && strstr(cases[i].asked, "library") && !has_library()) continue;
        expect_kernel(cases[i].asked, cases[i].rows, cases[i].weight, cases[i].supported, cases[i].kernel);
    }
}
