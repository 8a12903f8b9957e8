/* lens: what each layer's residual stream would predict. The oracle may hold one row of logits (two with a reference):
 * V doubles are the plainest way to say what top-k, rank and KL mean. */
#include "reference.h"

/* Normalised row [d], logits of the row and of the reference row [V]. */
size_t scry__reference_lens_scratch(const scry_lens_op *op)
{
    return (size_t)op->x.shape[op->x.rank - 1] + 2 * (size_t)op->unembedding.shape[0];
}

struct workspace {
    double *normalised, *logits, *reference;
};

static void fill_logits(const scry_lens_op *op, const scry_tensor *x, int64_t position, double *normalised,
                        double *logits)
{
    const scry_tensor *unembedding = &op->unembedding;
    scry__reference_norm_row(&op->norm, x, position, normalised);
    for (int64_t v = 0; v < unembedding->shape[0]; v++) {
        struct sum dot = {0};
        for (int64_t i = 0; i < unembedding->shape[1]; i++)
            sum_add(&dot, normalised[i] * load(unembedding, at2(unembedding, v, i)));
        double logit = sum_value(&dot) * (op->logit_scale != 0 ? op->logit_scale : 1);
        if (present(&op->bias)) logit += load(&op->bias, at1(&op->bias, v));
        logits[v] = op->softcap > 0 ? op->softcap * tanh(logit / op->softcap) : logit;
    }
}

static double entropy_of(const double *logits, int64_t count, const struct log_sum *lse)
{
    struct sum entropy = {0};
    for (int64_t v = 0; v < count; v++) {
        double log_p = log_probability(logits[v], lse);
        if (exp(log_p) != 0) sum_add(&entropy, -exp(log_p) * log_p);
    }
    return sum_value(&entropy);
}

static int64_t rank_of(const double *logits, int64_t count, int64_t target)
{
    int64_t rank = 0;
    for (int64_t v = 0; v < count; v++)
        rank += logits[v] > logits[target] || (logits[v] == logits[target] && v < target);
    return rank;
}

static void store_top(const scry_lens_op *op, const double *logits, int64_t n, int64_t t)
{
    const scry_tensor *id = &op->top_id, *logit = &op->top_logit;
    int64_t            V = op->unembedding.shape[0], next = -1;
    int64_t            count = present(id) ? id->shape[2] : present(logit) ? logit->shape[2] : 0;
    for (int64_t place = 0; place < count; place++) {
        if (place == 0 || next >= 0) next = scry__reference_next_largest(logits, V, next);
        if (present(id)) store(id, at3(id, n, t, place), (double)next);
        if (present(logit)) store(logit, at3(logit, n, t, place), next < 0 ? -INFINITY : logits[next]);
    }
}

/* A target outside the vocabulary is none: logit NaN, rank -1. */
static void store_target(const scry_lens_op *op, const double *logits, int64_t n, int64_t t)
{
    if (!present(&op->target)) return;
    int64_t target = (int64_t)load(&op->target, at1(&op->target, t)), V = op->unembedding.shape[0];
    bool    inside = target >= 0 && target < V;
    if (present(&op->target_logit))
        store(&op->target_logit, at2(&op->target_logit, n, t), inside ? logits[target] : (double)NAN);
    if (present(&op->target_rank))
        store(&op->target_rank, at2(&op->target_rank, n, t), inside ? (double)rank_of(logits, V, target) : -1);
}

static void run_row(const scry_lens_op *op, const struct workspace *work, int64_t n, int64_t t)
{
    int64_t V = op->unembedding.shape[0];
    fill_logits(op, &op->x, at3(&op->x, n, t, 0), work->normalised, work->logits);
    struct log_sum lse = scry__reference_log_sum_exp(work->logits, V);
    if (present(&op->lse)) store(&op->lse, at2(&op->lse, n, t), lse.largest + lse.log_total);
    if (present(&op->entropy)) store(&op->entropy, at2(&op->entropy, n, t), entropy_of(work->logits, V, &lse));
    if (present(&op->kl))
        store(&op->kl, at2(&op->kl, n, t), scry__reference_divergence(work->reference, work->logits, V));
    store_top(op, work->logits, n, t);
    store_target(op, work->logits, n, t);
}

void scry__reference_lens(const scry_lens_op *op, double *scratch)
{
    int64_t          N = op->x.shape[0], T = op->x.shape[1], d = op->x.shape[2], V = op->unembedding.shape[0];
    struct workspace work = {.normalised = scratch, .logits = scratch + d, .reference = scratch + d + V};
    for (int64_t t = 0; t < T; t++) {
        if (present(&op->kl))
            fill_logits(op, &op->reference, at2(&op->reference, t, 0), work.normalised, work.reference);
        for (int64_t n = 0; n < N; n++) run_row(op, &work, n, t);
    }
}
