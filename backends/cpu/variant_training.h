/* What training adds to the rows: slopes of activations, gradients of norms, of tiles of attention and of rows of
 * logits, and the optimiser's step. */
#include "variant_vector.h"

/* --- elementwise --- */

/* x, but no farther from 0 than `bound`, from where on a slope is what it is at infinity. NaN stays. */
INLINE vf bounded(vf x, float bound)
{
    return choose(x > splat(bound), splat(bound), choose(x < splat(-bound), splat(-bound), x));
}

/* s = 1 / (1 + exp(-z)), and *spread = s (1 - s), small relative errors at both ends. */
INLINE vf logistic(vf z, vf *spread)
{
    vf e      = exp_any(choose(z > splat(0), -z, z));
    vf share  = 1.0f / (1.0f + e);
    vf larger = share, smaller = e * share;
    *spread = smaller * larger;
    return choose(z > splat(0), larger, smaller);
}

INLINE vf slope_of(vf x, scry_activation_kind function)
{
    vf spread, share;
    switch (function) {
    case SCRY_GELU_ERF: {
        vf a = bounded(x, 16), square = a * a, lost = a * a - square; /* as in normal_below */
        return normal_below(x) + a * (0x1.988454p-2f * exp_any(-0.5f * square) * (1.0f - 0.5f * lost));
    }
    case SCRY_GELU_TANH: {
        /* x s(z), with z as in activation_of. */
        vf a = bounded(x, 16), square = a * a;
        share = logistic(a * (0x1.988454p0f + 0x1.2444f2p-4f * square), &spread);
        return share + a * (0x1.988454p0f + 0x1.b6676cp-3f * square) * spread;
    }
    case SCRY_SILU:
        x     = bounded(x, 128);
        share = logistic(x, &spread);
        return share + x * spread;
    default:
        return choose(x > splat(0), splat(1), choose(x == x, splat(0), x));
    }
}

INLINE void backward_lanes(float *d_x, float *d_gated, const float *x, const float *gated, const float *d_out,
                           scry_activation_kind function)
{
    vf value = load(x), gradient = load(d_out), through = gated ? gradient * load(gated) : gradient;
    if (d_gated) store(d_gated, gradient * activation_of(value, function));
    if (d_x) store(d_x, through * slope_of(value, function));
}

INLINE void activate_backward_as(float *d_x, float *d_gated, const float *x, const float *gated, const float *d_out,
                                 int64_t count, scry_activation_kind function)
{
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        backward_lanes(d_x ? d_x + i : NULL, d_gated ? d_gated + i : NULL, x + i, gated ? gated + i : NULL, d_out + i,
                       function);
    if (i == count) return;
    /* As in activate_as: the rest goes through a whole vector too. */
    float  last[5][LANES] = {{0}};
    size_t bytes          = (size_t)(count - i) * sizeof *x;
    memcpy(last[0], x + i, bytes);
    memcpy(last[1], d_out + i, bytes);
    if (gated) memcpy(last[2], gated + i, bytes);
    backward_lanes(last[3], last[4], last[0], gated ? last[2] : NULL, last[1], function);
    if (d_x) memcpy(d_x + i, last[3], bytes);
    if (d_gated) memcpy(d_gated + i, last[4], bytes);
}

static void activate_backward(float *d_x, float *d_gated, const float *x, const float *gated, const float *d_out,
                              int64_t count, scry_activation_kind function)
{
    if (function == SCRY_GELU_ERF)
        activate_backward_as(d_x, d_gated, x, gated, d_out, count, SCRY_GELU_ERF);
    else if (function == SCRY_GELU_TANH)
        activate_backward_as(d_x, d_gated, x, gated, d_out, count, SCRY_GELU_TANH);
    else if (function == SCRY_SILU)
        activate_backward_as(d_x, d_gated, x, gated, d_out, count, SCRY_SILU);
    else
        activate_backward_as(d_x, d_gated, x, gated, d_out, count, SCRY_RELU);
}

