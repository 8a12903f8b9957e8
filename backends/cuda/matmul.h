/* Products of matrices: which kernel serves which product, and its launches. For matmul's own files, and for ops that
 * multiply on the way. */
#ifndef SCRY_CUDA_MATMUL_H
#define SCRY_CUDA_MATMUL_H

#include "cuda.h"

enum scry__cuda_matmul_form {
    SCRY__CUDA_TILE,    /* matmul_tile.cu */
    SCRY__CUDA_ROW,     /* matmul_row.cu */
    SCRY__CUDA_TENSOR,  /* matmul_tensor.cu */
    SCRY__CUDA_LIBRARY, /* cuBLAS, matmul_library.c */
};

/* How a product is done. */
struct scry__cuda_product {
    scry_tensor                 a, b, bias, c; /* of rank 4, save bias */
    float                       alpha, beta;
    int64_t                     m, n, k, batches;
    const char                 *kernel; /* the name of the form's kernel */
    enum scry__cuda_matmul_form form;
    int                         tile;              /* TILE: rows and columns of a block's tile; ROW: its rows */
    int64_t                     parts, part_steps; /* k is cut into so many parts; LIBRARY: none */
    int64_t                     columns;           /* LIBRARY: of b, widened to f32 at once; 0: as they are stored */
    scry_precision              precision;         /* that it delivers */
    size_t                      scratch_bytes;
    const char                 *reason; /* why not, where the kernel asked for cannot do it; else NULL */
};

/* The way of a product by the kernel named, or by the variant table's choice where `kernel` is NULL. */
struct scry__cuda_product scry__cuda_product(const struct scry__cuda *cuda, const scry_matmul *op,
                                             scry_precision allowed, const char *kernel);

/* Enqueues it; its own scratch begins at byte `scratch` of the device's, a multiple of 16. Operands may lie in scratch
 * elsewhere. */
scry_status scry__cuda_multiply(struct scry__cuda *cuda, const struct scry__cuda_product *product, size_t scratch);

/* --- cuBLAS (matmul_library.c) --- */

/* Whether the library multiplies weights in their own type, which the caller allows, with A rounded to it. Callers of
 * several products with one A may give it rounded. */
bool scry__cuda_library_rounds(scry_dtype dtype, scry_precision allowed);

/* Plans what is in scratch; says why the library cannot do the product. */
void        scry__cuda_product_plan_library(const struct scry__cuda *cuda, struct scry__cuda_product *product,
                                            scry_precision allowed);
scry_status scry__cuda_product_call_library(struct scry__cuda *cuda, const struct scry__cuda_product *product,
                                            size_t scratch);

#endif
