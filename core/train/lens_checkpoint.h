/* Checkpoints of a tuned lens' training (checkpoint_folder.h). scry/tune_lens.h says what lies in them. */
#ifndef SCRY_TRAIN_LENS_CHECKPOINT_H
#define SCRY_TRAIN_LENS_CHECKPOINT_H

#include "analysis/tuned_lens.h"
#include "base/sha256.h"

/* How far a training has come. */
typedef struct scry__lens_state {
    scry_tuned_lens *tuned;
    char            *recipe;         /* as the lens' file will have it */
    const char      *text;           /* what errors call the tokens */
    scry_buffer     *first, *second; /* of the optimiser, laid out as the lens' values; NULL: it has none */
    int              step, steps;    /* done, to do */
    float           *losses;         /* [steps, layers]; those of the steps that are done count */
} scry__lens_state;

typedef struct scry__lens_checkpoints {
    const char *folder; /* NULL: there are none */
    int         every;
    int         lock;                     /* -1: none */
    char        model[SCRY__SHA256_TEXT]; /* of config.json and all weights as they are stored */
} scry__lens_checkpoints;

/* Opens the folder of the options. Where there is a checkpoint to be resumed the state becomes that behind its step;
 * one of another recipe, text or model is refused, and the lens is as it was. */
scry_status scry__lens_checkpoints_open(scry__lens_checkpoints *checkpoints, scry__lens_state *state,
                                        const scry_tune_lens_options *options);
/* Writes the state, in place of the last checkpoint, where its step is to have one. */
scry_status scry__lens_checkpoints_keep(const scry__lens_checkpoints *checkpoints, scry__lens_state *state);
/* Also after a failure; a folder that is empty goes with it. */
void scry__lens_checkpoints_close(scry__lens_checkpoints *checkpoints);

#endif
