/* Plugins that the registry must refuse; the build defines in which way each is broken. */
#include "scry/backend.h"

#ifndef BROKEN_ABI
#define BROKEN_ABI SCRY_BACKEND_ABI
#endif
#ifndef BROKEN_SIZE
#define BROKEN_SIZE sizeof(struct scry_backend)
#endif
#ifndef BROKEN_ENTRY
#define BROKEN_ENTRY scry_backend_entry
#endif

SCRY_API scry_backend_entry_function BROKEN_ENTRY;

#ifdef BROKEN_NULL
const struct scry_backend *BROKEN_ENTRY(const struct scry_host *host)
{
    host->fail(SCRY_NO_DEVICE, "nothing to offer");
    return NULL;
}
#else
static scry_status find(scry_device_info *infos, int capacity, int *count)
{
    (void)infos;
    (void)capacity;
    *count = 0;
    return SCRY_OK;
}

/* Its other slots are empty. */
static const struct scry_backend table = {
    .abi_version = BROKEN_ABI,
    .struct_size = BROKEN_SIZE,
    .name        = BROKEN_NAME,
    .find        = find,
};

const struct scry_backend *BROKEN_ENTRY(const struct scry_host *host)
{
    (void)host;
    return &table;
}
#endif
