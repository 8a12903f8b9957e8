/* norm: LayerNorm and RMSNorm over the last axis; the row function also serves the lens. */
#include "reference.h"

static double mean_of(const double *values, int64_t count)
{
    struct sum sum = {0};
    for (int64_t i = 0; i < count; i++) sum_add(&sum, values[i]);
    return sum_value(&sum) / (double)count;
}

static double mean_square(const double *values, int64_t count)
{
    struct sum sum = {0};
    for (int64_t i = 0; i < count; i++) sum_add(&sum, values[i] * values[i]);
    return sum_value(&sum) / (double)count;
}

double scry__reference_norm_row(const scry_norm_parameters *parameters, const scry_tensor *x, int64_t position,
                                double *out)
{
    int64_t d = x->shape[x->rank - 1], stride = x->stride[x->rank - 1];
    for (int64_t i = 0; i < d; i++) out[i] = load(x, position + i * stride);
    if (parameters->kind == SCRY_NORM_NONE) return 1;

    double centre = parameters->kind == SCRY_NORM_LAYER ? mean_of(out, d) : 0;
    for (int64_t i = 0; i < d; i++) out[i] -= centre;
    double denominator = sqrt(mean_square(out, d) + parameters->epsilon);
    for (int64_t i = 0; i < d; i++) {
        const scry_tensor *weight = &parameters->weight, *bias = &parameters->bias;
        out[i] /= denominator;
        if (present(weight)) out[i] *= load(weight, at1(weight, i)) + parameters->weight_offset;
        if (present(bias)) out[i] += load(bias, at1(bias, i));
    }
    return denominator;
}

/* One row: in place, the output may overwrite the input. */
size_t scry__reference_norm_scratch(const scry_norm *op)
{
    return (size_t)op->x.shape[op->x.rank - 1];
}

void scry__reference_norm(const scry_norm *op, double *scratch)
{
    int     axes = op->x.rank - 1;
    int64_t rows = count_of(&op->x, axes), d = op->x.shape[axes];
    for (int64_t row = 0; row < rows; row++) {
        double  denominator = scry__reference_norm_row(&op->parameters, &op->x, at_index(&op->x, axes, row), scratch);
        int64_t position    = at_index(&op->out, axes, row);
        for (int64_t i = 0; i < d; i++) store(&op->out, position + i * op->out.stride[axes], scratch[i]);
        if (present(&op->scale)) store(&op->scale, at_index(&op->scale, op->scale.rank, row), denominator);
    }
}
