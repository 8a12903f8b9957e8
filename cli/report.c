/* scry report: attention, lens and next-token candidates in one offline HTML file. */
#include "cli/command.h"
#include "cli/output.h"

#include "analysis/heads.h"
#include "report/html.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { CANDIDATES = 10 };

struct report {
    struct cli_common       common;
    const char             *output, *title;
    int                     tokens; /* generated after the prompt */
    scry_lens              *lens;
    scry_generation        *generation;
    scry__report_attention *attention;
    struct cli_progress     progress;
};

static scry_status take_pattern(void *user, const scry_capture *capture)
{
    struct report *report = user;
    cli_progress_step(&report->progress, capture->layer + 1, scry_model_get_info(report->common.model)->layer_count);
    return scry__report_attention_add(report->attention, capture->layer, capture->data);
}

static scry_status collect(struct report *report, const char *text)
{
    const scry_model_info   *info = scry_model_get_info(report->common.model);
    const scry_lens_options  lens = {.ids = report->common.ids, .id_count = report->common.id_count, .top = CANDIDATES};
    const scry_trace_options options = {.ids      = report->common.ids,
                                        .id_count = report->common.id_count,
                                        .hooks    = "blocks.*.attn.hook_pattern",
                                        .sink     = take_pattern,
                                        .user     = report};
    scry_status              status  = scry_lens_run(&report->lens, report->common.model, text, &lens);
    scry_trace              *trace   = NULL;
    if (status) return status;
    int count = report->lens->token_count;
    status    = scry__report_attention_create(&report->attention, info->layer_count, info->head_count, count);
    cli_progress_start(&report->progress, &report->common, "layers");
    if (!status) status = scry_trace_run(&trace, report->common.model, text, &options);
    cli_progress_end(&report->progress);
    scry_trace_destroy(&trace); /* the patterns went to the sink */
    if (status || !report->tokens || count >= info->context) return status;
    const scry_generation_options generation = {
        .ids = report->common.ids, .id_count = report->common.id_count, .max_tokens = report->tokens, .top = 1};
    return scry_generate(&report->generation, report->common.model, text, &generation);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

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

/* What gives this page again, but for the path of its file. */
static scry_status add_command(scry__text *out, const struct report *report, const char *text)
{
    scry__text_addf(out, "scry report -n %d", report->tokens);
    if (report->common.model_path) scry__text_adds(out, " --model");
    if (report->common.model_path) add_word(out, report->common.model_path);
    scry__text_addf(out, " --device %s", scry_device_get_info(report->common.opened_device)->name);
    if (report->title) scry__text_adds(out, " --title");
    if (report->title) add_word(out, report->title);
    scry__text_adds(out, text ? " --" : " --ids");
    add_word(out, text ? text : report->common.ids_text);
    return out->status;
}

static scry_status write_page(const struct report *report, const char *text)
{
    const scry_model_info *info    = scry_model_get_info(report->common.model);
    const scry_lens       *lens    = report->lens;
    time_t                 now     = time(NULL);
    scry__text             command = {0};
    struct tm              utc;
    char                   date[32] = "";
    if (gmtime_r(&now, &utc)) strftime(date, sizeof date, "%Y-%m-%d", &utc);
    scry_status               status = add_command(&command, report, text);
    const struct scry__report page   = {
          .title           = report->title,
          .prompt          = text,
          .tokens          = lens->tokens,
          .model_name      = base_name(info->path),
          .model           = info,
          .device          = scry_device_get_info(report->common.opened_device),
          .fallbacks       = scry_device_fallbacks(report->common.opened_device),
          .command         = command.data,
          .date            = date,
          .attention       = report->attention,
          .lens            = lens,
          .candidate_count = lens->top_count,
          .candidates      = scry_lens_at(lens, lens->layer_count - 1, lens->token_count - 1)->top,
          .continuation    = report->generation ? report->generation->text : NULL,
    };
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

/* The head with the highest of one score, given by its place in struct scry__head_scores, beside its null. */
static void add_leader(scry__text *out, const struct report *report, const char *what, size_t offset)
{
    const scry_model_info  *info = scry_model_get_info(report->common.model);
    const scry__head_scores null = scry__head_scores_uniform(report->lens->token_count);
    int                     best = 0;
    float                   most = -1, even, score;
    for (int i = 0; i < info->layer_count * info->head_count; i++) {
        int layer = i / info->head_count, head = i % info->head_count;
        memcpy(&score, (const char *)scry__report_attention_scores(report->attention, layer, head) + offset,
               sizeof score);
        if (!(score > most)) continue; /* NaN leads nothing */
        most = score;
        best = i;
    }
    if (most < 0) {
        scry__text_addf(out, "  %-16s no finite score\n", what);
        return;
    }
    memcpy(&even, (const char *)&null + offset, sizeof even);
    scry__text_addf(out, "  %-16s head %d.%d at %.2f (uniform attention: %.2f)\n", what, best / info->head_count,
                    best % info->head_count, (double)most, (double)even);
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
    const scry_lens       *lens = report->lens;
    const scry_model_info *info = scry_model_get_info(report->common.model);
    scry__text             out  = {0};
    scry__text_addf(&out, "Model      %s: %s, %d layers x %d heads, %.1f M parameters, on %s\n", base_name(info->path),
                    info->family, info->layer_count, info->head_count, (double)info->parameter_count * 1e-6,
                    scry_device_get_info(report->common.opened_device)->name);
    add_prediction(&out, lens);
    scry__text_adds(&out, "Attention\n");
    add_leader(&out, report, "previous token", offsetof(scry__head_scores, previous));
    add_leader(&out, report, "first token", offsetof(scry__head_scores, first));
    add_leader(&out, report, "the token itself", offsetof(scry__head_scores, self));
    if (report->generation && *report->generation->text) {
        scry__text_adds(&out, "Goes on    ");
        scry__label_prose(&out, report->generation->text);
        scry__text_adds(&out, "\n");
    } else if (report->generation)
        scry__text_addf(&out, "Ends here  %s\n", report->generation->stop_reason);
    scry__text_addf(&out, "Report     %s\n", report->output);
    return cli_print(&out);
}

static scry_status make(void *state, const char *text)
{
    struct report *report = state;
    scry_status    status = cli_check_suffix(report->output, ".html .htm");
    if (!status) status = cli_open(&report->common, text);
    if (!status) status = collect(report, text);
    if (!status) status = write_page(report, text);
    if (!status && report->common.json) {
        json_t           *object = NULL;
        scry__json_source source = cli_source(&report->common);
        status                   = scry__json_lens(&object, report->lens, &source);
        if (!status) {
            json_object_set_new(object, "schema", json_string("scry.report/1"));
            json_object_set_new(object, "output", json_string(report->output));
            status = cli_print_json(object);
        }
    } else if (!status && !report->common.quiet) {
        status = print_summary(report);
    }
    if (!status) cli_note_fallbacks(&report->common);
    scry__report_attention_destroy(&report->attention);
    scry_generation_destroy(&report->generation);
    scry_lens_destroy(&report->lens);
    return status;
}

int cli_report(int argc, char **argv)
{
    struct report           report    = {.output = "scry-report.html", .tokens = 8};
    const struct cli_option options[] = {
        {'o', "output", CLI_STRING, &report.output, "F.html", "the file to write (scry-report.html)", 0, 0},
        {0, "title", CLI_STRING, &report.title, "TEXT", "of the page (the prompt)", 0, 0},
        {'n', "tokens", CLI_INT, &report.tokens, "N", "tokens of continuation shown (8)", 0, 100000},
        CLI_MODEL_OPTIONS(report.common),
        CLI_COMMON_OPTIONS(report.common),
    };
    const struct cli_syntax syntax = {
        .usage = "scry report [options] TEXT",
        .about = "Writes one HTML file that opens offline: the prompt, the attention of every head, the lens of every "
                 "layer\n"
                 "and position, and the next token's candidates.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
        .most         = 1,
    };
    return cli_main(&syntax, &report.common, argc, argv, make, &report);
}
