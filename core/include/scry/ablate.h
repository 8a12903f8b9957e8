/* Ablation: what a model says without one of its parts. Each head, attention block, MLP and layer is taken away, one at
 * a time, and what it wrote is replaced by zeros, by its mean, or by what it writes in another prompt.
 *
 * Zeros are what no part ever writes: later parts then read a stream that they were not made for. The mean keeps what
 * is the same in every prompt and takes away only what the part says about this one. docs/definitions.md has the
 * formulas.
 */
#ifndef SCRY_ABLATE_H
#define SCRY_ABLATE_H

#include "scry/sweep.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is taken away. X(name, text) */
#define SCRY_ABLATION_PART_LIST(X)                                                                                     \
    X(HEAD, "head")           /* its z */                                                                              \
    X(ATTENTION, "attention") /* attn_out of a layer: all heads and the bias */                                        \
    X(MLP, "mlp")             /* mlp_out of a layer */                                                                 \
    X(LAYER, "layer")         /* both */

typedef enum scry_ablation_part {
#define SCRY_ABLATION_PART_ENUM(name, text) SCRY_ABLATION_PART_##name,
    SCRY_ABLATION_PART_LIST(SCRY_ABLATION_PART_ENUM)
#undef SCRY_ABLATION_PART_ENUM
        SCRY_ABLATION_PART_COUNT
} scry_ablation_part;

/* What is put there. X(name, text) */
#define SCRY_ABLATION_WAY_LIST(X)                                                                                      \
    X(ZERO, "zero")                                                                                                    \
    X(MEAN, "mean")         /* over all positions of all prompts */                                                    \
    X(RESAMPLE, "resample") /* what one of the prompts has at the same position */

typedef enum scry_ablation_way {
#define SCRY_ABLATION_WAY_ENUM(name, text) SCRY_ABLATION_WAY_##name,
    SCRY_ABLATION_WAY_LIST(SCRY_ABLATION_WAY_ENUM)
#undef SCRY_ABLATION_WAY_ENUM
        SCRY_ABLATION_WAY_COUNT
} scry_ablation_way;

/* What is measured of an ablation. X(name, text) */
#define SCRY_ABLATION_MEASURE_LIST(X)                                                                                  \
    X(LOGIT, "logit")                                                                                                  \
    X(LOG_PROBABILITY, "log-probability")                                                                              \
    X(LOSS, "loss")                                                                                                    \
    X(KL, "kl")

typedef enum scry_ablation_measure {
#define SCRY_ABLATION_MEASURE_ENUM(name, text) SCRY_ABLATION_MEASURE_##name,
    SCRY_ABLATION_MEASURE_LIST(SCRY_ABLATION_MEASURE_ENUM)
#undef SCRY_ABLATION_MEASURE_ENUM
        SCRY_ABLATION_MEASURE_COUNT
} scry_ablation_measure;

SCRY_API const char *scry_ablation_part_text(scry_ablation_part part);
SCRY_API const char *scry_ablation_way_text(scry_ablation_way way);
SCRY_API const char *scry_ablation_measure_text(scry_ablation_measure measure);

typedef struct scry_ablation_options {
    const int32_t     *ids; /* the prompt where text is NULL */
    int                id_count;
    int                position; /* whose prediction is read, where has_position; else the last */
    bool               has_position;
    scry_token_choice  answer; /* whose logit is watched; none: the position's likeliest token */
    scry_token_choice  wrong;  /* whose logit is subtracted, if any */
    int                at;     /* the only position that is ablated, where has_at; else all are */
    bool               has_at;
    unsigned           ways;    /* bits 1 << SCRY_ABLATION_WAY_*; 0: zero alone */
    const char *const *prompts; /* for means and resampling; without any, the mean is over this prompt's positions */
    int                prompt_count;
    uint64_t           seed;      /* draws the prompt that is resampled, of those that are long enough */
    bool               skip_loss; /* leave out the loss, and so all rows behind the position */
    bool               naive;     /* a whole pass for each: slow, and the same */
    int                batch;     /* as scry_sweep_options has it */
    /* Called as ablations are done, where not NULL; false stops with SCRY_STOPPED. */
    bool (*progress)(void *user, int64_t done, int64_t total);
    void *user;
} scry_ablation_options;

/* One part away. Each number but kl is the value without the part less the value with it. */
typedef struct scry_ablated {
    scry_ablation_way  way;
    scry_ablation_part part;
    int                layer, head;     /* head -1 where it is no head */
    float              logit;           /* of the answer's logit less the wrong one's */
    float              log_probability; /* of the answer's, nats */
    float              loss;            /* of the mean next-token loss of the prompt, nats; NaN where it was left out */
    float              kl;              /* KL(whole || ablated) at the position, nats */
    bool               changed;         /* false: there is nothing to take away, and all of these are exactly 0 */
} scry_ablated;

typedef struct scry_ablation {
    scry_tokens    *tokens;
    int             layer_count, head_count;
    int             position;
    scry_candidate  answer, wrong; /* as the whole model has them at the position */
    bool            has_wrong;
    int             at;           /* the position ablated; -1: all */
    float           loss;         /* of the whole model; NaN where it was left out or the prompt is one token */
    float           lse, entropy; /* of the whole model's distribution at the position */
    unsigned        ways;         /* those made */
    int             mean_count;   /* prompts that the mean is over; 0: this one alone */
    char           *resampled;    /* the prompt drawn; NULL: none */
    int             count;
    scry_ablated   *ablated; /* by way, then layer: heads, attention, MLP, layer */
    scry_sweep_cost cost;
} scry_ablation;

SCRY_API scry_status scry_ablation_run(scry_ablation **out, scry_model *model, const char *text,
                                       const scry_ablation_options *options);
SCRY_API void        scry_ablation_destroy(scry_ablation **ablation);

SCRY_API float scry_ablated_value(const scry_ablated *ablated, scry_ablation_measure measure);

/* The ablation of a part by a way; NULL where that was not made. `head` counts for heads only. */
SCRY_API const scry_ablated *scry_ablation_find(const scry_ablation *ablation, scry_ablation_way way,
                                                scry_ablation_part part, int layer, int head);

#ifdef __cplusplus
}
#endif
#endif
