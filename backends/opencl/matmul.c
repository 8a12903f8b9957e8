/* matmul: the variant table, the plan of a product, and the launch of our own kernels. CLBlast is in matmul_library.c.
 */
#include "matmul.h"

#include "runs.h"

#include <stdio.h>
#include <string.h>

/* --- Variants --- */

enum device_type { CPU_TYPE, GPU_TYPE, BY_NAME };

/* The first line whose device type and ranges hold is taken; of those of one name, where that was asked for, on any
 * device. For each element of C every line of one name adds up the same products in the same order, so that a row of C
 * never depends on how many rows there are. */
static const struct variant {
    const char               *kernel;
    enum device_type          device;                            /* BY_NAME: never chosen unasked */
    int64_t                   least_m, most_m, least_n, least_k; /* most_m 0: no limit */
    enum scry__cl_matmul_form form;
    int                       tile;
} variants[] = {
    /* Measured on PoCL, 2 cores with AVX-512: few rows wait for memory, and packing would not pay. */
    {"block", CPU_TYPE, .most_m = 4, .form = SCRY__CL_FEW},
    {"block", CPU_TYPE, .form = SCRY__CL_BLOCK},
    /* Reasoned, not measured: these await a GPU. */
    {"tile", GPU_TYPE, .most_m = 8, .form = SCRY__CL_ROW, .tile = 64},
    {"tile", GPU_TYPE, .least_m = 512, .least_n = 512, .form = SCRY__CL_TILE, .tile = 128},
    {"tile", GPU_TYPE, .form = SCRY__CL_TILE, .tile = 64},
    {"library", BY_NAME, .least_k = 1, .form = SCRY__CL_LIBRARY},
    {"library", BY_NAME, .form = SCRY__CL_FEW}, /* no terms: nothing for it to multiply */
};

static const struct variant *choose(const struct scry__cl *cl, const struct scry__cl_sizes *sizes, const char *kernel)
{
    enum device_type type = cl->is_cpu ? CPU_TYPE : GPU_TYPE;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        const struct variant *variant = &variants[i];
        bool                  right   = kernel ? !strcmp(kernel, variant->kernel) : type == variant->device;
        bool in_range = sizes->m >= variant->least_m && sizes->n >= variant->least_n && sizes->k >= variant->least_k;
        if (right && in_range && (!variant->most_m || sizes->m <= variant->most_m)) return variant;
    }
    return &variants[0]; /* not reached: each name and each type has a line without limits */
}

/* --- Plans --- */

/* As in matmul_block.cl and matmul_tile.cl. */
enum { FEW_VECTORS = 8, TILE_ITEMS = 256, ROW_ITEMS = 128, ROW_HEIGHT = 8, ROW_WIDTH = 16 };

enum {
    GROUPS_PER_UNIT = 4,         /* so that a late one does not hold up the rest */
    PANEL_BYTES     = 512 << 10, /* panels that stay in the second cache while rows pass by */
    SCRATCH_BYTES   = 64 << 20,
};

static int lanes_of(const struct scry__cl *cl)
{
    return cl->vector_floats >= 16 ? 16 : cl->vector_floats >= 8 ? 8 : 4;
}

/* What leaves registers for two vectors of a panel and an element of a. */
static int tile_rows(const struct scry__cl *cl)
{
    return lanes_of(cl) == 16 ? 8 : 6;
}

static int64_t parts_of(int64_t count, int64_t size)
{
    return (count + size - 1) / size;
}

static int few_rows(const struct scry__cl_product *product)
{
    return product->sizes.m == 1 ? 1 : 4;
}

static void plan_few(const struct scry__cl *cl, struct scry__cl_product *product)
{
    const struct scry__cl_sizes *sizes = &product->sizes;
    product->form                      = SCRY__CL_FEW;
    product->groups =
        sizes->batches * parts_of(sizes->m, few_rows(product)) * parts_of(sizes->n, FEW_VECTORS * lanes_of(cl));
}

/* Units of work are panels by bands of rows. Every band packs its panels anew: there are no more than keep the compute
 * units busy, and none of few rows. */
static void plan_block(const struct scry__cl *cl, struct scry__cl_product *product)
{
    const struct scry__cl_sizes *sizes = &product->sizes;
    int64_t                      width = 2 * lanes_of(cl), height = tile_rows(cl);
    int64_t                      panels = parts_of(sizes->n, width), bytes = most(1, sizes->k) * width * 4;
    int64_t                      wanted = GROUPS_PER_UNIT * (int64_t)cl->compute_units;
    int64_t                      room   = least(SCRATCH_BYTES, (int64_t)cl->most_allocated) / bytes;
    if (!room || !sizes->batches || !panels) { /* not one panel: without packing, then */
        plan_few(cl, product);
        return;
    }
    product->bands         = most(1, least(parts_of(wanted, sizes->batches * panels), sizes->m / (4 * height)));
    product->band_rows     = round_up(parts_of(sizes->m, product->bands), height);
    int64_t units          = sizes->batches * product->bands * panels;
    product->groups        = least(least(wanted, units), room);
    product->panels        = least(least(panels, parts_of(units, product->groups)), most(1, PANEL_BYTES / bytes));
    product->panels        = least(product->panels, room / product->groups);
    product->scratch_bytes = (size_t)(product->groups * product->panels * bytes);
}

