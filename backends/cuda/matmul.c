/* matmul: the variant table, the plan of a product, and the launches of our own kernels. cuBLAS is called in
 * matmul_library.c. */
#include "matmul.h"

#include "kernels_cuda/matmul.h"
#include "shared/refuse.h"

#include <stdio.h>
#include <string.h>

/* --- Variants --- */

/* Where a line may be taken that nobody asked for by name. */
enum when { ALWAYS, IF_LOWER, BY_NAME };

/* The first line whose conditions hold is taken; of those of one name, where that was asked for. For each element of C,
 * all lines of one name but "library" add up the same products in the same order, so that by them a row of C does not
 * depend on how many rows there are. Reasoned, not measured: these await a GPU. */
static const struct variant {
    const char                 *kernel;
    enum when                   when;
    int64_t                     least_m, most_m, least_k;  /* most_m 0: no limit */
    int64_t                     least_blocks, most_blocks; /* of its tiles, for each multiprocessor; 0: no limit */
    bool                        only_f32;                  /* weights */
    enum scry__cuda_matmul_form form;
    int                         tile;
} variants[] = {
    /* Few rows wait for B to be read, once. */
    {"row", ALWAYS, .most_m = 1, .form = SCRY__CUDA_ROW, .tile = 1},
    {"row", ALWAYS, .most_m = 8, .form = SCRY__CUDA_ROW, .tile = 4},
    {"library", IF_LOWER, .least_k = 1, .form = SCRY__CUDA_LIBRARY},
    {"tensor", IF_LOWER, .form = SCRY__CUDA_TENSOR, .tile = CUDA_TENSOR_TILE},
    {"library", ALWAYS, .least_k = 1, .only_f32 = true, .form = SCRY__CUDA_LIBRARY},
    /* To widen weights first costs about 60 / m of a product's time. */
    {"library", ALWAYS, .least_m = 2048, .least_k = 1, .form = SCRY__CUDA_LIBRARY},
    {"tile", ALWAYS, .least_blocks = 2, .form = SCRY__CUDA_TILE, .tile = 128},
    {"split", ALWAYS, .least_k = 2 * CUDA_SPLIT_STEPS, .most_blocks = 1, .form = SCRY__CUDA_TILE, .tile = 64},
    {"tile", ALWAYS, .form = SCRY__CUDA_TILE, .tile = 64},
    {"split", BY_NAME, .form = SCRY__CUDA_TILE, .tile = 64},
    {"row", BY_NAME, .form = SCRY__CUDA_ROW, .tile = 4},
    {"tensor", BY_NAME, .form = SCRY__CUDA_TENSOR, .tile = CUDA_TENSOR_TILE},
    {"library", BY_NAME, .least_k = 1, .form = SCRY__CUDA_LIBRARY},
    {"library", BY_NAME, .form = SCRY__CUDA_TILE, .tile = 64}, /* no terms: nothing for it to multiply */
};

static bool has_tensor_cores(const struct scry__cuda *cuda)
{
    return cuda->limits.compute >= 80;
}

static int64_t tiles_of(const struct scry__cuda_product *product, int64_t height, int64_t width)
{
    return product->batches * units_of(product->m, height) * units_of(product->n, width);
}

static bool is_in_range(const struct scry__cuda *cuda, const struct variant *variant,
                        const struct scry__cuda_product *product)
{
    int64_t m = product->m, processors = cuda->limits.processors;
    int64_t blocks = variant->form == SCRY__CUDA_TILE ? tiles_of(product, variant->tile, variant->tile) : 0;
    if (m < variant->least_m || (variant->most_m && m > variant->most_m) || product->k < variant->least_k) return false;
    if (variant->most_blocks && blocks > variant->most_blocks * processors) return false;
    return blocks >= variant->least_blocks * processors;
}

/* Whether it may be taken unasked. */
static bool is_chosen(const struct scry__cuda *cuda, const struct variant *variant,
                      const struct scry__cuda_product *product, scry_precision allowed)
{
    if (variant->when == BY_NAME || (variant->when == IF_LOWER && allowed == SCRY_STRICT_F32)) return false;
    if (variant->form == SCRY__CUDA_TENSOR) return has_tensor_cores(cuda);
    if (variant->form != SCRY__CUDA_LIBRARY) return true;
    return scry__cuda_library_usable(cuda) && (!variant->only_f32 || product->b.dtype == SCRY_F32);
}

