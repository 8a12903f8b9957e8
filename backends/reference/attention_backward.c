/* attention_backward: the gradients of attention, one query row of one head at a time. */
#include "reference.h"

/* Sums: of one query [D]; of the keys and values of one key/value head, [K, D] and [K, Dv]. */
struct workspace {
    struct sum *d_q, *d_k, *d_v;
};

size_t scry__reference_attention_backward_scratch(const scry_attention_backward *op)
{
    size_t keys = (size_t)op->k.shape[1], width = (size_t)op->k.shape[3], depth = (size_t)op->v.shape[3];
    return 2 * (width + keys * (width + depth));
}

/* One query row of one head, and the key/value head that it reads. */
struct row {
    int64_t b, h, i, group;
    double  lse, o; /* d_out . out */
};

static double with_d_out(const scry_attention_backward *op, const struct row *at, const scry_tensor *x, int64_t i,
                         int64_t h)
{
    struct sum dot = {0};
    for (int64_t d = 0; d < x->shape[3]; d++)
        sum_add(&dot, load(&op->d_out, at4(&op->d_out, at->b, at->i, at->h, d)) * load(x, at4(x, at->b, i, h, d)));
    return sum_value(&dot);
}

/* What key j, which is seen, adds. */
static void add_key(const scry_attention_backward *op, struct workspace *work, const struct row *at, int64_t j)
{
    int64_t width = op->k.shape[3], depth = op->v.shape[3];
    double  raw = scry__reference_score(&op->q, &op->k, op->scale, at->b, at->h, at->i, j), score = raw, bend = 1;
    if (op->softcap > 0) {
        score = op->softcap * tanh(raw / op->softcap);
        bend  = 1 / cosh(raw / op->softcap); /* its square is 1 - tanh^2, without cancellation */
    }
    score = scry__reference_masked(&op->mask, at->b, at->h, at->i, j, score);
    if (score == -INFINITY) return;
    double p   = exp(score - at->lse);
    double d_s = p * (with_d_out(op, at, &op->v, j, at->group) - at->o) * bend * bend;
    for (int64_t d = 0; d < width; d++) {
        sum_add(&work->d_q[d], d_s * load(&op->k, at4(&op->k, at->b, j, at->group, d)));
        sum_add(&work->d_k[j * width + d], d_s * load(&op->q, at4(&op->q, at->b, at->i, at->h, d)));
    }
    for (int64_t d = 0; d < depth; d++)
        sum_add(&work->d_v[j * depth + d], p * load(&op->d_out, at4(&op->d_out, at->b, at->i, at->h, d)));
}

static void run_row(const scry_attention_backward *op, struct workspace *work, struct row *at)
{
    at->lse = load(&op->lse, at3(&op->lse, at->b, at->h, at->i));
    at->o   = with_d_out(op, at, &op->out, at->i, at->h);
    for (int64_t d = 0; d < op->q.shape[3]; d++) work->d_q[d] = (struct sum){0};
    for (int64_t j = 0; at->lse != -INFINITY && j < op->k.shape[1]; j++)
        if (scry__reference_visible(&op->mask, at->b, at->i, j)) add_key(op, work, at, j);
    for (int64_t d = 0; present(&op->d_q) && d < op->q.shape[3]; d++)
        store_or_add(&op->d_q, at4(&op->d_q, at->b, at->i, at->h, d), op->scale * sum_value(&work->d_q[d]),
                     op->accumulate);
}

static void store_keys(const scry_attention_backward *op, const scry_tensor *x, const struct sum *sums, double factor,
                       int64_t b, int64_t group)
{
    for (int64_t j = 0; present(x) && j < x->shape[1]; j++)
        for (int64_t d = 0; d < x->shape[3]; d++)
            store_or_add(x, at4(x, b, j, group, d), factor * sum_value(&sums[j * x->shape[3] + d]), op->accumulate);
}

static void run_group(const scry_attention_backward *op, struct workspace *work, int64_t b, int64_t group)
{
    int64_t    keys = op->k.shape[1], heads = op->q.shape[2] / op->k.shape[2];
    struct row at = {.b = b, .group = group};
    for (int64_t i = 0; i < keys * op->k.shape[3]; i++) work->d_k[i] = (struct sum){0};
    for (int64_t i = 0; i < keys * op->v.shape[3]; i++) work->d_v[i] = (struct sum){0};
    for (at.h = group * heads; at.h < (group + 1) * heads; at.h++)
        for (at.i = 0; at.i < op->q.shape[1]; at.i++) run_row(op, work, &at);
    store_keys(op, &op->d_k, work->d_k, op->scale, b, group);
    store_keys(op, &op->d_v, work->d_v, 1, b, group);
}

void scry__reference_attention_backward(const scry_attention_backward *op, double *scratch)
{
    struct workspace work = {.d_q = (struct sum *)scratch};
    work.d_k              = work.d_q + op->k.shape[3];
    work.d_v              = work.d_k + op->k.shape[1] * op->k.shape[3];
    for (int64_t b = 0; b < op->q.shape[0]; b++)
        for (int64_t group = 0; group < op->k.shape[2]; group++) run_group(op, &work, b, group);
}
