/* norm_backward: the gradients of norm. With r = 1 / sqrt(.. + epsilon), n = (x - mean) r and g = d_out * (weight +
 * weight_offset): layer: d_x = r (g - mean(g) - n mean(g n)); rms: without mean(g); none: d_x = d_out. d_weight = sum
 * over the rows of d_out n, d_bias = sum of d_out. Where accumulate, d_x is added to.
 *
 * x, d_out, d_x f32 [i, j, k, d], weight f32, f16 or bf16 [d] or absent; d_x may be absent.
 *
 *     norm_backward         a warp takes a row, and leaves its mean and r in scratch; sums as those of norm (team.cuh)
 *     norm_backward_sums    a thread takes a run of columns of a block of rows, in their order; what it adds up for
 *                           d_weight and d_bias goes to scratch, where sum_merge (sum.cu) takes it from
 *
 * Errors: those of norm for n and r, the means gamma(d + 4) of their terms, d_x 6 u more; gamma(rows + 4) for the
 * sums. */
#include "team.cuh"

#include "norm_backward.h"

enum { LAYER, RMS, NONE }; /* scry_norm_kind */

/* A row, and what norm made of it. */
struct normed_row {
    const float *x, *d_out;
    float        centre, factor;
};

/* Entries of a row from `i` on: g and n. */
struct row_run {
    run_values g, n;
};

DEVICE row_run load_row(const cuda_norm_backward &p, const normed_row &row, int64_t i, int count)
{
    row_run    all;
    run_values weight;
    if (p.weight.data)
        weight = load_values(p.weight.data, i * p.weight.stride[0], p.weight.stride[0], count, p.weight.dtype);
    all.g = load_values(row.d_out, i * p.d_out.stride[3], p.d_out.stride[3], count, F32);
    all.n = load_values(row.x, i * p.x.stride[3], p.x.stride[3], count, F32);
    for (int j = 0; j < CUDA_RUN; j++) {
        if (p.weight.data) all.g.x[j] *= weight.x[j] + p.weight_offset;
        all.n.x[j] = (all.n.x[j] - row.centre) * row.factor;
    }
    return all;
}

/* The means of g and of g n. */
DEVICE void find_means(const cuda_norm_backward &p, const team &t, const normed_row &row, float *of_g, float *of_gn)
{
    float sum = 0, with = 0;
    for (int64_t i = (int64_t)t.thread * CUDA_RUN; i < p.size; i += (int64_t)t.threads * CUDA_RUN) {
        int     count = entries_left(p.size, i);
        row_run all   = load_row(p, row, i, count);
        for (int j = 0; j < CUDA_RUN; j++) {
            sum += j < count ? all.g.x[j] : 0.0f;
            with += j < count ? all.g.x[j] * all.n.x[j] : 0.0f;
        }
    }
    sum    = sum_of_team(t, sum);
    *of_g  = p.kind == LAYER ? sum * p.per_entry : 0;
    *of_gn = sum_of_team(t, with) * p.per_entry;
}

DEVICE void write_row(const cuda_norm_backward &p, const team &t, const normed_row &row, int64_t to)
{
    float of_g = 0, of_gn = 0;
    if (p.kind != NONE) find_means(p, t, row, &of_g, &of_gn);
    for (int64_t i = (int64_t)t.thread * CUDA_RUN; i < p.size; i += (int64_t)t.threads * CUDA_RUN) {
        int        count = entries_left(p.size, i);
        run_values made;
        if (p.kind == NONE) {
            made = load_values(row.d_out, i * p.d_out.stride[3], p.d_out.stride[3], count, F32);
        } else {
            row_run all = load_row(p, row, i, count);
            for (int j = 0; j < CUDA_RUN; j++) made.x[j] = row.factor * (all.g.x[j] - of_g - all.n.x[j] * of_gn);
        }
        add_values(p.d_x.data, to + i * p.d_x.stride[3], p.d_x.stride[3], count, made, p.accumulate);
    }
}

CUDA_KERNEL(norm_backward, cuda_norm_backward, CUDA_TEAM_THREADS, 4)
{
    run     r;
    team    t      = {WARP, (int)threadIdx.x % WARP};
    int64_t number = BLOCK_NUMBER * (CUDA_TEAM_THREADS / WARP) + threadIdx.x / WARP;
    if (!take_run(&r, p.rows, number)) return;
    normed_row row = {static_cast<const float *>(p.x.data) + run_index(r, p.x),
                      static_cast<const float *>(p.d_out.data) + run_index(r, p.d_out), 0, 1};
    if (p.kind == LAYER) row.centre = sum_of_row(t, row.x, p.x.stride[3], p.size, 0, false) * p.per_entry;
    if (p.kind != NONE)
        row.factor = 1 / sqrtf(sum_of_row(t, row.x, p.x.stride[3], p.size, row.centre, true) * p.per_entry + p.epsilon);
    if (t.thread == 0) p.found[2 * number] = row.centre, p.found[2 * number + 1] = row.factor;
    if (p.d_x.data) write_row(p, t, row, run_index(r, p.d_x));
}

CUDA_FLAT_KERNEL(norm_backward_sums, cuda_norm_backward, CUDA_RUN_THREADS)
{
    run at;
    if (!take_run(&at, p.columns, RUN_NUMBER)) return;
    run_values weight = {}, bias = {};
    for (int64_t index = at.at[2] * p.each, end = min(index + p.each, p.rows.count); index < end; index++) {
        run   r;
        float centre = p.found[2 * index], factor = p.found[2 * index + 1];
        take_run(&r, p.rows, index);
        run_values x =
            load_values(p.x.data, run_index(r, p.x) + at.at[3] * p.x.stride[3], p.x.stride[3], at.count, F32);
        run_values given = load_values(p.d_out.data, run_index(r, p.d_out) + at.at[3] * p.d_out.stride[3],
                                       p.d_out.stride[3], at.count, F32);
        for (int i = 0; i < CUDA_RUN; i++) {
            weight.x[i] += given.x[i] * ((x.x[i] - centre) * factor);
            bias.x[i] += given.x[i];
        }
    }
    store_run(at, p.d_weight, weight);
    store_run(at, p.d_bias, bias);
}
