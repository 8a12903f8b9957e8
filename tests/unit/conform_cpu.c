/* The op cases on the cpu backend, one test per op, so that a failure names what is wrong. */
#include "cases/cases.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

static scry_device *open_device(const char *name)
{
    scry_device *device = NULL;
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = name}), SCRY_OK, "%s", scry_last_error());
    return device;
}

ParameterizedTestParameters(conform_cpu, cases__lie_within_their_bounds)
{
    static scry_op_kind kinds[SCRY_OP_COUNT];
    for (int kind = 0; kind < SCRY_OP_COUNT; kind++) kinds[kind] = (scry_op_kind)kind;
    return cr_make_param_array(scry_op_kind, kinds, SCRY_OP_COUNT);
}

ParameterizedTest(scry_op_kind *kind, conform_cpu, cases__lie_within_their_bounds)
{
    scry_device *reference = open_device("reference"), *cpu = open_device("cpu");
    for (int i = 0; i < scry__case_count(); i++) {
        scry__case        row = scry__case_at(i);
        scry__case_result result;
        if (row.kind != *kind || row.tier > SCRY__TIER_QUICK) continue;
        cr_expect_eq(scry__case_run(&result, i, 0, reference, cpu), SCRY_OK, "%s: %s", row.name, scry_last_error());
        cr_expect(result.passed, "%s: %s", row.name, result.detail);
    }
    scry_device_destroy(&cpu);
    scry_device_destroy(&reference);
}

Test(conform_cpu, relations__hold)
{
    scry_device *cpu = open_device("cpu");
    for (int i = 0; i < scry__relation_count(); i++) {
        scry__case_result result;
        cr_expect_eq(scry__relation_run(&result, i, 0, cpu), SCRY_OK, "%s: %s", scry__relation_at(i).name,
                     scry_last_error());
        cr_expect(result.passed && result.compared > 0, "%s: %s", scry__relation_at(i).name, result.detail);
    }
    scry_device_destroy(&cpu);
}
