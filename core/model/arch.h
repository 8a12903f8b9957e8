/* What a model is, in numbers: the one description that the forward pass reads, whatever the family.
 *
 * config.c fills it from config.json by the family's tables (family.h). A block computes
 *
 *     x += attention(norm1 x), then x += mlp(norm2 x)      or, parallel,      x += attention(norm1 x) + mlp(norm2 x)
 *
 * where each norm may stand before the branch, after it, or both. */
#ifndef SCRY_MODEL_ARCH_H
#define SCRY_MODEL_ARCH_H

#include "scry/op.h"

typedef struct scry__family scry__family;

typedef enum scry__rope_kind {
    SCRY__ROPE_DEFAULT,
    SCRY__ROPE_LINEAR,
    SCRY__ROPE_DYNAMIC,
    SCRY__ROPE_YARN,
    SCRY__ROPE_LLAMA3,
    SCRY__ROPE_LONGROPE,
} scry__rope_kind;

/* A rotary embedding; rope_table.h says how each kind reads its parameters. */
typedef struct scry__rope {
    scry__rope_kind kind;
    int             dims; /* R, even: how many entries of a head turn */
    bool            interleaved;
    double          theta;
    double          factor;
    double          max_position;     /* max_position_embeddings */
    double          original;         /* positions of pre-training */
    double          attention_factor; /* on cosine and sine; 1: none */
    double          beta_fast, beta_slow;
    bool            truncate;
    double          low_frequency_factor, high_frequency_factor;
    double         *short_factor, *long_factor; /* R / 2 each, owned by the arch; longrope only */
} scry__rope;

typedef enum scry__positions { SCRY__POSITIONS_LEARNED, SCRY__POSITIONS_ROPE, SCRY__POSITIONS_NONE } scry__positions;

/* How one matmul's output row holds queries, keys and values. */
typedef enum scry__qkv_layout {
    SCRY__QKV_SEPARATE, /* three matmuls */
    SCRY__QKV_BLOCKS,   /* all queries, all keys, all values */
    SCRY__QKV_BY_HEAD,  /* of each head its query, key and value */
} scry__qkv_layout;

/* Weights that only some checkpoints of a family have. */
enum {
    SCRY__HAS_QKV_BIAS    = 1 << 0,
    SCRY__HAS_OUT_BIAS    = 1 << 1,
    SCRY__HAS_MLP_BIAS    = 1 << 2,
    SCRY__HAS_QK_NORM     = 1 << 3,
    SCRY__HAS_UNEMBEDDING = 1 << 4, /* its own, not the embedding's */
};

enum { SCRY__MAX_LAYERS = 1024, SCRY__MAX_ROPES = 2, SCRY__MAX_END_IDS = 16 };

typedef struct scry__arch_layer {
    int64_t window; /* attention window; 0: none */
    int     rope;   /* index into ropes */
} scry__arch_layer;

typedef struct scry__arch {
    const scry__family *family;
    int64_t             layer_count, head_count, kv_head_count, head_size, hidden_size, mlp_size, vocabulary, context;
    unsigned            features; /* SCRY__HAS_* */

    scry_norm_kind norm;
    double         epsilon;
    double         norm_offset;             /* added to norm weights */
    bool           norm_before, norm_after; /* parallel blocks always have norm_before */
    bool           parallel;                /* attention and MLP read the same residual stream */
    bool           shared_norm;             /* parallel blocks: norm1 serves both */

    scry__positions positions;
    double          partial_rotary; /* share of a head that turns, where the config does not say */
    scry__rope      ropes[SCRY__MAX_ROPES];
    int             rope_count;

    scry__qkv_layout     qkv;
    scry_activation_kind activation;
    bool                 gated;
    double               score_scale;                                 /* 0: 1 / sqrt(head_size) */
    bool                 scale_by_layer;                              /* scores are also divided by layer + 1 */
    double               score_softcap, embedding_scale, logit_scale; /* 0: none */
    double               initial_deviation;                           /* of matrices before training */

    bool    tied;         /* the embedding is the unembedding */
    bool    windowed;     /* sliding windows are in use */
    int64_t window;       /* their size */
    int64_t window_begin; /* the first layer that has one, where the config lists no layer types */

    scry__arch_layer *layers;
    int32_t           end_ids[SCRY__MAX_END_IDS]; /* generation ends at these */
    int               end_count;
} scry__arch;

/* Reads config.json (and the end ids of generation_config.json) of a checkpoint directory. Unknown families, rope
 * scalings, activations and switches are refused by name. */
scry_status scry__arch_read(scry__arch *arch, const char *directory);
void        scry__arch_finish(scry__arch *arch);

#endif
