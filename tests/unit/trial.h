/* Ops on small arrays, for tests: tensors made from values, results read back. */
#ifndef SCRY_UNIT_TRIAL_H
#define SCRY_UNIT_TRIAL_H

#include "scry/device.h"

enum { TRIAL_MAX_BUFFERS = 64 };

typedef struct trial {
    scry_device *device;
    scry_buffer *buffers[TRIAL_MAX_BUFFERS];
    int          count;
} trial;

#define TRIAL_SHAPE(...) ((const int64_t[SCRY_MAX_RANK]){__VA_ARGS__})

/* Each fails the running test on an error. */
void trial_open(trial *t, const char *device);
void trial_close(trial *t);

/* A contiguous tensor with these values; f32, or i32 from int32_t. */
scry_tensor trial_f32(trial *t, int rank, const int64_t *shape, const float *values);
scry_tensor trial_i32(trial *t, int rank, const int64_t *shape, const int32_t *values);
/* One to be written, of any type; it holds all-ones bytes (NaN) until then. */
scry_tensor trial_out(trial *t, scry_dtype dtype, int rank, const int64_t *shape);

void trial_run(trial *t, const scry_op *op);
/* All bytes of a contiguous tensor. */
void trial_read(trial *t, const scry_tensor *x, void *values);

/* Standard normal numbers, the same for the same seed. */
void trial_normal(float *values, int64_t count, uint64_t seed);

/* True where `got` is `exact` rounded to f32, or its neighbour where `exact` lies next to the middle of two. */
bool trial_is_rounded(float got, long double exact);

#endif
