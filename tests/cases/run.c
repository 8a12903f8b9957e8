/* From a row of the table to a verdict: build, run on both devices, compare. See cases.h. */
#include "cases/judge.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static scry__judge *const judges[SCRY_OP_COUNT] = {
    [SCRY_OP_MATMUL]              = scry__judge_matmul,
    [SCRY_OP_SOFTMAX_CAPTURE]     = scry__judge_softmax,
    [SCRY_OP_ATTENTION]           = scry__judge_attention,
    [SCRY_OP_ROPE]                = scry__judge_rope,
    [SCRY_OP_NORM]                = scry__judge_norm,
    [SCRY_OP_LENS]                = scry__judge_lens,
    [SCRY_OP_EMBED]               = scry__judge_embed,
    [SCRY_OP_ADD]                 = scry__judge_add,
    [SCRY_OP_SCALE]               = scry__judge_scale,
    [SCRY_OP_ACTIVATION]          = scry__judge_activation,
    [SCRY_OP_COPY]                = scry__judge_copy,
    [SCRY_OP_FILL]                = scry__judge_fill,
    [SCRY_OP_SUM]                 = scry__judge_sum,
    [SCRY_OP_ACTIVATION_BACKWARD] = scry__judge_activation_backward,
    [SCRY_OP_NORM_BACKWARD]       = scry__judge_norm_backward,
    [SCRY_OP_EMBED_BACKWARD]      = scry__judge_embed_backward,
    [SCRY_OP_ATTENTION_BACKWARD]  = scry__judge_attention_backward,
    [SCRY_OP_LOSS]                = scry__judge_loss,
    [SCRY_OP_ADAMW]               = scry__judge_adamw,
    [SCRY_OP_SGD]                 = scry__judge_sgd,
};

/* --- Checks on bytes --- */

/* Puts what lay at the operand's elements before the run over what the run left there, so that only damage beside the
 * elements remains. */
static void erase_elements(const scry__array *operand, uint8_t *image, int canary)
{
    size_t  size  = scry_dtype_size(operand->view.dtype);
    int64_t count = scry__array_count(operand);
    if (operand->contiguous) {
        size *= (size_t)count;
        count = count > 0;
    }
    for (int64_t i = 0; i < count; i++) {
        size_t place = scry__array_place(operand, i);
        if (operand->role == SCRY__OUTPUT)
            memset(image + place, canary, size);
        else
            memcpy(image + place, operand->image + place, size);
    }
}

/* The image must be what it was, outside the elements of outputs. Uses `again` as the place to work in. */
static scry_status check_untouched(scry__plan *plan, scry__verdict *verdict, int canary)
{
    for (int i = 0; i < plan->count; i++) {
        scry__array *operand = &plan->operands[i];
        size_t       changed = operand->changed;
        if (operand->storage != i) continue;
        if (operand->got) {
            if (!operand->again && !(operand->again = scry__alloc(operand->bytes, 1))) return SCRY_OUT_OF_MEMORY;
            memcpy(operand->again, operand->got, operand->bytes);
            erase_elements(operand, operand->again, canary);
        }
        for (size_t byte = 0; operand->got && !changed && byte < operand->bytes; byte++) {
            uint8_t before = operand->role == SCRY__OUTPUT ? (uint8_t)canary : operand->image[byte];
            if (operand->again[byte] != before) changed = byte + 1;
        }
        if (changed)
            scry__verdict_fail(verdict, "%s: byte %zu of its buffer was changed; its elements begin at byte %zu",
                               operand->name, changed - 1, operand->view.offset);
    }
    return SCRY_OK;
}

static void check_repeatable(const scry__plan *plan, scry__verdict *verdict)
{
    for (int i = 0; i < plan->count; i++) {
        const scry__array *operand = &plan->operands[i];
        size_t             size    = scry_dtype_size(operand->view.dtype);
        if (operand->role == SCRY__INPUT) continue;
        for (int64_t e = 0; e < scry__array_count(operand); e++) {
            size_t place = scry__array_place(operand, e);
            if (!memcmp(operand->got + place, operand->again + place, size)) continue;
            scry__verdict_fail(verdict,
                               "%s: element %lld is %.9g in one run and %.9g in the next, over another initial content",
                               operand->name, (long long)e, scry__array_read(operand, operand->got, e),
                               scry__array_read(operand, operand->again, e));
            break;
        }
    }
}

