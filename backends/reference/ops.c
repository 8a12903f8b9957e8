/* What the reference says of an op, and the way from an op to its function. */
#include "reference.h"

static size_t scratch_doubles(const scry_op *op)
{
    switch (op->kind) {
    case SCRY_OP_SOFTMAX_CAPTURE:
        return scry__reference_softmax_capture_scratch(&op->softmax);
    case SCRY_OP_ATTENTION:
        return scry__reference_attention_scratch(&op->attention);
    case SCRY_OP_NORM:
        return scry__reference_norm_scratch(&op->norm);
    case SCRY_OP_LENS:
        return scry__reference_lens_scratch(&op->lens);
    case SCRY_OP_NORM_BACKWARD:
        return scry__reference_norm_backward_scratch(&op->norm_backward);
    case SCRY_OP_EMBED_BACKWARD:
        return scry__reference_embed_backward_scratch(&op->embed_backward);
    case SCRY_OP_ATTENTION_BACKWARD:
        return scry__reference_attention_backward_scratch(&op->attention_backward);
    case SCRY_OP_LOSS:
        return scry__reference_loss_scratch(&op->loss);
    default:
        return 0;
    }
}

scry_status scry__reference_query(scry_device *device, const scry_op *op, scry_op_info *info)
{
    (void)device;
    info->support       = SCRY_SUPPORTED;
    info->precision     = SCRY_STRICT_F32; /* and better */
    info->scratch_bytes = scratch_doubles(op) * sizeof(double);
    return SCRY_OK;
}

scry_status scry__reference_run(scry_device *device, const scry_op *op)
{
    double *scratch = device->scratch ? device->scratch->host : NULL;
    switch (op->kind) {
    case SCRY_OP_MATMUL:
        scry__reference_matmul(&op->matmul);
        break;
    case SCRY_OP_SOFTMAX_CAPTURE:
        scry__reference_softmax_capture(&op->softmax, scratch);
        break;
    case SCRY_OP_ATTENTION:
        scry__reference_attention(&op->attention, scratch);
        break;
    case SCRY_OP_ROPE:
        scry__reference_rope(&op->rope);
        break;
    case SCRY_OP_NORM:
        scry__reference_norm(&op->norm, scratch);
        break;
    case SCRY_OP_LENS:
        scry__reference_lens(&op->lens, scratch);
        break;
    case SCRY_OP_EMBED:
        scry__reference_embed(&op->embed);
        break;
    case SCRY_OP_ADD:
        scry__reference_add(&op->add);
        break;
    case SCRY_OP_SCALE:
        scry__reference_scale(&op->scale);
        break;
    case SCRY_OP_ACTIVATION:
        scry__reference_activation(&op->activation);
        break;
    case SCRY_OP_COPY:
        scry__reference_copy(&op->copy);
        break;
    case SCRY_OP_FILL:
        scry__reference_fill(&op->fill);
        break;
    case SCRY_OP_SUM:
        scry__reference_sum(&op->sum);
        break;
    case SCRY_OP_ACTIVATION_BACKWARD:
        scry__reference_activation_backward(&op->activation_backward);
        break;
    case SCRY_OP_NORM_BACKWARD:
        scry__reference_norm_backward(&op->norm_backward, scratch);
        break;
    case SCRY_OP_EMBED_BACKWARD:
        scry__reference_embed_backward(&op->embed_backward, scratch);
        break;
    case SCRY_OP_ATTENTION_BACKWARD:
        scry__reference_attention_backward(&op->attention_backward, scratch);
        break;
    case SCRY_OP_LOSS:
        scry__reference_loss(&op->loss, scratch);
        break;
    case SCRY_OP_ADAMW:
        scry__reference_adamw(&op->adamw);
        break;
    case SCRY_OP_SGD:
        scry__reference_sgd(&op->sgd);
        break;
    default:
        return scry__reference_host->fail(SCRY_UNSUPPORTED, "reference: unknown op %d", (int)op->kind);
    }
    return SCRY_OK;
}
