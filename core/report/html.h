/* One offline HTML file: prompt, attention of every head, lens, next-token candidates.
 *
 * The file refers to nothing outside itself; a content security policy forbids it. The same report gives the same
 * bytes. */
#ifndef SCRY_REPORT_HTML_H
#define SCRY_REPORT_HTML_H

#include "scry/heads.h"
#include "scry/lens.h"
#include "scry/trace.h"

#include <jansson.h>

/* Attention patterns of all heads, reduced to what a page can hold as they arrive: one layer at a time.
 *
 * A pattern is kept as codes c with weight = (c / levels)^2, so that small weights keep their digits; lower triangle
 * only. The more weights there are, the fewer levels (65,535, 255 or 31); where even these would take more than a few
 * MB, blocks of positions are reduced to their largest weight. The page says so. */
typedef struct scry__report_attention scry__report_attention;

/* `runs`: how many of these the page is to hold. */
scry_status scry__report_attention_create(scry__report_attention **out, int layer_count, int head_count,
                                          int token_count, int runs);
/* pattern [head_count, token_count, token_count], f32, rows are queries; the caller keeps it. Each layer once. */
scry_status scry__report_attention_add(scry__report_attention *attention, int layer, const float *pattern);
void        scry__report_attention_destroy(scry__report_attention **attention);

/* Queries and keys, taken from the same trace. */
typedef struct scry__report_neurons scry__report_neurons;

/* The hooks of a trace that take wants, besides hook_pattern; NULL for a model that does not offer what attention
 * reads. */
const char *scry__report_neurons_hooks(const scry_model *model);
scry_status scry__report_neurons_create(scry__report_neurons **out, const scry_model *model, int token_count);
/* Each layer's captures in the order in which a trace hands them out, its pattern added to `attention` before its lse.
 */
scry_status scry__report_neurons_take(scry__report_neurons *neurons, const scry__report_attention *attention,
                                      const scry_capture *capture);
void        scry__report_neurons_destroy(scry__report_neurons **neurons);

/* A result that the page shows, as --json prints it. */
struct scry__report_part {
    const char *key; /* as in docs/json.md, scry.page/1 */
    json_t     *object;
};

/* What the page shows. Everything belongs to the caller; what is NULL (or 0) is left out. */
struct scry__report {
    const char                     *title;  /* NULL: the prompt */
    const char                     *prompt; /* as given; NULL: it was given as ids */
    const scry_tokens              *tokens; /* NULL: the page is of many prompts, and has a title */
    const char                     *model_name;
    const scry_model_info          *model;
    const scry_device_info         *device;
    uint64_t                        fallbacks;
    const char                     *command; /* the command line that made the report */
    const char                     *date;
    const scry__report_attention   *attention;
    const scry__report_neurons     *neurons;
    const scry_lens                *lens;
    const scry_heads               *heads; /* for the summary; the page shows it as a part */
    int                             candidate_count;
    const scry_candidate           *candidates;   /* of the next token, largest first */
    const char                     *continuation; /* generated text that follows the prompt; "": none came */
    int                             part_count;
    const struct scry__report_part *parts;
};

/* Writes the file, whole or not at all. */
scry_status scry__html_write(const char *path, const struct scry__report *report);

#endif
