/* Weights on the host, as f32: as they are, and a layer's attention with what norms do to it folded in, as if the
 * residual stream went straight from one head to another. */
#ifndef SCRY_ANALYSIS_FOLDED_H
#define SCRY_ANALYSIS_FOLDED_H

#include "scry/model.h"
#include "scry/op.h"

/* Row-major. */
typedef struct scry__matrix {
    int    rows, columns;
    float *values;
} scry__matrix;

scry_status scry__matrix_create(scry__matrix *matrix, int64_t rows, int64_t columns);
void        scry__matrix_finish(scry__matrix *matrix);

/* A layer's weights may be read behind this: those of a model that is streamed are on the device only then. */
scry_status scry__layer_load(const scry_model *model, int layer);

/* A weight of rank 1 or 2, of any dtype and strides; columns of a vector are 1. Released with scry__matrix_finish, also
 * after a failure. */
scry_status scry__weight_read(scry__matrix *out, scry_device *device, const scry_tensor *weight);

/* The factors that a norm applies, [size]; all 1 without weights. */
scry_status scry__norm_read_factors(scry__matrix *out, scry_device *device, const scry_norm_parameters *norm,
                                    int64_t size);

typedef enum scry__part { SCRY__PART_Q, SCRY__PART_K, SCRY__PART_V } scry__part;

/* Queries, keys or values, [d, heads * D], without biases: the norm in front by its weights and its centring, the norm
 * of queries and keys by its weights. Released with scry__matrix_finish, also after a failure. */
scry_status scry__folded_part(scry__matrix *out, const scry_model *model, int layer, scry__part part);

/* The output projection, [H * D, d]: a norm behind it by its weights, and without the mean where the model's norms take
 * that away. */
scry_status scry__folded_output(scry__matrix *out, const scry_model *model, int layer);

#endif
