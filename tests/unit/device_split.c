/* Ops in pieces: whatever a device cannot reach whole, it computes in parts, with the same bits. */
#include "cases/cases.h"
#include "device/operands.h"
#include "scry/device.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_REACHES = SCRY__MAX_OPERANDS + 8 };

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
    unsetenv("SCRY_DEVICE");
}

TestSuite(device_split, .init = use_plugins);

static scry_device *open_device(const char *name, scry_fallback fallback)
{
    scry_device *device = NULL;
    scry_status  status = scry_device_open(&device, &(scry_device_options){.name = name, .fallback = fallback});
    cr_assert_eq(status, SCRY_OK, "%s", scry_last_error());
    return device;
}

/* How many ops the fake device has been given. */
static uint64_t count_runs(const scry_device *device)
{
    scry_device_statistics statistics;
    scry_device_get_statistics(device, &statistics);
    return statistics.programs_built;
}

/* Of the quick tier's rows of each op, how many must at least run in pieces under any of the reaches. */
static const struct expectation {
    scry_op_kind kind;
    int          cut;
} expectations[] = {
    {SCRY_OP_MATMUL, 40},    {SCRY_OP_SOFTMAX_CAPTURE, 28},
    {SCRY_OP_ATTENTION, 65}, {SCRY_OP_ROPE, 16},
    {SCRY_OP_NORM, 23},      {SCRY_OP_LENS, 26},
    {SCRY_OP_EMBED, 7},      {SCRY_OP_ADD, 12},
    {SCRY_OP_SCALE, 6},      {SCRY_OP_ACTIVATION, 18},
    {SCRY_OP_COPY, 17},      {SCRY_OP_FILL, 7},
};

/* The reaches under which a row runs: some fixed ones, one byte less than each of its operands takes, and a third of
 * the largest. */
static int list_reaches(int index, scry_device *reference, char reaches[MOST_REACHES][32])
{
    static const char *const fixed[] = {"64", "512", "4096", "256:1024", "0:8192"};
    const scry__operand     *operands;
    scry__case_load         *load  = NULL;
    int                      count = sizeof fixed / sizeof *fixed;
    for (int i = 0; i < count; i++) snprintf(reaches[i], sizeof reaches[i], "%s", fixed[i]);
    cr_assert_eq(scry__case_load_create(&load, index, reference), SCRY_OK, "%s", scry_last_error());
    const scry_op *op            = scry__case_load_op(load);
    int            operand_count = scry__operands(op->kind, &operands);
    size_t         largest       = 0;
    for (int i = 0; i < operand_count; i++) {
        const scry_tensor *tensor = scry__operand_in(op, &operands[i]);
        size_t             extent = tensor->buffer ? scry__tensor_extent(tensor) : 0;
        if (extent) snprintf(reaches[count++], sizeof *reaches, "%zu", extent - 1);
        if (extent > largest) largest = extent;
    }
    snprintf(reaches[count++], sizeof *reaches, "%zu", largest / 3);
    scry__case_load_destroy(&load);
    return count;
}

/* Runs one row under a reach: true if it ran in pieces. */
static bool run_row(int index, const char *reach, scry_device *reference, scry_device *device)
{
    enum { RUNS_OF_A_CASE = 2 };
    scry__case        row    = scry__case_at(index);
    uint64_t          before = count_runs(device);
    scry__case_result result;
    setenv("SCRY_FAKE_REACH", reach, 1);
    cr_expect_eq(scry__case_run(&result, index, 0, reference, device), SCRY_OK, "%s: %s", row.name, scry_last_error());
    unsetenv("SCRY_FAKE_REACH");
    if (result.status == SCRY_UNSUPPORTED) {
        cr_expect(strstr(result.detail, "bytes that no cut shortens"), "%s: %s", row.name, result.detail);
        return false;
    }
    cr_expect(result.passed, "%s, reach %s: %s", row.name, reach, result.detail);
    cr_expect(result.worst == 0, "%s, reach %s: %s differs", row.name, reach, result.output);
    return count_runs(device) - before > RUNS_OF_A_CASE;
}

ParameterizedTestParameters(device_split, cases__are_equal_to_the_bit)
{
    return cr_make_param_array(struct expectation, (struct expectation *)expectations, SCRY_OP_COUNT);
}

ParameterizedTest(struct expectation *expected, device_split, cases__are_equal_to_the_bit)
{
    static char  reaches[MOST_REACHES][32];
    scry_device *reference = open_device("reference", SCRY_FALLBACK_STRICT);
    scry_device *device    = open_device("fake", SCRY_FALLBACK_STRICT);
    int          cut       = 0;
    for (int i = 0; i < scry__case_count(); i++) {
        scry__case row     = scry__case_at(i);
        bool       was_cut = false;
        if (row.kind != expected->kind || row.tier > SCRY__TIER_QUICK) continue;
        int count = list_reaches(i, reference, reaches);
        for (int j = 0; j < count; j++) was_cut |= run_row(i, reaches[j], reference, device);
        cut += was_cut;
    }
    cr_expect_geq(cut, expected->cut, "%s: %d rows were cut", scry_op_text(expected->kind), cut);
    scry_device_destroy(&device);
    scry_device_destroy(&reference);
}
