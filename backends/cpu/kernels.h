/* The inner loops, in one table per instruction set: compiled from the same source (variant_*.h) and chosen when the
 * device is opened.
 *
 * A table's functions work on plain memory, in one thread. Floats are f32; `lanes` of them fill a vector register.
 * Sums run in the same order wherever a row lies in a tile, so a row's result does not depend on its neighbours. */
#ifndef SCRY_CPU_KERNELS_H
#define SCRY_CPU_KERNELS_H

#include "scry/op.h"

/* What a row of scores leaves behind when it becomes exponentials. */
struct scry__cpu_row {
    float max;     /* largest score, before the factor; -inf where every key is masked */
    float sum;     /* of exp(score - max) */
    float entropy; /* of exp(score - max) * (max - score); >= 0, so that ln(sum) + entropy / sum has no cancellation */
};

/* A step of AdamW, for each element: g = gradient_factor * gradient; first = keep1 * first + blend1 * g; second = keep2
 * * second + blend2 * g^2; parameter -= decay * parameter + step * first / (factor2 * sqrt(second) + epsilon). */
struct scry__cpu_adamw_step {
    float gradient_factor, keep1, blend1, keep2, blend2, decay, step, factor2, epsilon;
};

/* What makes probabilities of a row of logits: exp(logit - max) / sum. */
struct scry__cpu_normaliser {
    float max, sum;
};

/* A tile of attention's gradients: keys in rows, queries in the lanes. */
struct scry__cpu_attention_tile {
    float         *scores;  /* [keys, leading]: q . k in, probabilities out */
    float         *mixed;   /* the same: d_out . v in, d_score out */
    const float   *added;   /* the same: the mask's additive part; NULL: none */
    int64_t        leading; /* a multiple of `lanes` */
    int64_t        key, keys, queries;
    const float   *lse, *mean;        /* of each query; mean: d_out . out */
    const int32_t *begin[2], *end[2]; /* of each query: the two stretches of keys that it sees */
    float          scale, softcap;
};

/* The most lanes of any variant. */
enum { SCRY__CPU_LANES = 16 };

/* The running state of `lanes` rows of logits, one row in each lane. The sums are of exp(logit - max); a new maximum
 * rescales them. */
struct scry__cpu_lens_lanes {
    float   max[SCRY__CPU_LANES];
    float   rescale[SCRY__CPU_LANES]; /* what the last step multiplied the sums so far by */
    double  sum[SCRY__CPU_LANES];
    double  entropy[SCRY__CPU_LANES];    /* of exp(logit - max) * (max - logit) */
    double  divergence[SCRY__CPU_LANES]; /* of exp(reference - its max) * (reference - logit) */
    float   target[SCRY__CPU_LANES];     /* the target's logit */
    int32_t target_id[SCRY__CPU_LANES];
    int32_t rank[SCRY__CPU_LANES];
    float   threshold[SCRY__CPU_LANES]; /* a logit must exceed it to enter the top */
};

struct scry__cpu_kernels {
    const char *name;
    int         lanes;
    int         tile_rows;    /* multiply works on this many rows at once */
    int         tile_columns; /* width of a panel */

    /* panel [k, tile_columns] = B's first `columns` columns, widened to f32, zeros behind them. Element (i, j) of B
     * lies i * stride_k + j * stride_column elements behind b. */
    void (*pack)(float *panel, const void *b, scry_dtype dtype, int64_t k, int64_t columns, int64_t stride_k,
                 int64_t stride_column);

    /* c [rows, tile_columns] = a [rows, k] panel [k, tile_columns] + (add ? c : 0) + (bias ? bias [tile_columns] : 0);
     * leading sizes lda, ldc. Each element is one chain of fused multiply-adds in ascending k, and then what is added:
     * |error| <= gamma(k + 2) (sum |a||b| + |c| + |bias|). */
    void (*multiply)(float *c, int64_t ldc, const float *a, int64_t lda, const float *panel, int64_t rows, int64_t k,
                     bool add, const float *bias);
    /* The same for the first `lanes` columns of a panel, with nothing added: equal bits in half the time. */
    void (*multiply_half)(float *c, int64_t ldc, const float *a, int64_t lda, const float *panel, int64_t rows,
                          int64_t k);

