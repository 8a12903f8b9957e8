/* What each attention head does: scores, each beside what it would be if nothing were going on, and how sure that is.
 *
 * All of it comes from statistics that attention gives as it streams (memory grows with the tokens, not with their
 * square). docs/definitions.md has formulas, ranges and the rule of certainty. */
#ifndef SCRY_HEADS_H
#define SCRY_HEADS_H

#include "scry/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(id, name, what it is, is higher "more"?, may it be what a head is called after?). A[i, j] is the weight of query i
 * on key j, means are over rows. Induction and duplicate come from a probe of random tokens said twice, all others from
 * the prompt. */
#define SCRY_HEAD_SCORE_LIST(X)                                                                                        \
    X(PREVIOUS, "previous", "weight on the token before", true, true)                                                  \
    X(SELF, "self", "weight on the token itself", true, true)                                                          \
    X(FIRST, "first", "weight on the first token", true, true)                                                         \
    X(OFFSET, "offset", "weight at the best fixed distance of 2 or more", true, true)                                  \
    X(INDUCTION, "induction", "weight on what came after this token when it was said before", true, true)              \
    X(DUPLICATE, "duplicate", "weight on this token where it was said before", true, true)                             \
    X(SINK, "sink", "weight that one key receives, over what it would under uniform attention", true, true)            \
    X(UNIFORM, "uniform", "entropy over its maximum: 1 is uniform attention", true, true)                              \
    X(SPARSE, "sparse", "share of rows with more than 0.95 on one key", true, true)                                    \
    X(MAX, "max", "the largest weight of a row", true, false)                                                          \
    X(DISTANCE, "distance", "mean distance from a token to what it attends to", false, false)

typedef enum scry_head_score_kind {
#define SCRY_HEAD_SCORE_ENUM(id, name, about, higher, names) SCRY_HEAD_##id,
    SCRY_HEAD_SCORE_LIST(SCRY_HEAD_SCORE_ENUM)
#undef SCRY_HEAD_SCORE_ENUM
        SCRY_HEAD_SCORE_COUNT
} scry_head_score_kind;

/* How sure it is that a head does what a score measures: X(id, name). */
#define SCRY_CERTAINTY_LIST(X)                                                                                         \
    X(NONE, "none")                                                                                                    \
    X(WEAK, "weak")                                                                                                    \
    X(CLEAR, "clear")                                                                                                  \
    X(STRONG, "strong")

typedef enum scry_certainty {
#define SCRY_CERTAINTY_ENUM(id, name) SCRY_CERTAINTY_##id,
    SCRY_CERTAINTY_LIST(SCRY_CERTAINTY_ENUM)
#undef SCRY_CERTAINTY_ENUM
} scry_certainty;

/* "previous", and what it is; "clear". */
SCRY_API const char *scry_head_score_name(scry_head_score_kind kind);
SCRY_API const char *scry_head_score_about(scry_head_score_kind kind);
SCRY_API bool        scry_head_score_is_higher_more(scry_head_score_kind kind);
SCRY_API const char *scry_certainty_name(scry_certainty certainty);

/* Values are NaN where they are undefined (no row to average) or were left out. */
typedef struct scry_head_score {
    float          value;
    float          uniform; /* of uniform attention over the keys that this layer can see: exact */
    scry_certainty certainty;
    int            at; /* offset: its distance; sink: its key; else -1 */
} scry_head_score;

typedef struct scry_head {
    int             layer, head;
    int             kind; /* the score that it is clearest in; -1: none that is more than its null */
    scry_certainty  certainty;
    scry_head_score scores[SCRY_HEAD_SCORE_COUNT];
} scry_head;

/* A score where nothing was learned: of uniform causal attention, and over all heads of the same architecture with
 * random weights (NaN: left out). */
typedef struct scry_head_null {
    float uniform, random_mean, random_largest;
} scry_head_null;

/* The first random model of a seed: the model's random twin (scry/model.h) on its device, or the next one where the
 * model itself is that twin. Release with scry_model_destroy. */
SCRY_API scry_status scry_twin_open(scry_model **out, const scry_model *model, uint64_t seed);

