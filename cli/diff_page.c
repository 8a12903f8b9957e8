/* A comparison as an HTML page. See diff.h. */
#include "cli/diff.h"
#include "cli/output.h"
#include "cli/page.h"

#include "base/alloc.h"
#include "report/html_comparison.h"

#include <stdio.h>
#include <string.h>

/* The last side's place in the order of the series. */
static int last_side(const struct diff *diff)
{
    return diff->count > 2 ? diff->count - 1 : 1;
}

/* A page shows whole triangles of consecutive layers. */
static scry_status create_attention(struct diff *diff, const scry_compare *compare)
{
    int last = compare->layers[compare->layer_count - 1];
    if (compare->query_count != compare->key_count || last + 1 != compare->layer_count)
        return cli_bad(
            "-o %s: a page needs whole patterns of every layer from 0 on: found %d x %d weights of %d layers "
            "up to %d",
            diff->output, compare->query_count, compare->key_count, compare->layer_count, last);
    scry_status status = SCRY_OK;
    for (int i = 0; i <= last_side(diff) && !status; i++)
        status = scry__report_attention_create(&diff->attention[i], compare->layer_count, compare->head_count,
                                               compare->query_count, last_side(diff) + 1);
    return status;
}

scry_status diff_take_layer(void *user, const scry_compare *compare, int layer, const float *a, const float *b)
{
    struct diff *diff   = user;
    scry_status  status = diff->attention[0] ? SCRY_OK : create_attention(diff, compare);
    if (!status) status = scry__report_attention_add(diff->attention[0], layer, a);
    if (!status) status = scry__report_attention_add(diff->attention[last_side(diff)], layer, b);
    return status;
}

static scry_status take_pattern(void *user, const scry_capture *capture)
{
    return scry__report_attention_add(user, capture->layer, capture->data);
}

scry_status diff_take_model(struct diff *diff, int index, scry_model *model)
{
    scry_trace *trace  = NULL;
    scry_status status = scry_trace_run(&trace, model, NULL,
                                        &(scry_trace_options){.ids      = diff->tokens->ids,
                                                              .id_count = diff->tokens->count,
                                                              .hooks    = "blocks.*.attn.hook_pattern",
                                                              .sink     = take_pattern,
                                                              .user     = diff->attention[index]});
    scry_trace_destroy(&trace); /* the patterns went to the sink */
    return status;
}

/* Side a's tokens as far as they were compared; where it has none, their numbers. */
static scry_status make_tokens(scry_tokens *tokens, const scry_compare *result)
{
    const scry_tokens *a = result->tokens[0];
    tokens->count        = result->key_count;
    tokens->ids          = scry__alloc((size_t)tokens->count, sizeof *tokens->ids);
    tokens->texts        = scry__alloc((size_t)tokens->count, sizeof *tokens->texts);
    if (!tokens->ids || !tokens->texts) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < tokens->count; i++) {
        char number[16];
        bool known = a && i < a->count;
        snprintf(number, sizeof number, "%d", i);
        tokens->ids[i]   = known ? a->ids[i] : i;
        tokens->texts[i] = scry__strdup(known ? a->texts[i] : number);
        if (!tokens->texts[i]) return SCRY_OUT_OF_MEMORY;
    }
    return SCRY_OK;
}

static void free_tokens(scry_tokens *tokens)
{
    for (int i = 0; tokens->texts && i < tokens->count; i++) scry__free(tokens->texts[i]);
    scry__free(tokens->texts);
    scry__free(tokens->ids);
}

static scry_status make_part(struct scry__report_part *part, const struct diff *diff, json_t *object)
{
    const char *names[DIFF_MOST_PAGE_SIDES];
    int         last = last_side(diff);
    for (int i = 0; i <= last; i++) names[i] = i && i < last ? diff->arguments[i] : diff->result->names[i ? 1 : 0];
    part->key = "comparison";
    return scry__html_comparison(&part->object, last + 1, names, diff->attention, object);
}

/* "A beside B", and how many stand between them. */
static scry_status name_page(scry__text *title, const struct diff *diff)
{
    char *const *names   = diff->result->names;
    int          between = last_side(diff) - 1;
    if (diff->prompts)
        scry__text_addf(title, "%s beside %s", names[0], names[1]);
    else
        scry__text_addf(title, "%s beside %s", cli_base_name(names[0]), cli_base_name(names[1]));
    if (between > 0) scry__text_addf(title, ", and %d between", between);
    return title->status;
}

scry_status diff_write_page(const struct diff *diff, json_t *object)
{
    scry_model              *model  = diff->sides[0].model;
    scry__text               title  = {0};
    scry_tokens              tokens = {0};
    scry_lens               *lens   = NULL;
    struct scry__report_part part   = {0};
    char                     date[CLI_DATE_SIZE];
    scry_status              status = make_tokens(&tokens, diff->result);
    if (!status && model)
        status = scry_lens_run(&lens, model, NULL,
                               &(scry_lens_options){.ids = tokens.ids, .id_count = tokens.count, .top = 10});
    if (!status) status = make_part(&part, diff, object);
    if (!status) status = name_page(&title, diff);
    struct scry__report page = {
        .title      = title.data,
        .prompt     = diff->prompts ? diff->arguments[0] : diff->text,
        .tokens     = &tokens,
        .model_name = cli_base_name(diff->result->names[0]),
        .attention  = diff->attention[0],
        .lens       = lens,
        .part_count = 1,
        .parts      = &part,
    };
    cli_page_origin(&page, model, date);
    if (!status) status = scry__html_write(diff->output, &page);
    json_decref(part.object);
    scry_lens_destroy(&lens);
    free_tokens(&tokens);
    scry__text_finish(&title);
    return status;
}

void diff_release_page(struct diff *diff)
{
    for (int i = 0; i < DIFF_MOST_PAGE_SIDES; i++) scry__report_attention_destroy(&diff->attention[i]);
}
