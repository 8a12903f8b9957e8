/* Operations as plain data. One struct drives validation, dispatch, the reference, tests and benchmarks.
 *
 * Shapes are written [a, b, c]; B batch, Q queries, K keys, H query heads, G key/value heads (H a multiple of G),
 * D head size, T rows, V vocabulary. Unless said otherwise float operands are f32, and an operand marked (w) may also
 * be f16 or bf16 (weights as stored). Outputs never overlap inputs unless "in place" is allowed. All sums accumulate in
 * at least f32. Same device, same input: same bits. */
#ifndef SCRY_OP_H
#define SCRY_OP_H

#include "scry/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, text, member of the union). What a forward pass is made of: every backend has these. */
#define SCRY_FORWARD_OP_LIST(X)                                                                                        \
    X(MATMUL, "matmul", matmul)                                                                                        \
    X(SOFTMAX_CAPTURE, "softmax_capture", softmax)                                                                     \
    X(ATTENTION, "attention", attention)                                                                               \
    X(ROPE, "rope", rope)                                                                                              \
    X(NORM, "norm", norm)                                                                                              \
    X(LENS, "lens", lens)                                                                                              \
    X(EMBED, "embed", embed)                                                                                           \
    X(ADD, "add", add)                                                                                                 \
    X(SCALE, "scale", scale)                                                                                           \
    X(ACTIVATION, "activation", activation)                                                                            \
    X(COPY, "copy", copy)                                                                                              \
    X(FILL, "fill", fill)

/* What training adds, where a backend has it. The gradients of the other ops are those ops again: of a matmul, matmuls
 * by strides; of rope, rope with `inverse`; of add, copy and add; of scale, scale. */
#define SCRY_TRAINING_OP_LIST(X)                                                                                       \
    X(SUM, "sum", sum)                                                                                                 \
    X(ACTIVATION_BACKWARD, "activation_backward", activation_backward)                                                 \
    X(NORM_BACKWARD, "norm_backward", norm_backward)                                                                   \
    X(EMBED_BACKWARD, "embed_backward", embed_backward)                                                                \
    X(ATTENTION_BACKWARD, "attention_backward", attention_backward)                                                    \
    X(LOSS, "loss", loss)                                                                                              \
    X(ADAMW, "adamw", adamw)                                                                                           \
    X(SGD, "sgd", sgd)

#define SCRY_OP_LIST(X)                                                                                                \
    SCRY_FORWARD_OP_LIST(X)                                                                                            \
    SCRY_TRAINING_OP_LIST(X)

typedef enum scry_op_kind {
#define SCRY_OP_ENUM(name, text, member) SCRY_OP_##name,
    SCRY_OP_LIST(SCRY_OP_ENUM)
#undef SCRY_OP_ENUM
        SCRY_OP_COUNT
} scry_op_kind;

/* The lowest precision that the caller allows inside an op. Strict f32 is the default and promises f32 products and
 * f32 (or better) sums. f16 brings its range with it: what is beyond 65,504 may become infinite, and what is below
 * 2^-14 loses bits. */
typedef enum scry_precision { SCRY_STRICT_F32, SCRY_ALLOW_TF32, SCRY_ALLOW_F16, SCRY_ALLOW_BF16 } scry_precision;

/* C = alpha * A B + beta * C + bias.
 * a [.., m, k], b (w) [.., k, n], c [.., m, n], bias (w) [n] optional. Rank 2 to 4, the same for a, b and c; leading
 * sizes are batches, and a batch stride of 0 repeats an input. Transposition is a matter of strides: in the last two
 * axes of a and b, one stride is 1, and the other is at least that axis' size unless its own axis has size 1; c's last
 * stride is 1. beta 0 never reads c. */
typedef struct scry_matmul {
    scry_tensor a, b, bias, c;
    float       alpha, beta;
} scry_matmul;