static void adamw(float *parameter, const float *gradient, float *first, float *second, int64_t count,
                  const struct scry__cpu_adamw_step *step)
{
    const struct scry__cpu_adamw_step s = *step;
    for (int64_t i = 0; i < count; i++) {
        float g = s.gradient_factor * gradient[i];
        float m = first[i] = s.keep1 * first[i] + s.blend1 * g;
        float v = second[i] = s.keep2 * second[i] + s.blend2 * (g * g);
        parameter[i] -= s.decay * parameter[i] + s.step * (m / (sqrtf(v) * s.factor2 + s.epsilon));
    }
}

INLINE void sgd_as(float *parameter, const float *gradient, float *velocity, int64_t count, const scry_sgd *op,
                   bool moves, bool nesterov)
{
    const float factor = op->gradient_factor, decay = op->decay, momentum = op->momentum, rate = op->rate;
    for (int64_t i = 0; i < count; i++) {
        float g = factor * gradient[i] + decay * parameter[i], step = g;
        if (moves) step = velocity[i] = momentum * velocity[i] + g;
        if (moves && nesterov) step = g + momentum * step;
        parameter[i] -= rate * step;
    }
}

static void sgd(float *parameter, const float *gradient, float *velocity, int64_t count, const scry_sgd *op)
{
    if (!velocity)
        sgd_as(parameter, gradient, NULL, count, op, false, false);
    else if (op->nesterov)
        sgd_as(parameter, gradient, velocity, count, op, true, true);
    else
        sgd_as(parameter, gradient, velocity, count, op, true, false);
}

/* --- sums --- */

INLINE void add_rows_as(float *sums, const float *x, int64_t ldx, const int rows, int64_t count, const bool squares)
{
    int64_t j = 0;
    for (; j + LANES <= count; j += LANES) {
        vf sum = load(sums + j);
#pragma GCC unroll 8
        for (int row = 0; row < rows; row++) {
            vf value = load(x + row * ldx + j);
            sum += squares ? value * value : value;
        }
        store(sums + j, sum);
    }
    for (; j < count; j++)
        for (int row = 0; row < rows; row++)
            sums[j] += squares ? x[row * ldx + j] * x[row * ldx + j] : x[row * ldx + j];
}

INLINE void add_all_rows(float *sums, const float *x, int64_t ldx, int64_t rows, int64_t count, const bool squares)
{
    int64_t row = 0;
    for (; row + 8 <= rows; row += 8) add_rows_as(sums, x + row * ldx, ldx, 8, count, squares);
    for (; row < rows; row++) add_rows_as(sums, x + row * ldx, ldx, 1, count, squares);
}

static void add_rows(float *sums, const float *x, int64_t ldx, int64_t rows, int64_t count, bool squares)
{
    if (squares)
        add_all_rows(sums, x, ldx, rows, count, true);
    else
        add_all_rows(sums, x, ldx, rows, count, false);
}

/* Sums of up to 2^10 products a lane in f32, these in f64. */
static double dot(const float *a, const float *b, int64_t count)
{
    enum { STRETCH = 1024 * LANES };
    double  total = 0;
    int64_t i     = 0;
    while (i + LANES <= count) {
        vf sum = splat(0);
        for (int64_t end = i + STRETCH; i + LANES <= count && i < end; i += LANES) sum += load(a + i) * load(b + i);
        total += (double)sum_lanes(sum);
    }
    for (; i < count; i++) total += (double)a[i] * (double)b[i];
    return total;
}

/* --- norms --- */

