/* Facts between two runs on one device. See cases.h.
 *
 * Both runs come from one row of the case table; the second is changed in a way that must not matter, and what is left
 * of its outputs must lie, bit for bit, where the first run put it; save where rounding differs and the relation has a
 * comparison of its own. */
#include "cases/judge.h"
#include "cases/rope.h"

#include "base/alloc.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A change to the second plan. `step` counts from 0; false where there is no such step. `after` narrows what is
 * compared once the op has run. */
typedef struct relation {
    const char *name, *row;
    bool (*change)(scry__plan *plan, int step);
    void (*after)(scry__plan *plan);
    void (*compare)(const scry__plan *a, const scry__plan *b, scry__verdict *verdict, int step); /* NULL: bits */
    scry__tier tier; /* where it runs so often that its row's is too low */
} relation;

static scry__array *find(scry__plan *plan, scry_tensor *tensor)
{
    return (scry__array *)scry__plan_find(plan, tensor);
}

/* --- A future token --- */

/* Of attention or of its gradients, which begin with the same q, k, v. */
static bool change_last_token(scry__plan *plan, int step)
{
    scry_attention *op        = &plan->op.attention;
    scry__array    *inputs[2] = {find(plan, &op->k), find(plan, &op->v)};
    if (step > 0) return false;
    for (int i = 0; i < 2; i++) {
        const int64_t *shape = inputs[i]->view.shape;
        int64_t        token = shape[2] * shape[3], count = shape[0] * shape[1] * token;
        for (int64_t e = 0; e < count; e++)
            if (e / token % shape[1] == shape[1] - 1) scry__array_set(inputs[i], e, i ? -1e3 : 30);
    }
    return true;
}

/* Leaves out the last query row of every output; column sums belong to no row. */
static void leave_out_last_query(scry__plan *plan)
{
    scry_attention_capture *capture = &plan->op.attention.capture;
    int64_t                 Q       = plan->op.attention.q.shape[1];
    for (int i = 0; i < plan->count; i++) {
        scry__array *output = &plan->operands[i];
        bool         is_sum = output == find(plan, &capture->received) || output == find(plan, &capture->distance);
        int          axis   = output == find(plan, &plan->op.attention.out) ? 1 : 2;
        if (output->dropped || output->role == SCRY__INPUT) continue;
        if (is_sum)
            scry__plan_drop(plan, output);
        else
            scry__plan_slice(plan, output, axis, 0, Q - 1);
    }
}

/* The same of the queries' gradients; those of keys add up over all rows. */
static void leave_out_last_gradient(scry__plan *plan)
{
    scry_attention_backward *op = &plan->op.attention_backward;
    scry__plan_drop(plan, find(plan, &op->d_k));
    scry__plan_drop(plan, find(plan, &op->d_v));
    scry__plan_slice(plan, find(plan, &op->d_q), 1, 0, op->q.shape[1] - 1);
}

/* --- Captures --- */

/* Step s keeps the op's own output and the s-th of the others; step 0 none of them. */
static bool keep_one_output(scry__plan *plan, int step)
{
    int outputs = 0;
    for (int i = 0; i < plan->count; i++) {
        scry__array *output = &plan->operands[i];
        bool         own    = plan->op.kind == SCRY_OP_ATTENTION && output == find(plan, &plan->op.attention.out);
        if (output->role == SCRY__INPUT || own) continue;
        if (++outputs != step) scry__plan_drop(plan, output);
    }
    return step <= outputs;
}

/* Where an op has no output of its own, step 0 would ask for nothing. */
static bool keep_one_of_equals(scry__plan *plan, int step)
{
    return keep_one_output(plan, step + 1);
}

static bool narrow_tile(scry__plan *plan, int step)
{
    static const int64_t tiles[][4] = {{0, 1, 0, 1}, {13, 20, 7, 33}, {64, 1, 0, 65}, {1, 63, 64, 1}, {32, 33, 32, 33}};
    scry_attention_capture *capture = &plan->op.attention.capture;
    scry_tensor            *tensors[2] = {&capture->probabilities, &capture->scores};
    if (step >= (int)(sizeof tiles / sizeof *tiles)) return false;
    for (int i = 0; i < 2; i++) {
        scry__plan_slice(plan, find(plan, tensors[i]), 2, tiles[step][0], tiles[step][1]);
        scry__plan_slice(plan, find(plan, tensors[i]), 3, tiles[step][2], tiles[step][3]);
    }
    capture->query_begin = tiles[step][0];
    capture->key_begin   = tiles[step][2];
    return true;
}

