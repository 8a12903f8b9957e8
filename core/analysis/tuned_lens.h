/* Translators of a tuned lens on the device. See scry/tune_lens.h. */
#ifndef SCRY_ANALYSIS_TUNED_LENS_H
#define SCRY_ANALYSIS_TUNED_LENS_H

#include "model/model.h"
#include "model/snapshot.h"
#include "scry/tune_lens.h"

/* Gradients and moments of training lie in buffers of the same layout: a block of `stride` floats for each layer, A
 * [d, d] at its begin and b [d] at `bias`; what lies between is 0. */
struct scry_tuned_lens {
    scry_model  *model;
    int          layer_count; /* translators */
    int64_t      size, bias, stride;
    scry_buffer *values;
    char        *recipe; /* how it was trained, as JSON; NULL: it was not */
};

/* Another buffer of that layout, filled with 0. */
scry_status scry__tuned_lens_mirror(scry_buffer **out, const scry_tuned_lens *tuned);

/* A layer's A, its b, and all of its block, in a buffer of that layout. */
scry_tensor scry__tuned_lens_weight(const scry_tuned_lens *tuned, scry_buffer *buffer, int layer);
scry_tensor scry__tuned_lens_bias(const scry_tuned_lens *tuned, scry_buffer *buffer, int layer);
scry_tensor scry__tuned_lens_block(const scry_tuned_lens *tuned, scry_buffer *buffer, int layer);

/* Adds what each layer has in a buffer of that layout, as PREFIXlayer.L.weight and PREFIXlayer.L.bias. */
scry_status scry__tuned_lens_list(scry__snapshot *snapshot, const scry_tuned_lens *tuned, scry_buffer *buffer,
                                  const char *prefix);

/* Takes values and recipe of a file in place of the lens' own; refusals are those of scry_tuned_lens_open. */
scry_status scry__tuned_lens_read(scry_tuned_lens *tuned, const char *path);

/* out = x + A x + b with the layer's translator: x [.., d] with any strides, out a contiguous tensor of its shape. They
 * do not overlap. Where A and b are 0, out is x. */
scry_status scry__tuned_lens_translate(const scry_tuned_lens *tuned, int layer, const scry_tensor *x,
                                       const scry_tensor *out);

#endif
