/* A plan on a device: operands there and back. See plan.h, and cases.h for loads. */
#include "cases/plan.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

static scry_status upload(const scry__array *operand, scry_device *device, int canary, scry_buffer **buffer)
{
    enum { PIECE = 1 << 16 };
    uint8_t     piece[PIECE];
    scry_status status = scry_buffer_create(buffer, device, operand->bytes);
    if (operand->role != SCRY__OUTPUT)
        return status ? status : scry_buffer_write(*buffer, 0, operand->image, operand->bytes);
    memset(piece, canary, sizeof piece);
    for (size_t at = 0; !status && at < operand->bytes; at += PIECE)
        status = scry_buffer_write(*buffer, at, piece, operand->bytes - at < PIECE ? operand->bytes - at : PIECE);
    return status;
}

scry_status scry__plan_load(scry__loaded *loaded, const scry__plan *plan, scry_device *device, int canary)
{
    scry_status status = SCRY_OK;
    *loaded            = (scry__loaded){.op = plan->op};
    for (int i = 0; !status && i < plan->count; i++) {
        const scry__array *operand = &plan->operands[i];
        if (operand->dropped) continue;
        if (operand->storage == i) status = upload(operand, device, canary, &loaded->buffers[i]);
        scry__plan_tensor(&loaded->op, operand)->buffer = loaded->buffers[operand->storage];
    }
    return status;
}

void scry__plan_unload(scry__loaded *loaded)
{
    for (int i = 0; i < SCRY__MAX_OPERANDS; i++) scry_buffer_destroy(&loaded->buffers[i]);
}

static uint8_t **image_of(scry__array *operand, scry__image which)
{
    switch (which) {
    case SCRY__IMAGE_EXPECTED:
        return &operand->expected;
    case SCRY__IMAGE_GOT:
        return &operand->got;
    default:
        return &operand->again;
    }
}

/* What an op may only read is looked at, not kept. */
static scry_status look_at(scry__array *operand, scry_buffer *buffer)
{
    enum { PIECE = 1 << 16 };
    uint8_t     piece[PIECE];
    scry_status status = SCRY_OK;
    for (size_t at = 0; !status && at < operand->bytes && !operand->changed; at += PIECE) {
        size_t size = operand->bytes - at < PIECE ? operand->bytes - at : PIECE, same = 0;
        status = scry_buffer_read(buffer, at, piece, size);
        if (status || !memcmp(piece, operand->image + at, size)) continue;
        while (piece[same] == operand->image[at + same]) same++;
        operand->changed = at + same + 1;
    }
    return status;
}

static scry_status download(scry__array *operand, scry_buffer *buffer, scry__image into)
{
    uint8_t **image = image_of(operand, into);
    if (!*image) *image = scry__alloc(operand->bytes, 1);
    return *image ? scry_buffer_read(buffer, 0, *image, operand->bytes) : SCRY_OUT_OF_MEMORY;
}

/* Runs the op if the device says that it can; one that then says otherwise has failed, as where a kernel does not
 * build. */
static scry_status run_loaded(const scry_op *op, scry_device *device, scry_op_info *info)
{
    scry_status status = scry_device_query(device, op, info);
    if (status) return status;
    /* An op without elements runs anywhere; that is no support. */
    if (info->support == SCRY_NOT_SUPPORTED)
        return scry__fail(SCRY_UNSUPPORTED, "%s on %s: %s", scry_op_text(op->kind), scry_device_get_info(device)->name,
                          info->reason);
    status = scry_device_run(device, op);
    if (!status) status = scry_device_finish(device);
    if (status != SCRY_UNSUPPORTED) return status;
    return scry__fail_prefix(SCRY_CHECK_FAILED, "query says that it is supported, and the run that it is not");
}

scry_status scry__plan_run(scry__plan *plan, scry_device *device, int canary, scry__image into, scry_op_info *info)
{
    scry__loaded loaded;
    scry_op_info unasked;
    scry_status  status = scry__plan_load(&loaded, plan, device, canary);
    if (!status) status = run_loaded(&loaded.op, device, info ? info : &unasked);
    for (int i = 0; !status && i < plan->count; i++) {
        if (loaded.buffers[i] && scry__plan_is_written(plan, i))
            status = download(&plan->operands[i], loaded.buffers[i], into);
        else if (loaded.buffers[i] && into == SCRY__IMAGE_GOT)
            status = look_at(&plan->operands[i], loaded.buffers[i]);
    }
    for (int i = 0; i < plan->count; i++) { /* what lies in place shares the image */
        scry__array *operand     = &plan->operands[i];
        *image_of(operand, into) = *image_of(&plan->operands[operand->storage], into);
    }
    scry__plan_unload(&loaded);
    return status;
}

struct scry__case_load {
    scry__loaded loaded;
};

scry_status scry__case_load_create(scry__case_load **out, int index, scry_device *device)
{
    enum { CANARY = 0x5a };
    scry__plan      *plan   = scry__alloc(1, sizeof *plan);
    scry__case_load *load   = scry__alloc(1, sizeof *load);
    scry_status      status = plan && load ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    *out                    = load;
    if (!status) status = scry__plan_build(plan, index, 0);
    if (!status) status = scry__plan_load(&load->loaded, plan, device, CANARY);
    if (plan) scry__plan_finish(plan);
    scry__free(plan);
    if (status) scry__case_load_destroy(out);
    return status;
}

const scry_op *scry__case_load_op(const scry__case_load *load)
{
    return &load->loaded.op;
}

void scry__case_load_destroy(scry__case_load **load)
{
    if (!*load) return;
    scry__plan_unload(&(*load)->loaded);
    scry__free(*load);
    *load = NULL;
}
