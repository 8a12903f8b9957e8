/* matmul on Vulkan: an element's bits depend on its own row and column alone, not on how many rows there are nor on how
 * weights are laid out, nor on the kernel, also where k is long enough to be taken in stretches and split. */
#include "unit/device_ops.h"
#include "unit/products.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

static char kernels[][16] = {"matmul=block",  "matmul=row",     "matmul=tile32",
                             "matmul=tile64", "matmul=tile128", "matmul=split"};

TestSuite(vulkan_matmul, .timeout = 300);

struct row {
    char       kernels[16];
    scry_dtype dtype;
    int        rows, columns, depth;
};

ParameterizedTestParameters(vulkan_matmul, a_row__is_what_it_is_among_others)
{
    static struct row rows[] = {
        {"matmul=block", SCRY_F32, 130, 137, 67},   {"matmul=block", SCRY_BF16, 130, 140, 67},
        {"matmul=block", SCRY_F32, 33, 60, 1100},   {"matmul=row", SCRY_F32, 17, 60, 67},
        {"matmul=row", SCRY_BF16, 17, 37, 1100},    {"matmul=tile32", SCRY_F32, 130, 137, 67},
        {"matmul=tile32", SCRY_BF16, 33, 60, 1100}, {"matmul=tile64", SCRY_F32, 130, 137, 67},
        {"matmul=tile64", SCRY_BF16, 33, 60, 1100}, {"matmul=tile128", SCRY_F32, 130, 137, 67},
        {"matmul=split", SCRY_F32, 33, 60, 1100},   {"matmul=split", SCRY_BF16, 33, 61, 513},
    };
    return cr_make_param_array(struct row, rows, sizeof rows / sizeof *rows);
}

ParameterizedTest(struct row *row, vulkan_matmul, a_row__is_what_it_is_among_others)
{
    scry_device *device = device_need("vulkan:0", row->kernels);
    product_check_rows(
        device,
        &(struct product){.dtype = row->dtype, .rows = row->rows, .columns = row->columns, .depth = row->depth});
    scry_device_destroy(&device);
}

/* The product number `form` of those that every kernel makes. */
static struct product product_of(int form)
{
    return (struct product){.dtype      = form & 1 ? SCRY_BF16 : SCRY_F32,
                            .rows       = form & 8 ? 70 : 5,
                            .columns    = form & 1 ? 132 : 72,
                            .depth      = form & 2 ? 1100 : 75,
                            .transposed = form & 1,
                            .scaled     = form & 4};
}

Test(vulkan_matmul, each_kernel__gives_the_same_bits)
{
    enum { FORMS = 16 };
    float *expected[FORMS];
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        scry_device *device = device_need("vulkan:0", kernels[i]);
        for (int form = 0; form < FORMS; form++) {
            struct product product = product_of(form);
            float         *made    = product_make(device, &product);
            if (i == 0) {
                expected[form] = made;
                continue;
            }
            cr_expect(!memcmp(made, expected[form], (size_t)(product.rows * product.columns) * sizeof *made),
                      "%s, form %d", kernels[i], form);
            free(made);
        }
        scry_device_destroy(&device);
    }
    for (int form = 0; form < FORMS; form++) free(expected[form]);
}

/* Longer than one launch takes of k: the sums of the second go on where those of the first ended. */
Test(vulkan_matmul, a_long_product__is_what_it_is_on_the_cpu)
{
    const struct product product  = {.rows = 9, .columns = 37, .depth = 33000, .scaled = true};
    scry_device         *device   = device_open("cpu", SCRY_FALLBACK_STRICT);
    float               *expected = product_make(device, &product);
    scry_device_destroy(&device);
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        device      = device_need("vulkan:0", kernels[i]);
        float *made = product_make(device, &product);
        for (int e = 0; e < product.rows * product.columns; e++)
            cr_expect_float_eq(made[e], expected[e], 1e-3, "%s, element %d", kernels[i], e);
        free(made);
        scry_device_destroy(&device);
    }
    free(expected);
}
