/* The logit lens: what each layer's residual stream would predict if it were read by the final norm and the
 * unembedding; or the tuned lens, which translates it first. Layer 0 is the embedding; layer i is the residual stream
 * after block i - 1; the last layer is the model's own prediction, whose KL is 0. */
#ifndef SCRY_LENS_H
#define SCRY_LENS_H

#include "scry/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct scry_lens_options {
    const int32_t           *ids; /* the prompt where text is NULL */
    int                      id_count;
    int                      top;         /* candidates per cell, as many as the vocabulary has; 0: 5 */
    scry_token_choice        target;      /* whose rank is wanted at every layer and position */
    bool                     skip_kl;     /* leave out the KL: each layer is read as it passes, and none is kept */
    const struct scry_edits *edits;       /* made on the way, see scry/edit.h; NULL: none */
    bool                     target_next; /* the target of position t is the prompt's token t + 1 (none at the last) */
    /* Reads each layer but the last through its translator, see scry/tune_lens.h; of this very model. NULL: the logit
     * lens. */
    const struct scry_tuned_lens *tuned;
} scry_lens_options;

typedef struct scry_lens_cell {
    const scry_candidate *top; /* `top_count`, largest first; logits and probabilities over the whole vocabulary */
    float                 entropy, lse; /* nats */
    float                 kl;           /* KL(final || layer), nats; NaN where it was left out */
    int32_t               target_id;    /* -1: none */
    int32_t               target_rank;  /* 0 is best; -1: none */
    float                 target_logit, target_log_probability;
} scry_lens_cell;

typedef struct scry_lens {
    scry_tokens    *tokens;
    int             layer_count; /* blocks + 1 */
    int             token_count;
    int             top_count;
    scry_lens_cell *cells;      /* [layer_count, token_count] */
    scry_candidate *candidates; /* [layer_count, token_count, top_count]; their texts are shared, in `texts` */
    char          **texts;      /* [vocabulary], by id; NULL where no cell needs it */
    int             vocabulary;
    bool            tuned; /* read by a tuned lens */
} scry_lens;

SCRY_API scry_status           scry_lens_run(scry_lens **out, scry_model *model, const char *text,
                                             const scry_lens_options *options);
SCRY_API void                  scry_lens_destroy(scry_lens **lens);
SCRY_API const scry_lens_cell *scry_lens_at(const scry_lens *lens, int layer, int position);

#ifdef __cplusplus
}
#endif
#endif
