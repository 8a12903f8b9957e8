/* Recipes: the table of their fields, by which they are read, set, written and compared. See recipe.h. */
#include "train/recipe.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CHECKPOINTS = 100000, MOST_STEPS = 1000000000, MOST_SIZE = 1 << 20 };

static const size_t max_file = (size_t)1 << 22;
#define MOST_SEED 9007199254740992.0 /* 2^53: what every reader of JSON keeps */

#define SPACED(name, text) " " text
#define CHOICE(key, field, list, about)                                                                                \
    {                                                                                                                  \
        .name = key, .kind = SCRY__RECIPE_CHOICE, .member = offsetof(scry_recipe, field), .choices = list(SPACED),     \
        .argument = "NAME", .help = about                                                                              \
    }
#define TEXT(key, field, called, about)                                                                                \
    {                                                                                                                  \
        .name = key, .kind = SCRY__RECIPE_TEXT, .member = offsetof(scry_recipe, field), .argument = called,            \
        .help = about                                                                                                  \
    }
#define INT(key, field, least, most, about)                                                                            \
    {                                                                                                                  \
        .name = key, .kind = SCRY__RECIPE_INT, .member = offsetof(scry_recipe, field), .minimum = least,               \
        .maximum = most, .argument = "N", .help = about                                                                \
    }
#define NUMBER(key, field, least, most, about)                                                                         \
    {                                                                                                                  \
        .name = key, .kind = SCRY__RECIPE_NUMBER, .member = offsetof(scry_recipe, field), .minimum = least,            \
        .maximum = most, .argument = "X", .help = about                                                                \
    }

const scry__recipe_field scry__recipe_fields[] = {
    CHOICE("data", data, SCRY_TRAIN_DATA_LIST, "what is learned: copy, which repeats patterns, text or documents"),
    TEXT("text", text, "FILE", "of data text: the text"),
    TEXT("documents", documents, "FILE", "of data documents: JSON Lines, a text or ids each"),
    TEXT("tokenizer", tokenizer, "DIR", "of text and documents: tokenizer.json, or the folder that holds it"),
    NUMBER("held_out", held_out, 0, 0.5, "share of the data, its end, to evaluate on"),
    CHOICE("style", style, SCRY_TRAIN_STYLE_LIST, "architecture: gpt2 or llama"),
    INT("layers", layers, 1, 1024, "layers"),
    INT("heads", heads, 1, 256, "attention heads"),
    INT("kv_heads", kv_heads, 0, 256, "key/value heads (0: as many as heads)"),
    INT("hidden", hidden, 1, MOST_SIZE, "size of the residual stream"),
    INT("mlp", mlp, 0, MOST_SIZE, "size inside the MLP (0: gpt2 4, llama 8/3 times hidden)"),
    INT("context", context, 0, MOST_SIZE, "most positions (0: length)"),
    INT("vocabulary", vocabulary, 0, MOST_SIZE, "tokens (0: the tokenizer's; copy: 8)"),
    NUMBER("initial_deviation", initial_deviation, 1e-6, 1, "standard deviation of matrices before training"),
    {.name     = "seed",
     .kind     = SCRY__RECIPE_SEED,
     .member   = offsetof(scry_recipe, seed),
     .maximum  = MOST_SEED,
     .argument = "N",
     .help     = "of weights and data"},
    INT("steps", steps, 1, MOST_STEPS, "steps"),
    INT("batch", batch, 1, MOST_SIZE, "rows in a step"),
    INT("length", length, 0, MOST_SIZE, "tokens in a row (0: 128; copy: 24)"),
    CHOICE("optimiser", optimiser, SCRY_TRAIN_OPTIMISER_LIST, "adamw or sgd"),
    NUMBER("rate", rate, 0, 100, "peak learning rate"),
    INT("warmup", warmup, 0, MOST_STEPS, "steps in which the rate rises to its peak"),
    INT("hold", hold, 0, MOST_STEPS, "steps in which it stays there before the schedule begins"),
    CHOICE("schedule", schedule, SCRY_TRAIN_SCHEDULE_LIST, "the rate behind its peak: constant, linear or cosine"),
    NUMBER("final_rate", final_rate, 0, 1, "the rate at the last step, as a share of the peak"),
    NUMBER("decay", decay, 0, 10, "weight decay of the blocks' matrices"),
    NUMBER("beta1", beta1, 0.01, 0.999999, "AdamW's first moment"),
    NUMBER("beta2", beta2, 0.01, 0.999999, "AdamW's second moment"),
    NUMBER("epsilon", epsilon, 1e-30, 0.1, "AdamW's smallest denominator"),
    NUMBER("momentum", momentum, 0, 0.999999, "SGD's Nesterov momentum"),
    NUMBER("clip", clip, 0, 1e9, "longest gradient (0: any)"),
    INT("checkpoint_every", checkpoint_every, 0, MOST_STEPS, "steps from checkpoint to checkpoint (0: those listed)"),
    {.name     = "checkpoints",
     .kind     = SCRY__RECIPE_STEPS,
     .member   = offsetof(scry_recipe, checkpoints),
     .maximum  = MOST_STEPS,
     .argument = "0,1,2,..",
     .help     = "steps with a checkpoint; 0 is before training"},
    INT("evaluate_every", evaluate_every, 0, MOST_STEPS, "steps from evaluation to evaluation (0: at the end)"),
    INT("evaluation_batches", evaluation_batches, 1, MOST_SIZE, "batches to evaluate on"),
};
const int scry__recipe_field_count = sizeof scry__recipe_fields / sizeof *scry__recipe_fields;

