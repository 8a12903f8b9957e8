/* The probe of induction: random tokens said twice. What a head gives to the place where a token was said before
 * (duplicate) and to the token behind that place (induction), and the model's loss on either copy. */
#ifndef SCRY_ANALYSIS_PROBE_H
#define SCRY_ANALYSIS_PROBE_H

#include "scry/heads.h"

/* `seeds` sequences of `prefix` tokens that begin a text (BOS, where the tokenizer inserts one), then `length` tokens,
 * then the same again. */
typedef struct scry__probe_tokens {
    int      prefix, length, seeds;
    int32_t *ids; /* [seeds, prefix + 2 * length] */
} scry__probe_tokens;

/* Draws them uniformly from the vocabulary without special tokens. length and seeds 0: the defaults of scry/heads.h;
 * SCRY_BAD_ARGUMENT where the context has no room for so many. */
scry_status scry__probe_draw(scry__probe_tokens *tokens, scry_model *model, int length, int seeds, uint64_t seed);
void        scry__probe_tokens_finish(scry__probe_tokens *tokens);

/* Positions of a sequence. */
int scry__probe_positions(const scry__probe_tokens *tokens);

/* What uniform attention gives instead of a probe's SCRY_HEAD_INDUCTION, _DUPLICATE or _PREVIOUS: 0 where the window
 * does not reach so far back. */
double scry__probe_uniform(const scry__probe_tokens *tokens, scry_head_score_kind kind, int64_t window);

/* Of every head, layer by layer, one number per seed; and of every position the loss on its token. */
typedef struct scry__probe {
    int    head_count; /* of all layers */
    int    seeds, positions;
    float *induction, *duplicate, *previous; /* [head_count, seeds] */
    float *loss; /* [seeds, positions], nats; NaN at position 0, and everywhere unless it was asked for */
} scry__probe;

/* Runs the sequences through the model as one batch, in two passes on a kept cache, so that the statistics of the
 * second sum over just the rows of the second copy. */
scry_status scry__probe_run(scry__probe *probe, scry_model *model, const scry__probe_tokens *tokens, bool with_loss);
void        scry__probe_finish(scry__probe *probe);

#endif