/* Which keys a query sees. Query row i stands at position query_offset + i, key column j at position j. Masked keys get
 * probability exactly 0; a row without any key gets all zeros and lse = -inf. Conditions combine with AND, save that
 * keys below `prefix` are exempt from `causal` and `window`. A row that sees a NaN is NaN (its masked keys 0 or NaN);
 * what masked keys hold has no effect on scores, but their values must be finite. */
typedef struct scry_mask {
    bool        causal;       /* key position <= query position */
    int64_t     window;       /* > 0: query position - key position < window */
    int64_t     prefix;       /* keys at positions below this are visible to every query */
    int64_t     query_offset; /* position of query row 0 (keys cached before it) */
    scry_tensor key_begin;    /* i32 [B], optional: keys before it are padding */
    scry_tensor key_end;      /* i32 [B], optional: keys from it on are padding */
    scry_tensor additive;     /* [B, H, Q, K], optional, strides may be 0; added to the scaled scores; -inf masks */
} scry_mask;

/* Statistics of each attention row; every tensor optional, [B, H, Q] f32 unless said. Rows without any key: lse -inf,
 * argmax -1, all else 0. */
typedef struct scry_row_statistics {
    scry_tensor lse;      /* natural log of the sum of exp(score) over visible keys */
    scry_tensor entropy;  /* nats */
    scry_tensor max;      /* largest probability */
    scry_tensor argmax;   /* i32: its key; ties go to the lowest key */
    scry_tensor previous; /* probability of key (query position - 1); 0 where there is none */
    scry_tensor self;     /* probability of key (query position) */
    scry_tensor first; /* probability of the row's first unpadded key: key_begin[b] where that is above 0, else key 0 */
    scry_tensor key_mass; /* probability of key `key` */
    int64_t     key;      /* for key_mass */
} scry_row_statistics;

/* softmax over the last axis of given scores, with capture.
 * scores [B, H, Q, K] are taken as scaled already; soft-cap none. probabilities [B, H, Q, K] optional (in place
 * allowed). */
typedef struct scry_softmax {
    scry_tensor         scores, probabilities;
    scry_mask           mask;
    scry_row_statistics rows;
} scry_softmax;

enum { SCRY_MAX_HEADS = 256, SCRY_MAX_TOP = 128 };

/* What attention leaves behind besides its output; every tensor optional.
 * Selected heads are the set bits of `heads` in ascending order (all zero: every head): S of them. */
typedef struct scry_attention_capture {
    uint64_t    heads[SCRY_MAX_HEADS / 64];
    int64_t     query_begin, key_begin; /* the tile's first query row and key column */
    scry_tensor probabilities;          /* [B, S, q, k]: the tile of that size from (query_begin, key_begin) */
    scry_tensor scores;           /* [B, S, q, k]: the same tile of what softmax sees: scaled, capped, with the additive
                                     mask; masked = -inf */
    scry_row_statistics rows;     /* all heads, [B, H, Q] */
    scry_tensor         received; /* [B, H, K]: column sums of the probabilities over all Q rows */
    scry_tensor         distance; /* [B, H, N]: sum of probabilities at distance n = query position - key position,
                                     0 <= n < N; farther mass (and keys after the query) is left out */
    scry_tensor top_probability;  /* [B, H, Q, t], t <= SCRY_MAX_TOP: largest first, ties to the lowest key */
    scry_tensor top_key;          /* i32 [B, H, Q, t]: their keys; -1 with probability 0 where keys run out */
} scry_attention_capture;

/* out = softmax(cap(scale * q k^T) + mask) v, per head; head h reads key/value head h / (H / G).
 * q [B, Q, H, D], k [B, K, G, D], v [B, K, G, Dv], out [B, Q, H, Dv]; last strides 1. cap(x) = softcap * tanh(x /
 * softcap) where softcap > 0. Never stores Q x K unless capture.probabilities or capture.scores asks for it. A row
 * without any key gives 0. */
