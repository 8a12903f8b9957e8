/* The launches of a product: piece by piece, each with its matrices packed where the form wants panels. */
#include "matmul.h"

#include <string.h>

enum {
    LANES      = 8, /* items of a group of matmul_block and matmul_few */
    STRETCH    = 1 << 10,
    PACK_ITEMS = 64,
    BLOCK      = 4, /* lines and steps that an item of matmul_pack moves */
    PANEL      = 32,
};

/* `product` of shaders/matmul.glsl. */
struct sizes {
    uint32_t m, n, k, batches, inner, continues;
    float    alpha, beta;
};

/* A piece of a product: views of its operands. */
struct piece {
    const struct scry__vk_product *of;
    scry_tensor                    a, b, bias, c;
    struct sizes                   sizes;
    bool                           reads; /* C */
};

/* --- Pieces --- */

static void narrow(scry_tensor *x, int axis, int64_t begin, int64_t count)
{
    if (!present(x)) return;
    x->offset += (size_t)(begin * x->stride[axis]) * scry__element_bytes(x->dtype);
    x->shape[axis] = count;
}

static struct piece piece_at(const struct scry__vk_product *product, const int64_t *at)
{
    struct piece piece = {.of = product, .a = product->a, .b = product->b, .bias = product->bias, .c = product->c};
    int64_t      count[SCRY__VK_PRODUCT_AXES];
    for (int i = 0; i < SCRY__VK_PRODUCT_AXES; i++) count[i] = least(product->piece[i], product->size[i] - at[i]);
    for (int axis = 0; axis < 2; axis++) { /* batches */
        narrow(&piece.a, axis, at[axis], count[axis]);
        narrow(&piece.b, axis, at[axis], count[axis]);
        narrow(&piece.c, axis, at[axis], count[axis]);
    }
    narrow(&piece.a, 2, at[SCRY__VK_M], count[SCRY__VK_M]);
    narrow(&piece.c, 2, at[SCRY__VK_M], count[SCRY__VK_M]);
    narrow(&piece.b, 3, at[SCRY__VK_N], count[SCRY__VK_N]);
    narrow(&piece.c, 3, at[SCRY__VK_N], count[SCRY__VK_N]);
    narrow(&piece.bias, 0, at[SCRY__VK_N], count[SCRY__VK_N]);
    narrow(&piece.a, 3, at[SCRY__VK_K], count[SCRY__VK_K]);
    narrow(&piece.b, 2, at[SCRY__VK_K], count[SCRY__VK_K]);
    piece.sizes = (struct sizes){.m         = (uint32_t)count[SCRY__VK_M],
                                 .n         = (uint32_t)count[SCRY__VK_N],
                                 .k         = (uint32_t)count[SCRY__VK_K],
                                 .batches   = (uint32_t)(count[SCRY__VK_B0] * count[SCRY__VK_B1]),
                                 .inner     = (uint32_t)count[SCRY__VK_B1],
                                 .continues = at[SCRY__VK_K] > 0,
                                 .alpha     = product->alpha,
                                 .beta      = product->beta};
    piece.reads = product->beta != 0 || count[SCRY__VK_K] > STRETCH || at[SCRY__VK_K] > 0;
    return piece;
}

/* --- Layouts --- */

/* Whether runs of 4 elements along `axis`, from multiples of 4 on, lie at multiples of 4 of their binding. */
static bool has_runs(const scry_tensor *x, int axis)
{
    if (x->shape[axis] == 1 || x->stride[axis] != 1) return false;
    for (int i = 0; i < SCRY_MAX_RANK; i++)
        if (i != axis && x->shape[i] > 1 && x->stride[i] % 4) return false;
    return scry__vk_place(x->buffer, x->offset).offset % (4 * scry__element_bytes(x->dtype)) == 0;
}

/* Constants of shaders/matmul_source.glsl. */
static void pass_source(struct scry__vk_call *call, const scry_tensor *x, int line_axis)
{
    int  step_axis = 5 - line_axis;
    bool along_k   = x->shape[step_axis] > 1 && x->stride[step_axis] == 1;
    bool aligned   = along_k ? has_runs(x, step_axis) : x->shape[line_axis] % 4 == 0 && has_runs(x, line_axis);
    scry__vk_constant(call, (uint32_t)x->dtype);
    scry__vk_constant(call, along_k);
    scry__vk_constant(call, aligned);
}

/* Constants of shaders/matmul.glsl. */
static void pass_result_kind(struct scry__vk_call *call, const struct piece *piece)
{
    scry__vk_constant(call, piece->reads);
    scry__vk_constant(call, piece->sizes.n % 4 == 0 && has_runs(&piece->c, 3));
}

static void pass_result(struct scry__vk_call *call, const struct piece *piece)
{
    scry__vk_tensor(call, &piece->bias, SCRY__VK_READ);
    scry__vk_tensor(call, &piece->c, SCRY__VK_WRITE | (piece->reads ? SCRY__VK_READ : 0));
    scry__vk_bytes(call, &piece->sizes, sizeof piece->sizes);
}