static const scry_recipe preset = {
    .held_out           = 0.1,
    .layers             = 2,
    .heads              = 2,
    .hidden             = 64,
    .initial_deviation  = 0.02,
    .steps              = 1000,
    .batch              = 32,
    .rate               = 1e-3,
    .warmup             = 50,
    .schedule           = SCRY_TRAIN_SCHEDULE_COSINE,
    .decay              = 0.1,
    .beta1              = 0.9,
    .beta2              = 0.95,
    .epsilon            = 1e-8,
    .momentum           = 0.9,
    .clip               = 1,
    .evaluate_every     = 100,
    .evaluation_batches = 8,
};

/* Recipes by name: what they have other than the defaults. */
static const struct {
    const char *name, *text;
} built_in[] = {
    {"copy", "{\"data\": \"copy\", \"batch\": 64, \"rate\": 3e-3, \"initial_deviation\": 0.02, \"steps\": 1500, "
             "\"checkpoints\": [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]}"},
};

/* --- values --- */

static scry_status outside(scry__json_at at, const scry__recipe_field *field, double value)
{
    if (value >= field->minimum && value <= field->maximum) return SCRY_OK;
    return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": %.10g is outside %.10g to %.10g", at.origin, field->name, value,
                      field->minimum, field->maximum);
}

/* The place of `word` among the field's choices; -1: none. */
static int find_choice(const scry__recipe_field *field, const char *word)
{
    const char *at = field->choices;
    for (int i = 0; *at; i++) {
        size_t size = strcspn(++at, " ");
        if (strlen(word) == size && !memcmp(at, word, size)) return i;
        at += size;
    }
    return -1;
}

static scry_status read_choice(scry_recipe *recipe, const scry__recipe_field *field, scry__json_at at)
{
    const char *word   = NULL;
    scry_status status = scry__json_string(at, field->name, false, &word);
    if (status || !word) return status;
    int choice = find_choice(field, word);
    if (choice < 0)
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": \"%.64s\": expected one of:%s", at.origin, field->name, word,
                          field->choices);
    memcpy((char *)recipe + field->member, &choice, sizeof choice);
    return SCRY_OK;
}

static scry_status read_text(scry_recipe *recipe, const scry__recipe_field *field, scry__json_at at)
{
    const char *text   = NULL;
    char      **member = (char **)((char *)recipe + field->member);
    scry_status status = scry__json_string(at, field->name, false, &text);
    if (status || !text) return status;
    char *copy = scry__strdup(text);
    if (!copy) return SCRY_OUT_OF_MEMORY;
    scry__free(*member);
    *member = copy;
    return SCRY_OK;
}

static scry_status read_whole(scry_recipe *recipe, const scry__recipe_field *field, scry__json_at at)
{
    void       *member = (char *)recipe + field->member;
    bool        seed   = field->kind == SCRY__RECIPE_SEED;
    int64_t     value  = seed ? (int64_t) * (uint64_t *)member : *(int *)member;
    scry_status status =
        scry__json_int(at, field->name, false, (int64_t)field->minimum, (int64_t)field->maximum, &value);
    if (status) return status;
    if (seed)
        *(uint64_t *)member = (uint64_t)value;
    else
        *(int *)member = (int)value;
    return SCRY_OK;
}

/* To the nine digits that recipe.json has: who resumes by that file goes on with the same number. */
static double shortened(double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.9g", value);
    return strtod(text, NULL);
}

static scry_status read_number(scry_recipe *recipe, const scry__recipe_field *field, scry__json_at at)
{
    double     *member = (double *)((char *)recipe + field->member), value = *member;
    scry_status status = scry__json_number(at, field->name, false, &value);
    if (!status) status = outside(at, field, value);
    if (!status) *member = shortened(value);
    return status;
}

