/* matmul on CUDA, emulated where there is no GPU: by each of our own kernels an element's bits depend on its own row
 * and column alone, not on how many rows there are nor on how weights are laid out. */
#include "unit/device_ops.h"
#include "unit/products.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

TestSuite(cuda_matmul, .timeout = 300);

struct row {
    char       kernels[16];
    scry_dtype dtype;
    int        rows, columns, depth;
};

ParameterizedTestParameters(cuda_matmul, a_row__is_what_it_is_among_others)
{
    /* The last of "tile" is large enough for tiles of 128. */
    static struct row rows[] = {
        {"matmul=tile", SCRY_F32, 130, 137, 67},   {"matmul=tile", SCRY_BF16, 33, 60, 1100},
        {"matmul=tile", SCRY_F32, 300, 1300, 20},  {"matmul=split", SCRY_F32, 33, 60, 1100},
        {"matmul=split", SCRY_BF16, 70, 61, 2050}, {"matmul=row", SCRY_F32, 17, 60, 67},
        {"matmul=row", SCRY_BF16, 17, 37, 2100},
    };
    return cr_make_param_array(struct row, rows, sizeof rows / sizeof *rows);
}

ParameterizedTest(struct row *row, cuda_matmul, a_row__is_what_it_is_among_others)
{
    scry_device *device = device_need("cuda-emulated:0", row->kernels);
    product_check_rows(
        device,
        &(struct product){.dtype = row->dtype, .rows = row->rows, .columns = row->columns, .depth = row->depth});
    scry_device_destroy(&device);
}
