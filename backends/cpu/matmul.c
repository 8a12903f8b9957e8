/* matmul: C = alpha A B + beta C + bias.
 *
 * B is packed, and widened where it is f16 or bf16, into panels of tile_columns columns: as many at a time as stay in
 * the second cache, while the rows of A pass by them. The work is shared by (batch, band of rows, panel); there is one
 * band where the panels suffice for all threads. Products of up to FEW_ROWS rows are bound by memory: they read B as it
 * is stored, once. Whoever asks for it by name gets OpenBLAS instead (matmul_library.c). */
#include "matmul_library.h"
#include "operand.h"

#include <stdio.h>

/* A stretch of columns of B is read once for each row: from the second row on, out of the second cache. */
enum { FEW_ROWS = 4, PANEL_BYTES = 512 << 10, ROW_CHUNK = 512, ROWS_CHUNK = 64 };

/* One product: the descriptor without its batch axes. */
struct product {
    const struct scry__cpu *cpu;
    const scry_matmul      *op;
    int64_t                 m, n, k, batches, panels;
    int64_t                 a_row, a_k, b_k, b_column, c_row; /* strides */
    int64_t                 group;                            /* panels that are packed at once */
    int64_t                 bands, band_rows;                 /* how the rows are shared */
    bool                    few;                              /* rows: B is read as stored */
    bool                    turned;                           /* A's columns are contiguous, not its rows */
    size_t                  part_bytes;
    char                   *scratch;
};

/* A part's scratch: packed panels, A's rows where they are not contiguous in k, and a tile. */
static size_t part_floats(const struct product *p)
{
    int64_t width = p->cpu->kernels->tile_columns, height = p->cpu->kernels->tile_rows;
    if (p->few) return (size_t)(ROW_CHUNK + FEW_ROWS * p->k);
    return (size_t)(p->group * width * p->k + height * p->k + height * width + 2 * width);
}

/* --- the choice --- */

static const char tile_name[] = "tile", rows_name[] = "rows", library_name[] = "library";

const char *const *scry__cpu_matmul_kernels(void)
{
    static const char *const names[]      = {tile_name, rows_name, library_name, NULL};
    static const char *const ours_alone[] = {tile_name, rows_name, NULL};
    return scry__cpu_library_usable() ? names : ours_alone;
}

/* The kernel asked for, else ours that suits the number of rows. */
static const char *kernel_of(const struct scry__cpu *cpu, const scry_matmul *op)
{
    const char *asked = cpu->asked[SCRY_OP_MATMUL];
    return asked ? asked : op->c.shape[op->c.rank - 2] <= FEW_ROWS ? rows_name : tile_name;
}

void scry__cpu_matmul_describe(const struct scry__cpu *cpu, const scry_matmul *op, scry_op_info *info)
{
    const char *kernel = kernel_of(cpu, op), *reason = NULL;
    snprintf(info->kernel, sizeof info->kernel, "%s", kernel);
    if (kernel == library_name) {
        reason = scry__cpu_library_refuses(op);
        snprintf(info->kernel, sizeof info->kernel, "%s (%s)", kernel, scry__cpu_library_name());
    } else if (kernel == rows_name && op->c.shape[op->c.rank - 2] > FEW_ROWS) {
        reason = "this kernel multiplies up to 4 rows";
    }
    if (!reason) return;
    info->support = SCRY_NOT_SUPPORTED;
    snprintf(info->reason, sizeof info->reason, "%s", reason);
}

/* --- our own --- */