static scry_status read_steps(scry_recipe *recipe, const scry__recipe_field *field, scry__json_at at)
{
    const json_t *list   = NULL;
    scry_status   status = scry__json_array(at, field->name, false, &list);
    if (status || !list) return status;
    size_t count = json_array_size(list);
    if (count > MOST_CHECKPOINTS)
        return scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": %zu steps: expected at most %d", at.origin, field->name,
                          count, MOST_CHECKPOINTS);
    int *steps = scry__alloc(count, sizeof *steps);
    if (!steps) return SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; i < count && !status; i++) {
        const json_t *step = json_array_get(list, i);
        if (!json_is_integer(step))
            status =
                scry__fail(SCRY_BAD_INPUT, "%s: key \"%s\": entry %zu: expected a step", at.origin, field->name, i);
        else
            status = outside(at, field, (double)json_integer_value(step));
        if (!status) steps[i] = (int)json_integer_value(step);
    }
    if (status) {
        scry__free(steps);
        return status;
    }
    scry__free(recipe->checkpoints);
    recipe->checkpoints      = steps;
    recipe->checkpoint_count = (int)count;
    return SCRY_OK;
}

static scry_status read_field(scry_recipe *recipe, const scry__recipe_field *field, scry__json_at at)
{
    switch (field->kind) {
    case SCRY__RECIPE_CHOICE:
        return read_choice(recipe, field, at);
    case SCRY__RECIPE_TEXT:
        return read_text(recipe, field, at);
    case SCRY__RECIPE_INT:
    case SCRY__RECIPE_SEED:
        return read_whole(recipe, field, at);
    case SCRY__RECIPE_NUMBER:
        return read_number(recipe, field, at);
    case SCRY__RECIPE_STEPS:
        break;
    }
    return read_steps(recipe, field, at);
}

/* --- as JSON --- */

static scry_status refuse_unknown(scry__json_at at)
{
    scry__text  known  = {0};
    scry_status status = SCRY_OK;
    for (int i = 0; i < scry__recipe_field_count; i++)
        scry__text_addf(&known, "%s%s", i ? " " : "", scry__recipe_fields[i].name);
    status = known.status;
    if (!status) status = scry__json_only(at, known.data);
    scry__text_finish(&known);
    return status;
}

static scry_status read_object(scry_recipe *recipe, scry__json_at at)
{
    if (!json_is_object(at.object)) return scry__fail(SCRY_BAD_INPUT, "%s: expected an object", at.origin);
    scry_status status = refuse_unknown(at);
    for (int i = 0; i < scry__recipe_field_count && !status; i++)
        status = read_field(recipe, &scry__recipe_fields[i], at);
    return status;
}

scry_status scry__recipe_read(scry_recipe **out, scry__json_at at)
{
    scry_recipe *recipe = scry__alloc(1, sizeof *recipe);
    if (!recipe) return SCRY_OUT_OF_MEMORY;
    *recipe            = preset;
    scry_status status = read_object(recipe, at);
    if (status)
        scry_recipe_destroy(&recipe);
    else
        *out = recipe;
    return status;
}

/* "" for what is no choice, which nobody reads back. */
static json_t *choice_text(const scry__recipe_field *field, int choice)
{
    const char *at = field->choices;
    for (; choice >= 0 && *at; choice--) at += choice ? 1 + strcspn(at + 1, " ") : 1;
    return json_stringn(at, choice == -1 ? strcspn(at, " ") : 0);
}

static json_t *steps_json(scry__json_builder *builder, const scry_recipe *recipe)
{
    json_t *list = scry__json_new_array(builder);
    for (int i = 0; i < recipe->checkpoint_count; i++) scry__json_append_int(builder, list, recipe->checkpoints[i]);
    return list;
}

static void set_json(scry__json_builder *builder, json_t *object, const scry_recipe *recipe,
                     const scry__recipe_field *field)
{
    const void *member = (const char *)recipe + field->member;
    switch (field->kind) {
    case SCRY__RECIPE_CHOICE:
        scry__json_set(builder, object, field->name, choice_text(field, *(const int *)member));
        break;
    case SCRY__RECIPE_TEXT:
        scry__json_set_text(builder, object, field->name, *(char *const *)member);
        break;
    case SCRY__RECIPE_INT:
        scry__json_set_int(builder, object, field->name, *(const int *)member);
        break;
    case SCRY__RECIPE_SEED:
        scry__json_set_int(builder, object, field->name, (int64_t) * (const uint64_t *)member);
        break;
    case SCRY__RECIPE_NUMBER:
        scry__json_set_number(builder, object, field->name, *(const double *)member);
        break;
    case SCRY__RECIPE_STEPS:
        scry__json_set(builder, object, field->name, steps_json(builder, recipe));
    }
}