typedef struct scry_attention {
    scry_tensor            q, k, v, out;
    float                  scale, softcap;
    scry_mask              mask;
    scry_attention_capture capture;
} scry_attention;

/* Rotary embedding of x [B, T, H, D] into out (in place allowed).
 * cosine and sine are f32 [P, R/2], last strides 1, made on the host in f64. Row t of batch b uses table row
 * position_offset + t, which the tables must have, or positions[b, t] (i32 [B, T]) where that is given; there a
 * position outside the tables gives NaN. Of each head the first R entries turn, the rest is copied. Half-split: pairs
 * (i, i + R/2); interleaved: pairs (2i, 2i + 1). (x1, x2) -> (x1 c - x2 s, x2 c + x1 s); inverse turns back (s -> -s).
 */
typedef struct scry_rope {
    scry_tensor x, out, cosine, sine, positions;
    int64_t     position_offset;
    bool        interleaved, inverse;
} scry_rope;

typedef enum scry_norm_kind { SCRY_NORM_LAYER, SCRY_NORM_RMS, SCRY_NORM_NONE } scry_norm_kind;

/* Parameters of a normalisation over the last axis, of size d.
 * layer: (x - mean) / sqrt(var + eps) * (weight + weight_offset) + bias; rms: x / sqrt(mean(x^2) + eps) * (weight +
 * weight_offset) + bias. weight (w) [d] and bias (w) [d] optional: without weight the factor is 1, without bias nothing
 * is added. none: x as it is, denominator 1; weight and bias are not used. */
typedef struct scry_norm_parameters {
    scry_norm_kind kind;
    float          epsilon, weight_offset;
    scry_tensor    weight, bias;
} scry_norm_parameters;

/* x [.., d], out [.., d] (in place allowed); scale [..] optional: the denominator sqrt(.. + eps) of each row. */
typedef struct scry_norm {
    scry_tensor          x, out, scale;
    scry_norm_parameters parameters;
} scry_norm;

/* Predictions read off a residual stream, by tiles of the vocabulary: never stores rows x vocabulary.
 * logits = softcap(unembedding . norm(x) * logit_scale + bias), with x [N, T, d] (N layers of T rows), unembedding (w)
 * [V, d], bias (w) [V] optional. reference [T, d], optional, is the final layer's residual stream, read in the same
 * way. target i32 [T]; an id outside the vocabulary means none: logit NaN, rank -1. Where top runs past the vocabulary:
 * id -1, logit -inf. Outputs, each optional: */
typedef struct scry_lens_op {
    scry_tensor          x, unembedding, bias, reference, target;
    scry_norm_parameters norm;
    float                logit_scale; /* 0 means 1 */
    float                softcap;     /* 0: none */
    scry_tensor          top_id;      /* i32 [N, T, t], t <= SCRY_MAX_TOP: largest logit first, ties to the lowest id */
    scry_tensor          top_logit;   /* [N, T, t] */
    scry_tensor          lse;         /* [N, T] log-sum-exp of the logits */
    scry_tensor          entropy;     /* [N, T] nats */
    scry_tensor          target_logit; /* [N, T]; log-probability = target_logit - lse */
    scry_tensor          target_rank;  /* i32 [N, T]: logits strictly above, plus equal ones with a lower id */
    scry_tensor kl; /* [N, T]: KL(reference || x) in nats; never negative, and exactly 0 where x equals the reference */
} scry_lens_op;

/* out [T, d] = scale * table[ids[t]] (+ out's old content where accumulate). ids i32 [T], table (w) [V, d].
 * scale 0 means 1. An id outside the table gives a row of NaN; callers check ids first. */
typedef struct scry_embed {
    scry_tensor ids, table, out;
    float       scale;
    bool        accumulate;
} scry_embed;

/* out = a + b, the same shape, any strides (stride 0 broadcasts an input; b (w)). out may be a or b. */
typedef struct scry_add {
    scry_tensor a, b, out;
} scry_add;

