/* From a validated op to its backend: support, precision, scratch, and the policy where a device cannot.
 *
 * See scry/device.h. Fallbacks run in fallback.c. */
#include "base/error.h"
#include "device/front.h"

/* Asks the backend. */
static scry_status ask(scry_device *device, const scry_op *op, scry_op_info *info)
{
    *info = (scry_op_info){0};
    return scry__front_result(device, device->backend->query(device, op, info));
}

/* Scratch only grows, a quarter beyond the need, so that a growing sequence does not reallocate at every step. */
static scry_status reserve_scratch(scry_device *device, size_t bytes)
{
    if (bytes <= scry_buffer_size(device->scratch)) return SCRY_OK;
    scry_status status = scry_device_finish(device); /* work under way may still use the old one */
    if (status) return status;
    scry_buffer_destroy(&device->scratch);
    return scry_buffer_create(&device->scratch, device, bytes + bytes / 4);
}

scry_status scry_device_query(scry_device *device, const scry_op *op, scry_op_info *info)
{
    if (!device || !op || !info) return scry__fail(SCRY_BAD_ARGUMENT, "query: expected a device, an op and a place");
    scry_status status = scry__front_check(device);
    return status ? status : ask(device, op, info);
}

scry_status scry_device_run(scry_device *device, const scry_op *op)
{
    scry_op_info info;
    if (!device || !op) return scry__fail(SCRY_BAD_ARGUMENT, "run: expected a device and an op");
    scry_status status = scry__front_check(device);
    if (!status) status = ask(device, op, &info);
    if (status) return status;
    if (info.support == SCRY_NOT_SUPPORTED)
        return scry__fail(SCRY_UNSUPPORTED, "%s on %s: %s", scry_op_text(op->kind), device->info.name, info.reason);
    status = reserve_scratch(device, info.scratch_bytes);
    if (!status) status = scry__front_result(device, device->backend->run(device, op));
    return status;
}

scry_status scry_device_finish(scry_device *device)
{
    if (!device) return scry__fail(SCRY_BAD_ARGUMENT, "finish: expected a device");
    scry_status status = scry__front_check(device);
    return status ? status : scry__front_result(device, device->backend->finish(device));
}
