/* sum, and the gradients of activation and embed. */
#include "reference.h"

void scry__reference_sum(const scry_sum *op)
{
    for (int64_t i = 0; i < op->x.shape[1]; i++) {
        struct sum total = {0};
        for (int64_t t = 0; t < op->x.shape[0]; t++) {
            double value = load(&op->x, at2(&op->x, t, i));
            sum_add(&total, op->squares ? value * value : value);
        }
        store_or_add(&op->out, at1(&op->out, i), sum_value(&total), op->accumulate);
    }
}

/* f'(x) */
static double slope(scry_activation_kind function, double x)
{
    double bend = 1, below, above;
    switch (function) {
    case SCRY_GELU_ERF:
        return erfc(-x / M_SQRT2) / 2 + x * exp(-x * x / 2) / sqrt(2 * M_PI);
    case SCRY_GELU_TANH: /* x / (1 + exp(-y)), as silu but for y */
        bend  = 2 * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
        below = exp(-2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x));
        break;
    case SCRY_SILU:
        below = exp(-x);
        break;
    default:
        return x > 0 ? 1 : isnan(x) ? x : 0;
    }
    above = 1 / below; /* the derivative of 1 / (1 + exp(-y)) is that times 1 / (1 + exp(y)) */
    return (1 + x * bend / (1 + above)) / (1 + below);
}

void scry__reference_activation_backward(const scry_activation_backward *op)
{
    const scry_tensor *x = &op->x, *gated = &op->gated, *d_out = &op->d_out;
    int64_t            count = count_of(x, x->rank);
    for (int64_t i = 0; i < count; i++) {
        double at = load(x, at_index(x, x->rank, i)), given = load(d_out, at_index(d_out, d_out->rank, i));
        double factor = present(gated) ? load(gated, at_index(gated, gated->rank, i)) : 1;
        if (present(&op->d_gated))
            store_or_add(&op->d_gated, at_index(&op->d_gated, op->d_gated.rank, i),
                         given * scry__reference_activate(op->function, at), op->accumulate);
        if (present(&op->d_x)) /* last: it may be d_out */
            store_or_add(&op->d_x, at_index(&op->d_x, op->d_x.rank, i), given * slope(op->function, at) * factor,
                         op->accumulate);
    }
}

/* The sums of one row of the table. */
size_t scry__reference_embed_backward_scratch(const scry_embed_backward *op)
{
    return 2 * (size_t)op->d_out.shape[1];
}

void scry__reference_embed_backward(const scry_embed_backward *op, double *scratch)
{
    int64_t     T = op->d_out.shape[0], d = op->d_out.shape[1];
    double      factor = op->scale != 0 ? op->scale : 1;
    struct sum *row    = (struct sum *)scratch;
    for (int64_t v = 0; v < op->d_table.shape[0]; v++) {
        bool named = false;
        for (int64_t i = 0; i < d; i++) row[i] = (struct sum){0};
        for (int64_t t = 0; t < T; t++) {
            if ((int64_t)load(&op->ids, at1(&op->ids, t)) != v) continue;
            named = true;
            for (int64_t i = 0; i < d; i++) sum_add(&row[i], load(&op->d_out, at2(&op->d_out, t, i)));
        }
        for (int64_t i = 0; i < d && (named || !op->accumulate); i++)
            store_or_add(&op->d_table, at2(&op->d_table, v, i), factor * sum_value(&row[i]), op->accumulate);
    }
}