static bool select_one_head(scry__plan *plan, int step)
{
    scry_attention_capture *capture = &plan->op.attention.capture;
    if (step >= plan->op.attention.q.shape[2]) return false;
    capture->heads[step / 64] = (uint64_t)1 << step % 64;
    scry__plan_slice(plan, find(plan, &capture->probabilities), 1, step, 1);
    scry__plan_slice(plan, find(plan, &capture->scores), 1, step, 1);
    return true;
}

/* --- One of many --- */

/* Every operand of attention, and of its gradients, begins with the batch axis. */
static bool take_one_sequence(scry__plan *plan, int step)
{
    if (step >= plan->operands[0].view.shape[0]) return false;
    for (int i = 0; i < plan->count; i++) scry__plan_slice(plan, &plan->operands[i], 0, step, 1);
    return true;
}

static bool take_one_layer(scry__plan *plan, int step)
{
    if (step >= plan->op.lens.x.shape[0]) return false;
    for (int i = 0; i < plan->count; i++) {
        scry__array *array = &plan->operands[i];
        if (array->role != SCRY__INPUT || array == find(plan, &plan->op.lens.x))
            scry__plan_slice(plan, array, 0, step, 1);
    }
    return true;
}

/* --- Layout and grouping --- */

/* Which entry of the old operand entry `e` of its copy is, where axis 2 of four holds each of its entries `repeat`
 * times. */
static int64_t origin_of(int64_t e, const int64_t *shape, int64_t repeat)
{
    if (repeat == 1) return e;
    int64_t inner = e % shape[3], head = e / shape[3] % shape[2], outer = e / shape[3] / shape[2];
    return (outer * (shape[2] / repeat) + head / repeat) * shape[3] + inner;
}

/* Puts a copy of an operand, in another layout or with the entries of axis 2 repeated, in its place. */
static void replace(scry__plan *plan, scry__array *old, unsigned layout, int64_t repeat)
{
    scry_tensor *tensor = scry__plan_tensor(&plan->op, old);
    int64_t      shape[SCRY_MAX_RANK];
    memcpy(shape, old->view.shape, sizeof shape);
    shape[2] *= repeat;
    scry__plan_drop(plan, old);
    scry__array *copy =
        scry__plan_add(plan, tensor, old->name, old->role, old->view.dtype, layout, old->view.rank, shape);
    for (int64_t e = 0; old->role != SCRY__OUTPUT && e < scry__array_count(copy); e++)
        scry__array_set(copy, e, scry__array_get(old, origin_of(e, shape, repeat)));
}

static bool pad_everything(scry__plan *plan, int step)
{
    int count = plan->count;
    for (int i = 0; step == 0 && i < count; i++)
        if (plan->operands[i].view.rank > 1) replace(plan, &plan->operands[i], SCRY__PADDED, 1);
    return step == 0;
}

static bool repeat_key_heads(scry__plan *plan, int step)
{
    scry_attention *op     = &plan->op.attention;
    int64_t         repeat = op->q.shape[2] / op->k.shape[2];
    if (step > 0) return false;
    replace(plan, find(plan, &op->k), SCRY__PLAIN, repeat);
    replace(plan, find(plan, &op->v), SCRY__PLAIN, repeat);
    return true;
}

