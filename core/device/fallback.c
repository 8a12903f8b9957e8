/* Running on the cpu backend what a device cannot: stage, run, write back. See fallback.h.
 *
 * Operands that lie over each other in one buffer (in place, or columns of one matrix) are staged as one region, so
 * that whatever an output does not write comes back as it was. */
#include "device/fallback.h"

#include "base/error.h"
#include "device/front.h"
#include "device/operands.h"

#include <stdio.h>
#include <string.h>

/* Regions begin at multiples of this, so that an operand is aligned in its copy as in its buffer. */
enum { REGION_ALIGNMENT = 64 };

/* Bytes [begin, end) of a device buffer and their copy on the cpu device. */
typedef struct region {
    scry_buffer *origin, *copy;
    size_t       begin, end;
    bool         written;
} region;

typedef struct staging {
    region regions[SCRY__MAX_OPERANDS];
    int    count;
} staging;

static void merge(staging *staged, region added)
{
    for (int i = 0; i < staged->count;) {
        region *other = &staged->regions[i];
        if (other->origin != added.origin || other->end <= added.begin || added.end <= other->begin) {
            i++;
            continue;
        }
        if (other->begin < added.begin) added.begin = other->begin;
        if (other->end > added.end) added.end = other->end;
        added.written |= other->written;
        *other = staged->regions[--staged->count];
        i      = 0; /* grown: it may now meet one that it missed */
    }
    staged->regions[staged->count++] = added;
}

static void collect_regions(staging *staged, const scry_op *op)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands);
    for (int i = 0; i < count; i++) {
        const scry_tensor *tensor = scry__operand_in(op, &operands[i]);
        size_t             extent = tensor->buffer ? scry__tensor_extent(tensor) : 0;
        size_t             begin  = tensor->offset / REGION_ALIGNMENT * REGION_ALIGNMENT;
        if (!extent) continue;
        merge(staged, (region){.origin  = tensor->buffer,
                               .begin   = begin,
                               .end     = tensor->offset + extent,
                               .written = operands[i].flags & SCRY__WRITE});
    }
}

/* The cpu device shares the host's memory, so that each region is moved once each way. */
static scry_status copy_in(staging *staged, scry_device *cpu)
{
    for (int i = 0; i < staged->count; i++) {
        region     *each   = &staged->regions[i];
        size_t      bytes  = each->end - each->begin;
        scry_status status = scry_buffer_create(&each->copy, cpu, bytes);
        if (!status) status = scry_buffer_read(each->origin, each->begin, scry_buffer_host(each->copy), bytes);
        if (status) return status;
    }
    return SCRY_OK;
}

static scry_status copy_out(const staging *staged)
{
    for (int i = 0; i < staged->count; i++) {
        const region *each = &staged->regions[i];
        if (!each->written) continue;
        scry_status status =
            scry_buffer_write(each->origin, each->begin, scry_buffer_host(each->copy), each->end - each->begin);
        if (status) return status;
    }
    return SCRY_OK;
}

static void redirect_tensor(const staging *staged, scry_tensor *tensor)
{
    /* Without elements, any buffer will do; there is one, since an op without any output element does not get here. */
    if (!scry__tensor_extent(tensor)) {
        tensor->buffer = staged->regions[0].copy;
        tensor->offset = 0;
        return;
    }
    const region *each = staged->regions;
    while (each->origin != tensor->buffer || tensor->offset < each->begin || tensor->offset >= each->end) each++;
    tensor->buffer = each->copy;
    tensor->offset -= each->begin;
}

/* The op with its tensors in the copies. */
static scry_op redirect(const staging *staged, const scry_op *op)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands);
    scry_op              moved = *op;
    for (int i = 0; i < count; i++) {
        scry_tensor *tensor = scry__operand_of(&moved, &operands[i]);
        if (tensor->buffer) redirect_tensor(staged, tensor);
    }
    return moved;
}

static void note(scry_device *device, const scry_op *op, const char *reason)
{
    struct scry_front *front = device->front;
    front->fallbacks++;
    snprintf(front->last_fallback, sizeof front->last_fallback, "%s ran on cpu instead of %s: %s",
             scry_op_text(op->kind), device->info.name, reason);
    scry__log(front->told_fallback[op->kind] ? SCRY_LOG_DEBUG : SCRY_LOG_WARNING, "%s", front->last_fallback);
    front->told_fallback[op->kind] = true;
}

scry_status scry__fallback_run(scry_device *device, const scry_op *op, const char *reason)
{
    struct scry_front *front  = device->front;
    staging            staged = {0};
    scry_status        status = SCRY_OK;
    if (!front->cpu)
        status = scry_device_open(&front->cpu, &(scry_device_options){.name = "cpu", .threads = front->threads});
    if (status)
        return scry__fail_prefix(status, "%s cannot run on %s (%s), nor on cpu", scry_op_text(op->kind),
                                 device->info.name, reason);

    collect_regions(&staged, op);
    status = copy_in(&staged, front->cpu);
    if (!status) {
        scry_op moved = redirect(&staged, op);
        status        = scry_device_run(front->cpu, &moved);
        if (!status) status = scry_device_finish(front->cpu);
    }
    if (!status) status = copy_out(&staged);
    if (!status) note(device, op, reason);
    for (int i = 0; i < staged.count; i++) scry_buffer_destroy(&staged.regions[i].copy);
    return status;
}
