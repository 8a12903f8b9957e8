/* A tuned lens' translators: where they lie, and what they do. See tuned_lens.h. */
#include "analysis/tuned_lens.h"

#include "base/alloc.h"

/* Blocks and what lies in them begin at multiples of so many floats. */
enum { ALIGNMENT = 64 };

static int64_t rounded_up(int64_t count)
{
    return (count + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

scry_status scry__tuned_lens_mirror(scry_buffer **out, const scry_tuned_lens *tuned)
{
    const int64_t count  = tuned->layer_count * tuned->stride;
    scry_status   status = scry_buffer_create(out, scry_model_device(tuned->model), (size_t)count * sizeof(float));
    if (status) return status;
    scry_op op = {.kind = SCRY_OP_FILL, .fill = {.out = scry_tensor_of(*out, 0, SCRY_F32, 1, &count)}};
    return scry_device_run(scry_model_device(tuned->model), &op);
}

scry_status scry_tuned_lens_create(scry_tuned_lens **out, scry_model *model)
{
    const scry_model_info *info  = scry_model_get_info(model);
    scry_tuned_lens       *tuned = scry__alloc(1, sizeof *tuned);
    *out                         = NULL;
    if (!tuned) return SCRY_OUT_OF_MEMORY;
    tuned->model       = model;
    tuned->layer_count = info->layer_count;
    tuned->size        = info->hidden_size;
    tuned->bias        = rounded_up(tuned->size * tuned->size);
    tuned->stride      = tuned->bias + rounded_up(tuned->size);
    scry_status status = scry__tuned_lens_mirror(&tuned->values, tuned);
    if (status)
        scry_tuned_lens_destroy(&tuned);
    else
        *out = tuned;
    return status;
}

void scry_tuned_lens_destroy(scry_tuned_lens **tuned)
{
    if (!tuned || !*tuned) return;
    scry_buffer_destroy(&(*tuned)->values);
    scry__free((*tuned)->recipe);
    scry__free(*tuned);
    *tuned = NULL;
}

static size_t place_of(const scry_tuned_lens *tuned, int layer, int64_t inside)
{
    return (size_t)(layer * tuned->stride + inside) * sizeof(float);
}

scry_tensor scry__tuned_lens_weight(const scry_tuned_lens *tuned, scry_buffer *buffer, int layer)
{
    const int64_t shape[] = {tuned->size, tuned->size};
    return scry_tensor_of(buffer, place_of(tuned, layer, 0), SCRY_F32, 2, shape);
}

scry_tensor scry__tuned_lens_bias(const scry_tuned_lens *tuned, scry_buffer *buffer, int layer)
{
    return scry_tensor_of(buffer, place_of(tuned, layer, tuned->bias), SCRY_F32, 1, &tuned->size);
}

scry_tensor scry__tuned_lens_block(const scry_tuned_lens *tuned, scry_buffer *buffer, int layer)
{
    return scry_tensor_of(buffer, place_of(tuned, layer, 0), SCRY_F32, 1, &tuned->stride);
}

/* A as what rows are multiplied by, [.., in, out], the same for every batch of `like`. */
static scry_tensor as_factor(const scry_tensor *weight, const scry_tensor *like)
{
    scry_tensor out = *weight;
    out.rank        = like->rank;
    for (int axis = 0; axis < like->rank - 2; axis++) {
        out.shape[axis]  = like->shape[axis];
        out.stride[axis] = 0;
    }
    out.shape[out.rank - 2]  = weight->shape[1];
    out.shape[out.rank - 1]  = weight->shape[0];
    out.stride[out.rank - 2] = weight->stride[1];
    out.stride[out.rank - 1] = weight->stride[0];
    return out;
}

scry_status scry__tuned_lens_translate(const scry_tuned_lens *tuned, int layer, const scry_tensor *x,
                                       const scry_tensor *out)
{
    const scry_tensor weight = scry__tuned_lens_weight(tuned, tuned->values, layer);
    scry_device      *device = scry_model_device(tuned->model);
    scry_op           copy   = {.kind = SCRY_OP_COPY, .copy = {.x = *x, .out = *out}};
    scry_op           add    = {.kind   = SCRY_OP_MATMUL,
                                .matmul = {.a     = *x,
                                           .b     = as_factor(&weight, x),
                                           .bias  = scry__tuned_lens_bias(tuned, tuned->values, layer),
                                           .c     = *out,
                                           .alpha = 1,
                                           .beta  = 1}};
    scry_status       status = scry_device_run(device, &copy);
    return status ? status : scry_device_run(device, &add);
}
