/* scry steer: continuations with a vector added to the residual stream, side by side by strength. */
#include "cli/steer.h"

#include "base/alloc.h"
#include "base/error.h"
#include "report/json_steering.h"
#include "report/npy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- options --- */

/* "0,2,4,8" */
static scry_status parse_strengths(struct steer *steer)
{
    steer->options.strengths = steer->strength_list ? steer->strengths : NULL;
    for (const char *at = steer->strength_list; at; at = *at == ',' ? at + 1 : NULL) {
        char *end;
        float value = strtof(at, &end);
        if (end == at || (*end && *end != ',') || !isfinite(value) || steer->options.strength_count == MOST_STRENGTHS)
            return cli_bad("--strength \"%s\": expected up to %d numbers such as 0,2,-4; wrong at \"%s\"",
                           steer->strength_list, MOST_STRENGTHS, at);
        steer->strengths[steer->options.strength_count++] = value;
        at                                                = end;
    }
    return SCRY_OK;
}

/* The number of a word among `count` names; *out stays where there is none. */
static scry_status parse_word(int *out, const char *option, const char *word, const char *(*name)(int), int count)
{
    char   all[128] = "";
    size_t used     = 0;
    if (!word) return SCRY_OK;
    for (int i = 0; i < count; i++) {
        if (!strcmp(word, name(i))) {
            *out = i;
            return SCRY_OK;
        }
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", name(i));
    }
    return cli_bad("--%s \"%s\": expected one of %s", option, word, all);
}

static const char *site_name(int i)
{
    return scry_steer_site_text((scry_steer_site)i);
}

static const char *pool_name(int i)
{
    return scry_steer_pool_text((scry_steer_pool)i);
}

/* A word, or "A:B", or "A:" for from A on. */
static scry_status parse_positions(struct steer *steer)
{
    const char *text = steer->positions;
    char       *end;
    if (!text) return SCRY_OK;
    for (int i = 0; i < SCRY_STEER_REACH_RANGE; i++)
        if (!strcmp(text, scry_steer_reach_text((scry_steer_reach)i))) {
            steer->options.reach = (scry_steer_reach)i;
            return SCRY_OK;
        }
    long begin = strtol(text, &end, 10), last = 0;
    bool good = *text >= '0' && *text <= '9' && *end == ':' && begin < 1000000000;
    if (good && end[1]) {
        text = end + 1;
        last = strtol(text, &end, 10);
        good = *text >= '0' && *text <= '9' && !*end && last > begin && last < 1000000000;
    }
    if (!good)
        return cli_bad("--positions \"%s\": expected all, prompt, last, generated, A:B with A < B, or A:",
                       steer->positions);
    steer->options.reach     = SCRY_STEER_REACH_RANGE;
    steer->options.positions = (scry_range){(int)begin, (int)last};
    return SCRY_OK;
}

static scry_status check(struct steer *steer)
{
    int         plus = steer->plus.count + steer->plus_ids.count, minus = steer->minus.count + steer->minus_ids.count;
    int         site = 0, pool = 0;
    scry_status status = parse_strengths(steer);
    if (!status) status = parse_word(&site, "at", steer->site, site_name, SCRY_STEER_SITE_COUNT);
    if (!status) status = parse_word(&pool, "pool", steer->pool, pool_name, SCRY_STEER_POOL_COUNT);
    if (!status) status = parse_positions(steer);
    steer->options.site = (scry_steer_site)site;
    steer->options.pool = (scry_steer_pool)pool;
    if (status) return status;
    if (steer->vector_path && (plus || minus))
        return cli_bad("--vector was given with prompts: expected either a vector or --plus and --minus");
    if (!steer->vector_path && (!plus || !minus))
        return cli_bad("nothing to steer by: expected --plus and --minus, or --vector");
    status = cli_check_suffix(steer->save, ".npy");
    return status ? status : cli_check_suffix(steer->output, ".png .svg .pdf .npz .json");
}

/* --- the vector --- */

