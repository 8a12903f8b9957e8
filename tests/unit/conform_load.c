/* Rows of the case table as ops on a device, which is what benchmarks run. */
#include "cases/cases.h"

#include <criterion/criterion.h>

Test(conform_load, rows__run_as_often_as_one_likes)
{
    static const char *const names[] = {
        "matmul/alpha-beta-bias", "attention/causal", "softmax/in-place",      "lens/layer",     "rope/positions",
        "norm/layer-in-place",    "embed/accumulate", "activation/gated-on-x", "scale/1024x3072"};
    scry_device *device = NULL;
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = "cpu"}), SCRY_OK, "%s", scry_last_error());
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        scry__case_load *load  = NULL;
        int              index = scry__case_find(names[i]);
        cr_assert_geq(index, 0, "%s", names[i]);
        cr_assert_eq(scry__case_load_create(&load, index, device), SCRY_OK, "%s", scry_last_error());
        cr_expect_eq(scry__case_load_op(load)->kind, scry__case_at(index).kind);
        for (int run = 0; run < 3; run++)
            cr_expect_eq(scry_device_run(device, scry__case_load_op(load)), SCRY_OK, "%s", scry_last_error());
        cr_expect_eq(scry_device_finish(device), SCRY_OK, "%s", scry_last_error());
        scry__case_load_destroy(&load);
        cr_expect_null(load);
        scry__case_load_destroy(&load);
    }
    scry_device_destroy(&device);
}

Test(conform_load, rows__are_found_by_name_and_have_data_of_their_own)
{
    for (int i = 0; i < scry__case_count(); i++) {
        scry__case row = scry__case_at(i);
        cr_expect_eq(scry__case_find(row.name), i, "%s is there twice", row.name);
        cr_expect(!row.benchmark || row.tier == SCRY__TIER_FULL, "%s", row.name);
        for (int before = 0; before < i; before++) cr_expect_neq(scry__case_at(before).seed, row.seed, "%s", row.name);
    }
    cr_expect_eq(scry__case_find("matmul/nope"), -1);
}
