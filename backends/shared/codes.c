/* From result codes to statuses. See codes.h. */
#include "codes.h"

const struct scry__code *scry__codes_find(const struct scry__codes *codes, int64_t code)
{
    for (size_t i = 0; i < codes->count; i++)
        if (codes->list[i].code == code) return &codes->list[i];
    return NULL;
}

scry_status scry__codes_fail(const struct scry__codes *codes, const struct scry_host *host, int64_t code,
                             const char *what, bool *lost)
{
    const struct scry__code *met    = scry__codes_find(codes, code);
    scry_status              status = met ? met->status : SCRY_UNSUPPORTED;
    if (lost && status == SCRY_DEVICE_LOST) *lost = true;
    return host->fail(status, "%s: %s: %s (%lld)", codes->api, what, met ? met->text : codes->unnamed, (long long)code);
}
