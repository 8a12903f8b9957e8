/* The launches of a product: piece by piece, each with its matrices packed where the form wants panels. */
#include "matmul.h"

#include <string.h>

enum {
    LANES       = 8,  /* items of a group of matmul_block and matmul_few, each for 4 columns */
    PACK_ITEMS  = 64, /* each for a block of 4 lines by 4 steps */
    MERGE_ITEMS = 64, /* each for 4 columns */
};

enum { STRETCH = SCRY__VK_STRETCH, PANEL = SCRY__VK_PANEL };

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

static bool is_along_k(const scry_tensor *x, int line_axis)
{
    return x->shape[5 - line_axis] > 1 && x->stride[5 - line_axis] == 1;
}

/* Two constants of shaders/matmul_source.glsl. */
static void pass_layout(struct scry__vk_call *call, const scry_tensor *x, int line_axis)
{
    bool along_k = is_along_k(x, line_axis);
    bool runs    = along_k ? has_runs(x, 5 - line_axis) : x->shape[line_axis] % 4 == 0 && has_runs(x, line_axis);
    scry__vk_constant(call, along_k);
    scry__vk_constant(call, runs);
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

/* --- Launches --- */

/* A launch of which each group makes m x n elements of C, or what there is of them in the time of all. */
static scry_status launch(struct scry__vk_call *call, const struct piece *piece, int64_t m, int64_t n,
                          int64_t stretches)
{
    const struct sizes *sizes  = &piece->sizes;
    int64_t             groups = sizes->batches * units_of(sizes->m, m) * units_of(sizes->n, n);
    double              operations =
        2.0 * (double)(groups * m * n) * (double)round_up(sizes->k + 1, most(16, piece->of->tile.steps));
    return scry__vk_launch(call, groups * stretches, operations);
}

/* What matmul_operands.glsl wants of a call. */
static struct scry__vk_call operands_call(struct scry__vk *vk, const char *name, uint32_t items,
                                          const struct piece *piece)
{
    struct scry__vk_call call = scry__vk_call(vk, name, items);
    pass_result_kind(&call, piece);
    scry__vk_constant(&call, (uint32_t)piece->b.dtype);
    pass_layout(&call, &piece->b, 3);
    pass_layout(&call, &piece->a, 2);
    scry__vk_tensor(&call, &piece->a, SCRY__VK_READ);
    scry__vk_tensor(&call, &piece->b, SCRY__VK_READ);
    return call;
}

static scry_status multiply_few(struct scry__vk *vk, const struct piece *piece)
{
    struct scry__vk_call call = operands_call(vk, "matmul_few", LANES, piece);
    scry__vk_constant(&call, piece->of->tile.m);
    pass_result(&call, piece);
    return launch(&call, piece, piece->of->tile.m, LANES * 4, 1);
}

static scry_status multiply_tile(struct scry__vk *vk, const struct piece *piece, bool parts)
{
    const struct scry__vk_tile *tile = &piece->of->tile;
    const char                 *name = piece->of->form == SCRY__VK_HALVES ? "matmul_half" : "matmul_tile";
    struct scry__vk_call        call = operands_call(vk, name, tile->items, piece);
    scry__vk_constant(&call, tile->m);
    scry__vk_constant(&call, tile->n);
    scry__vk_constant(&call, tile->steps);
    scry__vk_constant(&call, tile->buffers);
    scry__vk_constant(&call, tile->item_m);
    scry__vk_constant(&call, tile->item_n);
    scry__vk_constant(&call, parts);
    pass_result(&call, piece);
    int64_t stretches = parts ? units_of(piece->sizes.k, STRETCH) : 1;
    return launch(&call, piece, tile->m, tile->n, stretches);
}

static scry_status multiply_matrices(struct scry__vk *vk, const struct piece *piece)
{
    const struct scry__vk_limits *limits = &vk->limits;
    const struct scry__vk_tile   *tile   = &piece->of->tile;
    const struct scry__vk_grid    grid   = scry__vk_grid(limits, tile);
    struct scry__vk_call          call   = operands_call(vk, "matmul_cooperative", tile->items, piece);
    call.subgroup_size                   = limits->subgroup_least ? limits->subgroup_size : 0;
    scry__vk_constant(&call, tile->m);
    scry__vk_constant(&call, tile->n);
    scry__vk_constant(&call, tile->steps);
    for (int i = 0; i < 3; i++) scry__vk_constant(&call, limits->matrix_shape[i]);
    scry__vk_constant(&call, grid.down);
    scry__vk_constant(&call, grid.across);
    pass_result(&call, piece);
    return launch(&call, piece, tile->m, tile->n, 1);
}

/* The sums of each stretch into scratch, and from there to C. */
static scry_status multiply_split(struct scry__vk *vk, const struct piece *piece, size_t scratch)
{
    const struct sizes *sizes     = &piece->sizes;
    int64_t             stretches = units_of(sizes->k, STRETCH), lines = (int64_t)sizes->batches * sizes->m;
    struct piece        sums = *piece;
    if (stretches < 2) return multiply_tile(vk, piece, false);
    sums.bias          = (scry_tensor){0};
    sums.reads         = false;
    sums.c             = (scry_tensor){.buffer = vk->front->scratch,
                                       .offset = scratch,
                                       .dtype  = SCRY_F32,
                                       .rank   = 4,
                                       .shape  = {1, stretches, lines, sizes->n},
                                       .stride = {0, lines * sizes->n, sizes->n, 1}};
    scry_status status = multiply_tile(vk, &sums, true);
    if (status) return status;
    struct scry__vk_call call = scry__vk_call(vk, "matmul_merge", MERGE_ITEMS);
    pass_result_kind(&call, piece);
    scry__vk_scratch(&call, scratch, (size_t)(stretches * lines * sizes->n) * sizeof(float), SCRY__VK_READ);
    scry__vk_scratch(&call, 0, 0, SCRY__VK_READ);
    pass_result(&call, piece);
    int64_t units = lines * units_of(sizes->n, 4);
    return scry__vk_launch(&call, units_of(units, MERGE_ITEMS), 4.0 * (double)(units * stretches));
}

static scry_status pack(struct scry__vk *vk, const struct piece *piece, const scry_tensor *x, int line_axis,
                        size_t scratch, size_t bytes)
{
    int64_t              lines = x->shape[line_axis], panels = units_of(lines, PANEL);
    struct scry__vk_call call = scry__vk_call(vk, "matmul_pack", PACK_ITEMS);
    scry__vk_constant(&call, (uint32_t)x->dtype);
    pass_layout(&call, x, line_axis);
    scry__vk_tensor(&call, x, SCRY__VK_READ);
    scry__vk_scratch(&call, scratch, bytes, SCRY__VK_WRITE);
    scry__vk_int(&call, line_axis);
    scry__vk_int(&call, lines);
    scry__vk_int(&call, piece->sizes.k);
    scry__vk_int(&call, piece->sizes.batches);
    scry__vk_int(&call, piece->sizes.inner);
    int64_t units = piece->sizes.batches * panels * (PANEL / 4) * units_of(piece->sizes.k, 4);
    return scry__vk_launch(&call, units_of(units, PACK_ITEMS), 16.0 * (double)units);
}

/* The items of a group of matmul_block are one subgroup where the device can promise it. */
static bool has_lanes(const struct scry__vk *vk)
{
    const struct scry__vk_limits *limits = &vk->limits;
    return vk->path[SCRY__VK_SUBGROUPS].usable && limits->subgroup_least && limits->subgroup_least <= LANES &&
           limits->subgroup_most >= LANES;
}

static scry_status multiply_block(struct scry__vk *vk, const struct piece *piece, size_t scratch)
{
    const struct scry__vk_product *product  = piece->of;
    bool                           shuffled = has_lanes(vk), any = piece->sizes.k > 0;
    struct scry__vk_call           call = scry__vk_call(vk, shuffled ? "matmul_block_shuffle" : "matmul_block", LANES);
    call.subgroup_size                  = shuffled ? LANES : 0;
    pass_result_kind(&call, piece);
    scry__vk_constant(&call, product->tile.m);
    scry__vk_scratch(&call, scratch, any ? product->a_bytes : 0, SCRY__VK_READ);
    scry__vk_scratch(&call, scratch + product->a_bytes, any ? product->b_bytes : 0, SCRY__VK_READ);
    pass_result(&call, piece);
    return launch(&call, piece, product->tile.m, PANEL, 1);
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

/* A piece by panels, which are packed where those in scratch are others. */
static scry_status multiply_packed(struct scry__vk *vk, const struct piece *piece, const int64_t *at, struct packed *a,
                                   struct packed *b, size_t scratch)
{
    const struct scry__vk_product *product = piece->of;
    scry_status                    status  = SCRY_OK;
    if (is_other(a, at, SCRY__VK_N)) status = pack(vk, piece, &piece->a, 2, scratch, product->a_bytes);
    if (!status && is_other(b, at, SCRY__VK_M))
        status = pack(vk, piece, &piece->b, 3, scratch + product->a_bytes, product->b_bytes);
    return status ? status : multiply_block(vk, piece, scratch);
}

scry_status scry__vk_multiply(struct scry__vk *vk, const struct scry__vk_product *product, size_t scratch)
{
    int64_t       at[SCRY__VK_PRODUCT_AXES] = {0};
    struct packed a = {0}, b = {0};
    scry_status   status = SCRY_OK;
    do {
        struct piece piece = piece_at(product, at);
        switch (product->form) {
        case SCRY__VK_BLOCK:
            status = multiply_packed(vk, &piece, at, &a, &b, scratch);
            break;
        case SCRY__VK_FEW:
            status = multiply_few(vk, &piece);
            break;
        case SCRY__VK_TILE:
        case SCRY__VK_HALVES:
            status = multiply_tile(vk, &piece, false);
            break;
        case SCRY__VK_SPLIT:
            status = multiply_split(vk, &piece, scratch);
            break;
        case SCRY__VK_MATRICES:
            status = multiply_matrices(vk, &piece);
            break;
        }
    } while (!status && next_piece(product, at));
    return status;
}
