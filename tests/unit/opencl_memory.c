/* OpenCL buffers in parts: see parts.h. */
#include "unit/parts.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static void open_device(void)
{
    setenv("SCRY_OPENCL_MAX_ALLOCATION", "1", 1);
    parts_use("opencl:0");
}

TestSuite(opencl_memory, .init = open_device, .fini = parts_close, .timeout = 300);

#define PARTS_TEST(name)                                                                                               \
    Test(opencl_memory, name)                                                                                          \
    {                                                                                                                  \
        parts_##name();                                                                                                \
    }
PARTS_LIST(PARTS_TEST)