    /* out [k, tile_rows] = `rows` rows of a that lies transposed, [k, rows] of leading size lda; tile_rows at most. */
    void (*pack_turned)(float *out, const float *a, int64_t lda, int64_t rows, int64_t k);
    /* multiply for such an a, packed or as it lies. */
    void (*multiply_turned)(float *c, int64_t ldc, const float *a, int64_t lda, const float *panel, int64_t rows,
                            int64_t k, bool add, const float *bias);

    /* c[row, i] = alpha * tile[row, i] + (beta ? beta * c[row, i] : 0) + (bias ? bias[i] : 0) for a tile of
     * multiply's. */
    void (*finish)(float *c, int64_t ldc, const float *tile, int64_t ldt, int64_t rows, int64_t columns, float alpha,
                   float beta, const float *bias);

    /* out[j] = sum over i of a[i] * b(i, j) for `columns` columns, b as stored: for products with few rows, which read
     * each weight once. stride_k or stride_column is 1. */
    void (*multiply_row)(float *out, const float *a, const void *b, scry_dtype dtype, int64_t k, int64_t columns,
                         int64_t stride_k, int64_t stride_column);

    void (*widen)(float *out, const void *x, scry_dtype dtype, int64_t count);
    void (*narrow)(void *out, scry_dtype dtype, const float *x, int64_t count); /* to nearest even */

    /* scores[i] = cap(scale * scores[i]); cap as in struct scry_attention. */
    void (*score_row)(float *scores, int64_t count, float scale, float softcap);
    /* The largest; -inf where there is none. NaN is passed over. `count` is a multiple of `lanes`. */
    float (*max_row)(const float *scores, int64_t count);
    /* Replaces scores by exp((score - max) * factor), factor > 0; the sums are of that. `count` is a multiple of
     * `lanes`. exp's error is at most 2 ulp where it is at least 2^-126; below 2^-126.5 it is 0. */
    struct scry__cpu_row (*exponentiate_row)(float *scores, int64_t count, float factor);
    /* sums[j] += sum over rows of weight[row] * tile[row, j]. */
    void (*add_columns)(float *sums, const float *tile, int64_t ldt, const float *weight, int64_t rows, int64_t count);
    /* out[i] = factor * x[i] + offset; in place allowed. */
    void (*scale)(float *out, const float *x, int64_t count, float factor, float offset);
    void (*add)(float *out, const float *a, const float *b, int64_t count);
    /* out[i] += factor * x[i] */
    void (*accumulate)(float *out, const float *x, int64_t count, float factor);
    /* First i in [begin, count) with x[i] > bound, or == bound where `equal`; count if there is none. */
    int64_t (*find)(const float *x, int64_t begin, int64_t count, float bound, bool equal);
    /* out = f(x), times gated where it is not NULL. */
    void (*activate)(float *out, const float *x, const float *gated, int64_t count, scry_activation_kind function);
    /* Sum of (x[i] - centre)^power, power 1 or 2. */
    double (*moment)(const float *x, int64_t count, float centre, int power);
    /* out[i] = (x[i] - centre) * factor * (weight[i] + weight_offset) + bias[i]; weight and bias may be NULL. */
    void (*normalise)(float *out, const float *x, int64_t count, float centre, float factor, const float *weight,
                      float weight_offset, const float *bias);

