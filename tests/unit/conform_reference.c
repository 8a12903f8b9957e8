/* The op cases on the reference itself: nothing may differ. */
#include "cases/cases.h"

#include <criterion/criterion.h>

static scry_device *open_device(const char *name)
{
    scry_device *device = NULL;
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = name}), SCRY_OK, "%s", scry_last_error());
    return device;
}

Test(conform_reference, cases__the_reference_equals_itself)
{
    scry_device *reference = open_device("reference");
    for (int i = 0; i < scry__case_count(); i++) {
        scry__case        row = scry__case_at(i);
        scry__case_result result;
        if (row.tier > SCRY__TIER_QUICK) continue;
        cr_expect_eq(scry__case_run(&result, i, 0, reference, reference), SCRY_OK, "%s: %s", row.name,
                     scry_last_error());
        cr_expect(result.passed, "%s: %s", row.name, result.detail);
        cr_expect(result.worst == 0, "%s: %s", row.name, result.output);
    }
    scry_device_destroy(&reference);
}

Test(conform_reference, relations__hold)
{
    scry_device *reference = open_device("reference");
    for (int i = 0; i < scry__relation_count(); i++) {
        scry__case_result result;
        cr_expect_eq(scry__relation_run(&result, i, 0, reference), SCRY_OK, "%s: %s", scry__relation_at(i).name,
                     scry_last_error());
        cr_expect(result.passed && result.compared > 0, "%s: %s", scry__relation_at(i).name, result.detail);
    }
    scry_device_destroy(&reference);
}