static void normalise_sums(double sums[2], float *n, float *g, const float *x, const float *d_out, int64_t count,
                           float centre, float factor, const float *weight, float weight_offset, float *d_weight,
                           float *d_bias)
{
    enum { STRETCH = 1024 * LANES };
    int64_t i = 0;
    sums[0] = sums[1] = 0;
    while (i + LANES <= count) {
        vf sum = splat(0), along = splat(0);
        for (int64_t end = i + STRETCH; i + LANES <= count && i < end; i += LANES) {
            vf d = load(d_out + i), normal = (load(x + i) - centre) * factor;
            vf weighted = weight ? d * (load(weight + i) + weight_offset) : d;
            store(n + i, normal);
            store(g + i, weighted);
            store(d_weight + i, load(d_weight + i) + d * normal);
            store(d_bias + i, load(d_bias + i) + d);
            sum += weighted;
            along += weighted * normal;
        }
        sums[0] += (double)sum_lanes(sum);
        sums[1] += (double)sum_lanes(along);
    }
    for (; i < count; i++) {
        n[i] = (x[i] - centre) * factor;
        g[i] = weight ? d_out[i] * (weight[i] + weight_offset) : d_out[i];
        d_weight[i] += d_out[i] * n[i];
        d_bias[i] += d_out[i];
        sums[0] += (double)g[i];
        sums[1] += (double)g[i] * (double)n[i];
    }
}

static void normalise_backward(float *out, const float *g, const float *n, int64_t count, float mean, float along,
                               float factor)
{
    for (int64_t i = 0; i < count; i++) out[i] = factor * (g[i] - mean - n[i] * along);
}

/* --- attention --- */

INLINE vi load_bounds(const int32_t *x)
{
    vi value;
    memcpy(&value, x, sizeof value);
    return value;
}

static void attention_backward(const struct scry__cpu_attention_tile *tile)
{
    for (int64_t i = 0; i < tile->queries; i += LANES) {
        const vf lse = load(tile->lse + i), mean = load(tile->mean + i);
        const vi begin0 = load_bounds(tile->begin[0] + i), end0 = load_bounds(tile->end[0] + i);
        const vi begin1 = load_bounds(tile->begin[1] + i), end1 = load_bounds(tile->end[1] + i);
        for (int64_t j = 0; j < tile->keys; j++) {
            int64_t at    = j * tile->leading + i;
            int32_t key   = (int32_t)(tile->key + j);
            vi      seen  = ((begin0 <= key) & (end0 > key)) | ((begin1 <= key) & (end1 > key));
            vf      score = load(tile->scores + at) * tile->scale, slope = splat(1), clamped;
            if (tile->softcap > 0) {
                vf share = tanh_any(score / tile->softcap);
                score    = tile->softcap * share;
                slope    = 1.0f - share * share;
            }
            if (tile->added) {
                vf added = load(tile->added + at);
                seen &= added != splat(-INFINITY);
                score += added;
            }
            vf p = exp_negative(score - lse, &clamped);
            vf d = p * (load(tile->mixed + at) - mean) * slope;
            store(tile->scores + at, choose(seen, p, splat(0)));
            store(tile->mixed + at, choose(seen, d, splat(0)));
        }
    }
}

/* --- loss --- */

static float sum_exponentials(const float *x, int64_t count, float max)
{
    vf sum = splat(0), clamped;
    for (int64_t i = 0; i < count; i += LANES) sum += exp_negative(load(x + i) - max, &clamped);
    return sum_lanes(sum);
}

static float diverge(const float *teacher, const float *x, int64_t count, float max)
{
    vf sum = splat(0), clamped;
    for (int64_t i = 0; i < count; i += LANES) {
        vf t = load(teacher + i), e = exp_negative(t - max, &clamped);
        sum +=
            choose(e == splat(0), splat(0), e * (t - load(x + i))); /* of two infinite logits the difference is NaN */
    }
    return sum_lanes(sum);
}

static void loss_gradient(float *logits, const float *teacher, int64_t count, struct scry__cpu_normaliser x,
                          struct scry__cpu_normaliser of_teacher, float factor, float softcap)
{
    vf clamped;
    for (int64_t i = 0; i < count; i += LANES) {
        /* Divisions: equal logits have equal quotients, whatever compilers fuse. */
        vf logit = load(logits + i), p = exp_negative(logit - x.max, &clamped) / x.sum;
        if (teacher) p -= exp_negative(load(teacher + i) - of_teacher.max, &clamped) / of_teacher.sum;
        if (softcap > 0) p *= 1.0f - logit / softcap * (logit / softcap);
        store(logits + i, factor * p);
    }
}