/* Devices with small groups do with fewer items to one. */
static void plan_tile(const struct scry__cl *cl, struct scry__cl_product *product)
{
    const struct scry__cl_sizes *sizes = &product->sizes;
    if (product->form == SCRY__CL_TILE && cl->most_items < TILE_ITEMS) product->form = SCRY__CL_ROW;
    if (cl->most_items < ROW_ITEMS) {
        plan_few(cl, product);
        return;
    }
    bool    is_row = product->form == SCRY__CL_ROW;
    int64_t height = is_row ? ROW_HEIGHT : product->tile, width = is_row ? ROW_WIDTH : product->tile;
    product->groups = sizes->batches * parts_of(sizes->m, height) * parts_of(sizes->n, width);
}

struct scry__cl_product scry__cl_product(const struct scry__cl *cl, const scry_matmul *op, const char *kernel)
{
    struct scry__cl_product product = {.op = op};
    product.a                       = scry__widened(op->a, 0);
    product.b                       = scry__widened(op->b, 0);
    product.c                       = scry__widened(op->c, 0);
    const int64_t *shape            = product.c.shape;
    product.sizes                   = (struct scry__cl_sizes){.m       = shape[2],
                                                              .n       = shape[3],
                                                              .k       = product.a.shape[3],
                                                              .batches = shape[0] * shape[1],
                                                              .inner   = most(1, shape[1]),
                                                              .alpha   = op->alpha,
                                                              .beta    = op->beta};
    const struct variant *variant   = choose(cl, &product.sizes, kernel);
    product.kernel                  = variant->kernel;
    product.form                    = variant->form;
    product.tile                    = variant->tile;
    if (product.form == SCRY__CL_BLOCK) plan_block(cl, &product);
    if (product.form == SCRY__CL_FEW) plan_few(cl, &product);
    if (product.form == SCRY__CL_LIBRARY) product.reason = scry__cl_library_refuses(&product);
    if (product.form == SCRY__CL_TILE || product.form == SCRY__CL_ROW) plan_tile(cl, &product);
    return product;
}

/* --- Launches --- */

/* PRODUCT_PARAMETERS of common.cl. */
static void pass(struct scry__cl_call *call, const struct scry__cl_product *product)
{
    unsigned access = SCRY__CL_WRITE | (product->sizes.beta != 0 ? SCRY__CL_READ : 0);
    scry__cl_tensor(call, &product->a, SCRY__CL_READ);
    scry__cl_tensor(call, &product->b, SCRY__CL_READ);
    scry__cl_tensor(call, &product->op->bias, SCRY__CL_READ);
    scry__cl_tensor(call, &product->c, access);
    scry__cl_bytes(call, &product->sizes, sizeof product->sizes);
}

static scry_status multiply_tile(struct scry__cl *cl, const struct scry__cl_product *product)
{
    char options[40];
    bool is_row = product->form == SCRY__CL_ROW;
    snprintf(options, sizeof options, "-DTILE=%d -DWEIGHT=%d", product->tile, (int)product->b.dtype);
    struct scry__cl_call call  = scry__cl_call(cl, "matmul_tile", is_row ? "row" : "tile", options);
    size_t               items = is_row ? ROW_ITEMS : TILE_ITEMS;
    pass(&call, product);
    return scry__cl_launch(&call, 1, &(size_t){(size_t)product->groups * items}, &items);
}

static scry_status multiply_block(struct scry__cl *cl, const struct scry__cl_product *product, size_t scratch)
{
    char options[64];
    bool is_few = product->form == SCRY__CL_FEW;
    snprintf(options, sizeof options, "-DLANES=%d -DWEIGHT=%d -D%s=%d", lanes_of(cl), (int)product->b.dtype,
             is_few ? "HEIGHT" : "ROWS", is_few ? few_rows(product) : tile_rows(cl));
    struct scry__cl_call call = scry__cl_call(cl, "matmul_block", is_few ? "few" : "block", options);
    pass(&call, product);
    if (!is_few) {
        scry__cl_scratch(&call, scratch);
        scry__cl_long(&call, product->panels);
        scry__cl_long(&call, product->bands);
        scry__cl_long(&call, product->band_rows);
    }
    return scry__cl_launch(&call, 1, &(size_t){(size_t)product->groups}, &(size_t){1});
}

scry_status scry__cl_multiply(struct scry__cl *cl, const struct scry__cl_product *product, size_t scratch)
{
    switch (product->form) {
    case SCRY__CL_BLOCK:
    case SCRY__CL_FEW:
        return multiply_block(cl, product, scratch);
    case SCRY__CL_TILE:
    case SCRY__CL_ROW:
        return multiply_tile(cl, product);
    case SCRY__CL_LIBRARY:
        return scry__cl_library_multiply(cl, product);
    }
    return SCRY_OK;
}

/* --- The op --- */

const char *const *scry__cl_matmul_kernels(void)
{
    static const char *const own[] = {"block", "tile", NULL}, *const all[] = {"block", "tile", "library", NULL};
    return scry__cl_library_usable() ? all : own;
}

void scry__cl_matmul_query(const struct scry__cl *cl, const scry_matmul *op, scry_precision allowed, scry_op_info *info)
{
    (void)allowed;
    struct scry__cl_product product = scry__cl_product(cl, op, cl->front->kernel[SCRY_OP_MATMUL]);
    info->scratch_bytes             = product.scratch_bytes;
    snprintf(info->kernel, sizeof info->kernel, "%s", product.kernel);
    if (product.reason) scry__op_refuse(info, "%s", product.reason);
}

scry_status scry__cl_matmul(struct scry__cl *cl, const scry_matmul *op, scry_precision allowed)
{
    (void)allowed;
    struct scry__cl_product product = scry__cl_product(cl, op, cl->front->kernel[SCRY_OP_MATMUL]);
    return scry__cl_multiply(cl, &product, 0);
}
