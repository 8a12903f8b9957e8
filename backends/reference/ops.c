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
    default:
        return scry__reference_host->fail(SCRY_UNSUPPORTED, "reference: unknown op %d", (int)op->kind);
    }
    return SCRY_OK;
}
