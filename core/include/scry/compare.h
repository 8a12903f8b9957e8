/* What differs between two runs: two checkpoints on one prompt, one checkpoint on two prompts, attention from two
 * files, or a model and its random twin.
 *
 * Attention is compared weight by weight, position by position, on one scale; beside it stand what each layer would
 * predict (the lens) and the loss on the prompt. docs/definitions.md has the formulas. */
#ifndef SCRY_COMPARE_H
#define SCRY_COMPARE_H

#include "scry/heads.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One side: a model and its prompt, or a file of attention patterns. */
typedef struct scry_compare_side {
    const char    *name;  /* for display; NULL: the model's path, or the file's */
    scry_model    *model; /* NULL: see file */
    const char    *text;
    const int32_t *ids; /* the prompt where text is NULL */
    int            id_count;
    /* An .npz or .npy: `blocks.L.attn.hook_pattern` of scry or TransformerLens, or one array [layers, heads, queries,
     * keys]. */
    const char *file;
} scry_compare_side;

/* Takes one layer's patterns of both sides, [heads, queries, keys], valid during the call. Of the result so far names,
 * sizes and layers are filled in. */
typedef struct scry_compare scry_compare;
typedef scry_status (*scry_compare_sink)(void *user, const scry_compare *compare, int layer, const float *a,
                                         const float *b);

typedef struct scry_compare_options {
    int               places;      /* largest differences kept; 0: 20 */
    bool              skip_lens;   /* leave out what needs the logits of every layer */
    uint64_t          most_memory; /* for patterns of one side, kept until the other's come; 0: 1 GiB */
    scry_compare_sink sink;        /* NULL: nobody wants the patterns */
    void             *sink_user;
    bool (*progress)(void *user, int64_t done, int64_t total); /* false stops: SCRY_STOPPED */
    void *progress_user;
} scry_compare_options;

/* One head. d = b - a, over the queries and keys that both sides have. NaN where a weight is. */
typedef struct scry_compare_head {
    int   layer, head;
    float largest;    /* |d|; */
    int   query, key; /* where */
    float mean;       /* of |d| where a or b is not 0 */
    float moved;      /* half the sum of |d| in a row, mean over rows: the share of attention that moved */
    float js;         /* Jensen-Shannon divergence of a row, mean over rows: 0 to ln 2 */
} scry_compare_head;

/* One weight that differs. */
typedef struct scry_compare_place {
    int   layer, head, query, key;
    float a, b;
} scry_compare_place;

/* What one layer of the lens says, means over the positions that both have. Pairs are a, b. */
typedef struct scry_compare_layer {
    float kl;         /* KL(a || b) */
    float kl_largest; /* and at `position` */
    int   position;
    float agreement;  /* share of positions whose likeliest token is the same */
    float entropy[2]; /* nats */
    float loss[2];    /* -ln p of the prompt's next token */
} scry_compare_layer;

struct scry_compare {
    char               *names[2];
    scry_tokens        *tokens[2]; /* NULL: a file that holds none */
    int                 layer_count, head_count;
    int                 query_count, key_count; /* what both sides have */
    int                *layers;                 /* [layer_count]: their numbers */
    scry_compare_head  *heads;                  /* [layer_count, head_count] */
    float              *positions; /* [query_count]: the divergence of that query's rows, mean over heads */
    int                 place_count;
    scry_compare_place *places;     /* largest |d| first */
    int                 lens_count; /* blocks + 1, as in the lens; 0: no two models that a lens can compare */
    scry_compare_layer *lens;
    float               loss[2]; /* mean over each side's own prompt; NaN: no model, or a single token */
    int                 loss_count;
    float              *losses[2]; /* [loss_count]: of the token after position t, which both have */
};

/* Sides must have the same number of heads, and layers in common; models are asked for the same number of layers.
 * Where prompts differ in length, the positions of the shorter one are compared. */
SCRY_API scry_status scry_compare_run(scry_compare **out, const scry_compare_side *a, const scry_compare_side *b,
                                      const scry_compare_options *options);
SCRY_API void        scry_compare_destroy(scry_compare **compare);

/* --- A series of checkpoints: what was learned when --- */

/* One score over all heads of a checkpoint. */
typedef struct scry_series_score {
    float best;        /* the highest */
    int   layer, head; /* where; -1: no head has the score */
    float mean;
} scry_series_score;

typedef struct scry_series_point {
    char             *name;
    float             loss; /* mean over the prompt; NaN for a single token */
    scry_series_score scores[SCRY_HEAD_SCORE_COUNT];
} scry_series_point;

typedef struct scry_series {
    int                count;
    scry_series_point *points;
} scry_series;

/* Appends a checkpoint; a *series that is NULL is made. The options are those of the head scores, without random
 * models. A failure leaves the series as it was. */
SCRY_API scry_status scry_series_add(scry_series **series, const char *name, scry_model *model, const char *text,
                                     const scry_heads_options *options);
SCRY_API void        scry_series_destroy(scry_series **series);

#ifdef __cplusplus
}
#endif
#endif
