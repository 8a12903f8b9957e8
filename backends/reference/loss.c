/* loss: cross-entropy or divergence of rows of predictions, and its gradients. By rows for what each row has of its
 * own; by vocabulary entries, with the logits read once more, for what is summed over rows. */
#include "reference.h"

/* Of one row: logits with the slopes of their soft-cap, and the teacher's logits [V]. Of every row [T]: their
 * log-sum-exps. Of one entry: the sums over rows [d].
 */
struct workspace {
    double         *logits, *slopes, *taught;
    struct log_sum *lse, *taught_lse;
    struct sum     *d_row;
};

size_t scry__reference_loss_scratch(const scry_loss *op)
{
    return 3 * (size_t)op->unembedding.shape[0] + 4 * (size_t)op->x.shape[0] + 2 * (size_t)op->x.shape[1];
}

static double scale_of(const scry_loss *op)
{
    return op->logit_scale != 0 ? op->logit_scale : 1;
}

/* The logit of entry v for row t of x; *slope, its derivative in what is below the soft-cap. */
static double logit_of(const scry_loss *op, const scry_tensor *x, int64_t t, int64_t v, double *slope)
{
    struct sum dot = {0};
    for (int64_t i = 0; i < x->shape[1]; i++)
        sum_add(&dot, load(x, at2(x, t, i)) * load(&op->unembedding, at2(&op->unembedding, v, i)));
    double logit = sum_value(&dot) * scale_of(op);
    if (present(&op->bias)) logit += load(&op->bias, at1(&op->bias, v));
    *slope = 1;
    if (!(op->softcap > 0)) return logit;
    *slope = 1 / (cosh(logit / op->softcap) * cosh(logit / op->softcap)); /* 1 - tanh^2, without cancellation */
    return op->softcap * tanh(logit / op->softcap);
}

/* -1: the row does not count. */
static int64_t target_of(const scry_loss *op, int64_t t)
{
    int64_t target = (int64_t)load(&op->target, at1(&op->target, t));
    return target >= 0 && target < op->unembedding.shape[0] ? target : -1;
}

/* The derivative of factor * loss in the logit of entry v, whose value is given with that of the teacher. */
static double d_logit(const scry_loss *op, const struct workspace *work, int64_t t, int64_t v, double logit,
                      double taught)
{
    double p = exp(log_probability(logit, &work->lse[t]));
    if (present(&op->teacher)) return op->factor * (p - exp(log_probability(taught, &work->taught_lse[t])));
    int64_t target = target_of(op, t);
    return target < 0 ? 0 : op->factor * (p - (v == target));
}

static double loss_of(const scry_loss *op, const struct workspace *work, int64_t t)
{
    int64_t V = op->unembedding.shape[0];
    if (present(&op->teacher)) return scry__reference_divergence(work->taught, work->logits, V);
    int64_t target = target_of(op, t);
    return target < 0 ? 0 : -log_probability(work->logits[target], &work->lse[t]);
}

static void store_d_x(const scry_loss *op, struct workspace *work, int64_t t)
{
    int64_t d = op->x.shape[1];
    for (int64_t i = 0; i < d; i++) work->d_row[i] = (struct sum){0};
    for (int64_t v = 0; v < op->unembedding.shape[0]; v++) {
        double given = work->slopes[v] * d_logit(op, work, t, v, work->logits[v], work->taught[v]);
        for (int64_t i = 0; i < d; i++)
            sum_add(&work->d_row[i], given * load(&op->unembedding, at2(&op->unembedding, v, i)));
    }
    for (int64_t i = 0; i < d; i++)
        store_or_add(&op->d_x, at2(&op->d_x, t, i), scale_of(op) * sum_value(&work->d_row[i]), op->accumulate);
}

static void run_row(const scry_loss *op, struct workspace *work, int64_t t)
{
    int64_t V = op->unembedding.shape[0];
    for (int64_t v = 0; v < V; v++) work->logits[v] = logit_of(op, &op->x, t, v, &work->slopes[v]);
    work->lse[t] = scry__reference_log_sum_exp(work->logits, V);
    if (present(&op->teacher)) {
        double slope;
        for (int64_t v = 0; v < V; v++) work->taught[v] = logit_of(op, &op->teacher, t, v, &slope);
        work->taught_lse[t] = scry__reference_log_sum_exp(work->taught, V);
    }
    if (present(&op->loss)) store(&op->loss, at1(&op->loss, t), loss_of(op, work, t));
    if (present(&op->d_x)) store_d_x(op, work, t);
}

/* What is summed over rows, of entry v. */
static void run_entry(const scry_loss *op, struct workspace *work, int64_t v)
{
    int64_t    T = op->x.shape[0], d = op->x.shape[1];
    struct sum bias = {0};
    for (int64_t i = 0; i < d; i++) work->d_row[i] = (struct sum){0};
    for (int64_t t = 0; t < T; t++) {
        double slope, none, logit = logit_of(op, &op->x, t, v, &slope);
        double taught = present(&op->teacher) ? logit_of(op, &op->teacher, t, v, &none) : 0;
        double given  = slope * d_logit(op, work, t, v, logit, taught);
        sum_add(&bias, given);
        for (int64_t i = 0; i < d; i++) sum_add(&work->d_row[i], given * load(&op->x, at2(&op->x, t, i)));
    }
    if (present(&op->d_bias)) store_or_add(&op->d_bias, at1(&op->d_bias, v), sum_value(&bias), op->accumulate);
    for (int64_t i = 0; present(&op->d_unembedding) && i < d; i++)
        store_or_add(&op->d_unembedding, at2(&op->d_unembedding, v, i), scale_of(op) * sum_value(&work->d_row[i]),
                     op->accumulate);
}

void scry__reference_loss(const scry_loss *op, double *scratch)
{
    int64_t          T = op->x.shape[0], V = op->unembedding.shape[0];
    struct workspace work = {.logits = scratch, .slopes = scratch + V, .taught = scratch + 2 * V};
    work.lse              = (struct log_sum *)(scratch + 3 * V);
    work.taught_lse       = work.lse + T;
    work.d_row            = (struct sum *)(work.taught_lse + T);
    for (int64_t t = 0; t < T; t++) run_row(op, &work, t);
    if (!present(&op->d_unembedding) && !present(&op->d_bias)) return;
    for (int64_t v = 0; v < V; v++) run_entry(op, &work, v);
}
