/* How a training went as JSON: scry.training/1 of docs/json.md. */
#ifndef SCRY_REPORT_JSON_TRAINING_H
#define SCRY_REPORT_JSON_TRAINING_H

#include "report/json_out.h"
#include "scry/train.h"

/* `output` is the folder of the checkpoints. Release *out with json_decref. */
scry_status scry__json_training(json_t **out, const scry_training *training, const char *output,
                                const scry__json_source *source);

#endif