static struct product product_of(const struct scry__cpu *cpu, const scry_matmul *op, void *scratch)
{
    const scry_tensor *a = &op->a, *b = &op->b, *c = &op->c;
    int                last = c->rank - 1, width = cpu->kernels->tile_columns;
    struct product     p = {.cpu = cpu, .op = op, .scratch = scratch};
    p.m = c->shape[last - 1], p.n = c->shape[last], p.k = a->shape[last];
    p.a_row = a->stride[last - 1], p.a_k = a->stride[last];
    p.b_k = b->stride[last - 1], p.b_column = b->stride[last];
    p.c_row   = c->stride[last - 1];
    p.few     = kernel_of(cpu, op) == rows_name;
    p.turned  = p.a_k != 1 && p.k != 1;
    p.batches = scry__cpu_row_count(c, last - 1);
    p.panels  = (p.n + width - 1) / width;
    p.group   = most(1, least(p.panels, PANEL_BYTES / most(1, width * p.k * 4)));
    /* Every band packs the panels anew: no more than keep the threads busy, none of few rows. */
    int64_t wanted = (4 * cpu->threads + p.batches * p.panels - 1) / most(1, p.batches * p.panels);
    int64_t height = cpu->kernels->tile_rows;
    p.bands        = most(1, least(wanted, p.m / (4 * height)));
    p.band_rows    = round_up((p.m + p.bands - 1) / p.bands, height);
    p.part_bytes   = (size_t)round_up((int64_t)part_floats(&p) * 4, 64);
    return p;
}

size_t scry__cpu_matmul_scratch(const struct scry__cpu *cpu, const scry_matmul *op)
{
    if (kernel_of(cpu, op) == library_name) return scry__cpu_library_scratch(op);
    return product_of(cpu, op, NULL).part_bytes * (size_t)cpu->threads;
}

/* The bias of `columns` columns from `column` on, or NULL. */
static const float *bias_of(const struct product *p, int64_t column, int64_t columns, float *space)
{
    const scry_tensor *bias = &p->op->bias;
    if (!present(bias)) return NULL;
    return scry__cpu_gather(p->cpu, bias, column * bias->stride[0], bias->stride[0], columns, space);
}

/* Index of A's first element in a row of a batch. */
static int64_t row_index(const struct product *p, int64_t batch, int64_t row)
{
    const scry_tensor *a = &p->op->a;
    return scry__cpu_row_index(a, a->rank - 2, batch) + row * p->a_row;
}

/* Rows [row, row + rows) of A for a tile: as they lie, or, where A is turned, their columns packed; *lda is the
 * distance of rows, or of columns. */
static const float *band_of(const struct product *p, int64_t batch, int64_t row, int64_t rows, float *space,
                            int64_t *lda)
{
    const float *first = element(&p->op->a, row_index(p, batch, row));
    *lda               = p->turned ? p->cpu->kernels->tile_rows : p->a_row;
    if (!p->turned) return first;
    p->cpu->kernels->pack_turned(space, first, p->a_k, rows, p->k);
    return space;
}

/* Rows [0, rows) of A, contiguous in k; *lda is their distance. */
static const float *rows_of(const struct product *p, int64_t batch, int64_t rows, float *space, int64_t *lda)
{
    const scry_tensor *a     = &p->op->a;
    int64_t            index = row_index(p, batch, 0);
    *lda                     = p->turned ? p->k : p->a_row;
    if (!p->turned) return element(a, index);
    for (int64_t i = 0; i < rows; i++)
        scry__cpu_gather(p->cpu, a, index + i * p->a_row, p->a_k, p->k, space + i * p->k);
    return space;
}

/* One tile of C from packed panels. */
static void tile(const struct product *p, int64_t batch, int64_t row, int64_t rows, int64_t panel, const float *a,
                 int64_t lda, const float *packed, float *space)
{
    const struct scry__cpu_kernels *kernels  = p->cpu->kernels;
    __typeof__(kernels->multiply)   multiply = p->turned ? kernels->multiply_turned : kernels->multiply;
    const scry_tensor              *c        = &p->op->c;
    int64_t                         width = kernels->tile_columns, column = panel * width;
    int64_t                         columns = least(width, p->n - column);
    float                           alpha = p->op->alpha, beta = p->op->beta;
    float       *out  = element(c, scry__cpu_row_index(c, c->rank - 2, batch) + row * p->c_row + column);
    const float *bias = bias_of(p, column, columns, space + kernels->tile_rows * width);
    if (columns == width && alpha == 1 && (beta == 0 || beta == 1)) {
        multiply(out, p->c_row, a, lda, packed, rows, p->k, beta == 1, bias);
        return;
    }
    multiply(space, width, a, lda, packed, rows, p->k, false, NULL);
    kernels->finish(out, p->c_row, space, width, rows, columns, alpha, beta, bias);
}