static double operations_of(const struct piece *piece)
{
    const struct sizes *sizes = &piece->sizes;
    return 2.0 * sizes->batches * sizes->m * sizes->n * (sizes->k + 1.0);
}

/* --- Launches --- */

static scry_status multiply_few(struct scry__vk *vk, const struct piece *piece)
{
    const struct sizes  *sizes = &piece->sizes;
    struct scry__vk_call call  = scry__vk_call(vk, "matmul_few", LANES);
    pass_result_kind(&call, piece);
    pass_source(&call, &piece->b, 3);
    scry__vk_constant(&call, (uint32_t)piece->of->rows);
    scry__vk_constant(&call, has_runs(&piece->a, 3));
    scry__vk_tensor(&call, &piece->a, SCRY__VK_READ);
    scry__vk_tensor(&call, &piece->b, SCRY__VK_READ);
    pass_result(&call, piece);
    int64_t groups = sizes->batches * units_of(sizes->m, piece->of->rows) * units_of(sizes->n, LANES * 4);
    return scry__vk_launch(&call, groups, operations_of(piece));
}

static scry_status pack(struct scry__vk *vk, const struct piece *piece, const scry_tensor *x, int line_axis,
                        size_t scratch, size_t bytes)
{
    int64_t              lines = x->shape[line_axis], panels = units_of(lines, PANEL);
    struct scry__vk_call call = scry__vk_call(vk, "matmul_pack", PACK_ITEMS);
    scry__vk_constant(&call, 0); /* of matmul.glsl */
    scry__vk_constant(&call, 0);
    pass_source(&call, x, line_axis);
    scry__vk_tensor(&call, x, SCRY__VK_READ);
    scry__vk_scratch(&call, scratch, bytes, SCRY__VK_WRITE);
    scry__vk_int(&call, line_axis);
    scry__vk_int(&call, lines);
    scry__vk_int(&call, piece->sizes.k);
    scry__vk_int(&call, piece->sizes.batches);
    scry__vk_int(&call, piece->sizes.inner);
    int64_t units = piece->sizes.batches * panels * (PANEL / BLOCK) * units_of(piece->sizes.k, BLOCK);
    return scry__vk_launch(&call, units_of(units, PACK_ITEMS), (double)units * BLOCK * BLOCK);
}

static scry_status multiply_block(struct scry__vk *vk, const struct piece *piece, size_t scratch)
{
    const struct scry__vk_product *product  = piece->of;
    const struct sizes            *sizes    = &piece->sizes;
    bool                           shuffled = vk->path[SCRY__VK_SUBGROUPS].usable && vk->limits.subgroup_size == LANES;
    struct scry__vk_call           call = scry__vk_call(vk, shuffled ? "matmul_block_shuffle" : "matmul_block", LANES);
    pass_result_kind(&call, piece);
    scry__vk_constant(&call, (uint32_t)product->rows);
    scry__vk_scratch(&call, scratch, sizes->k ? product->a_bytes : 0, SCRY__VK_READ);
    scry__vk_scratch(&call, scratch + product->a_bytes, sizes->k ? product->b_bytes : 0, SCRY__VK_READ);
    pass_result(&call, piece);
    int64_t groups = sizes->batches * units_of(sizes->m, product->rows) * units_of(sizes->n, PANEL);
    return scry__vk_launch(&call, groups, operations_of(piece));
}

/* What the panels in scratch hold. */
struct packed {
    bool    any;
    int64_t at[SCRY__VK_PRODUCT_AXES];
};

/* Whether the piece at `at` needs another panel of the matrix that does not have axis `without`. Notes that it gets it.
 */
static bool is_other(struct packed *packed, const int64_t *at, int without)
{
    bool same = packed->any;
    for (int i = 0; i < SCRY__VK_PRODUCT_AXES; i++) same &= i == without || packed->at[i] == at[i];
    packed->any = true;
    memcpy(packed->at, at, sizeof packed->at);
    return !same;
}

static bool next_piece(const struct scry__vk_product *product, int64_t *at)
{
    for (int i = SCRY__VK_PRODUCT_AXES; i--;) {
        at[i] += product->piece[i];
        if (at[i] < product->size[i]) return true;
        at[i] = 0;
    }
    return false;
}

scry_status scry__vk_multiply(struct scry__vk *vk, const struct scry__vk_product *product, size_t scratch)
{
    int64_t       at[SCRY__VK_PRODUCT_AXES] = {0};
    struct packed a = {0}, b = {0};
    scry_status   status = SCRY_OK;
    do {
        struct piece piece = piece_at(product, at);
        if (product->form == SCRY__VK_FEW) {
            status = multiply_few(vk, &piece);
            continue;
        }
        if (is_other(&a, at, SCRY__VK_N)) status = pack(vk, &piece, &piece.a, 2, scratch, product->a_bytes);
        if (!status && is_other(&b, at, SCRY__VK_M))
            status = pack(vk, &piece, &piece.b, 3, scratch + product->a_bytes, product->b_bytes);
        if (!status) status = multiply_block(vk, &piece, scratch);
    } while (!status && next_piece(product, at));
    return status;
}
