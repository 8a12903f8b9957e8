/* Batches of a text as residual streams of a frozen model: what a tuned lens is trained and evaluated on. */
#ifndef SCRY_TRAIN_LENS_BATCHES_H
#define SCRY_TRAIN_LENS_BATCHES_H

#include "analysis/tuned_lens.h"
#include "model/forward.h"
#include "train/data.h"

typedef struct scry__lens_batches {
    scry_tune_lens_options options; /* defaults filled in */
    scry_recipe            recipe;  /* what of them the data and the rate are read from */
    const char            *name;    /* what errors call the text */
    scry__data             data;
    scry_device           *device;
    scry__session         *session;
    int32_t               *ids, *targets; /* [N]: N is batch * length */
    scry_buffer           *buffer;
    scry_tensor            streams; /* [layers + 1, N, d]: before each block, and behind the last */
} scry__lens_batches;

/* Both `options` and the lens' model have to stay. Values out of range are SCRY_BAD_ARGUMENT. */
scry_status scry__lens_batches_open(scry__lens_batches *batches, const scry_tuned_lens *tuned,
                                    const scry_tune_lens_options *options);
void        scry__lens_batches_close(scry__lens_batches *batches);

/* Fills ids, targets and streams: the batch of a step, from 1; and one that is not trained on, from 0. */
scry_status scry__lens_batches_train(scry__lens_batches *batches, int step);
scry_status scry__lens_batches_evaluate(scry__lens_batches *batches, int number);

/* A layer's streams, [N, d]. */
scry_tensor scry__lens_batches_layer(const scry__lens_batches *batches, int layer);

#endif
