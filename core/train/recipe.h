/* Recipes inside: their fields as a table, as JSON, and made complete. See scry/train.h. */
#ifndef SCRY_TRAIN_RECIPE_H
#define SCRY_TRAIN_RECIPE_H

#include "base/json.h"
#include "base/json_build.h"
#include "scry/train.h"

typedef enum scry__recipe_kind {
    SCRY__RECIPE_CHOICE, /* an enum, by its names */
    SCRY__RECIPE_TEXT,   /* char * */
    SCRY__RECIPE_INT,    /* int */
    SCRY__RECIPE_SEED,   /* uint64_t */
    SCRY__RECIPE_NUMBER, /* double */
    SCRY__RECIPE_STEPS,  /* checkpoints and checkpoint_count */
} scry__recipe_kind;

typedef struct scry__recipe_field {
    const char       *name;
    scry__recipe_kind kind;
    size_t            member;           /* offset in scry_recipe */
    double            minimum, maximum; /* of numbers */
    const char       *choices;          /* with one space between, in the enum's order */
    const char       *argument, *help;  /* as an option: what --help calls its value, and what it is */
} scry__recipe_field;

extern const scry__recipe_field scry__recipe_fields[];
extern const int                scry__recipe_field_count;

scry_status scry__recipe_read(scry_recipe **out, scry__json_at at);
json_t     *scry__recipe_json(scry__json_builder *builder, const scry_recipe *recipe);
/* SCRY_BAD_ARGUMENT where a caller has set a field to what it cannot be. */
scry_status scry__recipe_copy(scry_recipe **out, const scry_recipe *recipe);

/* The first field in which they differ; NULL: none. */
scry_status scry__recipe_difference(const char **name, const scry_recipe *a, const scry_recipe *b);

/* Puts what it stands for in place of each size that is 0, and refuses sizes that do not fit each other.
 * `tokenizer_size` is the tokenizer's vocabulary, 0 without one. */
scry_status scry__recipe_complete(scry_recipe *recipe, int tokenizer_size);

/* Whether a checkpoint, or an evaluation, belongs behind a step. */
bool scry__recipe_has_checkpoint(const scry_recipe *recipe, int step);
bool scry__recipe_has_evaluation(const scry_recipe *recipe, int step);

/* The config.json of the recipe's model, as transformers reads it. The recipe is complete. */
json_t *scry__recipe_config(scry__json_builder *builder, const scry_recipe *recipe);

#endif
