/* Results as JSON objects; keys are stable and described in docs/json.md.
 *
 * Each function returns a new object in *out (release with json_decref). NaN and infinities are null. */
#ifndef SCRY_REPORT_JSON_OUT_H
#define SCRY_REPORT_JSON_OUT_H

#include "analysis/view.h"
#include "scry/lens.h"
#include "scry/trace.h"

#include <jansson.h>

/* What every result carries; each may be left NULL. */
typedef struct scry__json_source {
    const scry_model_info  *model;
    const scry_device_info *device;
    uint64_t                fallbacks; /* ops that ran elsewhere */
    const char             *last_fallback;
    const char *const      *edits; /* as text, in the order made */
    int                     edit_count;
} scry__json_source;

/* scry.lens/1 */
scry_status scry__json_lens(json_t **out, const scry_lens *lens, const scry__json_source *source);

/* scry.generation/1 */
scry_status scry__json_generation(json_t **out, const scry_generation *generation, const scry__json_source *source);

/* scry.trace/1: names, shapes and, of captures that are in memory, least, mean and largest value. `output` is the file
 * that holds the data, or NULL. */
scry_status scry__json_trace(json_t **out, const scry_trace *trace, const char *output,
                             const scry__json_source *source);

/* scry.attention/1: the tiles of a view; SCRY_BAD_ARGUMENT where they are too many for JSON. */
scry_status scry__json_attention(json_t **out, const scry__view *view, const scry__json_source *source);

/* scry.devices/1 */
scry_status scry__json_devices(json_t **out, const scry_device_list *devices);

/* scry.error/1: what --json prints when a command fails, with the thread's last error as detail. */
scry_status scry__json_error(json_t **out, scry_status status);

#endif
