/* Attention weights with norms folded in. See folded.h. */
#include "analysis/folded.h"

#include "base/alloc.h"
#include "model/model.h"

#include <string.h>

scry_status scry__matrix_create(scry__matrix *matrix, int64_t rows, int64_t columns)
{
    *matrix = (scry__matrix){(int)rows, (int)columns, scry__alloc((size_t)rows, (size_t)columns * sizeof(float))};
    return matrix->values ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

void scry__matrix_finish(scry__matrix *matrix)
{
    scry__free(matrix->values);
    *matrix = (scry__matrix){0};
}

scry_status scry__weight_read(scry__matrix *out, scry_device *device, const scry_tensor *weight)
{
    scry_buffer *buffer = NULL;
    scry_op      op     = {.kind = SCRY_OP_COPY};
    scry_status  status = scry__matrix_create(out, weight->shape[0], weight->rank > 1 ? weight->shape[1] : 1);
    size_t       bytes  = (size_t)out->rows * (size_t)out->columns * sizeof(float);
    if (!status) status = scry_buffer_create(&buffer, device, bytes);
    if (!status) {
        op.copy = (scry_copy){*weight, scry_tensor_of(buffer, 0, SCRY_F32, weight->rank, weight->shape)};
        status  = scry_device_run(device, &op);
    }
    if (!status) status = scry_buffer_read(buffer, 0, out->values, bytes);
    scry_buffer_destroy(&buffer);
    return status;
}

scry_status scry__layer_load(const scry_model *model, int layer)
{
    return model->weights.stream ? scry__stream_load(model->weights.stream, layer) : SCRY_OK;
}

scry_status scry__norm_read_factors(scry__matrix *out, scry_device *device, const scry_norm_parameters *norm,
                                    int64_t size)
{
    bool        has_weight = norm->weight.buffer && norm->kind != SCRY_NORM_NONE;
    scry_status status = has_weight ? scry__weight_read(out, device, &norm->weight) : scry__matrix_create(out, size, 1);
    for (int i = 0; !status && i < out->rows; i++)
        out->values[i] = has_weight ? out->values[i] + norm->weight_offset : 1;
    return status;
}

/* Rows of `matrix` by the norm that stands before it, and without the mean that a LayerNorm takes away. */
static void fold_input(scry__matrix *matrix, const scry__matrix *factors, scry_norm_kind kind)
{
    for (int column = 0; column < matrix->columns; column++) {
        double sum = 0;
        for (int row = 0; row < matrix->rows; row++) {
            float *value = &matrix->values[(size_t)row * (size_t)matrix->columns + (size_t)column];
            *value *= factors->values[row];
            sum += (double)*value;
        }
        float mean = kind == SCRY_NORM_LAYER ? (float)(sum / matrix->rows) : 0;
        for (int row = 0; row < matrix->rows; row++)
            matrix->values[(size_t)row * (size_t)matrix->columns + (size_t)column] -= mean;
    }
}

/* Columns by the norm behind the matrix, if any, and without the mean that no reader sees. */
static void fold_output(scry__matrix *matrix, const scry__matrix *factors, scry_norm_kind kind)
{
    for (int row = 0; row < matrix->rows; row++) {
        float *values = matrix->values + (size_t)row * (size_t)matrix->columns;
        double sum    = 0;
        for (int column = 0; column < matrix->columns; column++) {
            if (factors) values[column] *= factors->values[column];
            sum += (double)values[column];
        }
        float mean = kind == SCRY_NORM_LAYER ? (float)(sum / matrix->columns) : 0;
        for (int column = 0; column < matrix->columns; column++) values[column] -= mean;
    }
}

/* Every head's entries by the same factors, which a norm of keys or queries applies. */
static void fold_heads(scry__matrix *matrix, const scry__matrix *factors)
{
    for (int row = 0; row < matrix->rows; row++)
        for (int column = 0; column < matrix->columns; column++)
            matrix->values[(size_t)row * (size_t)matrix->columns + (size_t)column] *=
                factors->values[column % factors->rows];
}

/* A layer's columns of one part as they lie in the checkpoint: count heads, the first at column `begin`, `spacing`
 * columns apart. */
static const scry_tensor *find_part(const scry_model *model, int layer, scry__part part, int64_t *begin,
                                    int64_t *spacing)
{
    const scry__arch          *arch     = &model->arch;
    const scry__layer_weights *weights  = &model->weights.layers[layer];
    const scry__linear *const  own[]    = {&weights->q, &weights->k, &weights->v};
    bool                       by_head  = arch->qkv == SCRY__QKV_BY_HEAD;
    int64_t                    before[] = {0, arch->head_count, arch->head_count + arch->kv_head_count};
    *begin                              = 0;
    *spacing                            = arch->head_size;
    if (arch->qkv == SCRY__QKV_SEPARATE) return &own[part]->weight;
    *begin   = (by_head ? (int64_t)part : before[part]) * arch->head_size;
    *spacing = (by_head ? 3 : 1) * arch->head_size;
    return &weights->qkv.weight;
}

scry_status scry__folded_part(scry__matrix *out, const scry_model *model, int layer, scry__part part)
{
    const scry__arch          *arch    = &model->arch;
    const scry__layer_weights *weights = &model->weights.layers[layer];
    int64_t                    heads   = part == SCRY__PART_Q ? arch->head_count : arch->kv_head_count, begin, spacing;
    const scry_tensor         *weight  = find_part(model, layer, part, &begin, &spacing);
    scry__matrix               whole = {0}, factors = {0};
    scry_status                status = scry__layer_load(model, layer);
    if (!status) status = scry__weight_read(&whole, model->device, weight);
    if (!status) status = scry__matrix_create(out, whole.rows, heads * arch->head_size);
    for (int row = 0; !status && row < whole.rows; row++)
        for (int64_t head = 0; head < heads; head++)
            memcpy(out->values + (row * heads + head) * arch->head_size,
                   whole.values + (int64_t)row * whole.columns + begin + head * spacing,
                   (size_t)arch->head_size * sizeof(float));
    if (!status && arch->norm_before) {
        status = scry__norm_read_factors(&factors, model->device, &weights->norm1, whole.rows);
        if (!status) fold_input(out, &factors, weights->norm1.kind);
        scry__matrix_finish(&factors);
    }
    if (!status && part != SCRY__PART_V && arch->features & SCRY__HAS_QK_NORM) {
        status = scry__norm_read_factors(&factors, model->device,
                                         part == SCRY__PART_Q ? &weights->q_norm : &weights->k_norm, arch->head_size);
        if (!status) fold_heads(out, &factors);
        scry__matrix_finish(&factors);
    }
    scry__matrix_finish(&whole);
    return status;
}

scry_status scry__folded_output(scry__matrix *out, const scry_model *model, int layer)
{
    const scry__arch          *arch    = &model->arch;
    const scry__layer_weights *weights = &model->weights.layers[layer];
    scry__matrix               factors = {0};
    scry_status                status  = scry__layer_load(model, layer);
    if (!status) status = scry__weight_read(out, model->device, &weights->out.weight);
    if (!status && arch->norm_after)
        status = scry__norm_read_factors(&factors, model->device, &weights->norm1_after, arch->hidden_size);
    if (!status) fold_output(out, arch->norm_after ? &factors : NULL, arch->norm);
    scry__matrix_finish(&factors);
    return status;
}
