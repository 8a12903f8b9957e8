/* Base64 (RFC 4648, with padding). */
#ifndef SCRY_REPORT_BASE64_H
#define SCRY_REPORT_BASE64_H

#include "base/text.h"

void scry__base64_add(scry__text *out, const void *data, size_t size);

#endif
