/* Between steer.c (options, the vector, the runs), steer_show.c (tables) and steer_write.c (files). */
#ifndef SCRY_CLI_STEER_H
#define SCRY_CLI_STEER_H

#include "cli/command.h"
#include "cli/output.h"

#include "scry/steer.h"

enum { MOST_STRENGTHS = 8 };

struct steer {
    struct cli_common       common;
    scry_steer_options      options;
    scry_generation_options generation;
    struct cli_list         plus, minus, plus_ids, minus_ids; /* texts as given */
    const char             *vector_path, *save, *output, *strength_list, *site, *pool, *positions;
    double                  temperature;
    float                   strengths[MOST_STRENGTHS];
    struct cli_progress     progress;
    /* What is to be released: */
    scry_steer_prompt *prompts;
    int                prompt_count;
    scry_edits        *vector;
    scry_steering     *result;
};

/* `"A" less "B"`, its length, and where it is added; no line's end. */
void steer_describe(scry__text *out, const struct steer *steer);

scry_status steer_print(const struct steer *steer, const char *text);
/* To --output; `object` is the result as JSON. */
scry_status steer_write(const struct steer *steer, const char *text, const json_t *object);

#endif
