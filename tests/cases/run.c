/* From a row of the table to a verdict: build, run on both devices, compare. See cases.h. */
#include "cases/judge.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const scry__case_table *table;
    scry__judge            *judge;
} families[] = {
    {&scry__matmul_table, scry__judge_matmul},       {&scry__softmax_table, scry__judge_softmax},
    {&scry__attention_table, scry__judge_attention}, {&scry__rope_table, scry__judge_rope},
    {&scry__norm_table, scry__judge_norm},           {&scry__lens_table, scry__judge_lens},
    {&scry__embed_table, scry__judge_embed},         {&scry__add_table, scry__judge_add},
    {&scry__scale_table, scry__judge_scale},         {&scry__activation_table, scry__judge_activation},
    {&scry__copy_table, scry__judge_copy},           {&scry__fill_table, scry__judge_fill},
};
enum { FAMILIES = sizeof families / sizeof *families };

int scry__case_count(void)
{
    int count = 0;
    for (int i = 0; i < FAMILIES; i++) count += families[i].table->count;
    return count;
}

/* The family of a row, whose number inside it is left in *index. */
static int family_of(int *index)
{
    int family = 0;
    while (*index >= families[family].table->count) *index -= families[family++].table->count;
    return family;
}

/* FNV-1a: a row keeps its data when others are added around it. */
static uint64_t hash_of(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3;
    return hash;
}

scry__case scry__case_at(int index)
{
    const scry__case_table *table = families[family_of(&index)].table;
    const char             *name  = table->name(index);
    return (scry__case){.name = name, .kind = table->kind, .seed = hash_of(name)};
}

/* --- Running a plan --- */

static uint8_t *image_of(const scry__array *operand, scry__image which)
{
    switch (which) {
    case SCRY__IMAGE_EXPECTED:
        return operand->expected;
    case SCRY__IMAGE_GOT:
        return operand->got;
    default:
        return operand->again;
    }
}

static scry_status upload(const scry__array *operand, scry_device *device, int canary, uint8_t *image,
                          scry_buffer **buffer)
{
    if (operand->role == SCRY__OUTPUT)
        memset(image, canary, operand->bytes);
    else
        memcpy(image, operand->image, operand->bytes);
    scry_status status = scry_buffer_create(buffer, device, operand->bytes);
    return status ? status : scry_buffer_write(*buffer, 0, image, operand->bytes);
}

scry_status scry__plan_run(scry__plan *plan, scry_device *device, int canary, scry__image into)
{
    scry_buffer *buffers[SCRY__MAX_OPERANDS] = {0};
    scry_op      op                          = plan->op;
    scry_status  status                      = SCRY_OK;
    for (int i = 0; !status && i < plan->count; i++) {
        scry__array *operand = &plan->operands[i];
        scry_tensor *tensor  = (scry_tensor *)(void *)((char *)&op + operand->place);
        if (operand->dropped) continue;
        if (operand->storage == i) status = upload(operand, device, canary, image_of(operand, into), &buffers[i]);
        tensor->buffer = buffers[operand->storage];
    }
    if (!status) status = scry_device_run(device, &op);
    if (!status) status = scry_device_finish(device);
    for (int i = 0; !status && i < plan->count; i++)
        if (buffers[i])
            status = scry_buffer_read(buffers[i], 0, image_of(&plan->operands[i], into), plan->operands[i].bytes);
    for (int i = 0; i < plan->count; i++) scry_buffer_destroy(&buffers[i]);
    return status;
}

/* --- Checks on bytes --- */

/* Puts what lay at the operand's elements before the run over what the run left there, so that only damage beside the
 * elements remains. */
static void erase_elements(const scry__array *operand, uint8_t *image, int canary)
{
    size_t size = scry_dtype_size(operand->view.dtype);
    for (int64_t i = 0; i < scry__array_count(operand); i++) {
        size_t place = scry__array_place(operand, i);
        if (operand->role == SCRY__OUTPUT)
            memset(image + place, canary, size);
        else
            memcpy(image + place, operand->image + place, size);
    }
}

static bool is_written(const scry__plan *plan, int storage)
{
    for (int i = 0; i < plan->count; i++)
        if (plan->operands[i].storage == storage && plan->operands[i].role != SCRY__INPUT) return true;
    return false;
}

/* The image must be what it was, outside the elements of outputs. Uses `again` as the place to work in. */
static void check_untouched(const scry__plan *plan, scry__verdict *verdict, int canary)
{
    for (int i = 0; i < plan->count; i++) {
        const scry__array *operand = &plan->operands[i];
        if (operand->storage != i) continue;
        memcpy(operand->again, operand->got, operand->bytes);
        if (is_written(plan, i)) erase_elements(operand, operand->again, canary);
        for (size_t byte = 0; byte < operand->bytes; byte++) {
            uint8_t before = operand->role == SCRY__OUTPUT ? (uint8_t)canary : operand->image[byte];
            if (operand->again[byte] == before) continue;
            scry__verdict_fail(verdict, "%s: byte %zu of its buffer was changed; its elements begin at byte %zu",
                               operand->name, byte, operand->view.offset);
            break;
        }
    }
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
static void run_device(scry__plan *plan, scry__case_result *result, scry_device *device, scry__judge *judge)
{
    enum { FIRST_CANARY = 0xff, SECOND_CANARY = 0x5a };
    scry__verdict verdict = {.result = result, .unit = unit_of(plan->op.precision)};
    result->status        = scry__plan_run(plan, device, FIRST_CANARY, SCRY__IMAGE_GOT);
    if (!result->status) {
        result->passed = true;
        check_untouched(plan, &verdict, FIRST_CANARY);
        result->status = scry__plan_run(plan, device, SECOND_CANARY, SCRY__IMAGE_AGAIN);
    }
    if (result->status) {
        result->passed = false;
        snprintf(result->detail, sizeof result->detail, "%s", scry_last_error());
        return;
    }
    check_repeatable(plan, &verdict);
    judge(plan, &verdict);
}

/* Row `index` of the whole table, as a plan. */
static scry_status build_row(scry__plan *plan, int index, uint64_t seed)
{
    scry__case row    = scry__case_at(index);
    int        family = family_of(&index);
    *plan             = (scry__plan){.op.kind = row.kind};
    scry__random_seed(&plan->random, seed ? seed : row.seed);
    families[family].table->build(plan, index);
    return plan->status;
}

scry_status scry__plan_build(scry__plan *plan, const char *name, uint64_t seed)
{
    for (int i = 0; i < scry__case_count(); i++)
        if (!strcmp(scry__case_at(i).name, name)) return build_row(plan, i, seed);
    return scry__fail(SCRY_BAD_ARGUMENT, "case %s: expected the name of a row", name);
}

scry_status scry__case_run(scry__case_result *result, int index, uint64_t seed, scry_device *reference,
                           scry_device *device)
{
    scry__case  row  = scry__case_at(index);
    scry__plan *plan = scry__alloc(1, sizeof *plan);
    if (!plan) return SCRY_OUT_OF_MEMORY;
    *result            = (scry__case_result){0};
    scry_status status = build_row(plan, index, seed);
    if (!status) status = scry__plan_run(plan, reference, 0xff, SCRY__IMAGE_EXPECTED);
    if (status)
        scry__fail_prefix(status, "case %s on %s", row.name, scry_device_get_info(reference)->name);
    else
        run_device(plan, result, device, families[family_of(&index)].judge);
    scry__plan_finish(plan);
    scry__free(plan);
    return status;
}
