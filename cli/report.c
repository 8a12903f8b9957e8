/* scry report: every analysis of a prompt in one offline HTML file. */
#include "cli/command.h"
#include "cli/output.h"
#include "cli/page.h"
#include "cli/pair.h"
#include "cli/report_collect.h"

#include "report/html.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct report {
    struct cli_common  common;
    const char        *output, *title, *method;
    struct report_data data;
};

/* Would a page show the text as it is? */
static bool is_plain(const char *text)
{
    scry__text shown = {0};
    scry__label_prose(&shown, text);
    bool plain = !shown.status && !strpbrk(text, "\n\t") && !strcmp(shown.data ? shown.data : "", text);
    scry__text_finish(&shown);
    return plain;
}

/* " 'text'", so that a shell takes it as one word; " $'\x1b...'" where that could not be shown. */
static void add_word(scry__text *out, const char *text)
{
    bool plain = is_plain(text);
    scry__text_adds(out, plain ? " '" : " $'");
    for (; *text; text++) {
        if (!plain && (*text < ' ' || *text > '~'))
            scry__text_addf(out, "\\x%02x", (unsigned char)*text);
        else if (plain && *text == '\'')
            scry__text_adds(out, "'\\''");
        else
            scry__text_addf(out, "%s%c", !plain && strchr("'\\", *text) ? "\\" : "", *text);
    }
    scry__text_adds(out, "'");
}

static void add_option(scry__text *out, const char *name, const char *value)
{
    if (value) scry__text_addf(out, " --%s", name);
    if (value) add_word(out, value);
}

static void add_token_option(scry__text *out, const char *name, const scry_token_choice *token)
{
    add_option(out, name, token->text);
    if (token->has_id) scry__text_addf(out, " --%s-id %d", name, token->id);
}

/* What gives this page again, but for the path of its file. */
static scry_status add_command(scry__text *out, const struct report *report, const char *text)
{
    scry__text_addf(out, "scry report -n %d%s", report->data.tokens, report->data.quick ? " --quick" : "");
    add_option(out, "model", report->common.model_path);
    if (report->common.random_init.given)
        scry__text_addf(out, " --random-init %llu", (unsigned long long)report->common.random_init.value);
    scry__text_addf(out, " --device %s", scry_device_get_info(report->common.opened_device)->name);
    add_option(out, "title", report->title);
    add_option(out, "context", report->data.context);
    add_option(out, "corrupt", report->data.corrupt);
    add_option(out, "corrupt-ids", report->data.corrupt_ids);
    add_token_option(out, "answer", &report->data.answer);
    add_token_option(out, "wrong", &report->data.wrong);
    if (report->data.align) scry__text_adds(out, " --align");
    add_option(out, "method", report->method);
    scry__text_adds(out, text ? " --" : " --ids");
    add_word(out, text ? text : report->common.ids_text);
    return out->status;
}

static scry_status write_page(const struct report *report, const char *text)
{
    const scry_lens    *lens    = report->data.lens;
    scry__text          command = {0};
    scry_status         status  = add_command(&command, report, text);
    struct scry__report page    = {
           .title           = report->title,
           .prompt          = text,
           .tokens          = lens->tokens,
           .command         = command.data,
           .attention       = report->data.attention,
           .neurons         = report->data.neurons,
           .lens            = lens,
           .heads           = report->data.heads,
           .candidate_count = lens->top_count,
           .candidates      = scry_lens_at(lens, lens->layer_count - 1, lens->token_count - 1)->top,
           .continuation    = report->data.generation ? report->data.generation->text : NULL,
           .part_count      = report->data.part_count,
           .parts           = report->data.parts,
    };
    char date[CLI_DATE_SIZE];
    cli_page_origin(&page, report->common.model, date);
    if (!status) status = scry__html_write(report->output, &page);
    scry__text_finish(&command);
    return status;
}

/* The first layer of the lens from which on the final answer leads at the last position. */
static int settled_layer(const scry_lens *lens)
{
    int last = lens->layer_count - 1, position = lens->token_count - 1, layer = last;
    int answer = scry_lens_at(lens, last, position)->top->id;
    while (layer > 0 && scry_lens_at(lens, layer - 1, position)->top->id == answer) layer--;
    return layer;
}

/* The head that is surest in a score, beside what uniform attention gives. */
static void add_surest(scry__text *out, const scry_heads *heads, scry_head_score_kind kind)
{
    const scry_head *head = scry_heads_surest(heads, kind);
    if (!head) return;
    const scry_head_score *score = &head->scores[kind];
    scry__text_addf(out, "  %-16s head %d.%d at %.2f (uniform attention: %.2f; certainty: %s)\n",
                    scry_head_score_name(kind), head->layer, head->head, (double)score->value, (double)score->uniform,
                    scry_certainty_name(score->certainty));
}

/* The next token's candidates, and since which layer the first of them leads. */
static void add_prediction(scry__text *out, const scry_lens *lens)
{
    const scry_lens_cell *cell  = scry_lens_at(lens, lens->layer_count - 1, lens->token_count - 1);
    int                   layer = settled_layer(lens), shown = lens->top_count < 5 ? lens->top_count : 5;
    char                  from[32] = "the embedding";
    if (!isfinite(cell->lse)) {
        scry__text_adds(out, "Next token unknown: the logits are not finite\n");
        return;
    }
    scry__text_adds(out, "Next token");
    for (int i = 0; i < shown; i++)
        scry__text_addf(out, "%s \"%s\" %.3f", i ? "," : "", cell->top[i].text, (double)cell->top[i].probability);
    if (layer) snprintf(from, sizeof from, "layer %d of %d", layer, lens->layer_count - 1);
    scry__text_addf(out, "\nLens       \"%s\" leads from %s on\n", cell->top->text, from);
}

