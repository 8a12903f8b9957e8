/* Opening and closing devices, and what a handle remembers. See scry/device.h.
 *
 * Which backend and which of its devices a name means is choose.c's business, and what kernels it has that of
 * kernels.c. */
#include "base/alloc.h"
#include "base/error.h"
#include "device/front.h"
#include "device/tuning.h"

#include <stdio.h>
#include <string.h>

/* A device that cannot be opened is no device, whatever its backend calls the reason. */
static scry_status refuse_open(scry_status status)
{
    if (status == SCRY_OUT_OF_MEMORY) return status;
    return scry__fail(SCRY_NO_DEVICE, "%s", *scry_last_error() ? scry_last_error() : scry_status_text(status));
}

scry_status scry__device_open_at(scry_device **out, const struct scry_backend *backend, int index,
                                 const scry_device_info *info, const scry_device_options *options)
{
    scry_status        status = SCRY_OUT_OF_MEMORY;
    scry_device       *device = scry__alloc(1, sizeof *device);
    struct scry_front *front  = scry__alloc(1, sizeof *front);
    if (!device || !front) goto fail;

    *device         = (scry_device){.backend = backend, .info = *info, .front = front};
    front->fallback = options->fallback;
    front->threads  = options->threads;
    scry__fail(SCRY_OK, "%s", "");
    status = backend->open(device, index, options);
    if (status) {
        status = refuse_open(status);
        goto fail;
    }
    /* A backend may know more once the device is open; what the front door set stays. */
    device->backend = backend;
    device->front   = front;
    memcpy(device->info.name, info->name, sizeof info->name);
    memcpy(device->info.backend, info->backend, sizeof info->backend);
    status = scry__kernels_choose(device, options->kernels);
    if (!status && !options->untuned) status = scry__tuned_load(device);
    if (status) {
        backend->close(device);
        goto fail;
    }
    *out = device;
    return SCRY_OK;

fail:
    scry__free(front);
    scry__free(device);
    return status;
}

void scry_device_destroy(scry_device **device)
{
    if (!device || !*device) return;
    scry_device *dying = *device;
    scry_device_destroy(&dying->front->cpu);
    scry_buffer_destroy(&dying->scratch);
    dying->backend->close(dying);
    scry__free(dying->front);
    scry__free(dying);
    *device = NULL;
}

const char *scry_device_type_text(scry_device_type type)
{
    static const char *const texts[] = {"reference", "cpu", "software-gpu", "integrated-gpu", "discrete-gpu"};
    return (unsigned)type < sizeof texts / sizeof *texts ? texts[type] : "unknown";
}

const scry_device_info *scry_device_get_info(const scry_device *device)
{
    return device ? &device->info : NULL;
}

uint64_t scry_device_fallbacks(const scry_device *device)
{
    return device ? device->front->fallbacks : 0;
}

const char *scry_device_last_fallback(const scry_device *device)
{
    return device ? device->front->last_fallback : "";
}

void scry_device_get_statistics(const scry_device *device, scry_device_statistics *statistics)
{
    if (!statistics) return;
    *statistics = (scry_device_statistics){0};
    if (device && device->backend->statistics) device->backend->statistics(device, statistics);
}

scry_status scry__front_check(const scry_device *device)
{
    struct scry_front *front = device->front;
    if (front->lost) return scry__fail(SCRY_DEVICE_LOST, "%s was lost: %s", device->info.name, front->lost_reason);
    if (!front->failed) return SCRY_OK;
    scry_status status = front->failed;
    front->failed      = SCRY_OK;
    return scry__fail(status, "%s: earlier work failed: %s", device->info.name, front->failed_reason);
}

scry_status scry__front_result(scry_device *device, scry_status status)
{
    struct scry_front *front = device->front;
    if (status == SCRY_DEVICE_LOST && !front->lost) {
        front->lost = true;
        snprintf(front->lost_reason, sizeof front->lost_reason, "%s", scry_last_error());
        scry__log(SCRY_LOG_WARNING, "%s was lost: %s", device->info.name, front->lost_reason);
    }
    return status;
}
