/* norm_backward: the gradients of LayerNorm and RMSNorm. */
#include "reference.h"

/* One row: normalised, and the gradient in that; and the sums over the rows. */
struct workspace {
    double     *normalised, *g;
    struct sum *d_weight, *d_bias;
};

size_t scry__reference_norm_backward_scratch(const scry_norm_backward *op)
{
    return 6 * (size_t)op->x.shape[op->x.rank - 1];
}

static double mean_product(const double *a, const double *b, int64_t count)
{
    struct sum sum = {0};
    for (int64_t i = 0; i < count; i++) sum_add(&sum, a[i] * (b ? b[i] : 1));
    return sum_value(&sum) / (double)count;
}

/* d_x of a row from `position` on, with what work holds of it. */
static void store_row(const scry_norm_backward *op, const struct workspace *work, int64_t position, double denominator)
{
    int                  last = op->x.rank - 1;
    int64_t              d    = op->x.shape[last];
    const scry_norm_kind kind = op->parameters.kind;
    double               mean = kind == SCRY_NORM_LAYER ? mean_product(work->g, NULL, d) : 0;
    double               with = kind == SCRY_NORM_NONE ? 0 : mean_product(work->g, work->normalised, d);
    for (int64_t i = 0; i < d; i++) {
        double value = kind == SCRY_NORM_NONE ? work->g[i] : work->g[i] - mean - work->normalised[i] * with;
        store_or_add(&op->d_x, position + i * op->d_x.stride[last], value / denominator, op->accumulate);
    }
}

static void run_row(const scry_norm_backward *op, const struct workspace *work, int64_t row)
{
    const scry_norm_parameters *given = &op->parameters;
    const scry_norm_parameters  bare  = {.kind = given->kind, .epsilon = given->epsilon};
    int                         last  = op->x.rank - 1;
    double  denominator = scry__reference_norm_row(&bare, &op->x, at_index(&op->x, last, row), work->normalised);
    int64_t position    = at_index(&op->d_out, last, row);
    for (int64_t i = 0; i < op->x.shape[last]; i++) {
        double d_out   = load(&op->d_out, position + i * op->d_out.stride[last]);
        bool   weighed = given->kind != SCRY_NORM_NONE && present(&given->weight);
        work->g[i] = weighed ? d_out * (load(&given->weight, at1(&given->weight, i)) + given->weight_offset) : d_out;
        sum_add(&work->d_weight[i], d_out * work->normalised[i]);
        sum_add(&work->d_bias[i], d_out);
    }
    if (present(&op->d_x)) store_row(op, work, at_index(&op->d_x, last, row), denominator);
}

static void store_sums(const scry_tensor *x, const struct sum *sums, bool accumulate)
{
    if (!present(x)) return;
    for (int64_t i = 0; i < x->shape[0]; i++) store_or_add(x, at1(x, i), sum_value(&sums[i]), accumulate);
}

void scry__reference_norm_backward(const scry_norm_backward *op, double *scratch)
{
    int              last = op->x.rank - 1;
    int64_t          d    = op->x.shape[last];
    struct workspace work = {.normalised = scratch, .g = scratch + d};
    work.d_weight         = (struct sum *)(scratch + 2 * d);
    work.d_bias           = work.d_weight + d;
    for (int64_t i = 0; i < 2 * d; i++) work.d_weight[i] = (struct sum){0};
    for (int64_t row = 0; row < count_of(&op->x, last); row++) run_row(op, &work, row);
    store_sums(&op->d_weight, work.d_weight, op->accumulate);
    store_sums(&op->d_bias, work.d_bias, op->accumulate);
}
