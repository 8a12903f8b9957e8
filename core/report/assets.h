/* The page's template, style and script: the files in core/report/assets/, embedded when scry is built. */
#ifndef SCRY_REPORT_ASSETS_H
#define SCRY_REPORT_ASSETS_H

#include <stddef.h>
#include <stdint.h>

typedef struct scry__asset {
    const char *text; /* NUL-terminated */
    size_t      size;
    uint8_t     sha256[32];
} scry__asset;

extern const scry__asset scry__asset_page, scry__asset_style, scry__asset_script;

#endif
