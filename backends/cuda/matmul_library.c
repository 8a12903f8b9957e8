/* matmul by cuBLAS: the kernel "library". It takes matrices column by column, so that what lies in memory row by row is
 * its transpose: C^T = B^T A^T, with the operands as they are.
 *
 * cuBLAS multiplies f16 with f16 and bf16 with bf16, never with f32. So where the caller allows the weights' own type,
 * A is rounded to it, into scratch; else weights are widened to f32 there, some columns at a time. Strict products are
 * pedantic. Bias is added by our own add. It promises no order of sums. */
#include "matmul.h"

#include <limits.h>

enum {
    WIDENED_BYTES  = 64 << 20, /* of scratch, for columns of b */
    EMULATED_BYTES = 64 << 10, /* so that small products, too, take them in pieces */
    COLUMNS        = 128,      /* the unit of those */
};

bool scry__cuda_library_rounds(scry_dtype dtype, scry_precision allowed)
{
    return (dtype == SCRY_F16 && allowed == SCRY_ALLOW_F16) || (dtype == SCRY_BF16 && allowed == SCRY_ALLOW_BF16);
}

/* Whether it still has to be. */
static bool is_rounded(const struct scry__cuda_product *product)
{
    return product->a.dtype == SCRY_F32 && scry__cuda_library_rounds(product->b.dtype, product->precision);
}

/* --- Matrices as the library takes them --- */

struct matrix {
    const void *data;
    int64_t leading; /* elements from row to row, or, where those of a column lie side by side, from column to column */
    bool    turned;
};

/* Sizes of axes of size 1 come with any stride, which the library wants to be large enough. */
static struct matrix layout_of(const scry_tensor *x)
{
    int64_t rows = x->shape[2], columns = x->shape[3], row = x->stride[2], column = x->stride[3];
    bool    turned = column != 1 && columns != 1;
    return (struct matrix){.turned = turned, .leading = turned ? most(column, rows) : most(row, columns)};
}

static struct matrix matrix_of(struct scry__cuda *cuda, const scry_tensor *x)
{
    struct matrix matrix = layout_of(x);
    matrix.data          = scry__cuda_address(cuda, x);
    return matrix;
}

void scry__cuda_product_plan_library(const struct scry__cuda *cuda, struct scry__cuda_product *product,
                                     scry_precision allowed)
{
    const scry_tensor *a = &product->a, *b = &product->b, *c = &product->c;
    int64_t            largest = most(most(product->m, product->n), most(product->k, product->c.shape[1]));
    int64_t            leading = most(most(layout_of(a).leading, layout_of(b).leading), layout_of(c).leading);
    product->precision         = allowed;
    product->columns           = 0;
    if (most(largest, leading) > INT_MAX) product->reason = "cuBLAS takes sizes and strides below 2^31";
    if (is_rounded(product)) {
        product->scratch_bytes = (size_t)(product->batches * product->m * product->k) * 2;
    } else if (b->dtype != a->dtype) {
        int64_t bytes          = cuda->limits.is_emulated ? EMULATED_BYTES : WIDENED_BYTES;
        int64_t room           = bytes / (int64_t)sizeof(float) / most(1, product->k);
        product->columns       = least(product->n, most(COLUMNS, room - room % COLUMNS));
        product->scratch_bytes = (size_t)(product->columns * product->k) * sizeof(float);
    }
}

/* --- Scratch --- */

/* Rows of `x` in scratch, in the order of its axes; axes 2 and 3 exchanged where its columns lie side by side. */
static scry_tensor in_scratch(const struct scry__cuda *cuda, const scry_tensor *x, scry_dtype dtype, size_t offset)
{
    scry_tensor y      = *x;
    bool        turned = layout_of(x).turned;
    int64_t     inner = turned ? y.shape[2] : y.shape[3], outer = turned ? y.shape[3] : y.shape[2];
    y.buffer                 = cuda->front->scratch;
    y.offset                 = offset;
    y.dtype                  = dtype;
    y.stride[turned ? 2 : 3] = 1;
    y.stride[turned ? 3 : 2] = inner;
    y.stride[1]              = inner * outer;
    y.stride[0]              = inner * outer * y.shape[1];
    return y;
}

