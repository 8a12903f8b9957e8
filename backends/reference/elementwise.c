/* embed, add, scale, activation, copy, fill: one element at a time, in row-major order of the output. */
#include "reference.h"

void scry__reference_embed(const scry_embed *op)
{
    double factor = op->scale != 0 ? op->scale : 1;
    for (int64_t t = 0; t < op->out.shape[0]; t++) {
        int64_t id     = (int64_t)load(&op->ids, at1(&op->ids, t));
        bool    inside = id >= 0 && id < op->table.shape[0];
        for (int64_t i = 0; i < op->out.shape[1]; i++) {
            double value = inside ? factor * load(&op->table, at2(&op->table, id, i)) : (double)NAN;
            store_or_add(&op->out, at2(&op->out, t, i), value, op->accumulate);
        }
    }
}

void scry__reference_add(const scry_add *op)
{
    int64_t count = count_of(&op->out, op->out.rank);
    for (int64_t i = 0; i < count; i++)
        store(&op->out, at_index(&op->out, op->out.rank, i),
              load(&op->a, at_index(&op->a, op->a.rank, i)) + load(&op->b, at_index(&op->b, op->b.rank, i)));
}

void scry__reference_scale(const scry_scale *op)
{
    int64_t count = count_of(&op->out, op->out.rank);
    for (int64_t i = 0; i < count; i++)
        store(&op->out, at_index(&op->out, op->out.rank, i),
              op->factor * load(&op->x, at_index(&op->x, op->x.rank, i)) + op->offset);
}

double scry__reference_activate(scry_activation_kind function, double x)
{
    switch (function) {
    case SCRY_GELU_ERF:
        return x / 2 * erfc(-x / M_SQRT2); /* 1 + erf(y) = erfc(-y), without cancellation */
    case SCRY_GELU_TANH: {
        /* 1 + tanh(y) = 2 / (1 + exp(-2 y)), without cancellation */
        double y = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
        return x / (1 + exp(-2 * y));
    }
    case SCRY_SILU:
        return x / (1 + exp(-x));
    default:
        return x > 0 || isnan(x) ? x : 0;
    }
}

void scry__reference_activation(const scry_activation *op)
{
    int64_t count = count_of(&op->out, op->out.rank);
    for (int64_t i = 0; i < count; i++) {
        double value = scry__reference_activate(op->function, load(&op->x, at_index(&op->x, op->x.rank, i)));
        if (present(&op->gated)) value *= load(&op->gated, at_index(&op->gated, op->gated.rank, i));
        store(&op->out, at_index(&op->out, op->out.rank, i), value);
    }
}

void scry__reference_copy(const scry_copy *op)
{
    int64_t count = count_of(&op->out, op->out.rank);
    for (int64_t i = 0; i < count; i++)
        store(&op->out, at_index(&op->out, op->out.rank, i), load(&op->x, at_index(&op->x, op->x.rank, i)));
}

void scry__reference_fill(const scry_fill *op)
{
    int64_t count = count_of(&op->out, op->out.rank);
    for (int64_t i = 0; i < count; i++) store(&op->out, at_index(&op->out, op->out.rank, i), op->value);
}