/* `option` is that of the ids. */
static scry_status add_prompts(struct steer *steer, const struct cli_list *texts, const struct cli_list *ids,
                               const char *option)
{
    scry_status status = SCRY_OK;
    for (int i = 0; i < texts->count; i++)
        steer->prompts[steer->prompt_count++] = (scry_steer_prompt){.text = texts->items[i]};
    for (int i = 0; i < ids->count && !status; i++) {
        scry_steer_prompt *prompt  = &steer->prompts[steer->prompt_count];
        int32_t           *numbers = NULL;
        status                     = cli_parse_ids(option, ids->items[i], &numbers, &prompt->id_count);
        prompt->ids                = numbers;
        steer->prompt_count += !status;
    }
    return status;
}

static scry_status take_prompts(struct steer *steer)
{
    scry_steer_options *options = &steer->options;
    options->plus_count         = steer->plus.count + steer->plus_ids.count;
    options->minus_count        = steer->minus.count + steer->minus_ids.count;
    steer->prompts = scry__alloc((size_t)options->plus_count + (size_t)options->minus_count, sizeof *steer->prompts);
    if (!steer->prompts) return SCRY_OUT_OF_MEMORY;
    scry_status status = add_prompts(steer, &steer->plus, &steer->plus_ids, "plus-ids");
    if (!status) status = add_prompts(steer, &steer->minus, &steer->minus_ids, "minus-ids");
    options->plus  = steer->prompts;
    options->minus = steer->prompts + options->plus_count;
    return status;
}

/* A file is read as that of an edit which adds it. */
static scry_status read_vector(struct steer *steer)
{
    scry__text  edit = {0};
    char       *text = NULL;
    scry_status status;
    if (!steer->vector_path) return take_prompts(steer);
    scry__text_addf(&edit, "blocks.%d.hook_%s=add:%s", steer->options.layer, site_name((int)steer->options.site),
                    steer->vector_path);
    status = scry__text_take(&edit, &text, NULL);
    if (!status) status = scry_edits_parse(&steer->vector, steer->common.model, (const char *const *)&text, 1);
    scry__free(text);
    if (status) return status;
    const scry_edit_values *values = &steer->vector->edits[0].values;
    int                     size   = scry_model_get_info(steer->common.model)->hidden_size;
    if (values->rows != 1 || values->columns != size)
        return scry__fail(SCRY_BAD_INPUT, "%s: %d rows of %d numbers: expected one row of %d, the model's hidden size",
                          steer->vector_path, values->rows, values->columns, size);
    steer->options.vector = values->data;
    return SCRY_OK;
}

/* --- the command --- */

static bool report_progress(void *user, int64_t done, int64_t total)
{
    cli_progress_step(user, done, total);
    return true;
}

static scry_status run(struct steer *steer, const char *text)
{
    scry_steer_options *options = &steer->options;
    if (options->layer < 0) options->layer = scry_model_get_info(steer->common.model)->layer_count / 2;
    scry_status status = read_vector(steer);
    if (status) return status;
    options->ids                  = steer->common.ids;
    options->id_count             = steer->common.id_count;
    steer->generation.edits       = steer->common.edits;
    steer->generation.temperature = (float)steer->temperature;
    options->generation           = &steer->generation;
    options->seed                 = steer->generation.seed;
    options->progress             = report_progress;
    options->user                 = &steer->progress;
    cli_progress_start(&steer->progress, &steer->common, "steering");
    status = scry_steer(&steer->result, steer->common.model, text, options);
    cli_progress_end(&steer->progress);
    return status;
}

static scry_status save_vector(const struct steer *steer)
{
    const scry_steering *result = steer->result;
    scry_status          status = scry__npy_write_f32(steer->save, 1, (int64_t[]){result->size}, result->vector);
    if (!status && !steer->common.quiet) fprintf(stderr, "scry: the vector is in %s\n", steer->save);
    return status;
}

static scry_status put_result(const struct steer *steer, const char *text)
{
    json_t           *object = NULL;
    scry__json_source source = cli_source(&steer->common);
    if (!steer->output && !steer->common.json) return steer_print(steer, text);
    scry_status status = scry__json_steering(&object, steer->result, &source);
    if (!status && steer->output) status = steer_write(steer, text, object);
    if (!status && steer->common.json) return cli_print_json(object);
    json_decref(object);
    return status;
}

