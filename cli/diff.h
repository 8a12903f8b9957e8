/* Between diff.c (what is compared) and what shows it: diff_show.c in the terminal, diff_picture.c, diff_page.c. */
#ifndef SCRY_CLI_DIFF_H
#define SCRY_CLI_DIFF_H

#include "cli/command.h"

#include "report/html.h"

enum { DIFF_MOST_SIDES = 256, DIFF_MOST_PAGE_SIDES = 16 };

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
    bool              page;   /* the output is a page: attention is kept of every side, in the order of the series */
    scry__report_attention *attention[DIFF_MOST_PAGE_SIDES];
};

/* All heads, those that differ most first; release with scry__free. NULL when memory is refused. */
const scry_compare_head **diff_rank_heads(const scry_compare *result);

scry_status diff_print_tables(const struct diff *diff);

/* The signed differences of the chosen heads as a picture. */
scry_status diff_draw(const struct diff *diff);

/* For a page: takes what is compared (a scry_compare_sink over a struct diff), and one checkpoint between the first and
 * the last. */
scry_status diff_take_layer(void *user, const scry_compare *compare, int layer, const float *a, const float *b);
scry_status diff_take_model(struct diff *diff, int index, scry_model *model);

/* The page: side a's views, and the comparison. `object` is what --json prints. */
scry_status diff_write_page(const struct diff *diff, json_t *object);
void        diff_release_page(struct diff *diff);

#endif