/* out = factor * x + offset. In place allowed. */
typedef struct scry_scale {
    scry_tensor x, out;
    float       factor, offset;
} scry_scale;

typedef enum scry_activation_kind {
    SCRY_GELU_ERF,  /* x/2 (1 + erf(x / sqrt 2)) */
    SCRY_GELU_TANH, /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
    SCRY_SILU,      /* x / (1 + exp(-x)) */
    SCRY_RELU
} scry_activation_kind;

/* out = f(x), or f(x) * gated where gated is present. The same shape; out may be x or gated. */
typedef struct scry_activation {
    scry_tensor          x, gated, out;
    scry_activation_kind function;
} scry_activation;

/* out = x, element by element, with any strides; converts between f32, f16 and bf16 (round to nearest even). i32 only
 * to i32. */
typedef struct scry_copy {
    scry_tensor x, out;
} scry_copy;

/* out = value (for i32: rounded to nearest). */
typedef struct scry_fill {
    scry_tensor out;
    double      value;
} scry_fill;

/* --- Training ---
 *
 * d_x is the gradient of one scalar (the loss) in x, of the same shape. An op's gradients are each optional, but one at
 * least is asked for. Where `accumulate` is set, each is added to what its tensor holds, else it is written over. What
 * adds up over rows or tokens does so in an order that does not change from run to run. */

/* out [n] = the sum over t of x[t, n], or of its square where `squares` (+ out's old content where accumulate).
 * x [T, n]: the gradient of a bias; as [N, 1], the squared length of a gradient that is to be clipped. */
typedef struct scry_sum {
    scry_tensor x, out;
    bool        squares, accumulate;
} scry_sum;

/* Of scry_activation: d_x = d_out * f'(x) * gated, d_gated = d_out * f(x); without gated the factor is 1, and there is
 * no d_gated. relu's slope at 0 is 0. The same shape; d_x may be d_out. */
typedef struct scry_activation_backward {
    scry_tensor          x, gated, d_out, d_x, d_gated;
    scry_activation_kind function;
    bool                 accumulate;
} scry_activation_backward;

/* Of scry_norm: x, d_out, d_x [.., d]; d_weight and d_bias [d] are sums over the rows. The statistics are computed
 * again from x. With r = 1 / sqrt(.. + eps), n the row before weight and bias, and g = d_out * (weight +
 * weight_offset): layer: d_x = r (g - mean(g) - n mean(g n)); rms: d_x = r (g - n mean(g n)); none: d_x = d_out,
 * without d_weight and d_bias. d_weight = sum of d_out n, d_bias = sum of d_out; each may be asked for whether the
 * parameter is present or not. */
typedef struct scry_norm_backward {
    scry_tensor          x, d_out, d_x, d_weight, d_bias;
    scry_norm_parameters parameters;
    bool                 accumulate;
} scry_norm_backward;

/* Of scry_embed: d_table[v] = scale * the sum of d_out[t] over the t with ids[t] = v, in ascending t. ids i32 [T],
 * d_out [T, d], d_table [V, d] f32. Rows that no id names become 0, or stay as they are where accumulate. Ids outside
 * the table are skipped. scale 0 means 1. */
typedef struct scry_embed_backward {
    scry_tensor ids, d_out, d_table;
    float       scale;
    bool        accumulate;
} scry_embed_backward;

/* Of scry_attention: q, k, v, out and lse [B, H, Q] are those of the forward op, with its scale, softcap and mask. With
 * s = scale * q . k, p = exp(cap(s) + additive - lse), 0 where masked, and o = d_out . out, both with lse and out as
 * given:
 *     d_v = sum of p d_out,  d_s = p (d_out . v - o) (1 - (cap(s) / softcap)^2),
 *     d_q = scale * sum of d_s k,  d_k = scale * sum of d_s q,
 * the last factor of d_s only where softcap > 0. d_out [B, Q, H, Dv], d_q [B, Q, H, D], d_k [B, K, G, D], d_v [B, K, G,
 * Dv], last strides 1; the gradients of a key add up over the query heads that read it. A row without any key (lse
 * -inf) adds 0, whatever it holds, and its d_q is 0; a row that sees a NaN makes NaN of its own gradient and of those
 * of the keys that it sees, and of no others. Never stores Q x K. */
