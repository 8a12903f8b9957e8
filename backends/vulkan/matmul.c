/* matmul: the variant table, and the plan of a product. matmul_launch.c records it. */
#include "matmul.h"
#include "validation.h"

#include <stdio.h>
#include <string.h>

/* --- Variants --- */

enum { STRETCH = SCRY__VK_STRETCH, PANEL = SCRY__VK_PANEL };

enum device_type { CPU_TYPE, GPU_TYPE, BY_NAME };

/* Each fetches as many blocks of 4 x 4 elements for a round as it has items, and fits the least that Vulkan grants,
 * save the items of the largest: 16 KiB of shared memory. */
static const struct scry__vk_tile row = {
    .m = 8, .n = 16, .item_m = 1, .item_n = 4, .steps = 64, .buffers = 2, .items = 96};
static const struct scry__vk_tile tile32 = {
    .m = 32, .n = 32, .item_m = 4, .item_n = 4, .steps = 16, .buffers = 2, .items = 64};
static const struct scry__vk_tile tile64 = {
    .m = 64, .n = 64, .item_m = 8, .item_n = 4, .steps = 16, .buffers = 2, .items = 128};
static const struct scry__vk_tile tile128 = {
    .m = 128, .n = 128, .item_m = 8, .item_n = 8, .steps = 16, .buffers = 1, .items = 256};
static const struct scry__vk_tile rows1 = {.m = 1}, rows4 = {.m = 4}, rows8 = {.m = 8}, rows16 = {.m = 16},
                                  rows32 = {.m = 32};

/* The first line whose device type and ranges hold is taken, and whose precision the op allows; of those of one name,
 * where that was asked for, on any device and for any op. Every line in f32 adds up an element of C in the same way
 * (shaders/matmul.glsl), so that its bits do not depend on the choice. */
static const struct variant {
    const char                 *kernel;
    enum device_type            device;                   /* BY_NAME: never chosen unasked */
    int64_t                     least_m, most_m, least_k; /* most_m 0: no limit */
    int64_t                     least_groups;             /* as many as keep a GPU busy */
    enum scry__vk_matmul_form   form;
    const struct scry__vk_tile *tile;
} variants[] = {
    /* Measured on lavapipe, 2 cores with AVX-512: to pack b costs as much as a few rows of C. */
    {"block", CPU_TYPE, .most_m = 1, .form = SCRY__VK_FEW, .tile = &rows1},
    {"block", CPU_TYPE, .most_m = 4, .form = SCRY__VK_FEW, .tile = &rows4},
    {"block", CPU_TYPE, .most_m = 8, .form = SCRY__VK_FEW, .tile = &rows8},
    {"block", CPU_TYPE, .most_m = 16, .form = SCRY__VK_BLOCK, .tile = &rows16},
    {"block", CPU_TYPE, .form = SCRY__VK_BLOCK, .tile = &rows32},
    /* Reasoned, not measured: these await a GPU. With few rows, to read b takes all the time. */
    {"cooperative", GPU_TYPE, .least_m = 65, .least_groups = 192, .form = SCRY__VK_MATRICES,
     .tile = &scry__vk_matrices128},
    {"cooperative", GPU_TYPE, .least_m = 17, .form = SCRY__VK_MATRICES, .tile = &scry__vk_matrices64},
    {"half", GPU_TYPE, .least_m = 33, .least_groups = 192, .form = SCRY__VK_HALVES, .tile = &tile64},
    /* The largest tile that leaves no part of it idle; where even small ones
     * do, k is split. */
    {"row", GPU_TYPE, .most_m = 8, .least_groups = 256, .form = SCRY__VK_TILE, .tile = &row},
    {"tile128", GPU_TYPE, .least_m = 96, .least_groups = 192, .form = SCRY__VK_TILE, .tile = &tile128},
    {"tile64", GPU_TYPE, .least_m = 33, .least_groups = 192, .form = SCRY__VK_TILE, .tile = &tile64},
    {"tile32", GPU_TYPE, .least_m = 9, .least_groups = 192, .form = SCRY__VK_TILE, .tile = &tile32},
    {"split", GPU_TYPE, .most_m = 8, .least_k = STRETCH + 1, .form = SCRY__VK_SPLIT, .tile = &row},
    {"split", GPU_TYPE, .least_k = STRETCH + 1, .form = SCRY__VK_SPLIT, .tile = &tile32},
    {"row", GPU_TYPE, .most_m = 8, .form = SCRY__VK_TILE, .tile = &row},
    {"tile32", GPU_TYPE, .form = SCRY__VK_TILE, .tile = &tile32},
    {"row", BY_NAME, .form = SCRY__VK_TILE, .tile = &row},
    {"tile64", BY_NAME, .form = SCRY__VK_TILE, .tile = &tile64},
    {"tile128", BY_NAME, .form = SCRY__VK_TILE, .tile = &tile128},
    {"split", BY_NAME, .form = SCRY__VK_SPLIT, .tile = &tile32},
    {"half", BY_NAME, .form = SCRY__VK_HALVES, .tile = &tile64},
    {"cooperative", BY_NAME, .least_m = 96, .form = SCRY__VK_MATRICES, .tile = &scry__vk_matrices128},
    {"cooperative", BY_NAME, .form = SCRY__VK_MATRICES, .tile = &scry__vk_matrices64},
};

