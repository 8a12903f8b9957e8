/* Path patching as JSON; keys are described in docs/json.md. */
#ifndef SCRY_REPORT_JSON_PATH_H
#define SCRY_REPORT_JSON_PATH_H

#include "report/json_out.h"
#include "scry/path.h"

/* scry.path/1 */
scry_status scry__json_paths(json_t **out, const scry_paths *paths, const scry__json_source *source);

#endif