static scry_status show(void *state, const char *text)
{
    struct steer *steer  = state;
    scry_status   status = check(steer);
    if (!status) status = cli_open(&steer->common, text);
    if (!status) status = run(steer, text);
    if (!status && steer->save) status = save_vector(steer);
    if (!status) status = put_result(steer, text);
    if (!status) cli_note_fallbacks(&steer->common);
    scry_steering_destroy(&steer->result);
    scry_edits_destroy(&steer->vector);
    for (int i = 0; i < steer->prompt_count; i++) scry_free((void *)steer->prompts[i].ids);
    scry__free(steer->prompts);
    return status;
}

int cli_steer(int argc, char **argv)
{
    struct steer            steer     = {.options = {.layer = -1, .top = 3}, .generation = {.max_tokens = 20}};
    const struct cli_option options[] = {
        {'p', "plus", CLI_LIST, &steer.plus, "TEXT", "a prompt to steer to; may be repeated", 0, 0},
        {0, "minus", CLI_LIST, &steer.minus, "TEXT", "a prompt to steer away from; may be repeated", 0, 0},
        {0, "plus-ids", CLI_LIST, &steer.plus_ids, "5,17,3", "the same by token ids", 0, 0},
        {0, "minus-ids", CLI_LIST, &steer.minus_ids, "5,17,3", "the same by token ids", 0, 0},
        {0, "vector", CLI_STRING, &steer.vector_path, "FILE", "an .npy (or .npz) with the vector instead", 0, 0},
        {'l', "layer", CLI_INT, &steer.options.layer, "N", "the layer (the middle one)", 0, 1e9},
        {0, "at", CLI_STRING, &steer.site, "HOOK", "resid_post or resid_pre of the layer (resid_post)", 0, 0},
        {0, "pool", CLI_STRING, &steer.pool, "HOW", "of a prompt, its last position or the mean over all (last)", 0, 0},
        {0, "strength", CLI_STRING, &steer.strength_list, "X,Y,..", "times the vector (1,2,4)", 0, 0},
        {0, "normalise", CLI_FLAG, &steer.options.normalise, NULL,
         "make the vector as long as the stream is there, at the prompt's last position", 0, 0},
        {0, "positions", CLI_STRING, &steer.positions, "WHERE",
         "all, prompt, last, generated, A:B, or A: for A and behind (all)", 0, 0},
        {0, "save", CLI_STRING, &steer.save, "F.npy", "write the vector as strength 1 adds it", 0, 0},
        {'o', "output", CLI_STRING, &steer.output, "FILE",
         "by strength, a picture (.png, .svg or .pdf), or all numbers (.npz or .json), instead of the terminal", 0, 0},
        {'n', "tokens", CLI_INT, &steer.generation.max_tokens, "N", "tokens to generate (20)", 1, 1000000},
        {'k', "top", CLI_INT, &steer.options.top, "K", "tokens shown that rise, and that fall (3)", 1, SCRY_MAX_TOP},
        {'t', "temperature", CLI_REAL, &steer.temperature, "X", "0 takes the most likely token (0)", 0, 100},
        {'s', "seed", CLI_SEED, &steer.generation.seed, "N", "of the sampling and of random vectors (0)", 0, 0},
        {0, "ignore-end", CLI_FLAG, &steer.generation.ignore_end, NULL, "go on past the end-of-text token", 0, 0},
        CLI_EDIT_OPTION(steer.common),
        CLI_MODEL_OPTIONS(steer.common),
        CLI_COMMON_OPTIONS(steer.common),
    };
    const struct cli_syntax syntax = {
        .usage   = "scry steer [options] --plus TEXT --minus TEXT TEXT   or   --vector FILE TEXT",
        .about   = "Continues a prompt with a vector added to the residual stream at one layer, at several strengths, "
                   "and without.\n"
                   "The vector is what the stream holds there at the end of one prompt, less what it holds at the end "
                   "of another;\n"
                   "of several prompts, their mean. Shown are the continuations, how far the next token's distribution "
                   "moves\n"
                   "(KL), beside the mean over four random vectors of the same length, and which tokens rise and fall.",
        .options = options,
        .option_count = sizeof options / sizeof *options,
        .most         = 1,
    };
    return cli_main(&syntax, &steer.common, argc, argv, show, &steer);
}
