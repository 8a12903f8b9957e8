/* The tuned lens (Belrose et al. 2023, "Eliciting latent predictions from transformers with the tuned lens",
 * arXiv:2303.08112): before the model's own final norm and unembedding read a layer's residual stream h, a translator
 * of that layer moves it into the final layer's basis: h + A h + b. Each is trained so that what is read diverges least
 * from the model's own prediction, the model itself staying as it is. */
#ifndef SCRY_TUNE_LENS_H
#define SCRY_TUNE_LENS_H

#include "scry/model.h"
#include "scry/train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Translators for the residual stream before each block, on the model's device: layers 0 to the number of blocks less
 * one of scry_lens. The last layer has none. */
typedef struct scry_tuned_lens scry_tuned_lens;

/* An untrained one, whose A and b are 0: it reads what the logit lens reads. `model` outlives it. */
SCRY_API scry_status scry_tuned_lens_create(scry_tuned_lens **out, scry_model *model);
SCRY_API void        scry_tuned_lens_destroy(scry_tuned_lens **tuned);

/* A safetensors file: layer.L.weight [d, d] (A, by rows of what comes out) and layer.L.bias [d] in f32; as metadata
 * format ("scry.tuned_lens/1"), family, layer_count, hidden_size, the SHA-256 of what the model reads the final stream
 * by, and the recipe. One that was trained for another model is SCRY_BAD_INPUT, with what differs. */
SCRY_API scry_status scry_tuned_lens_open(scry_tuned_lens **out, scry_model *model, const char *path);
SCRY_API scry_status scry_tuned_lens_write(const scry_tuned_lens *tuned, const char *path);

/* --- Training --- */

/* What is reported behind each step, and first of all behind the one that a training goes on from. */
typedef struct scry_tune_lens_progress {
    int           step, steps;
    const double *losses; /* [translators]: each one's mean KL over the step's batch, before the step, in nats; NULL
                             behind the step that is gone on from */
    const float *history; /* [step, translators]: the same of all steps so far */
    int          layer_count;
} scry_tune_lens_progress;

typedef struct scry_tune_lens_options {
    const char    *text; /* a UTF-8 file, read by the model's tokenizer; NULL: the ids */
    const int32_t *ids;
    int            id_count;
    double         held_out;        /* share of the text, its end, that is not trained on; 0: 0.1 */
    int            batch, length;   /* rows, tokens of a row; 0: 8, and 128 or the model's context if that is less */
    uint64_t       seed;            /* of which rows are taken */
    int            steps;           /* 0: 250 */
    scry_train_optimiser optimiser; /* AdamW with its usual betas, or SGD with Nesterov momentum 0.9 */
    double               rate;      /* the first step's, from which it falls to 0 by a line; 0: 0.003, sgd: 1 */
    double               decay;     /* weight decay towards the logit lens */
    double               clip;      /* longest gradient of a translator; 0: 1 */
    int                  evaluation_batches; /* of the part held out, at most; 0: 32 */
    const char          *checkpoints;        /* the folder of the training's checkpoints; NULL: it makes none */
    int                  checkpoint_every;   /* steps; 0: 50. The last step always has one */
    /* Go on behind the folder's newest whole checkpoint, or begin where it has none: the lens is then, to the bit, that
     * of a training that nothing stopped. Without it a folder that has checkpoints is refused. */
    bool resume;
    /* Called after each step (or batch evaluated) where not NULL; false stops, SCRY_STOPPED. */
    bool (*progress)(void *user, const scry_tune_lens_progress *progress);
    void *user;
} scry_tune_lens_options;

/* Trains by the KL from the final layer's predictions, over all positions of each batch. Stopped or failed, the lens
 * is what it was after the last whole step. Same device, lens, text and options: the same bits. SCRY_CHECK_FAILED where
 * a loss or gradient is not finite.
 *
 * A checkpoint is a folder step-N in that of the options: lens.safetensors, as scry_tuned_lens_open opens it; the
 * optimiser's moments in optimiser.safetensors, training.json, and SHA256SUMS of these. It appears whole or not at all,
 * also where the process is killed, and takes the place of the one before it. To go on from one model, text and options
 * have to be those that it was made with, but for how often there is a checkpoint and what is evaluated. */
SCRY_API scry_status scry_tuned_lens_train(scry_tuned_lens *tuned, const scry_tune_lens_options *options);

/* Removes the checkpoints that a training has left, for when its lens is written. */
SCRY_API scry_status scry_tuned_lens_remove_checkpoints(const char *folder);

/* --- Evaluation --- */

/* Means over positions, in nats. */
typedef struct scry_lens_quality {
    double cross_entropy; /* of the next token */
    double kl;            /* KL(final || layer) */
    double entropy;
} scry_lens_quality;

typedef struct scry_lens_evaluation {
    int                layer_count;   /* blocks + 1, as of scry_lens */
    int64_t            tokens;        /* positions evaluated */
    scry_lens_quality *logit, *tuned; /* [layer_count]; the last of both is the model itself */
} scry_lens_evaluation;

/* Both lenses on the part of the text that is held out, where held_out 1 is all of it. `options` may be those of the
 * training. */
SCRY_API scry_status scry_tuned_lens_evaluate(scry_lens_evaluation **out, const scry_tuned_lens *tuned,
                                              const scry_tune_lens_options *options);
SCRY_API void        scry_lens_evaluation_destroy(scry_lens_evaluation **evaluation);

#ifdef __cplusplus
}
#endif
#endif
