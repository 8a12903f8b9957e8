/* Products of matrices: which kernel serves which product, and its launches. For matmul's own files, and for ops that
 * multiply on the way. */
#ifndef SCRY_VK_MATMUL_H
#define SCRY_VK_MATMUL_H

#include "vk.h"

enum scry__vk_matmul_form {
    SCRY__VK_BLOCK, /* matmul_block.comp, over packed panels */
    SCRY__VK_FEW,   /* matmul_few.comp */
    SCRY__VK_TILE,  /* matmul_tile.comp */
    SCRY__VK_SPLIT, /* matmul_tile.comp by stretches of k, then matmul_merge.comp */
    /* Those that round factors to f16, where the op allows it: */
    SCRY__VK_HALVES,   /* matmul_half.comp */
    SCRY__VK_MATRICES, /* matmul_cooperative.comp */
};

/* The axes along which a product is done in pieces, one after another. */
enum scry__vk_matmul_axis { SCRY__VK_B0, SCRY__VK_B1, SCRY__VK_K, SCRY__VK_M, SCRY__VK_N, SCRY__VK_PRODUCT_AXES };

/* What a work group makes of C, and how: BLOCK and FEW have `m` only, MATRICES m, n, steps and items. See the kernels.
 */
struct scry__vk_tile {
    uint32_t m, n, item_m, item_n, steps, buffers, items;
};

/* How a product is done. */
struct scry__vk_product {
    scry_tensor               a, b, bias, c; /* of rank 4, save bias */
    float                     alpha, beta;
    int64_t                   size[SCRY__VK_PRODUCT_AXES];
    int64_t                   piece[SCRY__VK_PRODUCT_AXES]; /* size of each but the last one along an axis */
    const char               *kernel;                       /* the name of the form's kernel */
    enum scry__vk_matmul_form form;
    scry_precision            allowed, precision; /* by the op; that is delivered */
    struct scry__vk_tile      tile;
    size_t                    a_bytes, b_bytes; /* BLOCK: the panels of one piece, in whole units of scratch */
    size_t                    scratch_bytes;
};

/* The way of a product by the kernel named, or by the variant table's choice where `kernel` is NULL. */
struct scry__vk_product scry__vk_product(const struct scry__vk *vk, const scry_matmul *op, scry_precision allowed,
                                         const char *kernel);

/* Records it; its own scratch begins at byte `scratch` of the device's, a multiple of SCRY__VK_UNIT. C may be a view of
 * that scratch elsewhere. */
scry_status scry__vk_multiply(struct scry__vk *vk, const struct scry__vk_product *product, size_t scratch);

/* --- Cooperative matrices (cooperative.c) --- */

/* The tiles of MATRICES. */
extern const struct scry__vk_tile scry__vk_matrices64, scry__vk_matrices128;

/* How the subgroups of a group lie over such a tile. */
struct scry__vk_grid {
    uint32_t down, across;
};

/* down 0: the device's matrices do not fit the tile, or it has none. */
struct scry__vk_grid scry__vk_grid(const struct scry__vk_limits *limits, const struct scry__vk_tile *tile);

/* Of matmul.glsl and matmul_block.glsl: steps of k that are one chain of additions, and lines of a panel. */
enum { SCRY__VK_STRETCH = 512, SCRY__VK_PANEL = 32 };

#endif
