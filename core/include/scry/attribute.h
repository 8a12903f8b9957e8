/* Direct logit attribution: the logit of a token at one position, or the difference of two tokens' logits, split over
 * everything that was written to the residual stream there.
 *
 * The final norm is frozen: its denominator is the one that the pass had, so that what is left of it is linear. Then
 * the contributions sum to the logit, up to rounding. They say what each part wrote in the direction of the token, not
 * what would happen without it: later parts read it too. docs/definitions.md has the formulas. */
#ifndef SCRY_ATTRIBUTE_H
#define SCRY_ATTRIBUTE_H

#include "scry/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a logit is split over; those without weights are left out. X(name, text) */
#define SCRY_CONTRIBUTION_LIST(X)                                                                                      \
    X(EMBEDDING, "embedding")                                                                                          \
    X(POSITIONS, "position embedding")                                                                                 \
    X(HEAD, "head")                     /* its z through its rows of the output projection */                          \
    X(ATTENTION_BIAS, "attention bias") /* of a layer's output projection */                                           \
    X(MLP, "mlp")                                                                                                      \
    X(MLP_BIAS, "mlp bias") /* of its output projection; in the MLP's where a norm stands behind that */               \
    X(NORM_BIAS, "final norm bias")                                                                                    \
    X(UNEMBEDDING_BIAS, "unembedding bias")

typedef enum scry_contribution_kind {
#define SCRY_CONTRIBUTION_ENUM(name, text) SCRY_CONTRIBUTION_##name,
    SCRY_CONTRIBUTION_LIST(SCRY_CONTRIBUTION_ENUM)
#undef SCRY_CONTRIBUTION_ENUM
        SCRY_CONTRIBUTION_COUNT
} scry_contribution_kind;

SCRY_API const char *scry_contribution_text(scry_contribution_kind kind);

typedef struct scry_attribution_options {
    const int32_t    *ids; /* the prompt where text is NULL */
    int               id_count;
    int               position; /* used where has_position; else the last */
    bool              has_position;
    scry_token_choice answer; /* whose logit is split; none: the position's likeliest token */
    scry_token_choice wrong;  /* whose logit is subtracted, if any */
} scry_attribution_options;

typedef struct scry_contribution {
    scry_contribution_kind kind;
    int                    layer, head; /* -1 where it has none */
    double                 value;       /* in logits */
    double                 share;       /* of the logit that is split; NaN where that is 0 */
    int                    key;         /* of a head: what it attends to most at the position; else -1 */
    float                  weight;      /* that it has there; else NaN */
} scry_contribution;

typedef struct scry_attribution {
    scry_tokens       *tokens;
    int                layer_count, head_count;
    int                position;
    scry_candidate     answer, wrong; /* as the model has them at the position */
    bool               has_wrong;
    double             logit;       /* what is split: the answer's logit, less the wrong one's */
    double             denominator; /* of the final norm, frozen */
    int                count;
    scry_contribution *contributions; /* in order of execution */
    double             residue;       /* logit less the sum of all contributions */
    double             bound;         /* what rounding to f32 can make of it at most */
} scry_attribution;

SCRY_API scry_status scry_attribution_run(scry_attribution **out, scry_model *model, const char *text,
                                          const scry_attribution_options *options);
SCRY_API void        scry_attribution_destroy(scry_attribution **attribution);

#ifdef __cplusplus
}
#endif
#endif
