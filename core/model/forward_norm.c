/* Norms of the residual stream, with their hook points. See pass.h.
 *
 * hook_normalized stands before weight and bias, as in TransformerLens: where it is wanted, a norm without them goes
 * first. The norm itself is always one op over the stream; what edits change of its value before weight and bias is
 * weighted and added behind it, so that rows whose value stays keep their bits. */
#include "base/alloc.h"
#include "model/pass.h"

/* [B, T, d] as so many rows. */
static scry_tensor as_rows(const scry__pass *pass, const scry_tensor *x)
{
    const int64_t shape[] = {pass->batch * pass->rows, pass->arch->hidden_size};
    return scry_tensor_of(x->buffer, x->offset, SCRY_F32, 2, shape);
}

static scry_tensor matrices(scry_tensor x, int64_t batch, int64_t batch_stride, int64_t m, int64_t row_stride,
                            int64_t n)
{
    x.rank      = 3;
    x.shape[0]  = batch;
    x.stride[0] = batch_stride;
    x.shape[1]  = m;
    x.stride[1] = row_stride;
    x.shape[2]  = n;
    x.stride[2] = 1;
    return x;
}

/* c += a b, so many products at a time. */
static scry_status add_products(const scry__pass *pass, scry_tensor a, scry_tensor b, scry_tensor c)
{
    return scry__pass_run(
        pass, (scry_op){.kind = SCRY_OP_MATMUL, .matmul = {.a = a, .b = b, .c = c, .alpha = 1.0f, .beta = 1.0f}});
}

/* normed += (before / now - 1) bare, row by row; `before` [B, T] is the denominator that `bare` was divided by. */
static scry_status rescale(const scry__pass *pass, const scry_tensor *scale, const float *before, float *now,
                           const scry_tensor *bare)
{
    int64_t     count = pass->batch * pass->rows, d = pass->arch->hidden_size;
    size_t      bytes = (size_t)count * sizeof *now;
    scry_tensor factor;
    scry_status status = scry_buffer_read(scale->buffer, scale->offset, now, bytes);
    for (int64_t i = 0; !status && i < count; i++) now[i] = (float)((double)before[i] / (double)now[i] - 1.0);
    if (!status) status = scry__session_tensor(&factor, pass->session, SCRY__SLOT_FACTOR, SCRY_F32, 1, &count);
    if (!status) status = scry_buffer_write(factor.buffer, 0, now, bytes);
    if (status) return status;
    return add_products(pass, matrices(factor, count, 1, 1, 1, 1), matrices(*bare, count, d, 1, d, d),
                        matrices(as_rows(pass, &pass->normed), count, d, 1, d, d));
}

/* Offers the denominator; where that is edited, `normed` is divided by it instead. */
static scry_status offer_scale(const scry__pass *pass, scry__hook hook, const scry_tensor *scale,
                               const scry_tensor *bare)
{
    size_t      count  = (size_t)(pass->batch * pass->rows);
    float      *before = NULL;
    scry_status status = SCRY_OK;
    if (!scry__pass_edits(pass, hook)) return scry__pass_offer(pass, hook, scale);
    before = scry__alloc(count, 2 * sizeof *before);
    if (!before) return SCRY_OUT_OF_MEMORY;
    status = scry_buffer_read(scale->buffer, scale->offset, before, count * sizeof *before);
    if (!status) status = scry__pass_offer(pass, hook, scale);
    if (!status) status = rescale(pass, scale, before, before + count, bare);
    scry__free(before);
    return status;
}

/* normed += change * (weight + weight_offset); uses up `change`. */
static scry_status add_weighted(const scry__pass *pass, const scry_norm_parameters *parameters,
                                const scry_tensor *change)
{
    scry_tensor normed = as_rows(pass, &pass->normed);
    int64_t     rows = normed.shape[0], d = normed.shape[1];
    bool        weighted = parameters->weight.buffer && parameters->kind != SCRY_NORM_NONE;
    scry_status status   = SCRY_OK;
    if (weighted)
        status = add_products(pass, matrices(*change, d, 1, rows, d, 1),
                              matrices(parameters->weight, d, parameters->weight.stride[0], 1, 1, 1),
                              matrices(normed, d, 1, rows, d, 1));
    if (status || (weighted && parameters->weight_offset == 0.0f)) return status;
    if (weighted)
        status = scry__pass_run(
            pass, (scry_op){.kind  = SCRY_OP_SCALE,
                            .scale = {.x = *change, .out = *change, .factor = parameters->weight_offset}});
    if (status) return status;
    return scry__pass_run(pass, (scry_op){.kind = SCRY_OP_ADD, .add = {.a = normed, .b = *change, .out = normed}});
}

scry_status scry__pass_norm(const scry__pass *pass, const scry_norm_parameters *parameters, scry__hook scale_hook,
                            scry__hook normed_hook)
{
    int64_t     shape[] = {pass->batch, pass->rows, 1};
    scry_tensor scale = {0}, bare = {0};
    scry_status status = SCRY_OK;
    bool        edited = scry__pass_edits(pass, scale_hook) || scry__pass_edits(pass, normed_hook);
    bool        split  = edited || scry__pass_wants(pass, normed_hook);
    if (scry__pass_wants(pass, scale_hook))
        status = scry__session_tensor(&scale, pass->session, SCRY__SLOT_SCALE, SCRY_F32, 3, shape);
    if (!status && edited)
        status = scry__session_tensor(&bare, pass->session, SCRY__SLOT_BARE, SCRY_F32, 2,
                                      as_rows(pass, &pass->normed).shape);
    if (status) return status;
    scry_norm op = {.x = pass->resid, .out = pass->normed, .scale = scale, .parameters = *parameters};
    if (scale.buffer) op.scale.rank = 2; /* one value per row; hooks see it as a last axis of 1 */
    if (split) op.parameters.weight = op.parameters.bias = (scry_tensor){0};
    status = scry__pass_run(pass, (scry_op){.kind = SCRY_OP_NORM, .norm = op});
    if (!status && edited)
        status = scry__pass_run(
            pass, (scry_op){.kind = SCRY_OP_COPY, .copy = {.x = as_rows(pass, &pass->normed), .out = bare}});
    if (!status) status = offer_scale(pass, scale_hook, &scale, &bare);
    if (status || !split) return status;
    status             = scry__pass_offer(pass, normed_hook, &pass->normed);
    scry_tensor normed = as_rows(pass, &pass->normed);
    if (!status && edited) status = scry__pass_take_change(pass, &normed, &bare);
    op.scale      = (scry_tensor){0};
    op.parameters = *parameters;
    if (!status) status = scry__pass_run(pass, (scry_op){.kind = SCRY_OP_NORM, .norm = op});
    return status || !edited ? status : add_weighted(pass, parameters, &bare);
}