static const struct variant *choose(const struct scry__cuda *cuda, const struct scry__cuda_product *product,
                                    scry_precision allowed, const char *kernel)
{
    const size_t          count = sizeof variants / sizeof *variants;
    const struct variant *found = NULL;
    for (size_t i = 0; i < count && !found; i++) {
        const struct variant *variant = &variants[i];
        bool right = kernel ? !strcmp(kernel, variant->kernel) : is_chosen(cuda, variant, product, allowed);
        if (right && is_in_range(cuda, variant, product)) found = variant;
    }
    return found; /* each name, and no name, has a line without limits */
}

/* --- Plans --- */

enum {
    MOST_PARTS = 16,
    ROW_STEPS  = 512, /* of a part, at least */
    ROW_BLOCKS = 2,   /* for each multiprocessor */
};

static void cut(struct scry__cuda_product *product, int64_t parts, int64_t unit)
{
    product->part_steps = round_up(most(1, units_of(product->k, parts)), unit);
    product->parts      = most(1, units_of(product->k, product->part_steps));
    if (product->parts > 1)
        product->scratch_bytes = (size_t)(product->parts * product->batches * product->m * product->n) * sizeof(float);
}

/* Into parts of k, whose number does not depend on how many rows there are. */
static void plan_parts(const struct scry__cuda *cuda, struct scry__cuda_product *product)
{
    int64_t parts = 1, columns = product->batches * units_of(product->n, CUDA_ROW_COLUMNS);
    if (!strcmp(product->kernel, "split")) parts = least(MOST_PARTS, units_of(product->k, CUDA_SPLIT_STEPS));
    if (product->form == SCRY__CUDA_ROW && columns)
        parts = least(units_of(ROW_BLOCKS * cuda->limits.processors, columns), units_of(product->k, ROW_STEPS));
    cut(product, most(1, least(parts, MOST_PARTS)), CUDA_PART_UNIT);
}

static void plan_tensor(const struct scry__cuda *cuda, struct scry__cuda_product *product, scry_precision allowed)
{
    product->precision = allowed;
    if (allowed == SCRY_STRICT_F32)
        product->reason = "its kernel \"tensor\" rounds to tf32, f16 or bf16, where the op allows it";
    else if (!has_tensor_cores(cuda))
        product->reason = "its kernel \"tensor\" takes compute capability 8.0";
}

struct scry__cuda_product scry__cuda_product(const struct scry__cuda *cuda, const scry_matmul *op,
                                             scry_precision allowed, const char *kernel)
{
    struct scry__cuda_product product = {.a     = scry__widened(op->a, 0),
                                         .b     = scry__widened(op->b, 0),
                                         .bias  = op->bias,
                                         .c     = scry__widened(op->c, 0),
                                         .alpha = op->alpha,
                                         .beta  = op->beta};
    product.batches                   = product.c.shape[0] * product.c.shape[1];
    product.m                         = product.c.shape[2];
    product.n                         = product.c.shape[3];
    product.k                         = product.a.shape[3];
    const struct variant *variant     = choose(cuda, &product, allowed, kernel);
    product.kernel                    = variant->kernel;
    product.form                      = variant->form;
    product.tile                      = variant->tile;
    plan_parts(cuda, &product);
    if (product.form == SCRY__CUDA_TENSOR) plan_tensor(cuda, &product, allowed);
    if (product.form == SCRY__CUDA_LIBRARY) scry__cuda_product_plan_library(cuda, &product, allowed);
    return product;
}

/* --- Launches --- */

