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
    static const int rows[] = {1, 5, 70};
    return (struct product){.dtype      = form & 1 ? SCRY_BF16 : SCRY_F32,
                            .rows       = rows[form / 16],
                            .columns    = form & 2 ? 132 : 70,
                            .depth      = form & 4 ? 1100 : 75,
                            .transposed = form & 2,
                            .scaled     = form & 8};
}

Test(vulkan_matmul, each_kernel__gives_the_same_bits)
{
    enum { FORMS = 48 };
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

/* Longer than one launch takes of k, and a C whose sums do not fit into scratch at once. */
Test(vulkan_matmul, a_long_product__is_done_in_pieces)
{
    static const struct product products[]  = {{.rows = 3, .columns = 5, .depth = 70000},
                                               {.rows = 40, .columns = 37, .depth = 70000, .scaled = true}};
    float                      *expected[2] = {NULL, NULL};
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        scry_device *device = device_need("vulkan:0", kernels[i]);
        for (int j = 0; j < 2; j++) {
            float *made = product_make(device, &products[j]);
            if (!expected[j]) expected[j] = made;
            cr_expect(!memcmp(made, expected[j], (size_t)(products[j].rows * products[j].columns) * sizeof *made),
                      "%s, product %d", kernels[i], j);
            if (made != expected[j]) free(made);
        }
        scry_device_destroy(&device);
    }
    free(expected[0]);
    free(expected[1]);
}