/* --- A case --- */

static double unit_of(scry_precision precision)
{
    switch (precision) {
    case SCRY_STRICT_F32:
        return 0x1p-24;
    case SCRY_ALLOW_BF16:
        return 0x1p-8;
    default:
        return 0x1p-11; /* f16 and TF32 carry 11 bits */
    }
}

/* Two runs on the device under test; what goes wrong there is a result, not a failure of ours. */
static void run_device(scry__plan *plan, scry__verdict *verdict, scry_device *device, scry_op_info *info)
{
    enum { FIRST_CANARY = 0xff, SECOND_CANARY = 0x5a };
    scry__case_result *result = verdict->result;
    result->status            = scry__plan_run(plan, device, FIRST_CANARY, SCRY__IMAGE_GOT, info);
    verdict->unit             = unit_of(info->precision);
    snprintf(result->kernel, sizeof result->kernel, "%s", info->kernel);
    if (!result->status) {
        result->passed = true;
        result->status = check_untouched(plan, verdict, FIRST_CANARY);
    }
    if (!result->status) result->status = scry__plan_run(plan, device, SECOND_CANARY, SCRY__IMAGE_AGAIN, NULL);
    if (!result->status) {
        check_repeatable(plan, verdict);
        return;
    }
    result->passed = false;
    snprintf(result->detail, sizeof result->detail, "%s", scry_last_error());
}

/* What is expected of a plan's outputs: how many elements there are, and how many are finite and not 0. */
struct telling {
    int64_t telling, all;
};

static void count_telling(struct telling *count, const scry__plan *plan)
{
    for (int i = 0; i < plan->count; i++) {
        const scry__array *output = &plan->operands[i];
        if (output->dropped || output->role == SCRY__INPUT) continue;
        for (int64_t e = 0; e < scry__array_count(output); e++) {
            double value = scry__array_read(output, output->expected, e);
            count->telling += isfinite(value) && value != 0;
            count->all++;
        }
    }
}

/* Where nearly all that is expected is 0, infinite or NaN, much could go wrong unseen: such a case is refused. Its
 * samples count together: the first rows under a causal mask are nearly all 0. */
static scry_status check_telling(const scry__plan *plan, const struct telling *count)
{
    if (plan->mute || 20 * count->telling >= count->all) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT, "mistrusted: only %lld of %lld expected elements are finite and not 0",
                      (long long)count->telling, (long long)count->all);
}

/* Holds what the device left against the reference: the whole, or samples of it. */
static scry_status judge(scry__plan *plan, scry__verdict *verdict, scry_device *reference, double flops)
{
    struct telling count  = {0};
    scry__plan    *part   = scry__alloc(1, sizeof *part);
    scry_status    status = part ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (int sample = 0; !status && scry__plan_sample(part, plan, sample, flops); sample++) {
        status = scry__plan_run(part, reference, 0xff, SCRY__IMAGE_EXPECTED, NULL);
        for (int i = 0; i < plan->count; i++) plan->operands[i].expected = part->operands[i].expected;
        if (status) break;
        count_telling(&count, part);
        judges[plan->op.kind](part, verdict);
    }
    scry__free(part);
    return status ? status : check_telling(plan, &count);
}

scry_status scry__case_run(scry__case_result *result, int index, uint64_t seed, scry_device *reference,
                           scry_device *device)
{
    scry_op_info info = {0};
    scry__plan  *plan = scry__alloc(1, sizeof *plan);
    if (!plan) return SCRY_OUT_OF_MEMORY;
    scry_status   status  = scry__plan_build(plan, index, seed);
    scry__verdict verdict = {.result = result, .bare = plan->bare};
    *result               = (scry__case_result){.bare = plan->bare, .wide = plan->wide};
    if (!status) run_device(plan, &verdict, device, &info);
    if (!status && !result->status) status = judge(plan, &verdict, reference, info.flops);
    if (status)
        scry__fail_prefix(status, "case %s on %s", scry__case_at(index).name, scry_device_get_info(reference)->name);
    scry__plan_finish(plan);
    scry__free(plan);
    return status;
}
