/* The Vulkan backend's memory on devices that are made up, with every call failing in turn. See
 * plugins/vulkan_pool.h. */
#include "plugins/vulkan_pool.h"

#include <criterion/criterion.h>
#include <dlfcn.h>

/* VkMemoryPropertyFlags */
enum { LOCAL = 1, VISIBLE = 2, COHERENT = 4, CACHED = 8, VENDORS = 0x40 };

static const struct pool_device devices[] = {
    {"a card", .atom = 64, .alignment = 256, .expected = {1, 2, 3}, .type_count = 5,
     .types = {0, LOCAL, VISIBLE | COHERENT, VISIBLE | COHERENT | CACHED, LOCAL | VISIBLE | COHERENT}},
    {"a card of which the host sees everything", .atom = 64, .alignment = 16, .expected = {1, 2, 3}, .type_count = 4,
     .types = {LOCAL | VISIBLE | COHERENT | VENDORS, LOCAL | VISIBLE | COHERENT, VISIBLE | COHERENT,
               VISIBLE | COHERENT | CACHED}},
    {"a processor with graphics", .shares_memory = true, .atom = 128, .alignment = 4096, .expected = {2, 1, 3},
     .type_count = 4, .types = {LOCAL, VISIBLE | COHERENT, LOCAL | VISIBLE | COHERENT, VISIBLE | COHERENT | CACHED}},
    {"memory that has to be flushed", .shares_memory = true, .atom = 1024, .alignment = 64, .expected = {1, 0, 1},
     .type_count = 2, .types = {LOCAL | VISIBLE | COHERENT, LOCAL | VISIBLE | CACHED}},
    {"buffers that want their own memory", .dedicated = true, .atom = 4, .alignment = 65536, .expected = {0, 1, 1},
     .type_count = 2, .types = {LOCAL, VISIBLE | COHERENT | CACHED}},
    {"one kind of memory", .shares_memory = true, .atom = 64, .alignment = 64, .expected = {0, 0, 0}, .type_count = 1,
     .types = {LOCAL | VISIBLE | COHERENT | CACHED}},
};

static pool_trial_function *find_trial(void)
{
    void *module = dlopen(SCRY_VULKAN_POOL, RTLD_NOW);
    cr_assert(module || !*SCRY_VULKAN_POOL, "%s", dlerror());
    if (!module) cr_skip("the Vulkan plugin is not built");
    pool_trial_function *trial = (pool_trial_function *)dlsym(module, "vulkan_pool_trial");
    cr_assert_not_null(trial);
    return trial;
}

Test(vulkan_pool, parts_that_come_and_go__do_not_disturb_each_other)
{
    pool_trial_function *trial = find_trial();
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            long        calls;
            const char *wrong = trial(&devices[i], seed, 1500, 0, &calls);
            cr_expect_null(wrong, "%s: %s", devices[i].name, wrong);
        }
}

Test(vulkan_pool, each_call_that_fails__leaves_nothing_behind)
{
    pool_trial_function *trial = find_trial();
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        long        calls = 0, unused;
        const char *wrong = trial(&devices[i], 1, 60, 0, &calls);
        cr_expect(!wrong && calls > 60, "%s: %s", devices[i].name, wrong);
        for (long n = 1; n <= calls; n++) {
            wrong = trial(&devices[i], 1, 60, n, &unused);
            cr_expect_null(wrong, "%s: call %ld fails: %s", devices[i].name, n, wrong);
        }
    }
}