static int64_t groups_of(const struct scry__vk_product *product, const struct scry__vk_tile *tile)
{
    const int64_t *size = product->size;
    return size[SCRY__VK_B0] * size[SCRY__VK_B1] * units_of(size[SCRY__VK_M], tile->m) *
           units_of(size[SCRY__VK_N], tile->n ? tile->n : PANEL);
}

static scry_precision precision_of(enum scry__vk_matmul_form form)
{
    return form == SCRY__VK_HALVES || form == SCRY__VK_MATRICES ? SCRY_ALLOW_F16 : SCRY_STRICT_F32;
}

/* Whether the device runs the kernel: it has the items, and the path that the form takes is open. */
static bool is_open(const struct scry__vk *vk, const struct variant *variant)
{
    if (variant->tile->items > vk->limits.most_items) return false;
    if (variant->form == SCRY__VK_HALVES) return vk->path[SCRY__VK_FLOAT16].usable;
    if (variant->form == SCRY__VK_MATRICES)
        return vk->path[SCRY__VK_COOPERATIVE].usable && scry__vk_grid(&vk->limits, variant->tile).down;
    return true;
}

static bool holds(const struct variant *variant, const struct scry__vk *vk, const struct scry__vk_product *product,
                  const char *kernel)
{
    int64_t m = product->size[SCRY__VK_M], k = product->size[SCRY__VK_K];
    if (!is_open(vk, variant)) return false;
    if (m < variant->least_m || (variant->most_m && m > variant->most_m) || k < variant->least_k) return false;
    if (kernel) return !strcmp(kernel, variant->kernel);
    scry_precision precision = precision_of(variant->form);
    if (precision != SCRY_STRICT_F32 && precision != product->allowed) return false;
    return variant->device == (vk->limits.is_cpu ? CPU_TYPE : GPU_TYPE) &&
           groups_of(product, variant->tile) >= variant->least_groups;
}

static const struct variant *choose(const struct scry__vk *vk, const struct scry__vk_product *product,
                                    const char *kernel)
{
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        if (holds(&variants[i], vk, product, kernel)) return &variants[i];
    return kernel ? choose(vk, product, "tile32") : &variants[0]; /* too few items for the one asked for */
}

/* --- Plans --- */

enum {
    LONGEST       = 32 << 10, /* steps of k in one launch: devices on a processor may limit how often a loop turns */
    SCRATCH_BYTES = 64 << 20,
    FEWEST        = 2, /* rows of SCRY__VK_FEW where validation instruments every access: its code grows with them */
};

static int64_t scratch_room(const struct scry__vk *vk)
{
    size_t bytes =
        vk->limits.most_bound < vk->limits.most_allocated ? vk->limits.most_bound : vk->limits.most_allocated;
    return least(SCRATCH_BYTES, (int64_t)bytes) / (2 * SCRY__VK_UNIT) * (2 * SCRY__VK_UNIT);
}

/* As many batches at once as `most_batches`, at least one. */
static void plan_batches(struct scry__vk_product *product, int64_t most_batches)
{
    int64_t *piece     = product->piece;
    piece[SCRY__VK_B1] = least(piece[SCRY__VK_B1], most(1, most_batches));
    piece[SCRY__VK_B0] = least(piece[SCRY__VK_B0], most(1, most_batches / most(1, product->size[SCRY__VK_B1])));
}

