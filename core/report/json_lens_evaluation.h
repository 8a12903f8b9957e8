/* How well a tuned lens reads, as JSON. */
#ifndef SCRY_REPORT_JSON_LENS_EVALUATION_H
#define SCRY_REPORT_JSON_LENS_EVALUATION_H

#include "report/json_out.h"
#include "scry/tune_lens.h"

/* scry.lens_evaluation/1. `file` is the lens', `text` the one evaluated on; `losses` [steps, layers] are those of a
 * training before it, NULL for none. */
scry_status scry__json_lens_evaluation(json_t **out, const scry_lens_evaluation *evaluation, const char *file,
                                       const char *text, const float *losses, int steps,
                                       const scry__json_source *source);

#endif
