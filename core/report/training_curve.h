/* A training's loss curve: as a picture, and as numbers. */
#ifndef SCRY_REPORT_TRAINING_CURVE_H
#define SCRY_REPORT_TRAINING_CURVE_H

#include "scry/train.h"

/* Loss by step, evaluations with their sampling errors, checkpoints, and the bound where there is one; .png, .svg or
 * .pdf. SCRY_BAD_ARGUMENT before the first step. */
scry_status scry__training_curve_write(const char *path, const scry_training *training);

/* One line a step: step, rate, loss, and of evaluations loss, error, best; a field is empty where there is nothing. */
scry_status scry__training_csv_write(const char *path, const scry_training *training);

#endif
