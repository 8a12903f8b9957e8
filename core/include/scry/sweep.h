/* Sweeps: many edited runs of one prompt, of which only what an edit can change is computed.
 *
 * The baseline, the prompt without edits, is run once and kept: every layer's keys and values and what enters each
 * layer. A patch is a set of edits made together in one run. What its edits would put is compared with the baseline's
 * own values, bit by bit; the run begins at the lowest layer and at the lowest position where that differs, on the
 * baseline's cache, beside other patches. A patch that differs nowhere is not run: its outcome is the baseline's, to
 * the bit. So values from another prompt are best taken from a pass over as many positions as the sweep runs, all up
 * to `position`: then those that the prompts have in common are equal to the bit.
 *
 * A patched run gives the numbers of a whole pass with the same edits: to the bit on the device `reference`, within
 * rounding elsewhere, where the sums of a product depend on how many rows it has. Left out of both are edits of layers
 * and positions before the first change. Not thread-safe; a model can have several sweeps. */
#ifndef SCRY_SWEEP_H
#define SCRY_SWEEP_H

#include "scry/edit.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SCRY_SWEEP_MOST_TARGETS = 8 };

/* Edits made together in one run; their `sequences` are ignored, and ln_final.* is refused. Edits, hook points' names
 * and values are the caller's until scry_sweep_run returns. Values at one address are uploaded once, however many edits
 * have them. */
typedef struct scry_patch {
    const scry_edit *edits;
    int              edit_count;
} scry_patch;

typedef struct scry_sweep_options {
    const int32_t *ids; /* the baseline's prompt where text is NULL */
    int            id_count;
    int            position; /* whose prediction is read, where has_position; else the last. Rows behind it are not run,
                                save for losses: a pattern that is edited to look at them finds nothing there */
    bool           has_position;
    const int32_t *targets; /* tokens whose logits are read there */
    int            target_count;
    const int32_t *reference_ids; /* another prompt, whose prediction at reference_position stands on the left of each
                                     KL; NULL: the baseline's own */
    int  reference_count, reference_position;
    bool losses; /* the mean next-token loss over the prompt too */
    bool naive;  /* every patch a whole pass of its own: what the engine is held to */
    int  batch;  /* patches side by side at most; 0: up to 64, as 512 MiB of their memory allow */
    /* Called as patches are done, where not NULL; false stops with SCRY_STOPPED. */
    bool (*progress)(void *user, int64_t done, int64_t total);
    void *user;
} scry_sweep_options;

/* Of one run, at the position. */
typedef struct scry_outcome {
    float logits[SCRY_SWEEP_MOST_TARGETS]; /* of the targets */
    float lse, entropy;                    /* log-probability = logit - lse; nats */
    float kl;                              /* KL(reference || this run), nats */
    float loss;    /* nats, the mean over the tokens behind the first; NaN where not asked for or with one token only */
    bool  changed; /* false: the patch cannot change anything, and this is the baseline's outcome */
} scry_outcome;

/* Of all calls so far. A layer-token is one position in one layer of one sequence; the baseline is not counted. */
typedef struct scry_sweep_cost {
    int64_t layer_tokens;       /* computed, those of passes that compare included */
    int64_t naive_layer_tokens; /* of whole passes, one a patch */
    int     patches, skipped;   /* asked for; not run, because they change nothing */
    int     passes;
} scry_sweep_cost;

typedef struct scry_sweep scry_sweep;

/* Tokenizes `text` (or takes the ids) and runs the baseline. Everything in `options` is copied. */
SCRY_API scry_status scry_sweep_create(scry_sweep **out, scry_model *model, const char *text,
                                       const scry_sweep_options *options);

/* Both are the sweep's own. The reference's is NULL without reference_ids; its loss is NaN. */
SCRY_API const scry_outcome *scry_sweep_baseline(const scry_sweep *sweep);
SCRY_API const scry_outcome *scry_sweep_reference(const scry_sweep *sweep);

/* outcomes[i] = that of patches[i]. Errors name the patch and the edit by their numbers, from 1 on. May be called again
 * with other patches, after an error too. */
SCRY_API scry_status scry_sweep_run(scry_sweep *sweep, const scry_patch *patches, int count, scry_outcome *outcomes);

SCRY_API scry_sweep_cost scry_sweep_get_cost(const scry_sweep *sweep);
SCRY_API void            scry_sweep_destroy(scry_sweep **sweep);

#ifdef __cplusplus
}
#endif
#endif
