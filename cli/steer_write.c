/* What scry steer writes: curves by strength, arrays, JSON. See steer.h. */
#include "cli/steer.h"

#include "base/alloc.h"
#include "report/steering_picture.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* --- arrays --- */

/* Whose numbers: without the vector [followed], with it [followed, count], with random ones [followed, count, random].
 */
enum odds { PLAIN, STEERED, RANDOM };

static const scry_odds *odds_of(const scry_followed *token, enum odds which)
{
    return which == PLAIN ? &token->plain : which == STEERED ? token->steered : token->random;
}

static scry_status add_odds(scry__npz *npz, const char *name, const scry_steering *result, enum odds which,
                            size_t offset)
{
    const int64_t shape[] = {result->followed_count, result->count, result->random_count};
    size_t        each    = 1;
    for (int axis = 1; axis <= (int)which; axis++) each *= (size_t)shape[axis];
    float *values = scry__alloc((size_t)result->followed_count, each * sizeof *values);
    if (!values) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < result->followed_count; i++) {
        const scry_odds *odds = odds_of(&result->followed[i], which);
        for (size_t j = 0; j < each; j++)
            values[(size_t)i * each + j] = *(const float *)((const char *)&odds[j] + offset);
    }
    scry_status status = scry__npz_add(npz, name, SCRY__NPY_F32, 1 + (int)which, shape, values);
    scry__free(values);
    return status;
}

static scry_status add_followed(scry__npz *npz, const scry_steering *result)
{
    static const struct {
        const char *name;
        enum odds   which;
        size_t      offset;
    } arrays[] = {
        {"plain_logit", PLAIN, offsetof(scry_odds, logit)},
        {"plain_probability", PLAIN, offsetof(scry_odds, probability)},
        {"logit", STEERED, offsetof(scry_odds, logit)},
        {"probability", STEERED, offsetof(scry_odds, probability)},
        {"random_logit", RANDOM, offsetof(scry_odds, logit)},
        {"random_probability", RANDOM, offsetof(scry_odds, probability)},
    };
    const int64_t count  = result->followed_count;
    int32_t      *ids    = scry__alloc((size_t)count, sizeof *ids);
    const char  **texts  = scry__alloc((size_t)count, sizeof *texts);
    scry_status   status = ids && texts ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count && !status; i++) {
        ids[i]   = result->followed[i].id;
        texts[i] = result->followed[i].text;
    }
    if (!status) status = scry__npz_add(npz, "followed", SCRY__NPY_I32, 1, &count, ids);
    if (!status) status = scry__npz_add_texts(npz, "followed_texts", texts, (int)count);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays && !status; i++)
        status = add_odds(npz, arrays[i].name, result, arrays[i].which, arrays[i].offset);
    scry__free(texts);
    scry__free(ids);
    return status;
}

/* One number of each run. */
static scry_status add_runs(scry__npz *npz, const char *name, const scry_steering *result, size_t offset)
{
    const int64_t count  = result->count;
    float        *values = scry__alloc((size_t)count, sizeof *values);
    if (!values) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count; i++) values[i] = *(const float *)((const char *)&result->runs[i] + offset);
    scry_status status = scry__npz_add(npz, name, SCRY__NPY_F32, 1, &count, values);
    scry__free(values);
    return status;
}

static scry_status write_arrays(const struct steer *steer)
{
    const scry_steering *result = steer->result;
    const int64_t        size = result->size, shape[] = {result->count, result->random_count};
    scry__npz           *npz    = NULL;
    scry_status          status = scry__npz_open(&npz, steer->output);
    if (!status) status = add_runs(npz, "strength", result, offsetof(scry_steered, strength));
    if (!status) status = add_runs(npz, "kl", result, offsetof(scry_steered, kl));
    if (!status && result->random_kls)
        status = scry__npz_add(npz, "random_kl", SCRY__NPY_F32, 2, shape, result->random_kls);
    if (!status) status = add_followed(npz, result);
    if (!status) status = scry__npz_add(npz, "vector", SCRY__NPY_F32, 1, &size, result->vector);
    if (!status) status = cli_add_tokens(npz, result->plain->prompt);
    if (!status) return scry__npz_commit(&npz);
    scry__npz_abort(&npz);
    return status;
}

/* --- the picture --- */

static scry_status draw(const struct steer *steer, const char *text)
{
    const scry_tokens *prompt = steer->result->plain->prompt;
    scry__text         title = {0}, about = {0};
    scry__text_adds(&title, "Steering: ");
    for (int i = 0; i < (text ? 1 : prompt->count); i++) scry__label_prose(&title, text ? text : prompt->texts[i]);
    steer_describe(&about, steer);
    cli_add_edits(&about, "\n", &steer->common, "");
    scry_status status = title.status ? title.status : about.status;
    if (!status) status = scry__steering_picture_write(steer->output, steer->result, title.data, about.data);
    scry__text_finish(&about);
    scry__text_finish(&title);
    return status;
}

scry_status steer_write(const struct steer *steer, const char *text, const json_t *object)
{
    const char *suffix = strrchr(steer->output, '.');
    scry_status status;
    if (!strcmp(suffix, ".json"))
        status = cli_write_json(steer->output, object);
    else
        status = !strcmp(suffix, ".npz") ? write_arrays(steer) : draw(steer, text);
    if (!status && !steer->common.quiet)
        fprintf(stderr, "scry: %d strengths and %d tokens in %s\n", steer->result->count, steer->result->followed_count,
                steer->output);
    return status;
}
