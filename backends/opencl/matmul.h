/* Products of matrices: which kernel serves which product, and its launch. For matmul's own files, and for ops that
 * multiply on the way. */
#ifndef SCRY_OPENCL_MATMUL_H
#define SCRY_OPENCL_MATMUL_H

#include "opencl.h"

/* `product` of kernels_cl/common.cl. */
struct scry__cl_sizes {
    cl_long  m, n, k, batches;
    cl_long  inner;
    cl_float alpha, beta;
};

enum scry__cl_matmul_form {
    SCRY__CL_BLOCK,   /* matmul_block.cl: block */
    SCRY__CL_FEW,     /* matmul_block.cl: few */
    SCRY__CL_TILE,    /* matmul.cl: tile */
    SCRY__CL_ROW,     /* matmul.cl: row */
    SCRY__CL_LIBRARY, /* CLBlast */
};

/* How a product is done. */
struct scry__cl_product {
    const scry_matmul        *op;
    scry_tensor               a, b, c; /* of rank 4 */
    struct scry__cl_sizes     sizes;
    const char               *kernel; /* the name of the form's kernel */
    enum scry__cl_matmul_form form;
    int                       tile; /* TILE: rows and columns of a group's tile */
    int64_t                   groups;
    int64_t                   panels, bands, band_rows; /* BLOCK: panels held at once, and how the rows are shared */
    size_t                    scratch_bytes;
    const char               *reason; /* why not, where the kernel asked for cannot do it; else NULL */
};

/* The way of a product by the kernel named, or by the variant table's choice where `kernel` is NULL. Points to `op`. */
struct scry__cl_product scry__cl_product(const struct scry__cl *cl, const scry_matmul *op, const char *kernel);

/* Enqueues it; its own scratch begins at byte `scratch` of the device's. C may be a view of that scratch elsewhere. */
scry_status scry__cl_multiply(struct scry__cl *cl, const struct scry__cl_product *product, size_t scratch);

/* --- CLBlast (matmul_library.c) --- */

/* Whether there is a "library"; it is loaded when this is first asked. */
bool scry__cl_library_usable(void);
/* Why it cannot do this product, or NULL. */
const char *scry__cl_library_refuses(const struct scry__cl_product *product);
scry_status scry__cl_library_multiply(struct scry__cl *cl, const struct scry__cl_product *product);
/* Before the device's context goes: the library holds programs of it. */
void scry__cl_library_forget(const struct scry__cl *cl);

#endif