typedef struct scry_heads_options {
    const int32_t *ids; /* the prompt where text is NULL */
    int            id_count;
    bool           skip_probe, skip_random; /* leave out what they cost: see probe_seeds, random_seeds */
    int            probe_length;            /* random tokens that are said twice; 0: 50, or as many as fit */
    int            probe_seeds;             /* sequences of them; 0: 4 */
    int            random_seeds;            /* models of random weights, one after the other; 0: 1 */
    uint64_t       seed;                    /* of all that is random */
    scry_model    *twin;                    /* scry_twin_open's of that seed, where it is open already; else NULL */
    /* Called between layers where not NULL; false stops with SCRY_STOPPED. */
    bool (*progress)(void *user, int64_t done, int64_t total);
    void *user;
} scry_heads_options;

typedef struct scry_heads {
    scry_tokens   *tokens;
    int            token_count, layer_count, head_count;
    int            probe_length, probe_seeds; /* 0: no probe */
    int            random_seeds;              /* 0: no random models */
    int            sink_keys; /* keys that may be a sink: those before it; later ones are seen by too few rows */
    scry_head_null nulls[SCRY_HEAD_SCORE_COUNT];
    scry_head     *heads; /* [layer_count, head_count] */
} scry_heads;

SCRY_API scry_status      scry_heads_run(scry_heads **out, scry_model *model, const char *text,
                                         const scry_heads_options *options);
SCRY_API void             scry_heads_destroy(scry_heads **heads);
SCRY_API const scry_head *scry_heads_at(const scry_heads *heads, int layer, int head); /* NULL: there is none */
/* The head with the most of a score: with the most certainty, and of those with the largest value. NULL: undefined for
 * all. */
SCRY_API const scry_head *scry_heads_surest(const scry_heads *heads, scry_head_score_kind kind);

/* --- Induction --- */

/* A model that has seen a sequence can say it again: random tokens said twice, where nothing else helps. */
typedef struct scry_induction_options {
    int         length;       /* tokens that are said twice; 0: 50, or as many as fit */
    int         seeds;        /* sequences of them; 0: 8 */
    int         random_seeds; /* models of random weights; 0: 1 */
    bool        skip_random;
    int         feeders; /* heads listed for each induction head; 0: 3 */
    uint64_t    seed;    /* of all that is random */
    scry_model *twin;    /* scry_twin_open's of that seed, where it is open already; else NULL */
    bool (*progress)(void *user, int64_t done, int64_t total);
    void *user;
} scry_induction_options;

/* A mean over seeds and their standard deviation, which is NaN with a single one. */
typedef struct scry_spread {
    float mean, spread;
} scry_spread;

typedef struct scry_induction_head {
    int            layer, head;
    scry_spread    induction, duplicate;
    float          previous;  /* mean weight on the token before, over the whole probe */
    scry_certainty certainty; /* of induction */
} scry_induction_head;

/* A head whose output the keys of an induction head are made of, as the weights tell. */
typedef struct scry_feeder {
    int   layer, head;           /* the induction head */
    int   from_layer, from_head; /* what feeds it */
    float k_composition, null;   /* null: of two heads that know nothing of each other */
    float previous;              /* the feeder's */
} scry_feeder;

typedef struct scry_induction {
    int                  prefix, length, seeds; /* a sequence is `prefix` tokens that begin a text, then 2 x length */
    int                  random_seeds, layer_count, head_count;
    int                  position_count;          /* prefix + 2 * length */
    scry_spread          loss_first, loss_second; /* nats a token: of the first copy, and of the second but its first */
    float               *loss; /* [position_count], of each token, mean over seeds; NaN at the first */
    scry_head_null       induction, duplicate, previous; /* nulls */
    scry_induction_head *heads;                          /* [layer_count, head_count] */
    int                  feeder_count;
    scry_feeder         *feeders; /* of heads whose induction is clear or strong, the 16 with the most; each one's by
                                     composition, the largest first */
} scry_induction;

SCRY_API scry_status scry_induction_run(scry_induction **out, scry_model *model, const scry_induction_options *options);
SCRY_API void        scry_induction_destroy(scry_induction **induction);

#ifdef __cplusplus
}
#endif
#endif
