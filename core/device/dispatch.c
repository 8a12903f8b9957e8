/* From an op to its backend: validation, support, precision, scratch, and the policy where a device cannot.
 *
 * See scry/device.h. Fallbacks run in fallback.c. */
#include "base/error.h"
#include "device/cost.h"
#include "device/fallback.h"
#include "device/front.h"
#include "device/validate.h"

#include <stdio.h>

/* Whether `delivered` is at least what was asked for. bf16 does not admit f16, nor the other way round: one has fewer
 * bits, the other overflows at 65,504. */
static bool precision_suffices(scry_precision asked, scry_precision delivered)
{
    if (delivered == SCRY_STRICT_F32 || delivered == asked) return true;
    return delivered == SCRY_ALLOW_TF32 && asked != SCRY_STRICT_F32;
}

/* The backend's answer about a valid op, held against the precision asked for. */
static scry_status ask(scry_device *device, const scry_op *op, scry_op_info *info)
{
    static const char *const texts[] = {"f32", "tf32", "f16", "bf16"};
    *info                            = (scry_op_info){0};
    scry_status status               = scry__front_result(device, device->backend->query(device, op, info));
    if (status) return status;
    info->reason[sizeof info->reason - 1] = 0;
    info->kernel[sizeof info->kernel - 1] = 0;
    if (info->support == SCRY_NOT_SUPPORTED) return SCRY_OK;
    if (!precision_suffices(op->precision, info->precision)) {
        info->support = SCRY_NOT_SUPPORTED;
        snprintf(info->reason, sizeof info->reason, "it delivers %s where %s was asked for",
                 (unsigned)info->precision <= SCRY_ALLOW_BF16 ? texts[info->precision] : "an unknown precision",
                 texts[op->precision]);
    }
    return SCRY_OK;
}

static scry_status begin(scry_device *device, const scry_op *op)
{
    if (!device || !op) return scry__fail(SCRY_BAD_ARGUMENT, "op: expected a device and an op");
    scry_status status = scry__front_check(device);
    return status ? status : scry__validate(device, op);
}

/* Scratch only grows, a quarter beyond the need, so that a growing sequence does not reallocate at every step. */
static scry_status reserve_scratch(scry_device *device, size_t bytes)
{
    if (bytes <= scry_buffer_size(device->scratch)) return SCRY_OK;
    scry_status status = scry_device_finish(device); /* work under way may still use the old one */
    if (status) return status;
    scry_buffer_destroy(&device->scratch);
    status = scry_buffer_create(&device->scratch, device, bytes < SIZE_MAX / 2 ? bytes + bytes / 4 : bytes);
    return status == SCRY_OUT_OF_MEMORY ? scry_buffer_create(&device->scratch, device, bytes) : status;
}

scry_status scry_device_query(scry_device *device, const scry_op *op, scry_op_info *info)
{
    if (!info) return scry__fail(SCRY_BAD_ARGUMENT, "query: expected a place for the answer");
    scry_status status = begin(device, op);
    if (!status) status = ask(device, op, info);
    if (status) return status;
    info->flops       = scry__op_flops(op);
    info->bytes_moved = scry__op_bytes(op);
    return SCRY_OK;
}

scry_status scry_device_run(scry_device *device, const scry_op *op)
{
    scry_op_info info;
    scry_status  status = begin(device, op);
    if (status || scry__op_is_empty(op)) return status;
    status = ask(device, op, &info);
    if (status) return status;
    if (info.support == SCRY_NOT_SUPPORTED && device->front->fallback == SCRY_FALLBACK_ALLOW_CPU)
        return scry__fallback_run(device, op, info.reason);
    if (info.support == SCRY_NOT_SUPPORTED)
        return scry__fail(SCRY_UNSUPPORTED, "%s on %s: %s", scry_op_text(op->kind), device->info.name, info.reason);
    status = reserve_scratch(device, info.scratch_bytes);
    return status ? status : scry__front_result(device, device->backend->run(device, op));
}

scry_status scry_device_finish(scry_device *device)
{
    if (!device) return scry__fail(SCRY_BAD_ARGUMENT, "finish: expected a device");
    scry_status status = scry__front_check(device);
    return status ? status : scry__front_result(device, device->backend->finish(device));
}