static const relation relations[] = {
    {.name   = "a future token changes no earlier row: attention/causal",
     .row    = "attention/causal",
     .change = change_last_token,
     .after  = leave_out_last_query},
    {.name   = "a future token changes no earlier row: attention/causal-257",
     .row    = "attention/causal-257",
     .change = change_last_token,
     .after  = leave_out_last_query},
    {.name   = "a future token changes no earlier row: attention/window",
     .row    = "attention/window",
     .change = change_last_token,
     .after  = leave_out_last_query},
    {.name   = "a future token changes no earlier row: attention/causal-2048",
     .row    = "attention/causal-2048",
     .change = change_last_token,
     .after  = leave_out_last_query},
    {.name   = "a future token changes no earlier row: attention/prefix-window-offset",
     .row    = "attention/prefix-window-offset",
     .change = change_last_token,
     .after  = leave_out_last_query},
    {.name   = "a future token changes no earlier row: attention_backward/causal-65",
     .row    = "attention_backward/causal-65",
     .change = change_last_token,
     .after  = leave_out_last_gradient},
    {.name   = "a future token changes no earlier row: attention_backward/window",
     .row    = "attention_backward/window",
     .change = change_last_token,
     .after  = leave_out_last_gradient},
    {.name   = "a capture changes nothing else: attention/causal-65",
     .row    = "attention/causal-65",
     .change = keep_one_output,
     .tier   = SCRY__TIER_QUICK},
    {.name   = "a capture changes nothing else: attention/pad-prefix-window",
     .row    = "attention/pad-prefix-window",
     .change = keep_one_output,
     .tier   = SCRY__TIER_QUICK},
    {.name   = "an output changes nothing else: lens/layer",
     .row    = "lens/layer",
     .change = keep_one_of_equals,
     .tier   = SCRY__TIER_QUICK},
    {.name   = "an output changes nothing else: attention_backward/gqa",
     .row    = "attention_backward/gqa",
     .change = keep_one_of_equals},
    {.name = "an output changes nothing else: loss/bias", .row = "loss/bias", .change = keep_one_of_equals},
    {.name   = "an output changes nothing else: norm_backward/layer",
     .row    = "norm_backward/layer",
     .change = keep_one_of_equals},
    {.name   = "a tile is part of the whole: attention/causal-65",
     .row    = "attention/causal-65",
     .change = narrow_tile,
     .tier   = SCRY__TIER_QUICK},
    {.name   = "a head is part of the whole: attention/gqa",
     .row    = "attention/gqa",
     .change = select_one_head,
     .tier   = SCRY__TIER_QUICK},
    {.name   = "a sequence alone is what it is among others: attention/causal",
     .row    = "attention/causal",
     .change = take_one_sequence,
     .tier   = SCRY__TIER_QUICK},
    {.name   = "a sequence alone is what it is among others: attention/pad-both",
     .row    = "attention/pad-both",
     .change = take_one_sequence,
     .tier   = SCRY__TIER_QUICK},
    {.name   = "a sequence alone is what it is among others: attention_backward/pad-both",
     .row    = "attention_backward/pad-both",
     .change = take_one_sequence,
     .tier   = SCRY__TIER_QUICK},
    {.name   = "a layer alone is what it is among others: lens/rms",
     .row    = "lens/rms",
     .change = take_one_layer,
     .tier   = SCRY__TIER_QUICK},
    {.name = "strides change nothing: attention/gqa", .row = "attention/gqa", .change = pad_everything},
    {.name = "strides change nothing: matmul/33x31x257", .row = "matmul/33x31x257", .change = pad_everything},
    {.name = "strides change nothing: matmul/bf16-plain", .row = "matmul/bf16-plain", .change = pad_everything},
    {.name = "strides change nothing: norm/layer", .row = "norm/layer", .change = pad_everything},
    {.name = "strides change nothing: softmax/causal", .row = "softmax/causal", .change = pad_everything},
    {.name = "strides change nothing: lens/layer", .row = "lens/layer", .change = pad_everything},
    {.name = "strides change nothing: norm_backward/layer", .row = "norm_backward/layer", .change = pad_everything},
    {.name   = "strides change nothing: attention_backward/gqa",
     .row    = "attention_backward/gqa",
     .change = pad_everything},
    {.name = "strides change nothing: loss/bias", .row = "loss/bias", .change = pad_everything},
    {.name = "repeated key heads change nothing: attention/gqa", .row = "attention/gqa", .change = repeat_key_heads},
    {.name    = "a dot product depends on the distance alone: rope/half-split",
     .row     = "rope/half-split",
     .change  = scry__rope_shift,
     .compare = scry__rope_compare_shifted,
     .tier    = SCRY__TIER_QUICK},
    {.name    = "a dot product depends on the distance alone: rope/interleaved",
     .row     = "rope/interleaved",
     .change  = scry__rope_shift,
     .compare = scry__rope_compare_shifted,
     .tier    = SCRY__TIER_QUICK},
    {.name    = "a dot product depends on the distance alone: rope/partial",
     .row     = "rope/partial",
     .change  = scry__rope_shift,
     .compare = scry__rope_compare_shifted,
     .tier    = SCRY__TIER_QUICK},
    {.name    = "a dot product depends on the distance alone: rope/partial-interleaved",
     .row     = "rope/partial-interleaved",
     .change  = scry__rope_shift,
     .compare = scry__rope_compare_shifted,
     .tier    = SCRY__TIER_QUICK},
    {.name    = "a dot product depends on the distance alone: rope/positions",
     .row     = "rope/positions",
     .change  = scry__rope_shift,
     .compare = scry__rope_compare_shifted,
     .tier    = SCRY__TIER_QUICK},
};