typedef struct scry_attention_backward {
    scry_tensor q, k, v, out, lse, d_out, d_q, d_k, d_v;
    float       scale, softcap;
    scry_mask   mask;
    bool        accumulate;
} scry_attention_backward;

/* The loss of rows of predictions, and its gradients, by tiles of the vocabulary: never stores rows x vocabulary.
 * logits = softcap(unembedding . x * logit_scale + bias), with x [T, d] (normalised already), unembedding (w) [V, d],
 * bias (w) [V] optional. Either target i32 [T]: loss[t] = lse(logits[t]) - logits[t, target[t]], and a row whose target
 * is outside the vocabulary does not count: loss 0, gradients 0. Or teacher [T, d]: loss[t] = KL(teacher || x), never
 * negative and exactly 0 where x equals the teacher, whose logits are read in the same way and are no variables.
 * loss [T] in nats, optional like the gradients, and always written over. The gradients are those of factor * the sum
 * of loss (1 / T: of the mean): d_x [T, d], d_unembedding [V, d] and d_bias [V], f32. */
typedef struct scry_loss {
    scry_tensor x, unembedding, bias, target, teacher;
    scry_tensor loss, d_x, d_unembedding, d_bias;
    float       logit_scale; /* 0 means 1 */
    float       softcap;     /* 0: none */
    float       factor;      /* of the gradients, not of loss */
    bool        accumulate;
} scry_loss;

/* One step of Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2), in place. All [n].
 * g = gradient_factor * gradient; first = beta1 first + (1 - beta1) g; second = beta2 second + (1 - beta2) g^2;
 * parameter -= rate * (decay * parameter + m / (sqrt(v) + epsilon)), with m = first / (1 - beta1^step), v = second / (1
 * - beta2^step). Moments begin as 0, and step as 1. */
typedef struct scry_adamw {
    scry_tensor gradient, parameter, first, second;
    float       rate, beta1, beta2, epsilon, decay;
    float       gradient_factor; /* to clip by; 1: as it is */
    int64_t     step;
} scry_adamw;

/* One step of stochastic gradient descent, in place. All [n].
 * g = gradient_factor * gradient + decay * parameter; velocity = momentum * velocity + g; parameter -= rate * velocity,
 * or where `nesterov`, rate * (g + momentum * velocity). The velocity begins as 0; where momentum is 0 it may be
 * absent, and g stands for it. */
typedef struct scry_sgd {
    scry_tensor gradient, parameter, velocity;
    float       rate, momentum, decay;
    float       gradient_factor; /* to clip by; 1: as it is */
    bool        nesterov;
} scry_sgd;

typedef struct scry_op {
    scry_op_kind   kind;
    scry_precision precision;
    union {
        scry_matmul     matmul;
        scry_softmax    softmax;
        scry_attention  attention;
        scry_rope       rope;
        scry_norm       norm;
        scry_lens_op    lens;
        scry_embed      embed;
        scry_add        add;
        scry_scale      scale;
        scry_activation activation;
        scry_copy       copy;
        scry_fill       fill;
        scry_sum        sum;

        scry_activation_backward activation_backward;
        scry_norm_backward       norm_backward;
        scry_embed_backward      embed_backward;
        scry_attention_backward  attention_backward;

        scry_loss  loss;
        scry_adamw adamw;
        scry_sgd   sgd;
    };
} scry_op;

SCRY_API const char *scry_op_text(scry_op_kind kind);

#ifdef __cplusplus
}
#endif
#endif
