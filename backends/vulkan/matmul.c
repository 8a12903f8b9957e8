/* matmul: the variant table, and the plan of a product. matmul_launch.c records it. */
#include "matmul.h"

#include <stdio.h>
#include <string.h>

/* --- Variants --- */

enum device_type { CPU_TYPE, GPU_TYPE, ANY_TYPE };

/* The first line whose device type and ranges hold is taken; of those of one name, where that was asked for, on any
 * device. Every line adds up an element of C in the same way (shaders/matmul.glsl), so that a row of C never depends on
 * how many rows there are. */
static const struct variant {
    const char               *kernel;
    enum device_type          device;
    int64_t                   most_m; /* 0: no limit */
    enum scry__vk_matmul_form form;
    int                       rows;
} variants[] = {
    /* Measured on lavapipe, 2 cores with AVX-512: to pack b costs as much as few rows. */
    {"block", ANY_TYPE, .most_m = 1, .form = SCRY__VK_FEW, .rows = 1},
    {"block", ANY_TYPE, .most_m = 4, .form = SCRY__VK_FEW, .rows = 4},
    {"block", ANY_TYPE, .most_m = 8, .form = SCRY__VK_FEW, .rows = 8},
    {"block", ANY_TYPE, .most_m = 16, .form = SCRY__VK_BLOCK, .rows = 16},
    {"block", ANY_TYPE, .form = SCRY__VK_BLOCK, .rows = 32},
};

static const struct variant *choose(const struct scry__vk *vk, int64_t m, const char *kernel)
{
    enum device_type type = vk->limits.is_cpu ? CPU_TYPE : GPU_TYPE;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        const struct variant *variant = &variants[i];
        bool right = kernel ? !strcmp(kernel, variant->kernel) : variant->device == ANY_TYPE || variant->device == type;
        if (right && (!variant->most_m || m <= variant->most_m)) return variant;
    }
    return &variants[0]; /* not reached: each name and each type has a line without limits */
}

/* --- Plans --- */

enum {
    PANEL         = 32,       /* lines, as in matmul_block.glsl */
    LONGEST       = 32 << 10, /* steps of k in one launch: devices on a processor may limit how often a loop turns */
    SHORTEST      = 1 << 10,  /* STRETCH of matmul.glsl, whose multiples pieces of k are */
    SCRATCH_BYTES = 64 << 20,
};

static size_t panel_bytes(const struct scry__vk_product *product, int axis)
{
    return (size_t)(round_up(product->piece[axis], PANEL) * product->piece[SCRY__VK_K] * 4);
}

/* As much of A and of B at once as scratch holds in panels: whole batches where that is possible. */
static void plan_panels(const struct scry__vk *vk, struct scry__vk_product *product)
{
    size_t most_bytes =
        vk->limits.most_bound < vk->limits.most_allocated / 2 ? vk->limits.most_bound : vk->limits.most_allocated / 2;
    int64_t  room  = least(SCRATCH_BYTES / 2, (int64_t)most_bytes / SCRY__VK_UNIT * SCRY__VK_UNIT);
    int64_t *piece = product->piece;
    while (piece[SCRY__VK_K] > SHORTEST && piece[SCRY__VK_K] * PANEL * 4 > room)
        piece[SCRY__VK_K] = round_up(piece[SCRY__VK_K] / 2, SHORTEST);
    int64_t panels     = room / (most(1, piece[SCRY__VK_K]) * PANEL * 4);
    piece[SCRY__VK_M]  = least(piece[SCRY__VK_M], panels * PANEL);
    piece[SCRY__VK_N]  = least(piece[SCRY__VK_N], panels * PANEL);
    int64_t longer     = most(piece[SCRY__VK_M], piece[SCRY__VK_N]);
    int64_t batches    = most(1, panels / most(1, units_of(longer, PANEL)));
    piece[SCRY__VK_B1] = least(piece[SCRY__VK_B1], batches);
    piece[SCRY__VK_B0] = least(piece[SCRY__VK_B0], most(1, batches / most(1, product->size[SCRY__VK_B1])));

    size_t count           = (size_t)(piece[SCRY__VK_B0] * piece[SCRY__VK_B1]);
    product->a_bytes       = (size_t)round_up((int64_t)(count * panel_bytes(product, SCRY__VK_M)), SCRY__VK_UNIT);
    product->b_bytes       = (size_t)round_up((int64_t)(count * panel_bytes(product, SCRY__VK_N)), SCRY__VK_UNIT);
    product->scratch_bytes = product->a_bytes + product->b_bytes;
}

struct scry__vk_product scry__vk_product(const struct scry__vk *vk, const scry_matmul *op, const char *kernel)
{
    struct scry__vk_product product = {.bias = op->bias, .alpha = op->alpha, .beta = op->beta};
    product.a                       = scry__widened(op->a, 0);
    product.b                       = scry__widened(op->b, 0);
    product.c                       = scry__widened(op->c, 0);
    product.size[SCRY__VK_B0]       = product.c.shape[0];
    product.size[SCRY__VK_B1]       = product.c.shape[1];
    product.size[SCRY__VK_M]        = product.c.shape[2];
    product.size[SCRY__VK_N]        = product.c.shape[3];
    product.size[SCRY__VK_K]        = product.a.shape[3];
    const struct variant *variant   = choose(vk, product.size[SCRY__VK_M], kernel);
    product.kernel                  = variant->kernel;
    product.form                    = variant->form;
    product.rows                    = variant->rows;
    memcpy(product.piece, product.size, sizeof product.piece);
    product.piece[SCRY__VK_K] = least(product.piece[SCRY__VK_K], LONGEST);
    if (product.form == SCRY__VK_BLOCK) plan_panels(vk, &product);
    return product;
}

/* --- The op --- */

void scry__vk_matmul_query(const struct scry__vk *vk, const scry_matmul *op, scry_op_info *info)
{
    struct scry__vk_product product = scry__vk_product(vk, op, vk->front->kernel[SCRY_OP_MATMUL]);
    info->scratch_bytes             = product.scratch_bytes;
    snprintf(info->kernel, sizeof info->kernel, "%s", product.kernel);
}

scry_status scry__vk_matmul(struct scry__vk *vk, const scry_matmul *op)
{
    struct scry__vk_product product = scry__vk_product(vk, op, vk->front->kernel[SCRY_OP_MATMUL]);
    return scry__vk_multiply(vk, &product, 0);
}