    /* d_x[i] = d_out[i] * f'(x[i]), times gated[i] where that is not NULL; d_gated[i] = d_out[i] * f(x[i]). d_x or
     * d_gated may be NULL, and d_x may be d_out. */
    void (*activate_backward)(float *d_x, float *d_gated, const float *x, const float *gated, const float *d_out,
                              int64_t count, scry_activation_kind function);
    /* Sum of a[i] * b[i]. */
    double (*dot)(const float *a, const float *b, int64_t count);
    /* sums[j] += the sum over rows of x[row, j], or of its square, one row after another; leading size ldx. */
    void (*add_rows)(float *sums, const float *x, int64_t ldx, int64_t rows, int64_t count, bool squares);
    /* What a row's gradients need: n[i] = (x[i] - centre) * factor, g[i] = d_out[i] * (weight[i] + weight_offset), or
     * d_out[i] without weight; sums of g[i] and of g[i] * n[i]; d_weight[i] += d_out[i] * n[i], d_bias[i] += d_out[i].
     */
    void (*normalise_sums)(double sums[2], float *n, float *g, const float *x, const float *d_out, int64_t count,
                           float centre, float factor, const float *weight, float weight_offset, float *d_weight,
                           float *d_bias);
    /* out[i] = factor * (g[i] - mean - n[i] * along); in place on n or g allowed. */
    void (*normalise_backward)(float *out, const float *g, const float *n, int64_t count, float mean, float along,
                               float factor);
    void (*adamw)(float *parameter, const float *gradient, float *first, float *second, int64_t count,
                  const struct scry__cpu_adamw_step *step);
    /* velocity, where it is not NULL, and parameter move by a step of SGD, as struct scry_sgd says. */
    void (*sgd)(float *parameter, const float *gradient, float *velocity, int64_t count, const scry_sgd *op);
    /* Scores become probabilities, and what is mixed from values the gradient in scale * q . k; 0 where masked. */
    void (*attention_backward)(const struct scry__cpu_attention_tile *tile);
    /* Sum of exp(x[i] - max). Here and in the next two `count` is a multiple of `lanes`. */
    float (*sum_exponentials)(const float *x, int64_t count, float max);
    /* Sum of exp(teacher[i] - max) * (teacher[i] - x[i]). */
    float (*diverge)(const float *teacher, const float *x, int64_t count, float max);
    /* Logits become their gradients: factor * (p - p_teacher) * cap'(logit), p = exp(logit - max) / sum; without
     * teacher, factor * p * cap'(logit). */
    void (*loss_gradient)(float *logits, const float *teacher, int64_t count, struct scry__cpu_normaliser x,
                          struct scry__cpu_normaliser of_teacher, float factor, float softcap);

    /* logits [rows, lanes] of leading size ldt, in place: cap(x * scale + bias[row]); bias may be NULL. */
    void (*lens_logits)(float *logits, int64_t ldt, int64_t rows, float scale, float softcap, const float *bias);
    /* Takes `rows` more vocabulary entries into the sums; keeps the exponentials [rows, lanes] where they are wanted.
     */
    void (*lens_sums)(struct scry__cpu_lens_lanes *state, const float *logits, int64_t ldt, int64_t rows,
                      float *exponentials);
    /* Takes the same entries into the divergence, after the reference rows' own lens_sums left `rescale` and the
     * exponentials [rows, lanes]; their logits have leading size ldr. */
    void (*lens_divergence)(struct scry__cpu_lens_lanes *state, const float *logits, int64_t ldt, int64_t rows,
                            const float *rescale, const float *reference, int64_t ldr, const float *exponentials);
    /* Counts the entries, from `first_id` on, that stand before the target. */
    void (*lens_rank)(struct scry__cpu_lens_lanes *state, const float *logits, int64_t ldt, int64_t rows,
                      int64_t first_id);
    /* Bit `lane` is set where some logit exceeds the lane's threshold. */
    uint32_t (*lens_candidates)(const struct scry__cpu_lens_lanes *state, const float *logits, int64_t ldt,
                                int64_t rows);
    /* out[lane] = sum over k of targets [k, lanes] times `lanes` columns of a panel: the same chain of multiply-adds as
     * multiply's, so that a target's logit has the same bits in both. */
    void (*lens_dot)(float *out, const float *panel, const float *targets, int64_t k);
};

/* An instruction set that was not built has an empty table. */
extern const struct scry__cpu_kernels scry__cpu_kernels_baseline;
extern const struct scry__cpu_kernels scry__cpu_kernels_avx2;
extern const struct scry__cpu_kernels scry__cpu_kernels_avx512;

/* The usable variants, the best first; NULL past the last. Variant 0 is always there. */
const struct scry__cpu_kernels *scry__cpu_kernels_usable(int index);

#endif
