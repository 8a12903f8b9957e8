/* What a position drew on as JSON; keys are described in docs/json.md. */
#ifndef SCRY_REPORT_JSON_INFLUENCE_H
#define SCRY_REPORT_JSON_INFLUENCE_H

#include "report/json_out.h"
#include "scry/influence.h"

/* scry.influence/1; SCRY_BAD_ARGUMENT where that is too much for JSON. */
scry_status scry__json_influence(json_t **out, const scry_influence *influence, const scry__json_source *source);

#endif
