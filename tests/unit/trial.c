/* Ops on small arrays, for tests. See trial.h. */
#include "unit/trial.h"

#include "base/number.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void trial_open(trial *t, const char *device)
{
    *t = (trial){0};
    cr_assert_eq(scry_device_open(&t->device, &(scry_device_options){.name = device}), SCRY_OK, "%s",
                 scry_last_error());
}

void trial_close(trial *t)
{
    while (t->count) scry_buffer_destroy(&t->buffers[--t->count]);
    scry_device_destroy(&t->device);
}

/* values NULL: all-ones bytes. */
static scry_tensor make(trial *t, scry_dtype dtype, int rank, const int64_t *shape, const void *values)
{
    cr_assert_lt(t->count, TRIAL_MAX_BUFFERS);
    scry_buffer **buffer = &t->buffers[t->count++];
    size_t        size   = scry_dtype_size(dtype);
    for (int axis = 0; axis < rank; axis++) size *= (size_t)shape[axis];
    void *blank = malloc(size + 1);
    memset(blank, 0xff, size + 1);
    cr_assert_eq(scry_buffer_create(buffer, t->device, size + 1), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_buffer_write(*buffer, 0, values ? values : blank, size), SCRY_OK, "%s", scry_last_error());
    free(blank);
    return scry_tensor_of(*buffer, 0, dtype, rank, shape);
}

scry_tensor trial_f32(trial *t, int rank, const int64_t *shape, const float *values)
{
    return make(t, SCRY_F32, rank, shape, values);
}

scry_tensor trial_i32(trial *t, int rank, const int64_t *shape, const int32_t *values)
{
    return make(t, SCRY_I32, rank, shape, values);
}

scry_tensor trial_out(trial *t, scry_dtype dtype, int rank, const int64_t *shape)
{
    return make(t, dtype, rank, shape, NULL);
}

void trial_run(trial *t, const scry_op *op)
{
    cr_assert_eq(scry_device_run(t->device, op), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_device_finish(t->device), SCRY_OK, "%s", scry_last_error());
}

void trial_read(trial *t, const scry_tensor *x, void *values)
{
    size_t size = (size_t)scry_tensor_count(x) * scry_dtype_size(x->dtype);
    (void)t;
    cr_assert_eq(scry_buffer_read(x->buffer, x->offset, values, size), SCRY_OK, "%s", scry_last_error());
}

void trial_normal(float *values, int64_t count, uint64_t seed)
{
    scry__random random;
    scry__random_seed(&random, seed);
    for (int64_t i = 0; i < count; i++) values[i] = (float)scry__random_normal(&random);
}

bool trial_is_rounded(float got, long double exact)
{
    if (isnan(exact)) return isnan(got);
    if (isinf(exact)) return (long double)got == exact;
    /* Half a unit in the last place, and a millionth of that for the oracle's own rounding in double precision. */
    float       nearest = (float)exact;
    long double unit    = (long double)nextafterf(fabsf(nearest), INFINITY) - (long double)fabsf(nearest);
    return fabsl((long double)got - exact) <= unit * (0.5L + 1e-6L);
}
