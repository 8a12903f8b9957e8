/* Vulkan drivers that fail: each call that the plugin makes fails once, early and late, and the program ends with the
 * documented exit code and one line that says why, with every object released. */
#include "faults.h"

#include <criterion/criterion.h>
#include <stdlib.h>

TestSuite(vulkan_failures, .init = make_folder, .fini = remove_folder, .timeout = 600);

/* VkResult */
enum {
    TIMEOUT        = 2,
    HOST_MEMORY    = -1,
    DEVICE_MEMORY  = -2,
    INITIALIZATION = -3,
    DEVICE_LOST    = -4,
    MAP_FAILED     = -5,
    NO_DRIVER      = -9,
    TOO_MANY       = -10,
    UNKNOWN        = -13,
};

static const struct fault faults[] = {
    {"vkEnumerateInstanceExtensionProperties", HOST_MEMORY, HARMLESS},
    {"vkCreateInstance", HOST_MEMORY, NO_MEMORY},
    {"vkCreateInstance", INITIALIZATION, NO_DEVICE},
    {"vkCreateInstance", NO_DRIVER, NO_DEVICE},
    {"vkEnumeratePhysicalDevices", HOST_MEMORY, NO_MEMORY},
    {"vkEnumeratePhysicalDevices", INITIALIZATION, NO_DEVICE},
    {"vkEnumerateDeviceExtensionProperties", HOST_MEMORY, NO_MEMORY},
    {"vkCreateDevice", DEVICE_MEMORY, NO_MEMORY},
    {"vkCreateDevice", INITIALIZATION, NO_DEVICE},
    {"vkCreateDevice", TOO_MANY, NO_MEMORY},
    {"vkCreateDevice", DEVICE_LOST, NO_DEVICE},
    {"vkCreateCommandPool", HOST_MEMORY, NO_MEMORY},
    {"vkAllocateCommandBuffers", DEVICE_MEMORY, NO_MEMORY},
    {"vkCreateDescriptorPool", DEVICE_MEMORY, NO_MEMORY},
    {"vkCreateFence", HOST_MEMORY, NO_MEMORY},
    {"vkCreateQueryPool", DEVICE_MEMORY, NO_MEMORY},
    {"vkAllocateMemory", DEVICE_MEMORY, NO_MEMORY | OR_DONE},
    {"vkAllocateMemory", TOO_MANY, NO_MEMORY | OR_DONE},
    {"vkMapMemory", MAP_FAILED, NO_MEMORY | OR_DONE},
    {"vkCreateBuffer", HOST_MEMORY, NO_MEMORY | OR_DONE},
    {"vkBindBufferMemory", DEVICE_MEMORY, NO_MEMORY | OR_DONE},
    {"vkGetMemoryHostPointerPropertiesEXT", HOST_MEMORY, HARMLESS},
    {"vkCreateDescriptorSetLayout", HOST_MEMORY, NO_MEMORY},
    {"vkCreatePipelineLayout", HOST_MEMORY, NO_MEMORY},
    {"vkCreateShaderModule", HOST_MEMORY, NO_MEMORY},
    {"vkCreateComputePipelines", DEVICE_MEMORY, NO_MEMORY},
    {"vkCreateComputePipelines", UNKNOWN, NO_DEVICE},
    {"vkCreatePipelineCache", HOST_MEMORY, HARMLESS},
    {"vkAllocateDescriptorSets", DEVICE_MEMORY, NO_MEMORY},
    {"vkResetCommandPool", DEVICE_MEMORY, NO_MEMORY},
    {"vkResetDescriptorPool", HOST_MEMORY, NO_MEMORY},
    {"vkResetFences", DEVICE_MEMORY, NO_MEMORY},
    {"vkBeginCommandBuffer", HOST_MEMORY, NO_MEMORY},
    {"vkEndCommandBuffer", DEVICE_MEMORY, NO_MEMORY},
    {"vkQueueSubmit", DEVICE_MEMORY, NO_MEMORY},
    {"vkQueueSubmit", DEVICE_LOST, LOST},
    {"vkQueueSubmit", UNKNOWN, NO_DEVICE},
    {"vkWaitForFences", TIMEOUT, LOST},
    {"vkWaitForFences", DEVICE_LOST, LOST},
    {"vkWaitForFences", HOST_MEMORY, NO_MEMORY},
    {"vkGetFenceStatus", DEVICE_LOST, LOST | OR_DONE},
    {"vkGetQueryPoolResults", HOST_MEMORY, HARMLESS},
    {"vkGetPipelineCacheData", HOST_MEMORY, HARMLESS},
};

