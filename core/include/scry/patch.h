/* Activation patching: what of one run, put into another, makes it predict as the first did.
 *
 * Two prompts, clean and corrupt, and two next tokens: the answer to the clean one and a wrong one. The baseline is one
 * prompt's run, the source the other's. Each cell is a run of the baseline in which one activation is replaced by that
 * of the source, and its effect how much of the difference between both runs that alone makes: 0 nothing, 1 all of it.
 * Positions of the prompts' common beginning hold the same in both runs, so that nothing is patched there;
 * docs/definitions.md has the formulas. Cells are computed as a sweep (scry/sweep.h), or estimated, all at once, from
 * one backward pass (attribution patching). */
#ifndef SCRY_PATCH_H
#define SCRY_PATCH_H

#include "scry/sweep.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is patched. Those of heads: one head's at all positions together, or at each (by_position); keys and values have
 * as many heads as the model has key/value heads; a pattern's position is the query's.
 * X(name, text, hook point in its block, of heads?) */
#define SCRY_PATCH_KIND_LIST(X)                                                                                        \
    X(RESID_PRE, "resid_pre", "hook_resid_pre", false)                                                                 \
    X(RESID_MID, "resid_mid", "hook_resid_mid", false) /* not in parallel blocks */                                    \
    X(ATTN_OUT, "attn_out", "hook_attn_out", false)                                                                    \
    X(MLP_OUT, "mlp_out", "hook_mlp_out", false)                                                                       \
    X(Z, "z", "attn.hook_z", true)                                                                                     \
    X(Q, "q", "attn.hook_q", true)                                                                                     \
    X(K, "k", "attn.hook_k", true)                                                                                     \
    X(V, "v", "attn.hook_v", true)                                                                                     \
    X(PATTERN, "pattern", "attn.hook_pattern", true) /* of prompts of equal length */

typedef enum scry_patch_kind {
#define SCRY_PATCH_KIND_ENUM(name, text, hook, of_heads) SCRY_PATCH_##name,
    SCRY_PATCH_KIND_LIST(SCRY_PATCH_KIND_ENUM)
#undef SCRY_PATCH_KIND_ENUM
        SCRY_PATCH_KIND_COUNT
} scry_patch_kind;

SCRY_API const char *scry_patch_kind_text(scry_patch_kind kind);
SCRY_API bool        scry_patch_kind_has_heads(scry_patch_kind kind);

/* X(name, text) */
#define SCRY_PATCH_DIRECTION_LIST(X)                                                                                   \
    X(DENOISE, "denoise") /* the corrupt run is the baseline, values come from the clean one: what restores */         \
    X(NOISE, "noise")     /* the reverse: what breaks */

typedef enum scry_patch_direction {
#define SCRY_PATCH_DIRECTION_ENUM(name, text) SCRY_##name,
    SCRY_PATCH_DIRECTION_LIST(SCRY_PATCH_DIRECTION_ENUM)
#undef SCRY_PATCH_DIRECTION_ENUM
        SCRY_PATCH_DIRECTION_COUNT
} scry_patch_direction;

SCRY_API const char *scry_patch_direction_text(scry_patch_direction direction);

/* How cells come about.
 * X(name, text) */
#define SCRY_PATCH_METHOD_LIST(X)                                                                                      \
    X(EXACT, "exact")       /* every patch is run */                                                                   \
    X(ESTIMATE, "estimate") /* effects to first order, from one gradient of the baseline: any number of cells for a */ \
                            /* few passes. Needs a device with the ops for training; patterns have none */             \
    X(BOTH, "both")         /* the estimate beside what it estimates */

typedef enum scry_patch_method {
#define SCRY_PATCH_METHOD_ENUM(name, text) SCRY_PATCH_METHOD_##name,
    SCRY_PATCH_METHOD_LIST(SCRY_PATCH_METHOD_ENUM)
#undef SCRY_PATCH_METHOD_ENUM
        SCRY_PATCH_METHOD_COUNT
} scry_patch_method;

SCRY_API const char *scry_patch_method_text(scry_patch_method method);

typedef struct scry_patch_options {
    const int32_t *clean_ids; /* the clean prompt where its text is NULL */
    int            clean_id_count;
    const int32_t *corrupt_ids;
    int            corrupt_id_count;
    /* None: the likeliest next token of the clean run, and that of the corrupt run; refused where both are one. */
    scry_token_choice answer, wrong;
    int               position; /* of the clean prompt, whose prediction is read, where has_position; else the last */
    bool              has_position;
    scry_patch_direction direction;
    scry_patch_method    method;
    unsigned             kinds;       /* bits 1 << scry_patch_kind; 0: all that model, prompts and method allow */
    bool                 by_position; /* heads at each position apart */
    /* Prompts of unequal length are refused, unless this is set: then their common beginning is matched from the start
     * and the rest from the end; positions without a match are not patched, and patterns have no cells. */
    bool align;
    bool naive; /* every patch as a whole pass: slow, for checks */
    int  batch; /* patches side by side; 0: the sweep chooses */
    /* For values of the source, a kind's layers in as many turns as that takes; for an estimate those of both runs, all
     * kinds at once; 0: 256 MiB. */
    uint64_t most_memory;
    /* Called as patches are done, where not NULL; false stops with SCRY_STOPPED. */
    bool (*progress)(void *user, int64_t done, int64_t total);
    void *user;
} scry_patch_options;