/* Puts a copy of *x, of another dtype, in its place. */
static scry_status convert(struct scry__cuda *cuda, scry_tensor *x, scry_dtype dtype, size_t scratch)
{
    scry_tensor y      = in_scratch(cuda, x, dtype, scratch);
    scry_status status = scry__cuda_copy(cuda, &(scry_copy){.x = *x, .out = y}, SCRY_STRICT_F32);
    *x                 = y;
    return status;
}

/* --- Calls --- */

/* One call for each batch of the first axis. */
static scry_status call(struct scry__cuda *cuda, const struct scry__cuda_product *product, const scry_tensor *a,
                        const scry_tensor *b, const scry_tensor *c)
{
    scry_status status = SCRY_OK;
    for (int64_t outer = 0; outer < c->shape[0] && !status; outer++) {
        scry_tensor a_of = scry__slice(*a, 0, outer, 1), b_of = scry__slice(*b, 0, outer, 1),
                    c_of            = scry__slice(*c, 0, outer, 1);
        struct matrix          left = matrix_of(cuda, &b_of), right = matrix_of(cuda, &a_of);
        struct scry__cuda_gemm gemm = {
            .a         = left.data,
            .b         = right.data,
            .c         = scry__cuda_address(cuda, &c_of),
            .dtype     = b->dtype,
            .a_turned  = left.turned,
            .b_turned  = right.turned,
            .m         = c->shape[3],
            .n         = c->shape[2],
            .k         = a->shape[3],
            .batches   = c->shape[1],
            .a_leading = left.leading,
            .b_leading = right.leading,
            .c_leading = layout_of(c).leading,
            .a_apart   = b->stride[1],
            .b_apart   = a->stride[1],
            .c_apart   = c->stride[1],
            .alpha     = product->alpha,
            .beta      = product->beta,
            .precision = product->precision,
        };
        status = scry__cuda_library_multiply(cuda, &gemm);
    }
    return status;
}

/* Batch by batch, some columns of b at a time. */
static scry_status call_widened(struct scry__cuda *cuda, const struct scry__cuda_product *product, size_t scratch)
{
    scry_status status = SCRY_OK;
    for (int64_t batch = 0; batch < product->batches && !status; batch++) {
        scry_tensor operands[3] = {product->a, product->b, product->c};
        for (int i = 0; i < 3; i++)
            operands[i] = scry__slice(scry__slice(operands[i], 0, batch / product->c.shape[1], 1), 1,
                                      batch % product->c.shape[1], 1);
        for (int64_t column = 0; column < product->n && !status; column += product->columns) {
            int64_t     count = least(product->columns, product->n - column);
            scry_tensor b = scry__slice(operands[1], 3, column, count), c = scry__slice(operands[2], 3, column, count);
            status = convert(cuda, &b, SCRY_F32, scratch);
            if (!status) status = call(cuda, product, &operands[0], &b, &c);
        }
    }
    return status;
}

static scry_status add_bias(struct scry__cuda *cuda, const struct scry__cuda_product *product)
{
    scry_tensor bias = product->bias;
    if (!present(&bias)) return SCRY_OK;
    int64_t stride = bias.stride[0];
    bias = (scry_tensor){.buffer = bias.buffer, .offset = bias.offset, .dtype = bias.dtype, .rank = SCRY_MAX_RANK};
    for (int i = 0; i < SCRY_MAX_RANK; i++) bias.shape[i] = product->c.shape[i];
    bias.stride[SCRY_MAX_RANK - 1] = stride;
    return scry__cuda_add(cuda, &(scry_add){.a = product->c, .b = bias, .out = product->c}, SCRY_STRICT_F32);
}

scry_status scry__cuda_product_call_library(struct scry__cuda *cuda, const struct scry__cuda_product *product,
                                            size_t scratch)
{
    scry_status status = SCRY_OK;
    scry_tensor a      = product->a;
    if (product->columns) {
        status = call_widened(cuda, product, scratch);
    } else {
        if (is_rounded(product)) status = convert(cuda, &a, product->b.dtype, scratch);
        if (!status) status = call(cuda, product, &a, &product->b, &product->c);
    }
    return status ? status : add_bias(cuda, product);
}