/* Where optional paths are proved and pipelines are built: a path that cannot be is not taken. */
static const struct fault empty_cache_faults[] = {
    {"vkCreateShaderModule", UNKNOWN, NO_DEVICE | OR_DONE},
    {"vkCreateComputePipelines", UNKNOWN, NO_DEVICE | OR_DONE},
    {"vkGetPipelineCacheData", HOST_MEMORY, HARMLESS},
};

/* Where the device has memory of its own, and buffers are in parts and staged. */
static const struct fault part_faults[] = {
    {"vkAllocateMemory", DEVICE_MEMORY, NO_MEMORY | OR_DONE},
    {"vkCreateBuffer", HOST_MEMORY, NO_MEMORY | OR_DONE},
    {"vkBindBufferMemory", DEVICE_MEMORY, NO_MEMORY | OR_DONE},
    {"vkQueueSubmit", DEVICE_LOST, LOST},
    {"vkWaitForFences", TIMEOUT, LOST},
    {"vkWaitForFences", DEVICE_LOST, LOST},
};

Test(vulkan_failures, each_call_that_fails__ends_with_a_reason)
{
    need_driver(&vulkan_driver);
    use_cache(FULL_CACHE);
    expect_rows(&vulkan_driver, FEW_IDS, faults, COUNT(faults));
    expect_ends(&vulkan_driver, FEW_IDS, faults, COUNT(faults), FULL_CACHE);
}

Test(vulkan_failures, each_call_that_proving_makes__may_fail)
{
    need_driver(&vulkan_driver);
    expect_ends(&vulkan_driver, FEW_IDS, empty_cache_faults, COUNT(empty_cache_faults), EMPTY_CACHE);
    use_cache(EMPTY_CACHE);
    expect_gone(&vulkan_driver, "vkQueueSubmit:1+:-4", NO_DEVICE); /* it cannot be opened */
}

/* A prompt long enough for buffers in parts, where the device allocates 1 MiB at once. */
Test(vulkan_failures, each_call_that_fails_among_parts__ends_with_a_reason)
{
    need_driver(&vulkan_driver);
    use_cache(FULL_CACHE);
    struct outcome whole   = faulty_lens(&vulkan_driver, many_ids(), NULL);
    long           buffers = last_calls("vkCreateBuffer");
    setenv("SCRY_VULKAN_MAX_ALLOCATION", "1", 1);
    setenv("SCRY_VULKAN_DISCRETE", "1", 1);
    struct outcome parted = faulty_lens(&vulkan_driver, many_ids(), NULL);
    cr_expect(!whole.exit_code && same_results(parted.out, whole.out), "parts change the results: %s", parted.err);
    cr_expect_gt(last_calls("vkCreateBuffer"), buffers, "nothing is in parts");
    outcome_free(&whole);
    outcome_free(&parted);
    expect_ends(&vulkan_driver, many_ids(), part_faults, COUNT(part_faults), FULL_CACHE);
}

/* From some call on the driver answers nothing but this code. */
Test(vulkan_failures, device_that_is_gone__ends_the_program)
{
    static const struct {
        const char *rule;
        int         exit_code;
    } rows[] = {
        {"vkQueueSubmit:1+:-4", LOST},
        {"vkQueueSubmit:2+:-4", LOST},
        {"vkWaitForFences:1+:2", LOST},
        {"vkWaitForFences:2+:-4", LOST},
        {"vkCreateBuffer:9+:-2", NO_MEMORY},
        {"vkAllocateMemory:1+:-2", NO_MEMORY},
        {"vkBeginCommandBuffer:1+:-1", NO_MEMORY},
        {"vkCreateDevice:1+:-3", NO_DEVICE},
    };
    need_driver(&vulkan_driver);
    use_cache(FULL_CACHE);
    struct outcome outcome = faulty_lens(&vulkan_driver, FEW_IDS, NULL); /* fills it */
    outcome_free(&outcome);
    for (int i = 0; i < COUNT(rows); i++) expect_gone(&vulkan_driver, rows[i].rule, rows[i].exit_code);
}
