/* Head scores as JSON; keys are described in docs/json.md. */
#ifndef SCRY_REPORT_JSON_HEADS_H
#define SCRY_REPORT_JSON_HEADS_H

#include "report/json_out.h"
#include "scry/heads.h"

/* scry.heads/1 */
scry_status scry__json_heads(json_t **out, const scry_heads *heads, const scry__json_source *source);

/* scry.induction/1 */
scry_status scry__json_induction(json_t **out, const scry_induction *induction, const scry__json_source *source);

#endif
