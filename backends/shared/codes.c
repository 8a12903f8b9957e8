/* From result codes to statuses. See codes.h. */
#include "codes.h"

scry_status scry__codes_fail(const struct scry__codes *codes, const struct scry_host *host, int64_t code,
                             const char *what, bool *lost)
{
    const struct scry__code  unnamed = {code, codes->unnamed, SCRY_UNSUPPORTED};
    const struct scry__code *met     = &unnamed;
    for (size_t i = 0; i < codes->count && met == &unnamed; i++)
        if (codes->list[i].code == code) met = &codes->list[i];
    if (lost && met->status == SCRY_DEVICE_LOST) *lost = true;
    return host->fail(met->status, "%s: %s: %s (%lld)", codes->api, what, met->text, (long long)code);
}