int scry__relation_count(void)
{
    return sizeof relations / sizeof *relations;
}

scry__case scry__relation_at(int index)
{
    scry__case row = scry__case_at(scry__case_find(relations[index].row));
    row.name       = relations[index].name;
    if (relations[index].tier > row.tier) row.tier = relations[index].tier;
    return row;
}

/* Every element of b's outputs must be that of a's: at the same byte of the image where the layouts are the same, else
 * at the same index. */
static void compare_bits(const scry__plan *a, const scry__plan *b, scry__verdict *verdict, int step)
{
    for (int i = 0; i < b->count; i++) {
        const scry__array *second = &b->operands[i], *first = &a->operands[i];
        if (second->dropped || second->role == SCRY__INPUT) continue;
        bool same_image = i < a->count && !first->dropped && first->place == second->place;
        for (int n = 0; !same_image && n < a->count; n++)
            if (a->operands[n].place == second->place) first = &a->operands[n];
        size_t size = scry_dtype_size(second->view.dtype);
        for (int64_t e = 0; e < scry__array_count(second); e++) {
            size_t place = scry__array_place(second, e), origin = same_image ? place : scry__array_place(first, e);
            verdict->result->compared++;
            if (!memcmp(first->got + origin, second->got + place, size)) continue;
            verdict->result->worst = INFINITY;
            snprintf(verdict->result->output, sizeof verdict->result->output, "%s", second->name);
            scry__verdict_fail(verdict, "%s: step %d, element %lld is %.9g, and %.9g in the first run", second->name,
                               step, (long long)e, scry__array_read(second, second->got, e),
                               (double)(same_image ? NAN : scry__array_read(first, first->got, e)));
            break;
        }
    }
}

/* Both runs of one step. *more is false where the relation has no such step. */
static scry_status run_step(scry__plan *plans, const relation *r, int step, uint64_t seed, scry_device *device,
                            scry__verdict *verdict, bool *more)
{
    enum { CANARY = 0xff, OTHER_CANARY = 0x5a };
    scry_status status = scry__plan_build(&plans[0], scry__case_find(r->row), seed);
    if (!status) status = scry__plan_build(&plans[1], scry__case_find(r->row), seed);
    *more = !status && r->change(&plans[1], step);
    if (!status) status = plans[1].status;
    if (status || !*more) return status;
    verdict->result->status = scry__plan_run(&plans[0], device, CANARY, SCRY__IMAGE_GOT, NULL);
    if (!verdict->result->status)
        verdict->result->status = scry__plan_run(&plans[1], device, OTHER_CANARY, SCRY__IMAGE_GOT, NULL);
    if (verdict->result->status) {
        scry__verdict_fail(verdict, "%s", scry_last_error());
        *more = false;
        return SCRY_OK;
    }
    if (r->after) r->after(&plans[1]);
    (r->compare ? r->compare : compare_bits)(&plans[0], &plans[1], verdict, step);
    return SCRY_OK;
}

scry_status scry__relation_run(scry__case_result *result, int index, uint64_t seed, scry_device *device)
{
    scry__verdict verdict = {.result = result};
    scry__plan   *plans   = scry__alloc(2, sizeof *plans);
    scry_status   status  = SCRY_OK;
    bool          more    = true;
    if (!plans) return SCRY_OUT_OF_MEMORY;
    *result = (scry__case_result){.passed = true};
    for (int step = 0; !status && more; step++) {
        status = run_step(plans, &relations[index], step, seed, device, &verdict, &more);
        scry__plan_finish(&plans[0]);
        scry__plan_finish(&plans[1]);
    }
    scry__free(plans);
    return status;
}
