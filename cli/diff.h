/* Between diff.c (what is compared) and diff_show.c (how it is shown). */
#ifndef SCRY_CLI_DIFF_H
#define SCRY_CLI_DIFF_H

#include "cli/command.h"

enum { DIFF_MOST_SIDES = 256 };

struct diff {
    struct cli_common    common;
    scry_compare_options options;
    const char          *text, *output, *layers, *heads;
    bool                 prompts;
    const char          *arguments[DIFF_MOST_SIDES];
    int                  count; /* of arguments */
    int                  shown; /* heads and places in the terminal */
    /* Filled on the way: */
    char              twin_name[320];
    scry_model       *other;  /* the second side's, where that is not common.model */
    scry_tokens      *tokens; /* the prompt that all models get; NULL: two prompts, or two files */
    scry_compare_side sides[2];
    scry_compare     *result;
    scry_series      *series; /* NULL: two sides */
};

scry_status diff_print_tables(const struct diff *diff);

/* The signed differences of the chosen heads as a picture. */
scry_status diff_draw(const struct diff *diff);

#endif
