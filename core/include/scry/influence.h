/* What one output position drew on: attention weights of its row, attention rollout, and the measured change in its
 * prediction when edges into it are cut.
 *
 * An edge is position <- key in one head of one layer. Cutting it masks the key from that query before the softmax, so
 * that the row's other weights grow to a sum of 1 again; a row whose keys are all cut gives 0. Only that position's row
 * is computed anew, on the cached keys and values of the prompt. Weights and rollout say where attention looked; cuts
 * say what it mattered. docs/definitions.md has the formulas. */
#ifndef SCRY_INFLUENCE_H
#define SCRY_INFLUENCE_H

#include "scry/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which cuts are measured, each level with those before it. K keys, L layers, H heads.
 * X(name, text) */
#define SCRY_CUTS_LIST(X)                                                                                              \
    X(DEFAULT, "default") /* as heads */                                                                               \
    X(NONE, "none")       /* weights and rollout only */                                                               \
    X(KEYS, "keys")       /* K: each key, in all heads of all layers */                                                \
    X(LAYERS, "layers")   /* L K: each key, in all heads of one layer */                                               \
    X(HEADS, "heads")     /* L H: every key but the position itself, in one head */                                    \
    X(EDGES, "edges")     /* L H K: each key, in one head */

typedef enum scry_cuts {
#define SCRY_CUTS_ENUM(name, text) SCRY_CUTS_##name,
    SCRY_CUTS_LIST(SCRY_CUTS_ENUM)
#undef SCRY_CUTS_ENUM
        SCRY_CUTS_COUNT
} scry_cuts;

SCRY_API const char *scry_cuts_text(scry_cuts cuts);

typedef struct scry_influence_options {
    const int32_t    *ids; /* the prompt where text is NULL */
    int               id_count;
    int               position; /* used where has_position; else the last */
    bool              has_position;
    scry_token_choice target; /* whose logit is watched; none: the position's likeliest token */
    scry_cuts         cuts;
    bool              skip_rollout; /* rollout keeps L K^2 / 2 floats: 400 MB at 12 layers and 4,096 keys */
    int               most_sinks;   /* sinks listed at most; 0: 10 */
    int               batch; /* cuts computed side by side; 0: up to 64, as 512 MiB of cached keys and values allow */
    /* Called as cuts are done, where not NULL; false stops with SCRY_STOPPED. */
    bool (*progress)(void *user, int64_t done, int64_t total);
    void *user;
} scry_influence_options;

/* What a cut changed: the value with the cut less the value without; NaN where it was not measured. A negative logit:
 * the edge had spoken for the target. */
typedef struct scry_cut {
    float logit;           /* of the target's logit */
    float log_probability; /* of the target's log-probability, nats */
    float kl;              /* KL(uncut || cut) of the position's whole distribution, nats */
} scry_cut;

/* A key that draws attention from most rows up to the position. */
typedef struct scry_sink {
    int   layer, head, key;
    float ratio; /* received mass over that of uniform attention */
    float share; /* mean weight that it has in the rows that see it */
} scry_sink;

/* Arrays are row-major; keys are the positions 0 .. position, key_count of them. */
typedef struct scry_influence {
    scry_tokens   *tokens;
    int            layer_count, head_count, key_count;
    int            position;
    scry_candidate target;        /* uncut */
    float          lse, entropy;  /* of the position's uncut distribution */
    scry_cuts      cuts;          /* which were asked for, never SCRY_CUTS_DEFAULT */
    float         *weights;       /* [layer, head, key]: the position's row */
    float         *layer_weights; /* [layer, key]: mean over heads */
    float         *key_weights;   /* [key]: mean over layers and heads */
    float         *rollout;       /* [key]; NaN where it was left out */
    scry_cut      *key_cuts;      /* [key] */
    scry_cut      *layer_cuts;    /* [layer, key] */
    scry_cut      *head_cuts;     /* [layer, head] */
    scry_cut      *edge_cuts;     /* [layer, head, key]; NULL below SCRY_CUTS_EDGES */
    int            sink_count;
    scry_sink     *sinks; /* over all layers and heads, the largest ratio first */
} scry_influence;

SCRY_API scry_status scry_influence_run(scry_influence **out, scry_model *model, const char *text,
                                        const scry_influence_options *options);
SCRY_API void        scry_influence_destroy(scry_influence **influence);

#ifdef __cplusplus
}
#endif
#endif