/* Panels [panel, panel + count) of one batch, rows [begin, end). */
static void panel_group(const struct product *p, int64_t batch, int64_t panel, int64_t count, int64_t begin,
                        int64_t end, float *scratch)
{
    const struct scry__cpu_kernels *kernels = p->cpu->kernels;
    const scry_tensor              *b       = &p->op->b;
    int64_t                         width = kernels->tile_columns, height = kernels->tile_rows, size = width * p->k;
    float                          *rows_space = scratch + p->group * size, *space = rows_space + height * p->k;
    int64_t                         first = scry__cpu_row_index(b, b->rank - 2, batch);
    for (int64_t i = 0; i < count; i++) {
        int64_t column = (panel + i) * width;
        kernels->pack(scratch + i * size, element(b, first + column * p->b_column), b->dtype, p->k,
                      least(width, p->n - column), p->b_k, p->b_column);
    }
    for (int64_t row = begin; row < end; row += height) {
        int64_t      rows = least(height, end - row), lda;
        const float *a    = band_of(p, batch, row, rows, rows_space, &lda);
        for (int64_t i = 0; i < count; i++) tile(p, batch, row, rows, panel + i, a, lda, scratch + i * size, space);
    }
}

static void multiply_part(const void *job, int part, int parts)
{
    const struct product *p       = job;
    float                *scratch = (float *)(p->scratch + (size_t)part * p->part_bytes);
    int64_t               unit, end;
    scry__cpu_share(p->batches * p->bands * p->panels, 1, part, parts, &unit, &end);
    while (unit < end) {
        int64_t panel = unit % p->panels, band = unit / p->panels % p->bands, batch = unit / p->panels / p->bands;
        int64_t count = least(least(p->group, p->panels - panel), end - unit), row = band * p->band_rows;
        panel_group(p, batch, panel, count, row, least(p->m, row + p->band_rows), scratch);
        unit += count;
    }
}

/* Columns [column, column + columns) of a product of few rows. */
static void few_rows(const struct product *p, int64_t batch, int64_t column, int64_t columns, float *scratch)
{
    const struct scry__cpu_kernels *kernels = p->cpu->kernels;
    const scry_tensor              *b = &p->op->b, *c = &p->op->c;
    float                          *out = scratch, bias_space[ROW_CHUNK];
    int64_t                         lda;
    const float                    *a    = rows_of(p, batch, p->m, scratch + ROW_CHUNK, &lda);
    const float                    *bias = bias_of(p, column, columns, bias_space);
    const void *first = element(b, scry__cpu_row_index(b, b->rank - 2, batch) + column * p->b_column);
    for (int64_t row = 0; row < p->m; row++) {
        kernels->multiply_row(out, a + row * lda, first, b->dtype, p->k, columns, p->b_k, p->b_column);
        kernels->finish(element(c, scry__cpu_row_index(c, c->rank - 2, batch) + row * p->c_row + column), columns, out,
                        columns, 1, columns, p->op->alpha, p->op->beta, bias);
    }
}

static void few_rows_part(const void *job, int part, int parts)
{
    const struct product *p       = job;
    float                *scratch = (float *)(p->scratch + (size_t)part * p->part_bytes);
    int64_t               chunk   = p->m == 1 ? ROW_CHUNK : ROWS_CHUNK, begin, end;
    for (int64_t batch = 0; batch < p->batches; batch++) {
        scry__cpu_share(p->n, p->cpu->kernels->lanes, part, parts, &begin, &end);
        for (; begin < end; begin += chunk) few_rows(p, batch, begin, least(chunk, end - begin), scratch);
    }
}

void scry__cpu_matmul(const struct scry__cpu *cpu, const scry_matmul *op, void *scratch)
{
    if (kernel_of(cpu, op) == library_name) {
        scry__cpu_library_multiply(cpu, op, scratch);
        return;
    }
    struct product p = product_of(cpu, op, scratch);
    /* Products of few rows wait for memory: a product takes them longer than it takes a tile. */
    double work  = (double)(p.batches * p.m) * (double)(p.n * most(1, p.k)) / (p.few ? 8 : 32);
    int    parts = scry__cpu_parts(cpu->threads, work);
    scry__cpu_parallel(cpu->pool, parts, p.few ? few_rows_part : multiply_part, &p);
}
