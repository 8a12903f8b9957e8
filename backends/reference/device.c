/* The reference as a backend: its table, and its one device. See reference.h for what it computes. */
#include "reference.h"

const struct scry_host *scry__reference_host;

static const scry_device_info the_device = {
    .name        = "reference:0",
    .backend     = "reference",
    .description = "double-precision oracle, one thread",
    .driver      = "built in",
    .type        = SCRY_DEVICE_REFERENCE,
};

static scry_status find(scry_device_info *infos, int capacity, int *count)
{
    if (capacity > 0) infos[0] = the_device;
    *count = 1;
    return SCRY_OK;
}

static const struct scry_backend table;

static scry_status open(scry_device *device, int index, const scry_device_options *options)
{
    (void)index;
    (void)options;
    device->backend = &table;
    device->info    = the_device;
    return SCRY_OK;
}

static void close(scry_device *device)
{
    (void)device;
}

/* run() returns when the work is done. */
static scry_status finish(scry_device *device)
{
    (void)device;
    return SCRY_OK;
}

static const struct scry_backend table = {
    .abi_version    = SCRY_BACKEND_ABI,
    .struct_size    = sizeof(struct scry_backend),
    .name           = "reference",
    .find           = find,
    .open           = open,
    .close          = close,
    .buffer_create  = scry__reference_buffer_create,
    .buffer_wrap    = scry__reference_buffer_wrap,
    .buffer_destroy = scry__reference_buffer_destroy,
    .buffer_write   = scry__reference_buffer_write,
    .buffer_read    = scry__reference_buffer_read,
    .query          = scry__reference_query,
    .run            = scry__reference_run,
    .finish         = finish,
};

const struct scry_backend *scry_reference_entry(const struct scry_host *host)
{
    scry__reference_host = host;
    return &table;
}