json_t *scry__recipe_json(scry__json_builder *builder, const scry_recipe *recipe)
{
    json_t *object = scry__json_new_object(builder);
    for (int i = 0; i < scry__recipe_field_count; i++) set_json(builder, object, recipe, &scry__recipe_fields[i]);
    return object;
}

scry_status scry__recipe_copy(scry_recipe **out, const scry_recipe *recipe)
{
    scry__json_builder builder = {0};
    json_t            *object  = scry__recipe_json(&builder, recipe);
    scry_status        status  = builder.status;
    if (!status) status = scry__recipe_read(out, (scry__json_at){object, "recipe"});
    json_decref(object);
    return status == SCRY_BAD_INPUT ? SCRY_BAD_ARGUMENT : status;
}

scry_status scry__recipe_difference(const char **name, const scry_recipe *a, const scry_recipe *b)
{
    scry__json_builder builder = {0};
    json_t            *left = scry__recipe_json(&builder, a), *right = scry__recipe_json(&builder, b);
    *name = NULL;
    for (int i = 0; i < scry__recipe_field_count && !*name; i++) {
        const char *field = scry__recipe_fields[i].name;
        if (!json_equal(json_object_get(left, field), json_object_get(right, field))) *name = field;
    }
    json_decref(left);
    json_decref(right);
    return builder.status;
}

/* --- by hand --- */

scry_status scry_recipe_create(scry_recipe **out, const char *name)
{
    json_t     *object = NULL;
    const char *origin = name;
    scry_status status = SCRY_OK;
    for (size_t i = 0; name && !object && i < sizeof built_in / sizeof *built_in; i++)
        if (!strcmp(name, built_in[i].name))
            status = scry__json_parse(&object, built_in[i].text, strlen(built_in[i].text), name);
    if (!name) {
        origin = "defaults";
        status = scry__json_parse(&object, "{}", 2, origin);
    }
    if (!status && !object) status = scry__json_load(&object, name, max_file);
    if (!status) status = scry__recipe_read(out, (scry__json_at){object, origin});
    json_decref(object);
    return status;
}

void scry_recipe_destroy(scry_recipe **recipe)
{
    scry_recipe *self = recipe ? *recipe : NULL;
    if (!self) return;
    scry__free(self->text);
    scry__free(self->documents);
    scry__free(self->tokenizer);
    scry__free(self->checkpoints);
    scry__free(self);
    *recipe = NULL;
}

/* "0,1,2" as an array; NULL where it is none. */
static json_t *parse_steps(const char *text)
{
    json_t *list = json_array();
    char   *end  = (char *)text;
    for (const char *at = text; *text; at = end + 1) {
        errno           = 0;
        long long value = strtoll(at, &end, 10);
        bool      good  = end != at && !errno && (*end == ',' || !*end);
        if (!good || json_array_append_new(list, json_integer(value))) {
            json_decref(list);
            return NULL;
        }
        if (!*end) break;
    }
    return list;
}

/* What a file would have in the value's place; text where it cannot be read as what the field takes. */
static json_t *parse_value(const scry__recipe_field *field, const char *text)
{
    json_t *value = NULL;
    char   *end;
    errno = 0;
    if (field->kind == SCRY__RECIPE_INT || field->kind == SCRY__RECIPE_SEED) {
        long long number = strtoll(text, &end, 10);
        if (end != text && !*end && !errno) value = json_integer(number);
    } else if (field->kind == SCRY__RECIPE_NUMBER) {
        double number = strtod(text, &end);
        if (end != text && !*end && !errno) value = json_real(number);
    } else if (field->kind == SCRY__RECIPE_STEPS) {
        value = parse_steps(text);
    }
    return value ? value : json_string(text);
}

scry_status scry_recipe_set(scry_recipe *recipe, const char *field, const char *value)
{
    const scry__recipe_field *found = NULL;
    for (int i = 0; i < scry__recipe_field_count && !found; i++)
        if (!strcmp(scry__recipe_fields[i].name, field)) found = &scry__recipe_fields[i];
    if (!found) return scry__fail(SCRY_BAD_ARGUMENT, "a recipe has no field \"%.64s\"", field);
    json_t *object = json_object();
    if (!object || json_object_set_new(object, field, parse_value(found, value))) {
        json_decref(object);
        return scry__fail(SCRY_BAD_ARGUMENT, "recipe: key \"%s\": expected UTF-8", field);
    }
    scry_status status = read_field(recipe, found, (scry__json_at){object, "recipe"});
    json_decref(object);
    return status == SCRY_BAD_INPUT ? SCRY_BAD_ARGUMENT : status;
}
