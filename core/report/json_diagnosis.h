/* scry.diagnosis/1: findings and checks. See json_out.h. */
#ifndef SCRY_REPORT_JSON_DIAGNOSIS_H
#define SCRY_REPORT_JSON_DIAGNOSIS_H

#include "report/json_out.h"
#include "scry/diagnose.h"

scry_status scry__json_diagnosis(json_t **out, const scry_diagnosis *diagnosis, const scry__json_source *source);

#endif
