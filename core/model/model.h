/* What a model handle holds. */
#ifndef SCRY_MODEL_MODEL_H
#define SCRY_MODEL_MODEL_H

#include "model/arch.h"
#include "model/safetensors.h"
#include "model/weights.h"
#include "scry/model.h"

struct scry_model {
    scry_device       *device; /* the caller's; outlives the model */
    char              *path;
    scry_model_options options;
    scry_model_info    info;
    scry__arch         arch;
    scry__safetensors *checkpoint; /* what the weights lie in */
    scry__weights      weights;
    scry_tokenizer    *tokenizer; /* opened at its first use */
};

/* The model's tokenizer, or NULL in *out where the checkpoint has none; fails where it has one that does not open. */
scry_status scry__model_find_tokenizer(scry_model *model, const scry_tokenizer **out);

/* The same where there has to be one: SCRY_BAD_INPUT where the checkpoint has none. */
scry_status scry__model_need_tokenizer(scry_model *model, const scry_tokenizer **out);

bool scry__is_chosen(const scry_token_choice *choice);

/* The id of a chosen token; texts of several tokens and ids outside the vocabulary are refused. */
scry_status scry__model_target(int32_t *out, scry_model *model, const scry_token_choice *choice);

#endif
