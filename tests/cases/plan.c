/* Operands of a case: layouts, images, element access. See plan.h. */
#include "cases/plan.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

/* Random elements repeat after this many: large operands would take longer to make than to use. A prime, so that no two
 * rows of a length that models have are alike. */
enum { GAP = 3, EMPTY = 0xff, PERIOD = 1048583 };

static void swap(int *a, int *b)
{
    int kept = *a;
    *a       = *b;
    *b       = kept;
}

/* Strides for a layout; returns how many elements the image spans. */
static int64_t lay_out(scry_tensor *view, unsigned layout)
{
    int     order[SCRY_MAX_RANK] = {0, 1, 2, 3};
    int64_t pitch = layout & SCRY__SPACED ? 2 : 1, span = 1;
    if (layout & SCRY__SWAPPED) swap(&order[1], &order[2]);
    if (layout & SCRY__TRANSPOSED) swap(&order[view->rank - 1], &order[view->rank - 2]);
    for (int i = view->rank - 1; i >= 0; i--) {
        int axis = order[i];
        if (layout & SCRY__REPEAT0 << axis) continue;
        view->stride[axis] = pitch;
        span += (view->shape[axis] - 1) * pitch;
        pitch *= view->shape[axis] > 0 ? view->shape[axis] : 1;
        if (layout & SCRY__PADDED) pitch += GAP;
    }
    return scry__array_count(&(scry__array){.view = *view}) ? span : 0;
}

static scry__array *next_operand(scry__plan *plan, scry_tensor *tensor, const char *name, scry__role role)
{
    static scry__array none;
    if (!plan->status && plan->count == SCRY__MAX_OPERANDS)
        plan->status = scry__fail(SCRY_BAD_ARGUMENT, "case operand %s: expected at most %d", name, SCRY__MAX_OPERANDS);
    if (plan->status) {
        none = (scry__array){0};
        return &none;
    }
    scry__array *operand = &plan->operands[plan->count];
    operand->name        = name;
    operand->role        = role;
    operand->place       = (size_t)((char *)tensor - (char *)&plan->op);
    operand->storage     = plan->count++;
    return operand;
}

scry__array *scry__plan_add(scry__plan *plan, scry_tensor *tensor, const char *name, scry__role role, scry_dtype dtype,
                            unsigned layout, int rank, const int64_t *shape)
{
    scry__array *operand = next_operand(plan, tensor, name, role);
    scry_tensor *view    = &operand->view;
    size_t       size    = scry_dtype_size(dtype);
    if (plan->status) return operand;
    *view = (scry_tensor){.dtype = dtype, .rank = rank, .offset = SCRY__GUARD_BYTES};
    memcpy(view->shape, shape, (size_t)rank * sizeof *shape);
    size_t span = (size_t)lay_out(view, layout);
    if (layout & SCRY__PADDED) view->offset += size;
    *tensor             = *view;
    operand->contiguous = scry_tensor_is_contiguous(view);
    operand->bytes      = view->offset + span * size + SCRY__GUARD_BYTES;
    operand->image      = scry__alloc(operand->bytes, 1);
    if (operand->image)
        memset(operand->image, EMPTY, operand->bytes);
    else
        plan->status = SCRY_OUT_OF_MEMORY;
    return operand;
}

scry__array *scry__plan_add_in_place(scry__plan *plan, scry_tensor *tensor, const char *name, const scry__array *on)
{
    scry__array *operand = next_operand(plan, tensor, name, SCRY__UPDATED);
    if (plan->status) return operand;
    operand->storage    = on->storage;
    operand->view       = on->view;
    operand->contiguous = on->contiguous;
    operand->bytes      = on->bytes;
    operand->image      = on->image;
    *tensor             = on->view;
    return operand;
}

scry__array *scry__plan_add_entry(scry__plan *plan, scry_tensor *tensor, const char *name, const scry__array *of,
                                  int64_t index)
{
    scry__array *operand = next_operand(plan, tensor, name, SCRY__INPUT);
    scry_tensor *view    = &operand->view;
    if (plan->status) return operand;
    operand->storage = of->storage;
    operand->bytes   = of->bytes;
    operand->image   = of->image;
    *view            = scry_tensor_slice(of->view, 0, index, 1);
    view->rank--;
    for (int axis = 0; axis < view->rank; axis++) {
        view->shape[axis]  = view->shape[axis + 1];
        view->stride[axis] = view->stride[axis + 1];
    }
    operand->contiguous = scry_tensor_is_contiguous(view);
    *tensor             = *view;
    return operand;
}

const scry__array *scry__plan_find(const scry__plan *plan, const scry_tensor *tensor)
{
    size_t place = (size_t)((const char *)tensor - (const char *)&plan->op);
    for (int i = 0; i < plan->count; i++)
        if (plan->operands[i].place == place && !plan->operands[i].dropped) return &plan->operands[i];
    return NULL;
}

scry_tensor *scry__plan_tensor(scry_op *op, const scry__array *array)
{
    return (scry_tensor *)(void *)((char *)op + array->place);
}

bool scry__plan_is_written(const scry__plan *plan, int storage)
{
    for (int i = 0; i < plan->count; i++)
        if (plan->operands[i].storage == storage && plan->operands[i].role != SCRY__INPUT) return true;
    return false;
}