/* What one patch makes of the prediction. All NaN: not patched, for want of a match; NaN, too, is what the method does
 * not give. */
typedef struct scry_patch_cell {
    float effect;           /* (LD patched - LD baseline) / (LD source - LD baseline); NaN where that is x / 0 */
    float logit_difference; /* LD: the answer's logit less the wrong one's */
    float probability;      /* of the answer */
    float kl;               /* KL(source || patched), nats */
    float estimate;         /* of the effect: gradient of LD . (source - baseline) / (LD source - LD baseline) */
} scry_patch_cell;

/* X(name, member of a cell and text) */
#define SCRY_PATCH_METRIC_LIST(X)                                                                                      \
    X(EFFECT, effect)                                                                                                  \
    X(LOGIT_DIFFERENCE, logit_difference)                                                                              \
    X(PROBABILITY, probability)                                                                                        \
    X(KL, kl)                                                                                                          \
    X(ESTIMATE, estimate)

typedef enum scry_patch_metric {
#define SCRY_PATCH_METRIC_ENUM(name, member) SCRY_PATCH_METRIC_##name,
    SCRY_PATCH_METRIC_LIST(SCRY_PATCH_METRIC_ENUM)
#undef SCRY_PATCH_METRIC_ENUM
        SCRY_PATCH_METRIC_COUNT
} scry_patch_metric;

SCRY_API const char *scry_patch_metric_text(scry_patch_metric metric);
SCRY_API float       scry_patch_cell_number(const scry_patch_cell *cell, scry_patch_metric metric);
/* Do the method's cells have this number? */
SCRY_API bool scry_patch_method_gives(scry_patch_method method, scry_patch_metric metric);

typedef struct scry_patch_grid {
    scry_patch_kind  kind;
    int              layer_count;
    int              head_count;     /* 1: of no head */
    int              position_count; /* 1: all positions together */
    scry_patch_cell *cells;          /* [layer, head, position] */
} scry_patch_grid;

/* One prompt, and what its own run predicts. */
typedef struct scry_patch_side {
    scry_tokens   *tokens;
    int            position; /* whose prediction is read */
    scry_candidate answer, wrong;
    float          logit_difference;
} scry_patch_side;

typedef struct scry_patching {
    scry_patch_direction direction;
    scry_patch_method    method;
    scry_patch_side      clean, corrupt;
    bool                 defined;          /* the logit differences differ: there are effects */
    int                  position_count;   /* of the baseline's prompt, up to the one that is read */
    int32_t             *matches;          /* [position_count]: the source's position; -1: none */
    int                  first_difference; /* the baseline's first position that holds another token than its match */
    int                  grid_count;
    scry_patch_grid     *grids; /* in the order of scry_patch_kind */
    scry_sweep_cost      cost;  /* with the cells before the first difference, as patches that change nothing */
} scry_patching;

/* Runs both prompts and every patch. Texts may be NULL: see the options. */
SCRY_API scry_status scry_patching_run(scry_patching **out, scry_model *model, const char *clean, const char *corrupt,
                                       const scry_patch_options *options);
SCRY_API void        scry_patching_destroy(scry_patching **patching);

/* The side that is patched, and the side that values come from. */
SCRY_API const scry_patch_side *scry_patching_baseline(const scry_patching *patching);
SCRY_API const scry_patch_side *scry_patching_source(const scry_patching *patching);

/* How far a grid's estimates are from its effects, over the cells that have both; those before the first difference,
 * where both are 0, do not count. */
typedef struct scry_patch_agreement {
    int    count;
    double mean, largest;         /* |estimate - effect|; NaN without cells */
    double correlation;           /* Pearson's; NaN where either number is the same in all cells */
    int    layer, head, position; /* of the largest; -1: no such cell */
} scry_patch_agreement;

SCRY_API scry_patch_agreement scry_patch_grid_agreement(const scry_patching *patching, const scry_patch_grid *grid);

/* --- Many pairs --- */

/* Over those pairs in which the number is defined. */
typedef struct scry_patch_spread {
    double mean;      /* NaN for none */
    double deviation; /* the standard deviation, over n - 1; NaN below two */
    int    count;
} scry_patch_spread;

/* Grids of one direction, method, kind and shape: prompts of other lengths have grids by position of their own. */
typedef struct scry_patch_mean_grid {
    scry_patch_direction direction;
    scry_patch_method    method;
    scry_patch_kind      kind;
    int                  layer_count, head_count, position_count;
    int                  pair_count;
    char **labels; /* [position_count]: the token that all prompts have there, else NULL; NULL: no positions */
    scry_patch_spread *spreads; /* [layer, head, position, scry_patch_metric] */
} scry_patch_mean_grid;

typedef struct scry_patch_summary {
    int                   pair_count;
    int                   defined_count;  /* pairs whose logit differences differ */
    scry_patch_spread     clean, corrupt; /* the unpatched runs' logit differences */
    int                   grid_count;
    scry_patch_mean_grid *grids; /* in the order in which they came */
} scry_patch_summary;

/* Takes in a pair: its patchings, one for each direction; a *summary that is NULL is made. A failure leaves the summary
 * as it was. */
SCRY_API scry_status scry_patch_summary_add(scry_patch_summary **summary, scry_patching *const *patchings, int count);
SCRY_API void        scry_patch_summary_destroy(scry_patch_summary **summary);

#ifdef __cplusplus
}
#endif
#endif
