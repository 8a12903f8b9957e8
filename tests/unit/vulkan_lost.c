/* A Vulkan device that is lost stays lost, though its driver goes on; others are not. The driver's calls fail in
 * tests/plugins/vulkan_faults.c, which is loaded before the plugin. */
#include "unit/device_ops.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long (*count_calls)(const char *name);

static void load_faults(void)
{
    void *faults = dlopen(SCRY_VULKAN_FAULTS, RTLD_NOW | RTLD_GLOBAL);
    cr_assert(faults || !*SCRY_VULKAN_FAULTS, "%s", dlerror());
    if (!faults) cr_skip("the Vulkan plugin is not built");
    count_calls = (long (*)(const char *))dlsym(faults, "faults_count");
    cr_assert_not_null(count_calls);
}

TestSuite(vulkan_lost, .init = load_faults);

/* The next call of the function fails, and no other. */
static void fail_next(const char *function, int code)
{
    char rule[96];
    snprintf(rule, sizeof rule, "%s:%ld:%d", function, count_calls(function) + 1, code);
    setenv("SCRY_FAULT", rule, 1);
}

static const struct {
    const char *function;
    int         code; /* VkResult */
    const char *said;
} faults[] = {
    {"vkQueueSubmit", -4, "VK_ERROR_DEVICE_LOST"},
    {"vkWaitForFences", -4, "VK_ERROR_DEVICE_LOST"},
    {"vkWaitForFences", 2, "no answer within"},
};

Test(vulkan_lost, device_that_is_lost__says_so_ever_after)
{
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        scry_device *device = device_need("vulkan:0", NULL), *other = device_need("vulkan:0", NULL);
        scry_buffer *buffer = NULL, *late = NULL;
        char         byte = 0;
        if (!count_calls("vkCreateDevice")) cr_skip("the plugin is linked in, with the driver's loader");
        cr_assert_eq(scry_buffer_create(&buffer, device, ARENA_BYTES), SCRY_OK, "%s", scry_last_error());
        scry_op op = device_op(SCRY_OP_SCALE, buffer);
        fail_next(faults[i].function, faults[i].code);
        scry_status status = scry_device_run(device, &op);
        if (!status) status = scry_device_finish(device);
        cr_expect_eq(status, SCRY_DEVICE_LOST, "%s gives %d: %s", faults[i].function, faults[i].code,
                     scry_last_error());
        cr_expect(strstr(scry_last_error(), faults[i].said), "%s", scry_last_error());
        unsetenv("SCRY_FAULT");
        cr_expect_eq(scry_device_run(device, &op), SCRY_DEVICE_LOST);
        cr_expect_eq(scry_device_finish(device), SCRY_DEVICE_LOST);
        cr_expect_eq(scry_buffer_read(buffer, 0, &byte, 1), SCRY_DEVICE_LOST);
        cr_expect_eq(scry_buffer_write(buffer, 0, &byte, 1), SCRY_DEVICE_LOST);
        cr_expect_eq(scry_buffer_create(&late, device, 64), SCRY_DEVICE_LOST);
        cr_expect_eq(scry_device_finish(other), SCRY_OK, "another device is lost too: %s", scry_last_error());
        scry_buffer_destroy(&buffer);
        scry_device_destroy(&device);
        scry_device_destroy(&other);
        cr_expect_eq(count_calls("left"), 0, "%ld objects are not released", count_calls("left"));
    }
}
