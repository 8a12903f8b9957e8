/* The validation layer, where it is asked for: it sees what planted kernels (tests/shaders) do wrong, which the driver
 * lets pass, and the next wait says so. */
#include "scry/device.h"
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(vulkan_validation);

static scry_tensor slot_of(scry_buffer *buffer, int slot)
{
    return scry_tensor_of(buffer, (size_t)slot * 4096, SCRY_F32, 1, (int64_t[]){64});
}

/* Opens the device under validation of that kind, with the planted kernels of that name (NULL: scry's own). */
static scry_device *open_validated(const char *kind, const char *planted)
{
    scry_device *device = device_need("vulkan:0", NULL);
    scry_device_destroy(&device);
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", SCRY_PLANTED_SHADERS, planted ? planted : "");
    setenv("SCRY_VULKAN_VALIDATION", kind, 1);
    if (planted) setenv("SCRY_VULKAN_SHADERS", path, 1);
    return device_need("vulkan:0", NULL);
}

/* A scale and a sum of the same input, which need no barrier between them: how the wait for both ends. */
static scry_status scale_and_add(const char *kind, const char *planted)
{
    scry_device *device = open_validated(kind, planted);
    scry_buffer *buffer = NULL;
    scry_status  status = SCRY_OK;
    cr_assert_eq(scry_buffer_create(&buffer, device, 3 * 4096), SCRY_OK, "%s", scry_last_error());
    const scry_tensor x     = slot_of(buffer, 0);
    const scry_op     ops[] = {
            {.kind = SCRY_OP_SCALE, .scale = {.x = x, .out = slot_of(buffer, 1), .factor = 2}},
            {.kind = SCRY_OP_ADD, .add = {.a = x, .b = x, .out = slot_of(buffer, 2)}},
    };
    /* The first time tells how long they take; from then on they are submitted together. */
    for (int i = 0; i < 4 && !status; i++) {
        cr_assert_eq(scry_device_run(device, &ops[i % 2]), SCRY_OK, "%s", scry_last_error());
        if (i % 2) status = scry_device_finish(device);
    }
    scry_buffer_destroy(&buffer);
    scry_device_destroy(&device);
    return status;
}

Test(vulkan_validation, kernels_that_are_right__pass)
{
    cr_expect_eq(scale_and_add("1", NULL), SCRY_OK, "%s", scry_last_error());
}

Test(vulkan_validation, write_out_of_bounds__is_seen)
{
    cr_expect_eq(scale_and_add("1", "outside"), SCRY_CHECK_FAILED);
    cr_expect(strstr(scry_last_error(), "out of bounds"), "%s", scry_last_error());
    cr_expect(strstr(scry_last_error(), "errors: 1, the first:"), "%s", scry_last_error());
}

Test(vulkan_validation, hazard_between_dispatches__is_seen)
{
    static const char *const kinds[] = {"1", "sync"};
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(scale_and_add(kinds[i], "hazard"), SCRY_CHECK_FAILED);
        cr_expect(strstr(scry_last_error(), "SYNC-HAZARD-READ-AFTER-WRITE"), "%s", scry_last_error());
    }
}

Test(vulkan_validation, kind_that_nobody_knows__is_refused)
{
    scry_device *device = device_need("vulkan:0", NULL);
    scry_device_destroy(&device);
    setenv("SCRY_VULKAN_VALIDATION", "yes", 1);
    cr_expect_eq(scry_device_open(&device, &(scry_device_options){.name = "vulkan:0"}), SCRY_NO_DEVICE);
    cr_expect(strstr(scry_last_error(), "expected 1, sync or 0"), "%s", scry_last_error());
}

Test(vulkan_validation, machine_without_the_layer__says_so)
{
    scry_device *device = device_need("vulkan:0", NULL);
    scry_device_destroy(&device);
    setenv("VK_LAYER_PATH", "/dev/null", 1);
    setenv("SCRY_VULKAN_VALIDATION", "1", 1);
    cr_expect_eq(scry_device_open(&device, &(scry_device_options){.name = "vulkan:0"}), SCRY_NO_DEVICE);
    cr_expect(strstr(scry_last_error(), "vulkan-validationlayers"), "%s", scry_last_error());
}