/* As much of A and of B at once as half the scratch holds of each in panels. */
static void plan_panels(const struct scry__vk *vk, struct scry__vk_product *product)
{
    int64_t room = scratch_room(vk) / 2, *piece = product->piece;
    while (piece[SCRY__VK_K] > STRETCH && piece[SCRY__VK_K] * PANEL * 4 > room)
        piece[SCRY__VK_K] = round_up(piece[SCRY__VK_K] / 2, STRETCH);
    int64_t panel = most(1, piece[SCRY__VK_K]) * PANEL * 4, panels = room / panel;
    piece[SCRY__VK_M] = least(piece[SCRY__VK_M], panels * PANEL);
    piece[SCRY__VK_N] = least(piece[SCRY__VK_N], panels * PANEL);
    int64_t a_panels = units_of(piece[SCRY__VK_M], PANEL), b_panels = units_of(piece[SCRY__VK_N], PANEL);
    plan_batches(product, panels / most(1, most(a_panels, b_panels)));
    int64_t batches        = piece[SCRY__VK_B0] * piece[SCRY__VK_B1];
    product->a_bytes       = (size_t)round_up(batches * a_panels * panel, SCRY__VK_UNIT);
    product->b_bytes       = (size_t)round_up(batches * b_panels * panel, SCRY__VK_UNIT);
    product->scratch_bytes = product->a_bytes + product->b_bytes;
}

/* As much of C at once as scratch holds with the sums of each stretch. */
static void plan_split(const struct scry__vk *vk, struct scry__vk_product *product)
{
    int64_t *piece = product->piece, element = most(1, units_of(piece[SCRY__VK_K], STRETCH)) * 4;
    int64_t  room     = scratch_room(vk) / element;
    piece[SCRY__VK_N] = least(piece[SCRY__VK_N], room);
    piece[SCRY__VK_M] = least(piece[SCRY__VK_M], room / most(1, piece[SCRY__VK_N]));
    int64_t matrix    = most(1, piece[SCRY__VK_M] * piece[SCRY__VK_N]);
    plan_batches(product, room / matrix);
    product->scratch_bytes = (size_t)(piece[SCRY__VK_B0] * piece[SCRY__VK_B1] * matrix * element);
}

struct scry__vk_product scry__vk_product(const struct scry__vk *vk, const scry_matmul *op, scry_precision allowed,
                                         const char *kernel)
{
    struct scry__vk_product product = {.bias = op->bias, .alpha = op->alpha, .beta = op->beta, .allowed = allowed};
    product.a                       = scry__widened(op->a, 0);
    product.b                       = scry__widened(op->b, 0);
    product.c                       = scry__widened(op->c, 0);
    product.size[SCRY__VK_B0]       = product.c.shape[0];
    product.size[SCRY__VK_B1]       = product.c.shape[1];
    product.size[SCRY__VK_M]        = product.c.shape[2];
    product.size[SCRY__VK_N]        = product.c.shape[3];
    product.size[SCRY__VK_K]        = product.a.shape[3];
    const struct variant *variant   = choose(vk, &product, kernel);
    product.kernel                  = variant->kernel;
    product.form                    = variant->form;
    product.precision               = precision_of(variant->form);
    product.tile                    = *variant->tile;
    if (product.form == SCRY__VK_FEW && scry__vk_is_instrumented(vk))
        product.tile.m = (uint32_t)least(product.tile.m, FEWEST);
    memcpy(product.piece, product.size, sizeof product.piece);
    product.piece[SCRY__VK_K] = least(product.piece[SCRY__VK_K], LONGEST);
    if (product.form == SCRY__VK_BLOCK) plan_panels(vk, &product);
    if (product.form == SCRY__VK_SPLIT) plan_split(vk, &product);
    return product;
}

/* --- The op --- */

/* In f32, and behind them what is open on this device. */
const char *const *scry__vk_matmul_kernels(const struct scry__vk *vk)
{
    static const char *const names[][9] = {
#define IN_F32 "block", "row", "tile32", "tile64", "tile128", "split"
        {IN_F32}, {IN_F32, "half"}, {IN_F32, "half", "cooperative"}};
#undef IN_F32
    return names[vk->path[SCRY__VK_FLOAT16].usable + vk->path[SCRY__VK_COOPERATIVE].usable]; /* the latter needs both */
}

void scry__vk_matmul_query(const struct scry__vk *vk, const scry_matmul *op, scry_precision allowed, scry_op_info *info)
{
    struct scry__vk_product product = scry__vk_product(vk, op, allowed, vk->front->kernel[SCRY_OP_MATMUL]);
    info->scratch_bytes             = product.scratch_bytes;
    info->precision                 = product.precision;
    snprintf(info->kernel, sizeof info->kernel, "%s", product.kernel);
}

scry_status scry__vk_matmul(struct scry__vk *vk, const scry_matmul *op, scry_precision allowed)
{
    struct scry__vk_product product = scry__vk_product(vk, op, allowed, vk->front->kernel[SCRY_OP_MATMUL]);
    return scry__vk_multiply(vk, &product, 0);
}
