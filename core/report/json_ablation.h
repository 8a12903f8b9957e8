/* An ablation as JSON; docs/json.md describes the keys. */
#ifndef SCRY_REPORT_JSON_ABLATION_H
#define SCRY_REPORT_JSON_ABLATION_H

#include "report/json_out.h"
#include "scry/ablate.h"

/* scry.ablation/1 */
scry_status scry__json_ablation(json_t **out, const scry_ablation *ablation, const scry__json_source *source);

#endif
