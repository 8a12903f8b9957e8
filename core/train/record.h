/* A training's record: losses and evaluations on the way, kept in each checkpoint as training.json. */
#ifndef SCRY_TRAIN_RECORD_H
#define SCRY_TRAIN_RECORD_H

#include "base/json.h"
#include "base/json_build.h"
#include "scry/train.h"

/* Of no steps yet; has a copy of the recipe, which is complete. */
scry_status scry__record_create(scry_training **out, const scry_recipe *recipe, double bound);

/* Of the step behind the last one. */
scry_status scry__record_add_loss(scry_training *training, float loss);
scry_status scry__record_add_evaluation(scry_training *training, const scry_evaluation *evaluation);

/* training.json: all but the recipe, which has its own file, and the digest of the data's tokens ("": none). */
json_t     *scry__record_json(scry__json_builder *builder, const scry_training *training, const char *digest);
scry_status scry__record_read(scry_training **out, char **digest, const scry_recipe *recipe, scry__json_at at);

/* [{"step", "loss", "error", "best"}, ...] */
json_t *scry__record_evaluations(scry__json_builder *builder, const scry_training *training);

#endif
