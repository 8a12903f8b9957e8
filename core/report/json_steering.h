/* Steering as JSON. */
#ifndef SCRY_REPORT_JSON_STEERING_H
#define SCRY_REPORT_JSON_STEERING_H

#include "report/json_out.h"
#include "scry/steer.h"

/* scry.steering/1, described in docs/json.md. */
scry_status scry__json_steering(json_t **out, const scry_steering *steering, const scry__json_source *source);

#endif
