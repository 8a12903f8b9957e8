/* NaN and infinity traced to where they come from: after each op its outputs are read, and at the first that is not
 * finite, what the op has read.
 *
 * Whatever an op overwrites was the output of one before it, or came from the host, so that what is still there of its
 * inputs tells whether they were finite: weights, masks, streams. */
#include "analysis/diagnose.h"
#include "base/alloc.h"
#include "base/number.h"
#include "device/operands.h"
#include "model/family.h"
#include "model/model.h"
#include "trace/read.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What a tensor holds. */
struct scan {
    int64_t bad, count;
    int64_t first; /* row-major index of the first bad one */
    bool    is_nan;
    double  largest; /* of the finite magnitudes */
};

static double value_at(const void *data, scry_dtype dtype, int64_t i)
{
    switch (dtype) {
    case SCRY_F16:
        return scry__f16_to_f32(((const uint16_t *)data)[i]);
    case SCRY_BF16:
        return scry__bf16_to_f32(((const uint16_t *)data)[i]);
    case SCRY_F32:
        return ((const float *)data)[i];
    default:
        return 0;
    }
}

/* -inf is what masks, and what a softmax over nothing gives. */
static bool may_be_minus_infinity(const char *operand)
{
    return !strcmp(operand, "additive") || !strcmp(operand, "scores") || !strcmp(operand, "lse") ||
           !strcmp(operand, "top_logit");
}

static scry_status on_host(scry__finite_watch *watch, const scry_tensor *tensor, const void **data)
{
    size_t      bytes  = (size_t)scry_tensor_count(tensor) * scry_dtype_size(tensor->dtype);
    void       *host   = NULL;
    scry_status status = scry__tensor_on_host(&host, tensor);
    *data              = host;
    if (status || host) return status;
    if (bytes > watch->scratch_bytes) {
        scry__free_aligned(watch->scratch);
        watch->scratch       = scry__alloc_aligned(bytes);
        watch->scratch_bytes = watch->scratch ? bytes : 0;
    }
    *data = watch->scratch;
    return watch->scratch ? scry__read_tensor(tensor, watch->scratch) : SCRY_OUT_OF_MEMORY;
}

static scry_status scan(scry__finite_watch *watch, const scry_tensor *tensor, const char *operand, struct scan *out)
{
    const void *data = NULL;
    *out             = (struct scan){.count = scry_tensor_count(tensor), .first = -1};
    if (tensor->dtype == SCRY_I32) return SCRY_OK;
    scry_status status = on_host(watch, tensor, &data);
    if (status) return status;
    bool masks = may_be_minus_infinity(operand);
    for (int64_t i = 0; i < out->count; i++) {
        double value = value_at(data, tensor->dtype, i);
        if (isfinite(value)) {
            out->largest = fmax(out->largest, fabs(value));
        } else if (!(masks && value == -INFINITY)) {
            if (out->first < 0) out->first = i;
            if (!out->bad++) out->is_nan = isnan(value);
        }
    }
    return SCRY_OK;
}

/* Where in the prompt, and in which head, an element lies. Rows of matrices are tokens, and so is the axis behind the
 * batch of all that have more; attention's captures have theirs by name. */
static scry_place place_of(const scry__operand *operand, const scry_tensor *tensor, int layer, int64_t index)
{
    int64_t at[SCRY_MAX_RANK] = {0};
    for (int axis = tensor->rank - 1; axis >= 0; axis--) {
        at[axis] = index % tensor->shape[axis];
        index /= tensor->shape[axis];
    }
    int query = scry__operand_axis(operand, tensor->rank, 'Q'), head = scry__operand_axis(operand, tensor->rank, 'H');
    if (query < 0) query = tensor->rank == 2 ? 0 : tensor->rank > 2 ? 1 : -1;
    if (head < 0 && tensor->rank == 4 && *operand->shape == '.') head = 2; /* of query and key norms */
    return (scry_place){layer, head < 0 ? -1 : (int)at[head], query < 0 ? -1 : (int)at[query], -1};
}

static bool is_same(const scry_tensor *a, const scry_tensor *b)
{
    return a->buffer == b->buffer && a->offset == b->offset;
}

/* The checkpoint's name of a weight, "" for another tensor. */
static void name_weight(const scry__finite_watch *watch, const scry_tensor *tensor, char *out, size_t size)
{
    const scry__weights *weights = &watch->model->weights;
    *out                         = 0;
    for (const scry__weight_rule *rule = watch->model->arch.family->weights; rule->name; rule++) {
        bool in_layer = rule->flags & SCRY__RULE_IN_LAYER;
        if (in_layer && watch->layer < 0) continue;
        const char        *base   = in_layer ? (const char *)&weights->layers[watch->layer] : (const char *)weights;
        const scry_tensor *member = (const scry_tensor *)(const void *)(base + rule->member);
        const char        *number = strchr(rule->name, '#');
        if (!member->buffer || !is_same(member, tensor)) continue;
        if (number)
            snprintf(out, size, "%.*s%d%s", (int)(number - rule->name), rule->name, watch->layer, number + 1);
        else
            snprintf(out, size, "%s", rule->name);
        return;
    }
}

static bool is_overwritten(const scry_op *op, const scry__operand *operands, int count, const scry_tensor *input)
{
    for (int i = 0; i < count; i++)
        if (operands[i].flags & SCRY__WRITE && is_same(scry__operand_in(op, &operands[i]), input)) return true;
    return false;
}

/* What the op read: the weight among it, the first operand that was not finite already, and the largest magnitude. */
static scry_status look_at_inputs(scry__finite_watch *watch, const scry_op *op)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands);
    for (int i = 0; i < count; i++) {
        const scry_tensor *tensor = scry__operand_in(op, &operands[i]);
        struct scan        seen;
        char               name[sizeof watch->weight];
        if (!tensor->buffer || !(operands[i].flags & SCRY__READ)) continue;
        name_weight(watch, tensor, name, sizeof name);
        if (*name && !*watch->weight) memcpy(watch->weight, name, sizeof name);
        if (is_overwritten(op, operands, count, tensor)) continue;
        scry_status status = scan(watch, tensor, operands[i].name, &seen);
        if (status) return status;
        watch->largest = fmax(watch->largest, seen.largest);
        if (seen.bad && !*watch->source)
            snprintf(watch->source, sizeof watch->source, "%lld of %lld values of %s", (long long)seen.bad,
                     (long long)seen.count, *name ? name : operands[i].name);
    }
    return SCRY_OK;
}

scry_status scry__finite_after(void *user, const scry_op *op)
{
    scry__finite_watch  *watch = user;
    const scry__operand *operands;
    int                  count  = scry__operands(op->kind, &operands);
    scry_status          status = SCRY_OK;
    for (int i = 0; i < count && !watch->found && !status; i++) {
        const scry_tensor *tensor = scry__operand_in(op, &operands[i]);
        struct scan        seen;
        if (!tensor->buffer || !(operands[i].flags & SCRY__WRITE)) continue;
        status = scan(watch, tensor, operands[i].name, &seen);
        if (status || !seen.bad) continue;
        watch->found   = true;
        watch->op      = scry_op_text(op->kind);
        watch->operand = operands[i].name;
        watch->bad     = seen.bad;
        watch->count   = seen.count;
        watch->is_nan  = seen.is_nan;
        watch->place   = place_of(&operands[i], tensor, watch->layer, seen.first);
        status         = look_at_inputs(watch, op);
    }
    return status;
}

void scry__finite_finish(scry__finite_watch *watch)
{
    scry__free_aligned(watch->scratch);
    *watch = (scry__finite_watch){0};
}
