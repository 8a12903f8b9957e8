/* What a tile of logits leaves behind: rows of the residual stream in the lanes, vocabulary entries one after another.
 */
#include "variant_vector.h"

static void lens_logits(float *logits, int64_t ldt, int64_t rows, float scale_factor, float softcap, const float *bias)
{
    for (int64_t row = 0; row < rows; row++) {
        vf x = load(logits + row * ldt) * scale_factor;
        if (bias) x += bias[row];
        if (softcap > 0) x = softcap * tanh_any(x / softcap);
        store(logits + row * ldt, x);
    }
}

/* total[lane] = total[lane] * by[lane] + x[lane] */
INLINE void add_scaled(double *total, vf by, vf x)
{
    for (int lane = 0; lane < LANES; lane++) total[lane] = total[lane] * (double)by[lane] + (double)x[lane];
}

static void lens_sums(struct scry__cpu_lens_lanes *state, const float *logits, int64_t ldt, int64_t rows,
                      float *exponentials)
{
    vf before = load(state->max), max = before, below, sum = splat(0), entropy = splat(0);
    for (int64_t row = 0; row < rows; row++) max = larger(load(logits + row * ldt), max);
    for (int64_t row = 0; row < rows; row++) {
        vf e = exp_negative(load(logits + row * ldt) - max, &below);
        if (exponentials) store(exponentials + row * LANES, e);
        sum += e;
        entropy -= e * below;
    }
    /* The sums so far were relative to the maximum so far. */
    vf rescale = exp_negative(before - max, &below);
    for (int lane = 0; lane < LANES; lane++)
        state->entropy[lane] += ((double)max[lane] - (double)before[lane]) * state->sum[lane];
    add_scaled(state->entropy, rescale, entropy);
    add_scaled(state->sum, rescale, sum);
    store(state->rescale, rescale);
    store(state->max, max);
}

static void lens_divergence(struct scry__cpu_lens_lanes *state, const float *logits, int64_t ldt, int64_t rows,
                            const float *rescale, const float *reference, int64_t ldr, const float *exponentials)
{
    vf sum = splat(0);
    for (int64_t row = 0; row < rows; row++) {
        vf e    = load(exponentials + row * LANES);
        vf term = e * (load(reference + row * ldr) - load(logits + row * ldt));
        sum += choose(e == splat(0), splat(0), term); /* of two infinite logits the difference is NaN */
    }
    add_scaled(state->divergence, load(rescale), sum);
}

static void lens_rank(struct scry__cpu_lens_lanes *state, const float *logits, int64_t ldt, int64_t rows,
                      int64_t first_id)
{
    vf target = load(state->target);
    vi id, rank;
    memcpy(&id, state->target_id, sizeof id);
    memcpy(&rank, state->rank, sizeof rank);
    for (int64_t row = 0; row < rows; row++) {
        vf x = load(logits + row * ldt);
        rank -= (x > target) | ((x == target) & (id > (int32_t)(first_id + row)));
    }
    memcpy(state->rank, &rank, sizeof rank);
}

static uint32_t lens_candidates(const struct scry__cpu_lens_lanes *state, const float *logits, int64_t ldt,
                                int64_t rows)
{
    vf threshold = load(state->threshold);
    vi above     = {0};
    for (int64_t row = 0; row < rows; row++) above |= load(logits + row * ldt) > threshold;
    return lane_bits(above);
}

static void lens_dot(float *out, const float *panel, const float *targets, int64_t k)
{
    vf sum = splat(0);
    for (int64_t i = 0; i < k; i++) sum += load(targets + i * LANES) * load(panel + i * TILE_COLUMNS);
    store(out, sum);
}
