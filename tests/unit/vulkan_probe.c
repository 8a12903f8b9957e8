/* What the Vulkan backend finds out of devices that are made up: those it refuses, with a reason, and what it switches
 * on. See plugins/vulkan_probe.h. */
#include "plugins/vulkan_probe.h"

#include <criterion/criterion.h>
#include <dlfcn.h>

/* VkPhysicalDeviceType, and VkQueueFlags */
enum { INTEGRATED = 1, PROCESSOR = 4, GRAPHICS = 1, COMPUTE = 2, TRANSFER = 4 };

static const struct probe_device devices[] = {
    {"a card", .expected = {.lacks = ""}},
    {"a later Vulkan", .minor = 3, .expected = {.lacks = ""}},
    {"Vulkan 1.1", .minor = 1, .expected = {.lacks = "Vulkan 1.2 (it has 1.1)"}},
    {"no queue that computes", .queues = {GRAPHICS, TRANSFER}, .expected = {.lacks = "a queue that computes"}},
    {"the last queue computes", .queues = {GRAPHICS, TRANSFER, COMPUTE}, .expected = {.lacks = "", .queue_family = 2}},
    {"NaN changed", .changes_nan = true, .expected = {.lacks = "infinities and NaN in f32"}},
    {"15 storage buffers", .storage_buffers = 15, .expected = {.lacks = "16 storage buffers for a shader"}},
    {"little shared memory", .shared_bytes = 8192, .expected = {.lacks = "16 KiB of shared memory"}},
    {"a card of which the host sees everything", .has_shared_memory = true, .expected = {.lacks = ""}},
    {"graphics beside a processor", .type = INTEGRATED, .has_shared_memory = true,
     .expected = {.lacks = "", .shares_memory = true}},
    {"memory that the host does not see", .type = INTEGRATED, .expected = {.lacks = ""}},
    {"a processor", .type = PROCESSOR, .has_shared_memory = true, .host_memory = true,
     .expected = {.lacks = "", .is_cpu = true, .shares_memory = true}},
    {"subgroups of any size", .subgroup_least = 8, .subgroup_most = 32, .requires_in_compute = true,
     .expected = {.lacks = "", .subgroup_least = 8}},
    {"subgroups of any size elsewhere", .subgroup_least = 8, .subgroup_most = 32, .expected = {.lacks = ""}},
    {"halves", .float16 = true, .expected = {.lacks = ""}},
    {"a portable subset", .portable_only = true, .expected = {.lacks = ""}},
};

Test(vulkan_probe, devices__are_seen_as_they_are)
{
    void *module = dlopen(SCRY_VULKAN_PROBE, RTLD_NOW);
    cr_assert(module || !*SCRY_VULKAN_PROBE, "%s", dlerror());
    if (!module) cr_skip("the Vulkan plugin is not built");
    probe_trial_function *trial = (probe_trial_function *)dlsym(module, "vulkan_probe_trial");
    cr_assert_not_null(trial);
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        const char *wrong = trial(&devices[i]);
        cr_expect_null(wrong, "%s: %s", devices[i].name, wrong);
    }
}
