/* A direct logit attribution as JSON; keys are described in docs/json.md. */
#ifndef SCRY_REPORT_JSON_ATTRIBUTION_H
#define SCRY_REPORT_JSON_ATTRIBUTION_H

#include "report/json_out.h"
#include "scry/attribute.h"

/* scry.attribution/1 */
scry_status scry__json_attribution(json_t **out, const scry_attribution *attribution, const scry__json_source *source);

#endif
