/* The host's side of the backend contract, and the check of a backend's table. See registry.h. */
#include "base/alloc.h"
#include "base/error.h"
#include "device/registry.h"

#include <stdio.h>
#include <string.h>

const struct scry_host scry__host = {
    .abi_version      = SCRY_BACKEND_ABI,
    .struct_size      = sizeof(struct scry_host),
    .allocate         = scry__alloc,
    .release          = scry__free,
    .allocate_aligned = scry__alloc_aligned,
    .release_aligned  = scry__free_aligned,
    .fail             = scry__fail,
    .log              = scry__log,
};

/* The first required slot that is empty, or NULL. */
static const char *empty_slot(const struct scry_backend *backend)
{
#define CHECK_SLOT(slot)                                                                                               \
    if (!backend->slot) return #slot
    CHECK_SLOT(find);
    CHECK_SLOT(open);
    CHECK_SLOT(close);
    CHECK_SLOT(buffer_create);
    CHECK_SLOT(buffer_destroy);
    CHECK_SLOT(buffer_write);
    CHECK_SLOT(buffer_read);
    CHECK_SLOT(query);
    CHECK_SLOT(run);
    CHECK_SLOT(finish);
#undef CHECK_SLOT
    return NULL;
}

const char *scry__backend_refuse(const struct scry_backend *backend, const char *name, char *reason, size_t size)
{
    const char *slot;
    *reason = 0;
    /* The two first fields stand in every version of the struct; nothing behind them is read before they fit. */
    if (!backend)
        snprintf(reason, size, "its entry returned no table%s%s", *scry_last_error() ? ": " : "", scry_last_error());
    else if (backend->abi_version != SCRY_BACKEND_ABI)
        snprintf(reason, size, "built for backend ABI %u: expected %u", backend->abi_version, SCRY_BACKEND_ABI);
    else if (backend->struct_size != sizeof *backend)
        snprintf(reason, size, "its table has %u bytes: expected %zu", backend->struct_size, sizeof *backend);
    else if (!backend->name || strncmp(backend->name, name, SCRY__BACKEND_NAME))
        snprintf(reason, size, "it calls itself \"%.*s\": expected \"%s\"", SCRY__BACKEND_NAME - 1,
                 backend->name ? backend->name : "", name);
    else if ((slot = empty_slot(backend)))
        snprintf(reason, size, "its table has no %s", slot);
    return *reason ? reason : NULL;
}
