/* Reading a residual stream through its frozen final norm. See frozen.h. */
#include "analysis/frozen.h"

#include "analysis/folded.h"
#include "base/alloc.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

scry_status scry__reading_create(scry__reading *reading, int64_t size)
{
    *reading           = (scry__reading){.size = size};
    reading->direction = scry__alloc((size_t)size, sizeof *reading->direction);
    reading->reach     = scry__alloc((size_t)size, sizeof *reading->reach);
    return reading->direction && reading->reach ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

void scry__reading_finish(scry__reading *reading)
{
    scry__free(reading->reach);
    scry__free(reading->direction);
    *reading = (scry__reading){0};
}

static scry__share multiply(const double *direction, const double *reach, const float *values, int64_t count)
{
    scry__share share = {0, 0};
    for (int64_t i = 0; i < count; i++) {
        share.value += direction[i] * (double)values[i];
        share.size += reach[i] * fabs((double)values[i]);
    }
    return share;
}

static void add(scry__share *sum, scry__share share)
{
    sum->value += share.value;
    sum->size += share.size;
}

scry__share scry__reading_of(const scry__reading *reading, const float *values)
{
    return multiply(reading->direction, reading->reach, values, reading->size);
}

/* --- towards the logit --- */

scry_status scry__reading_add_token(scry__reading *reading, const scry_model *model, int32_t id, double sign,
                                    scry__share *bias)
{
    const scry__weights *weights = &model->weights;
    scry_tensor          row     = scry_tensor_slice(weights->unembedding, 0, id, 1);
    double               scale   = model->arch.logit_scale != 0.0 ? model->arch.logit_scale : 1.0;
    scry__matrix         values  = {0};
    scry_status          status  = scry__weight_read(&values, model->device, &row);
    for (int64_t i = 0; !status && i < reading->size; i++) {
        reading->direction[i] += sign * scale * (double)values.values[i];
        reading->reach[i] += fabs(scale * (double)values.values[i]);
    }
    scry__matrix_finish(&values);
    if (status || !weights->unembedding_bias.buffer) return status;
    row    = scry_tensor_slice(weights->unembedding_bias, 0, id, 1);
    status = scry__weight_read(&values, model->device, &row);
    if (!status) add(bias, (scry__share){sign * (double)values.values[0], fabs((double)values.values[0])});
    scry__matrix_finish(&values);
    return status;
}

/* The transpose of taking the mean away is the same again; of absolute values it is added. */
static void pass_mean(scry__reading *reading)
{
    double mean = 0, reach = 0;
    for (int64_t i = 0; i < reading->size; i++) {
        mean += reading->direction[i] / (double)reading->size;
        reach += reading->reach[i] / (double)reading->size;
    }
    for (int64_t i = 0; i < reading->size; i++) {
        reading->direction[i] -= mean;
        reading->reach[i] += reach;
    }
}

scry_status scry__reading_pass_norm(scry__reading *reading, const scry_model *model, const scry_norm_parameters *norm,
                                    double denominator, scry__share *bias)
{
    scry__matrix values = {0};
    scry_status  status = SCRY_OK;
    if (norm->kind == SCRY_NORM_NONE) return SCRY_OK;
    if (norm->bias.buffer) {
        status = scry__weight_read(&values, model->device, &norm->bias);
        if (!status) add(bias, scry__reading_of(reading, values.values));
        scry__matrix_finish(&values);
    }
    if (!status) status = scry__norm_read_factors(&values, model->device, norm, reading->size);
    for (int64_t i = 0; !status && i < reading->size; i++) {
        reading->direction[i] *= (double)values.values[i] / denominator;
        reading->reach[i] *= fabs((double)values.values[i]) / denominator;
    }
    scry__matrix_finish(&values);
    if (!status && norm->kind == SCRY_NORM_LAYER) pass_mean(reading);
    return status;
}

/* --- what a layer wrote --- */

/* The denominator of a norm over x = z W + bias. *spread: by how much more than the products' own sum rounding can move
 * it, as it does where large products cancel. */
static scry_status find_denominator(double *denominator, double *spread, const scry_norm_parameters *norm,
                                    const float *z, const scry__matrix *weight, const float *bias)
{
    int     d    = weight->columns;
    double *x    = scry__alloc((size_t)d, 2 * sizeof *x), *size;
    double  mean = 0, square = 0, squared_size = 0;
    if (!x) return SCRY_OUT_OF_MEMORY;
    size = x + d;
    for (int i = 0; i < d; i++) {
        x[i]    = bias ? (double)bias[i] : 0;
        size[i] = fabs(x[i]);
    }
    for (int row = 0; row < weight->rows; row++)
        for (int i = 0; i < d; i++) {
            double product = (double)z[row] * (double)weight->values[(size_t)row * (size_t)d + (size_t)i];
            x[i] += product;
            size[i] += fabs(product);
        }
    for (int i = 0; i < d && norm->kind == SCRY_NORM_LAYER; i++) mean += x[i] / d;
    for (int i = 0; i < d; i++) {
        square += (x[i] - mean) * (x[i] - mean) / d;
        squared_size += size[i] * size[i] / d;
    }
    *denominator = norm->kind == SCRY_NORM_NONE ? 1 : sqrt(square + (double)norm->epsilon);
    *spread      = norm->kind == SCRY_NORM_NONE ? 0 : 2 * sqrt(squared_size) / *denominator;
    scry__free(x);
    return SCRY_OK;
}

/* How an attention output is read that goes through a norm first, frozen at what it divided this one by. */
static scry_status read_behind_norm(scry__reading *own, scry__share *bias, const scry__reading *reading,
                                    const scry_model *model, const scry_norm_parameters *norm, const float *z,
                                    const scry__matrix *weight, const float *output_bias)
{
    double      denominator, spread;
    size_t      bytes  = (size_t)reading->size * sizeof *reading->direction;
    scry_status status = scry__reading_create(own, reading->size);
    if (!status) status = find_denominator(&denominator, &spread, norm, z, weight, output_bias);
    if (status) return status;
    memcpy(own->direction, reading->direction, bytes);
    memcpy(own->reach, reading->reach, bytes);
    status = scry__reading_pass_norm(own, model, norm, denominator, bias);
    for (int64_t i = 0; i < own->size; i++) own->reach[i] *= 1 + spread;
    return status;
}

static void share_out(scry__share *heads, const scry__reading *reading, const scry__matrix *weight, const float *z,
                      int64_t head_size)
{
    for (int64_t row = 0; row < weight->rows; row++) {
        const float *writes = weight->values + row * weight->columns;
        scry__share  one    = multiply(reading->direction, reading->reach, writes, weight->columns);
        one.value *= (double)z[row];
        one.size *= fabs((double)z[row]);
        add(&heads[row / head_size], one);
    }
}

scry_status scry__reading_of_heads(scry__share *heads, scry__share *bias, const scry__reading *reading,
                                   const scry_model *model, int layer, const float *z)
{
    const scry__arch          *arch    = &model->arch;
    const scry__layer_weights *weights = &model->weights.layers[layer];
    scry__matrix               weight = {0}, output_bias = {0};
    scry__reading              behind = {0};
    const scry__reading       *own    = arch->norm_after ? &behind : reading;
    scry_status                status = scry__layer_load(model, layer);
    *bias                             = (scry__share){0, 0};
    memset(heads, 0, (size_t)arch->head_count * sizeof *heads);
    if (!status) status = scry__weight_read(&weight, model->device, &weights->out.weight);
    if (!status && weights->out.bias.buffer)
        status = scry__weight_read(&output_bias, model->device, &weights->out.bias);
    if (!status && arch->norm_after)
        status = read_behind_norm(&behind, bias, reading, model, &weights->norm1_after, z, &weight, output_bias.values);
    if (!status) share_out(heads, own, &weight, z, arch->head_size);
    if (!status && output_bias.values) add(bias, scry__reading_of(own, output_bias.values));
    scry__reading_finish(&behind);
    scry__matrix_finish(&output_bias);
    scry__matrix_finish(&weight);
    return status;
}

scry_status scry__reading_of_mlp_bias(scry__share *bias, const scry__reading *reading, const scry_model *model,
                                      int layer)
{
    const scry_tensor *tensor = &model->weights.layers[layer].down.bias;
    scry__matrix       values = {0};
    *bias                     = (scry__share){0, 0};
    if (!tensor->buffer || model->arch.norm_after) return SCRY_OK;
    scry_status status = scry__layer_load(model, layer);
    if (!status) status = scry__weight_read(&values, model->device, tensor);
    if (!status) *bias = scry__reading_of(reading, values.values);
    scry__matrix_finish(&values);
    return status;
}
