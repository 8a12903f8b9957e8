/* matmul on OpenCL: an element's bits depend on its own row and column alone, not on how many rows there are nor on how
 * weights are laid out, whichever form of a kernel serves the size. */
#include "unit/device_ops.h"
#include "unit/products.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

struct row {
    char       kernels[16];
    scry_dtype dtype;
};

ParameterizedTestParameters(opencl_matmul, a_row__is_what_it_is_among_others)
{
    static struct row rows[] = {
        {"matmul=block", SCRY_F32}, {"matmul=block", SCRY_BF16}, {"matmul=tile", SCRY_F32}, {"matmul=tile", SCRY_BF16}};
    return cr_make_param_array(struct row, rows, sizeof rows / sizeof *rows);
}

/* Past the sizes from which each kernel takes its largest tile, and no multiple of any. */
ParameterizedTest(struct row *row, opencl_matmul, a_row__is_what_it_is_among_others)
{
    scry_device *device = device_need("opencl:0", row->kernels);
    product_check_rows(device, &(struct product){.dtype = row->dtype, .rows = 523, .columns = 519, .depth = 67});
    scry_device_destroy(&device);
}