/* The kernel of a product, and how many blocks each of its parts takes. */
static struct scry__cuda_call call_of(const struct scry__cuda_product *product)
{
    struct scry__cuda_call call;
    if (product->form == SCRY__CUDA_ROW) {
        call         = product->tile == 1 ? (struct scry__cuda_call){SCRY__CUDA_CALL(matmul_row_1)}
                                          : (struct scry__cuda_call){SCRY__CUDA_CALL(matmul_row_4)};
        call.threads = CUDA_ROW_THREADS;
        call.blocks  = tiles_of(product, product->tile, CUDA_ROW_COLUMNS);
        return call;
    }
    if (product->form == SCRY__CUDA_TENSOR) {
        call = product->precision == SCRY_ALLOW_TF32  ? (struct scry__cuda_call){SCRY__CUDA_CALL(matmul_tensor_tf32)}
               : product->precision == SCRY_ALLOW_F16 ? (struct scry__cuda_call){SCRY__CUDA_CALL(matmul_tensor_f16)}
                                                      : (struct scry__cuda_call){SCRY__CUDA_CALL(matmul_tensor_bf16)};
        call.threads = CUDA_TENSOR_THREADS;
    } else {
        call         = product->tile == 128 ? (struct scry__cuda_call){SCRY__CUDA_CALL(matmul_tile_128)}
                                            : (struct scry__cuda_call){SCRY__CUDA_CALL(matmul_tile_64)};
        call.threads = 2 * product->tile;
    }
    call.blocks = tiles_of(product, product->tile, product->tile);
    return call;
}

static scry_status merge(struct scry__cuda *cuda, const struct scry__cuda_product *product,
                         const struct cuda_product *parameters)
{
    int64_t                elements = product->batches * product->m * product->n;
    struct scry__cuda_call call     = {SCRY__CUDA_CALL(matmul_merge)};
    call.threads                    = CUDA_MERGE_THREADS;
    call.blocks                     = units_of(elements, CUDA_MERGE_THREADS);
    call.operations                 = (double)elements * (double)product->parts;
    return scry__cuda_launch(cuda, &call, parameters);
}

scry_status scry__cuda_multiply(struct scry__cuda *cuda, const struct scry__cuda_product *product, size_t scratch)
{
    if (product->form == SCRY__CUDA_LIBRARY) return scry__cuda_product_call_library(cuda, product, scratch);
    struct cuda_product parameters = {
        .a          = scry__cuda_view(cuda, &product->a),
        .b          = scry__cuda_view(cuda, &product->b),
        .bias       = scry__cuda_view(cuda, &product->bias),
        .c          = scry__cuda_view(cuda, &product->c),
        .m          = product->m,
        .n          = product->n,
        .k          = product->k,
        .batches    = product->batches,
        .inner      = most(1, product->c.shape[1]),
        .parts      = product->parts,
        .part_steps = product->part_steps,
        .alpha      = product->alpha,
        .beta       = product->beta,
    };
    if (product->parts > 1) parameters.sums = scry__cuda_scratch(cuda, scratch);
    struct scry__cuda_call call = call_of(product);
    call.operations = 2.0 * (double)product->batches * (double)product->m * (double)product->n * (double)product->k;
    call.blocks *= product->parts;
    scry_status status = scry__cuda_launch(cuda, &call, &parameters);
    return status || product->parts == 1 ? status : merge(cuda, product, &parameters);
}

/* --- The op --- */

const char *const *scry__cuda_matmul_kernels(const struct scry__cuda *cuda)
{
    static const char *const tensor[] = {"library", "tensor", "tile", "split", "row", NULL};
    static const char *const none[]   = {"library", "tile", "split", "row", NULL};
    const char *const       *all      = has_tensor_cores(cuda) ? tensor : none;
    return scry__cuda_library_usable(cuda) ? all : all + 1;
}

void scry__cuda_matmul_query(const struct scry__cuda *cuda, const scry_matmul *op, scry_precision allowed,
                             scry_op_info *info)
{
    struct scry__cuda_product product = scry__cuda_product(cuda, op, allowed, cuda->front->kernel[SCRY_OP_MATMUL]);
    info->scratch_bytes               = product.scratch_bytes;
    info->precision                   = product.precision;
    snprintf(info->kernel, sizeof info->kernel, "%s", product.kernel);
    if (product.reason) scry__op_refuse(info, "%s", product.reason);
}

scry_status scry__cuda_matmul(struct scry__cuda *cuda, const scry_matmul *op, scry_precision allowed)
{
    struct scry__cuda_product product = scry__cuda_product(cuda, op, allowed, cuda->front->kernel[SCRY_OP_MATMUL]);
    return scry__cuda_multiply(cuda, &product, 0);
}
