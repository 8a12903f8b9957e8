/* Vulkan buffers: in parts (see parts.h), under a device's smallest binding, and many that come and go. */
#include "base/number.h"
#include "unit/device_ops.h"
#include "unit/parts.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void open_device(void)
{
    setenv("SCRY_VULKAN_MAX_ALLOCATION", "1", 1);
    parts_use("vulkan:0");
}

TestSuite(vulkan_memory, .init = open_device, .fini = parts_close, .timeout = 300);

#define PARTS_TEST(name)                                                                                               \
    Test(vulkan_memory, name)                                                                                          \
    {                                                                                                                  \
        parts_##name();                                                                                                \
    }
PARTS_LIST(PARTS_TEST)

/* Buffers are whole, but no kernel reaches more than 1 MiB of them. */
Test(vulkan_memory, op_over_many_bindings__is_cut)
{
    parts_close();
    unsetenv("SCRY_VULKAN_MAX_ALLOCATION");
    setenv("SCRY_VULKAN_MAX_BINDING", "1", 1);
    parts_use("vulkan:0");
    parts_op_over_many_parts__is_cut();
    parts_every_op_across_parts__computes_the_same_bits();
}