void scry__plan_drop(scry__plan *plan, scry__array *array)
{
    array->dropped                       = true;
    *scry__plan_tensor(&plan->op, array) = (scry_tensor){0};
}

void scry__plan_slice(scry__plan *plan, scry__array *array, int axis, int64_t begin, int64_t count)
{
    array->origin[axis] += begin;
    array->view                          = scry_tensor_slice(array->view, axis, begin, count);
    array->contiguous                    = scry_tensor_is_contiguous(&array->view);
    *scry__plan_tensor(&plan->op, array) = array->view;
}

void scry__plan_finish(scry__plan *plan)
{
    for (int i = 0; i < plan->count; i++) {
        scry__array *operand = &plan->operands[i];
        if (operand->storage != i) continue;
        scry__free(operand->image);
        scry__free(operand->expected);
        scry__free(operand->got);
        scry__free(operand->again);
    }
    plan->count = 0;
}

int64_t scry__array_count(const scry__array *operand)
{
    int64_t count = 1;
    for (int axis = 0; axis < operand->view.rank; axis++) count *= operand->view.shape[axis];
    return count;
}

size_t scry__array_place(const scry__array *operand, int64_t index)
{
    const scry_tensor *view     = &operand->view;
    int64_t            position = operand->contiguous ? index : 0;
    for (int axis = view->rank - 1; !operand->contiguous && axis >= 0; axis--) {
        position += index % view->shape[axis] * view->stride[axis];
        index /= view->shape[axis];
    }
    return view->offset + (size_t)position * scry_dtype_size(view->dtype);
}

double scry__array_read(const scry__array *operand, const uint8_t *image, int64_t index)
{
    const uint8_t *place = image + scry__array_place(operand, index);
    float          f32;
    uint16_t       half;
    int32_t        i32;
    if (operand->view.dtype == SCRY_F32) return memcpy(&f32, place, sizeof f32), f32;
    if (operand->view.dtype == SCRY_I32) return memcpy(&i32, place, sizeof i32), i32;
    memcpy(&half, place, sizeof half);
    return operand->view.dtype == SCRY_F16 ? scry__f16_to_f32(half) : scry__bf16_to_f32(half);
}

double scry__array_get(const scry__array *operand, int64_t index)
{
    return operand->image ? scry__array_read(operand, operand->image, index) : 0; /* none: the plan has failed */
}

void scry__array_set(scry__array *operand, int64_t index, double value)
{
    if (!operand->image) return; /* the plan has failed */
    uint8_t *place = operand->image + scry__array_place(operand, index);
    float    f32   = (float)value;
    uint16_t half  = operand->view.dtype == SCRY_F16 ? scry__f32_to_f16(f32) : scry__f32_to_bf16(f32);
    int32_t  i32   = operand->view.dtype == SCRY_I32 ? (int32_t)value : 0;
    switch (operand->view.dtype) {
    case SCRY_F32:
        memcpy(place, &f32, sizeof f32);
        break;
    case SCRY_I32:
        memcpy(place, &i32, sizeof i32);
        break;
    default:
        memcpy(place, &half, sizeof half);
        break;
    }
}

void scry__array_fill(scry__array *operand, double value)
{
    if (!operand->image) return;
    for (int64_t i = 0; i < scry__array_count(operand); i++) scry__array_set(operand, i, value);
}

/* Lets the elements past the period repeat those before it. */
static void repeat_period(scry__array *operand)
{
    int64_t count = scry__array_count(operand);
    size_t  size  = scry_dtype_size(operand->view.dtype);
    for (int64_t i = PERIOD; i < count; i += operand->contiguous ? PERIOD : 1) {
        uint8_t *to = operand->image + scry__array_place(operand, i);
        if (operand->contiguous)
            memcpy(to, operand->image + operand->view.offset, size * (size_t)(count - i < PERIOD ? count - i : PERIOD));
        else
            memcpy(to, operand->image + scry__array_place(operand, i % PERIOD), size);
    }
}

static int64_t period_of(const scry__array *operand)
{
    int64_t count = scry__array_count(operand);
    return count < PERIOD ? count : PERIOD;
}

void scry__array_fill_normal(scry__plan *plan, scry__array *operand, double mean, double deviation)
{
    if (!operand->image) return;
    for (int64_t i = 0; i < period_of(operand); i++)
        scry__array_set(operand, i, mean + deviation * scry__random_normal(&plan->random));
    repeat_period(operand);
}

void scry__array_fill_integers(scry__plan *plan, scry__array *operand, int low, int high)
{
    if (!operand->image) return;
    for (int64_t i = 0; i < period_of(operand); i++)
        scry__array_set(operand, i, low + (int)scry__random_below(&plan->random, (uint64_t)(high - low + 1)));
    repeat_period(operand);
}

void scry__array_fill_specials(scry__array *operand, int64_t period)
{
    static const double specials[] = {(double)NAN, INFINITY, -INFINITY};
    for (int64_t i = 0; operand->image && i < scry__array_count(operand); i += period)
        scry__array_set(operand, i, specials[i / period % 3]);
}

void scry__array_fill_usual(scry__plan *plan, scry__array *operand)
{
    if (plan->exact)
        scry__array_fill_integers(plan, operand, -4, 4);
    else
        scry__array_fill_normal(plan, operand, 0, 1);
}
