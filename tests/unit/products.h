/* Products of the same random matrices in many forms, for tests of what must not change their bits. */
#ifndef TESTS_PRODUCTS_H
#define TESTS_PRODUCTS_H

#include "scry/device.h"

/* C [rows, columns] = A B, or 0.75 A B - 1.5 C + bias where it is scaled. An element of each matrix depends on its
 * place alone, not on the number of rows, nor on how B is stored. */
struct product {
    scry_dtype dtype; /* of b and bias: f32, or bf16 of the same values cut off */
    int        rows, columns, depth;
    bool       transposed; /* b is stored [columns, depth] */
    int        pad;        /* elements between the lines of b */
    bool       scaled;
};

/* Runs it on the device, and fails the running test where that fails. C is the caller's to free. */
float *product_make(scry_device *device, const struct product *product);

/* Makes the product with fewer and fewer rows and in every layout of b, and fails the running test where an element is
 * not what it is in the whole. */
void product_check_rows(scry_device *device, const struct product *whole);

#endif
