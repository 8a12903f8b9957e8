/* Comparisons as JSON; keys are described in docs/json.md. */
#ifndef SCRY_REPORT_JSON_DIFF_H
#define SCRY_REPORT_JSON_DIFF_H

#include "report/json_out.h"
#include "scry/compare.h"

/* scry.diff/1; `series` may be NULL. */
scry_status scry__json_diff(json_t **out, const scry_compare *compare, const scry_series *series,
                            const scry__json_source *source);

#endif
