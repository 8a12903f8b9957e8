/* loss: cross-entropy or divergence of rows of predictions, and its gradients, by tiles of the logits.
 *
 * x and teacher f32 [T, d], unembedding [V, d] and bias [V] f32, f16 or bf16 (bias may be absent), target i32 [T]. A
 * tile is all rows by some entries of the vocabulary, whose dot products matmul's kernel "tile" has left in scratch.
 * One sweep over the tiles folds each row's logits into its state; a second turns them into their gradients, of which
 * d_x, d_unembedding and d_bias are sums. A row whose target is outside the vocabulary adds to none, whatever it holds.
 *
 *     loss_fold         a warp takes a row of the tile, as lens does (lens.cuh)
 *     loss_rows         the losses; a thread takes a row
 *     loss_slopes       dot products become gradients in what lies below the soft-cap; a thread takes a run of a row
 *     loss_d_x          adds the tile's part, a chain over its entries; a thread takes a run of a row of d_x
 *     loss_d_entries    d_unembedding and d_bias of the tile's entries, which no other tile has: chains over the rows;
 *                       a thread takes a run of a row of d_unembedding
 *
 * Errors: a logit gamma(d + 4) of its terms; lse gamma(V + 8) and those of its logits; the gradient of a logit those of
 * its probabilities, times factor and slope; sums over entries gamma(V + 4), over rows gamma(T + 4). */
#include "lens.cuh"
#include "loss.h"
#include "runs.cuh"

enum { EACH = CUDA_LENS_UNIT / WARP }; /* logits of a unit for each lane */

/* The entry that row t is to predict; below 0 for a row that does not count. With a teacher there are no targets, and
 * all rows count. */
DEVICE int64_t target_of(const cuda_loss &p, int64_t t)
{
    int64_t id = static_cast<const int32_t *>(p.target.data)[t * p.target.stride[0]];
    return id < p.vocabulary ? id : -1;
}

DEVICE bool counts(const cuda_loss &p, int64_t t)
{
    return p.taught || target_of(p, t) >= 0;
}

CUDA_KERNEL(loss_fold, cuda_loss, CUDA_LENS_THREADS)
{
    const int     lane = (int)threadIdx.x % WARP;
    const int64_t row = BLOCK_NUMBER * (CUDA_LENS_THREADS / WARP) + threadIdx.x / WARP, end = p.first + p.width;
    if (row >= p.tokens) return;
    const int64_t   place = row * p.width - p.first;
    cuda_loss_state state = {empty_state(), NAN, 0};
    if (p.first) state = p.states[row];
    for (int64_t id = p.first; id < end; id += CUDA_LENS_UNIT) {
        float x[EACH], other[EACH];
        load_unit(x, p, p.dots + place, id + lane, end);
        take_unit(&state.sums, x);
        if (!p.taught) continue;
        load_unit(other, p, p.taught + place, id + lane, end);
        take_divergence(&state.sums, x, other);
    }
    const int64_t id = p.taught ? -1 : target_of(p, row);
    if (id >= p.first && id < end) state.target = logit_of(p, p.dots[place + id], id);
    __syncwarp(); /* behind what every lane has read */
    if (lane == 0) p.states[row] = state;
}

CUDA_FLAT_KERNEL(loss_rows, cuda_loss, CUDA_LENS_THREADS)
{
    const int64_t row = BLOCK_NUMBER * CUDA_LENS_THREADS + threadIdx.x;
    if (row >= p.tokens) return;
    const cuda_loss_state state = p.states[row];
    float                 loss  = 0;
    if (p.taught)
        loss = divergence_of(state.sums);
    else if (target_of(p, row) >= 0)
        loss = (state.sums.max - state.target) + logf(state.sums.sum);
    static_cast<float *>(p.loss.data)[row * p.loss.stride[0]] = loss;
}

CUDA_FLAT_KERNEL(loss_slopes, cuda_loss, CUDA_RUN_THREADS)
{
    run r;
    if (!take_run(&r, p.all, RUN_NUMBER)) return;
    const int64_t         row = r.at[2], place = row * p.width + r.at[3];
    const int64_t         target = p.taught ? -1 : target_of(p, row);
    const cuda_lens_state sums   = p.states[row].sums;
    for (int i = 0; i < r.count; i++) {
        const int64_t id    = p.first + r.at[3] + i;
        const float   logit = logit_of(p, p.dots[place + i], id);
        float         aim = id == target, slope = 1;
        if (p.taught) aim = expf(logit_of(p, p.taught[place + i], id) - sums.other_max) / sums.other_sum;
        if (p.softcap > 0) slope = 1 - (logit / p.softcap) * (logit / p.softcap);
        p.dots[place + i] = p.factor * (expf(logit - sums.max) / sums.sum - aim) * slope;
    }
}

CUDA_FLAT_KERNEL(loss_d_x, cuda_loss, CUDA_RUN_THREADS)
{
    run r;
    if (!take_run(&r, p.all, RUN_NUMBER)) return;
    const float  *slopes = p.dots + r.at[2] * p.width;
    const int64_t stride = p.unembedding.stride[1], count = counts(p, r.at[2]) ? p.width : 0;
    run_values    sum = {};
    for (int64_t entry = 0; entry < count; entry++) {
        const run_values weights =
            load_values(p.unembedding.data, (p.first + entry) * p.unembedding.stride[0] + r.at[3] * stride, stride,
                        r.count, p.unembedding.dtype);
        for (int i = 0; i < CUDA_RUN; i++) sum.x[i] = multiply_add(slopes[entry], weights.x[i], sum.x[i]);
    }
    for (int i = 0; i < CUDA_RUN; i++) sum.x[i] *= p.logit_scale;
    add_run(r, p.d_x, sum, p.accumulate || p.first > 0);
}

CUDA_FLAT_KERNEL(loss_d_entries, cuda_loss, CUDA_RUN_THREADS)
{
    run r;
    if (!take_run(&r, p.all, RUN_NUMBER)) return;
    const int64_t entry = r.at[2];
    run_values    sum   = {};
    float         total = 0;
    for (int64_t t = 0; t < p.tokens; t++) {
        if (!counts(p, t)) continue;
        const float slope = p.dots[t * p.width + entry];
        total += slope;
        if (!p.d_unembedding.data) continue;
        const run_values x =
            load_values(p.x.data, t * p.x.stride[0] + r.at[3] * p.x.stride[1], p.x.stride[1], r.count, F32);
        for (int i = 0; i < CUDA_RUN; i++) sum.x[i] = multiply_add(slope, x.x[i], sum.x[i]);
    }
    for (int i = 0; i < CUDA_RUN; i++) sum.x[i] *= p.logit_scale;
    if (p.d_unembedding.data) add_run(r, p.d_unembedding, sum, p.accumulate);
    if (!p.d_bias.data || r.at[3] > 0) return;
    float *d_bias = static_cast<float *>(p.d_bias.data) + entry * p.d_bias.stride[0];
    *d_bias       = p.accumulate ? *d_bias + total : total;
}