static scry_status print_summary(const struct report *report)
{
    const scry_lens       *lens = report->data.lens;
    const scry_model_info *info = scry_model_get_info(report->common.model);
    scry__text             out  = {0};
    scry__text_addf(&out, "Model      %s: %s, %d layers x %d heads, %.1f M parameters, on %s\n",
                    cli_base_name(info->path), info->family, info->layer_count, info->head_count,
                    (double)info->parameter_count * 1e-6, scry_device_get_info(report->common.opened_device)->name);
    add_prediction(&out, lens);
    scry__text_adds(&out, "Attention\n");
    add_surest(&out, report->data.heads, SCRY_HEAD_PREVIOUS);
    add_surest(&out, report->data.heads, SCRY_HEAD_FIRST);
    add_surest(&out, report->data.heads, SCRY_HEAD_SELF);
    add_surest(&out, report->data.heads, SCRY_HEAD_INDUCTION);
    if (report->data.generation && *report->data.generation->text) {
        scry__text_adds(&out, "Goes on    ");
        scry__label_prose(&out, report->data.generation->text);
        scry__text_adds(&out, "\n");
    } else if (report->data.generation)
        scry__text_addf(&out, "Ends here  %s\n", report->data.generation->stop_reason);
    scry__text_addf(&out, "Report     %s\n", report->output);
    return cli_print(&out);
}

static scry_status check(struct report *report)
{
    struct report_data *data   = &report->data;
    scry_status         status = cli_check_suffix(report->output, ".html .htm");
    if (!status) status = cli_check_token(&data->answer, "answer");
    if (!status) status = cli_check_token(&data->wrong, "wrong");
    if (!status) status = cli_pair_method(&data->method, report->method);
    if (status) return status;
    bool tokens = data->answer.text || data->answer.has_id || data->wrong.text || data->wrong.has_id;
    if (data->corrupt && data->corrupt_ids)
        return cli_bad("--corrupt and --corrupt-ids were given together: expected one of them");
    if (!data->corrupt && !data->corrupt_ids && (tokens || data->align || report->method))
        return cli_bad("--answer, --wrong, --align and --method say how another prompt is patched: expected --corrupt "
                       "too");
    return SCRY_OK;
}

static scry_status make(void *state, const char *text)
{
    struct report *report = state;
    scry_status    status = check(report);
    if (!status) status = cli_open(&report->common, text);
    report->data.common = &report->common;
    report->data.text   = text;
    if (!status) status = report_collect(&report->data);
    if (!status) status = write_page(report, text);
    if (!status && report->common.json) {
        json_t           *object = NULL;
        scry__json_source source = cli_source(&report->common);
        status                   = scry__json_lens(&object, report->data.lens, &source);
        if (!status) {
            json_object_set_new(object, "schema", json_string("scry.report/1"));
            json_object_set_new(object, "output", json_string(report->output));
            status = cli_print_json(object);
        }
    } else if (!status && !report->common.quiet) {
        status = print_summary(report);
    }
    if (!status) cli_note_fallbacks(&report->common);
    report_release(&report->data);
    return status;
}

int cli_report(int argc, char **argv)
{
    struct report report = {.output = "scry-report.html", .data.tokens = 8, .data.answer.id = -1, .data.wrong.id = -1};
    const struct cli_option options[] = {
        {'o', "output", CLI_STRING, &report.output, "F.html", "the file to write (scry-report.html)", 0, 0},
        {0, "title", CLI_STRING, &report.title, "TEXT", "of the page (the prompt)", 0, 0},
        {'n', "tokens", CLI_INT, &report.data.tokens, "N", "tokens of continuation shown (8)", 0, 100000},
        {0, "tuned", CLI_STRING, &report.data.tuned, "FILE", "read layers through this tuned lens, of scry tune-lens",
         0, 0},
        {'c', "context", CLI_STRING, &report.data.context, "PART", "of TEXT, that the prediction is to rest on", 0, 0},
        {0, "corrupt", CLI_STRING, &report.data.corrupt, "TEXT",
         "another prompt: what of TEXT's run, put into its run, restores TEXT's answer (see scry patch)", 0, 0},
        {0, "corrupt-ids", CLI_STRING, &report.data.corrupt_ids, "5,9,3", "the same by token ids", 0, 0},
        {'a', "answer", CLI_STRING, &report.data.answer.text, "TOKEN", "TEXT's next token (its likeliest)", 0, 0},
        {0, "answer-id", CLI_INT, &report.data.answer.id, "ID", "the same, by id", 0, 1e9},
        {'w', "wrong", CLI_STRING, &report.data.wrong.text, "TOKEN", "the other prompt's (its likeliest)", 0, 0},
        {0, "wrong-id", CLI_INT, &report.data.wrong.id, "ID", "the same, by id", 0, 1e9},
        {0, "align", CLI_FLAG, &report.data.align, NULL, "match prompts of unequal length, as scry patch does", 0, 0},
        CLI_METHOD_OPTION(report.method),
        {0, "quick", CLI_FLAG, &report.data.quick, NULL, "leave out what takes many passes", 0, 0},
        CLI_MODEL_OPTIONS(report.common),
        CLI_COMMON_OPTIONS(report.common),
    };
    const struct cli_syntax syntax = {
        .usage = "scry report [options] TEXT",
        .about =
            "Writes one HTML file that opens offline, with every analysis of the prompt: attention of every head in "
            "several\n"
            "views, queries and keys, the lens, what the prediction drew on, the head atlas, how the model goes on, "
            "and\n"
            "diagnoses; with --corrupt, also what each activation makes of another prompt's prediction.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
        .most         = 1,
    };
    return cli_main(&syntax, &report.common, argc, argv, make, &report);
}
