/* Whole models on plugins' devices through the program: every command finds what it finds on the CPU, and a device that
 * allocates or reaches little at once finds the same to the bit. */
#include "faults.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(plugin_models, .init = make_folder, .fini = remove_folder, .timeout = 600);

/* Of numbers up to 1, and relative to larger ones: twice what either device may be from the truth. */
#define NOISE 1e-4

static const char capital[] = "The capital of France is";

/* 400 tokens: captures larger than a device's smallest allocation. */
static const char *long_prompt(void)
{
    static char prompt[4096];
    *prompt = 0;
    for (int i = 0; i < 24; i++) strcat(prompt, "Anna put the key in the box. Bob put the coin in the drawer. ");
    return prompt;
}

/* Checks that two results say the same: equal words, counts and ids in equal places, numbers within NOISE. `path` is
 * where they stand, and is left as it was. */
static void expect_same(const json_t *found, const json_t *expected, char path[256])
{
    size_t      length = strlen(path), index;
    const char *key;
    json_t     *value;
    cr_assert(found && json_typeof(found) == json_typeof(expected), "%s: another kind of value", path);
    if (json_is_real(expected)) {
        double a = json_real_value(found), b = json_real_value(expected);
        cr_expect(fabs(a - b) <= NOISE * fmax(1, fabs(b)), "%s: %.9g, and %.9g on the cpu", path, a, b);
    } else if (json_is_array(expected)) {
        cr_assert_eq(json_array_size(found), json_array_size(expected), "%s: another length", path);
        json_array_foreach(expected, index, value)
        {
            snprintf(path + length, 256 - length, "[%zu]", index);
            expect_same(json_array_get(found, index), value, path);
        }
    } else if (json_is_object(expected)) {
        cr_assert_eq(json_object_size(found), json_object_size(expected), "%s: other keys", path);
        json_object_foreach((json_t *)expected, key, value)
        {
            snprintf(path + length, 256 - length, ".%s", key);
            if (strcmp(path, ".device")) expect_same(json_object_get(found, key), value, path);
        }
    } else {
        cr_expect(json_equal(found, expected), "%s: not what the cpu says", path);
    }
    path[length] = 0;
}

static json_t *run_on(const char *device, const char *const *arguments)
{
    const char *all[16];
    int         count = 0;
    for (; arguments[count]; count++) all[count] = arguments[count];
    memcpy(all + count, (const char *const[]){"--device", device, "--json", "-q", NULL}, 5 * sizeof *all);
    struct outcome outcome = run_scry(all);
    json_t        *result  = outcome_json(&outcome);
    json_t        *told    = json_object_get(result, "device");
    cr_expect_str_eq(json_string_value(json_object_get(told, "name")), device);
    cr_expect_eq(json_integer_value(json_object_get(told, "fallbacks")), 0);
    outcome_free(&outcome);
    return result;
}

static void expect_findings(const struct driver *driver)
{
    const char       *page = in_folder("r.html"), *arrays = in_folder("t.npz");
    const char *const commands[][10] = {
        {"report", capital, "-o", page},
        {"report", "The Eiffel Tower is located in", "-o", page},
        {"lens", capital, "--target", " Paris"},
        {"lens", long_prompt()},
        {"attn", capital, "--layers", "all"},
        {"run", capital, "-n", "12"},
        {"run", capital, "-n", "8", "--temperature", "1", "--seed", "7"},
        {"trace", capital, "--hooks", "blocks.*.hook_resid_post,blocks.*.attn.hook_pattern,logits", "-o", arrays},
    };
    need_driver(driver);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char    path[256] = "";
        json_t *found = run_on(driver->device, commands[i]), *expected = run_on("cpu:0", commands[i]);
        expect_same(found, expected, path);
        json_decref(found);
        json_decref(expected);
    }
}

/* Every activation of the long prompt, and what the lens reads off it. */
static char *traced(const char *device, size_t *size, json_t **lens)
{
    const char *arrays = in_folder("t.npz");
    json_decref(run_on(device, (const char *const[]){"trace", long_prompt(), "--hooks",
                                                     "blocks.*.hook_resid_post,blocks.*.attn.hook_pattern,"
                                                     "blocks.*.attn.stat_received,blocks.*.mlp.hook_post,logits",
                                                     "-o", arrays, NULL}));
    *lens = run_on(device, (const char *const[]){"lens", long_prompt(), NULL});
    json_object_del(*lens, "device");
    return read_file(arrays, size);
}

/* limit: the variable that says what the device allocates at once, or what its kernels reach of it. */
static void expect_no_difference(const struct driver *driver, const char *limit)
{
    size_t  sizes[2];
    json_t *lenses[2];
    need_driver(driver);
    char *whole = traced(driver->device, &sizes[0], &lenses[0]);
    setenv(limit, "1048576", 1);
    char *parts = traced(driver->device, &sizes[1], &lenses[1]);
    cr_expect_gt(sizes[0], 10 << 20);
    cr_expect(sizes[0] == sizes[1] && !memcmp(whole, parts, sizes[0]), "%s: the arrays differ", limit);
    cr_expect(json_equal(lenses[0], lenses[1]), "%s: the lens differs", limit);
    json_decref(lenses[0]);
    json_decref(lenses[1]);
    free(whole);
    free(parts);
}

Test(plugin_models, commands_on_opencl__find_what_they_find_on_the_cpu)
{
    expect_findings(&opencl_driver);
}

Test(plugin_models, commands_on_vulkan__find_what_they_find_on_the_cpu)
{
    expect_findings(&vulkan_driver);
}

Test(plugin_models, small_allocations_on_opencl__change_no_bit)
{
    expect_no_difference(&opencl_driver, "SCRY_OPENCL_MAX_ALLOCATION");
}

Test(plugin_models, small_allocations_on_vulkan__change_no_bit)
{
    expect_no_difference(&vulkan_driver, "SCRY_VULKAN_MAX_ALLOCATION");
}

Test(plugin_models, small_bindings_on_vulkan__change_no_bit)
{
    expect_no_difference(&vulkan_driver, "SCRY_VULKAN_MAX_BINDING");
}
