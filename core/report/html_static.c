/* The parts of an HTML report that need no script. See html_static.h. */
#include "report/html_static.h"

#include "report/html_attention.h"
#include "report/label.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { title_ids = 24 }; /* a prompt given as ids is named by its first ones */

void scry__html_escape(scry__text *out, const char *text)
{
    scry__text prose = {0};
    scry__label_prose(&prose, text);
    if (prose.status) out->status = prose.status;
    for (const char *at = prose.data ? prose.data : ""; *at; at++) switch (*at) {
        case '<':
            scry__text_adds(out, "&lt;");
            break;
        case '>':
            scry__text_adds(out, "&gt;");
            break;
        case '&':
            scry__text_adds(out, "&amp;");
            break;
        case '"':
            scry__text_adds(out, "&quot;");
            break;
        case '\'':
            scry__text_adds(out, "&#39;");
            break;
        default:
            scry__text_add(out, at, 1);
        }
    scry__text_finish(&prose);
}

static void add_token(scry__text *out, const char *text)
{
    scry__text label = {0};
    scry__label_add(&label, text ? text : "");
    scry__text_adds(out, "<bdi class=\"token\">");
    scry__html_escape(out, label.data ? label.data : "");
    scry__text_adds(out, "</bdi>");
    scry__text_finish(&label);
}

/* "97.3 %", with two digits where it is small. */
static void add_percent(scry__text *out, double share)
{
    double value = 100 * share;
    if (!isfinite(value))
        scry__text_adds(out, "\xe2\x80\x93");
    else if (value >= 9.95)
        scry__text_addf(out, "%.1f %%", value);
    else if (value >= 0.0095)
        scry__text_addf(out, "%#.2g %%", value);
    else
        scry__text_adds(out, value > 0 ? "&lt; 0.01 %" : "0 %");
}

static void add_number(scry__text *out, double value)
{
    if (isfinite(value))
        scry__text_addf(out, "%.3f", value);
    else
        scry__text_adds(out, "\xe2\x80\x93");
}

void scry__html_title(scry__text *out, const struct scry__report *report)
{
    const char *given = report->title ? report->title : report->prompt;
    if (given) {
        scry__html_escape(out, given);
        return;
    }
    scry__text_adds(out, report->tokens->count == 1 ? "Token" : "Tokens");
    for (int i = 0; i < report->tokens->count && i < title_ids; i++)
        scry__text_addf(out, "%s %d", i ? "," : "", report->tokens->ids[i]);
    if (report->tokens->count > title_ids) scry__text_adds(out, ", \xe2\x80\xa6");
}

static void add_fact(scry__text *out, const char *name, const char *value)
{
    scry__text_addf(out, "<div><dt>%s</dt><dd>", name);
    scry__html_escape(out, value);
    scry__text_adds(out, "</dd></div>");
}

static void add_parameter_count(char out[48], int64_t count)
{
    if (count >= 1000000000)
        snprintf(out, 48, "%.3g billion parameters", (double)count / 1e9);
    else if (count >= 1000000)
        snprintf(out, 48, "%.3g million parameters", (double)count / 1e6);
    else
        snprintf(out, 48, "%lld parameters", (long long)count);
}

void scry__html_facts(scry__text *out, const struct scry__report *report)
{
    const scry_model_info *model = report->model;
    char                   text[512], parameters[48];
    scry__text_adds(out, "<dl class=\"facts\">");
    if (report->model_name) add_fact(out, "model", report->model_name);
    if (model) {
        add_parameter_count(parameters, model->parameter_count);
        snprintf(text, sizeof text, "%s, %d layers of %d heads, %s in %s", model->family, model->layer_count,
                 model->head_count, parameters, scry_dtype_text(model->weight_dtype));
        add_fact(out, report->model_name ? "which is" : "model", text);
    }
    if (report->tokens) {
        snprintf(text, sizeof text, report->tokens->count == 1 ? "%d token" : "%d tokens", report->tokens->count);
        add_fact(out, "prompt", text);
    }
    if (report->device) {
        snprintf(text, sizeof text, "%s (%s)", report->device->name, report->device->description);
        add_fact(out, "device", text);
    }
    if (report->fallbacks) {
        snprintf(text, sizeof text, "%llu ops ran on the cpu instead", (unsigned long long)report->fallbacks);
        add_fact(out, "fallbacks", text);
    }
    if (report->date) add_fact(out, "date", report->date);
    scry__text_adds(out, "</dl>");
}

const scry_candidate *scry__html_next(const struct scry__report *report, int *count)
{
    const scry_lens *lens = report->lens;
    *count                = report->candidate_count;
    if (report->candidate_count > 0) return report->candidates;
    *count = lens ? lens->top_count : 0;
    return lens ? lens->cells[(size_t)lens->layer_count * (size_t)lens->token_count - 1].top : NULL;
}

static int32_t top_id_at_end(const scry_lens *lens, int layer)
{
    return lens->cells[(size_t)(layer + 1) * (size_t)lens->token_count - 1].top[0].id;
}

static void add_lens_sentence(scry__text *out, const scry_lens *lens)
{
    int last = lens->layer_count - 1, first = last;
    while (first > 0 && top_id_at_end(lens, first - 1) == top_id_at_end(lens, last)) first--;
    scry__text_adds(out, "<p>Read by the logit lens, ");
    add_token(out, lens->cells[(size_t)lens->layer_count * (size_t)lens->token_count - 1].top[0].text);
    if (first == last)
        scry__text_addf(out, " is first only after the last of the %d layers", last);
    else if (first == 0)
        scry__text_adds(out, " is first from the embedding on");
    else
        scry__text_addf(out, " is first from layer %d of %d on", first, last);
    scry__text_adds(out, ".</p>");
}

/* The heads that are surest in each of these, in a sentence. */
static void add_heads_sentence(scry__text *out, const scry_heads *heads)
{
    static const struct {
        scry_head_score_kind kind;
        const char          *what;
    } told[] = {{SCRY_HEAD_PREVIOUS, "previous-token head"},
                {SCRY_HEAD_INDUCTION, "induction head"},
                {SCRY_HEAD_FIRST, "first-token head"}};
    scry__text_adds(out, "<p>");
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        const scry_head *head = scry_heads_surest(heads, told[i].kind);
        if (!head || head->scores[told[i].kind].certainty < SCRY_CERTAINTY_CLEAR) continue;
        const scry_head_score *score = &head->scores[told[i].kind];
        scry__text_addf(out, "Its surest %s is layer %d, head %d: %.2f, where an even spread gives %.2f (%s). ",
                        told[i].what, head->layer, head->head, (double)score->value, (double)score->uniform,
                        scry_certainty_name(score->certainty));
    }
    scry__text_adds(out, "</p>");
}

static void add_look_sentence(scry__text *out, const struct scry__report *report)
{
    struct scry__look look = report->attention->look;
    if (!(look.weight > 0)) return;
    scry__text_adds(out, "<p>From the last token, the strongest look back is at ");
    add_token(out, report->tokens->texts ? report->tokens->texts[look.key] : NULL);
    scry__text_addf(out, ": layer %d, head %d, weight %.2f (the first token and itself left out).</p>", look.layer,
                    look.head, (double)look.weight);
}

void scry__html_summary(scry__text *out, const struct scry__report *report)
{
    int                   count;
    const scry_candidate *top = scry__html_next(report, &count);
    if (count > 0) {
        scry__text_adds(out, "<p>After this prompt the model\xe2\x80\x99s likeliest next token is ");
        add_token(out, top[0].text);
        scry__text_adds(out, ", with ");
        add_percent(out, top[0].probability);
        if (count > 1) {
            scry__text_adds(out, "; then ");
            add_token(out, top[1].text);
            scry__text_adds(out, ", with ");
            add_percent(out, top[1].probability);
        }
        scry__text_adds(out, ".</p>");
    }
    if (report->continuation && !*report->continuation) scry__text_adds(out, "<p>It goes no further.</p>");
    if (report->continuation && *report->continuation) {
        scry__text_adds(out, "<p>It goes on: <bdi class=\"token\">");
        scry__html_escape(out, report->continuation);
        scry__text_adds(out, "</bdi></p>");
    }
    if (report->lens) add_lens_sentence(out, report->lens);
    if (report->attention) add_look_sentence(out, report);
    if (report->heads) add_heads_sentence(out, report->heads);
}

void scry__html_candidates(scry__text *out, const struct scry__report *report)
{
    int                   count;
    const scry_candidate *top = scry__html_next(report, &count);
    if (count < 1) return;
    scry__text_adds(out, "<table class=\"numbers candidates\"><caption>Next token</caption><thead><tr>"
                         "<th class=\"text\">token</th><th>probability</th><th>logit</th><th class=\"wide\"></th>"
                         "</tr></thead><tbody>");
    for (int i = 0; i < count; i++) {
        double share = isfinite(top[i].probability) ? (double)top[i].probability : 0;
        scry__text_adds(out, "<tr><td class=\"text\">");
        add_token(out, top[i].text);
        scry__text_adds(out, "</td><td>");
        add_percent(out, top[i].probability);
        scry__text_adds(out, "</td><td>");
        add_number(out, top[i].logit);
        scry__text_addf(out,
                        "</td><td class=\"wide\"><svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" "
                        "aria-hidden=\"true\"><rect width=\"%.2f\" height=\"10\"/></svg></td></tr>",
                        100 * share);
    }
    scry__text_adds(out, "</tbody></table>");
}

void scry__html_layers(scry__text *out, const struct scry__report *report)
{
    const scry_lens *lens = report->lens;
    if (!lens) return;
    bool target = lens->cells[(size_t)lens->layer_count * (size_t)lens->token_count - 1].target_id >= 0;
    scry__text_adds(out, "<section id=\"layers\"><h2>The last position in numbers</h2><div class=\"scroll\">"
                         "<table class=\"numbers\"><thead><tr><th>layer</th><th class=\"text\">likeliest token</th>"
                         "<th>probability</th><th>entropy (nats)</th><th>KL from final (nats)</th>");
    if (target) scry__text_adds(out, "<th>rank of target</th>");
    scry__text_adds(out, "</tr></thead><tbody>");
    for (int layer = 0; layer < lens->layer_count; layer++) {
        const scry_lens_cell *cell = &lens->cells[(size_t)(layer + 1) * (size_t)lens->token_count - 1];
        scry__text_addf(out, layer ? "<tr><th>%d</th>" : "<tr><th>embedding</th>", layer);
        scry__text_adds(out, "<td class=\"text\">");
        add_token(out, cell->top[0].text);
        scry__text_adds(out, "</td><td>");
        add_percent(out, cell->top[0].probability);
        scry__text_adds(out, "</td><td>");
        add_number(out, cell->entropy);
        scry__text_adds(out, "</td><td>");
        add_number(out, cell->kl);
        scry__text_adds(out, "</td>");
        if (target) scry__text_addf(out, "<td>%d</td>", cell->target_rank);
        scry__text_adds(out, "</tr>");
    }
    scry__text_adds(out, "</tbody></table></div></section>");
}

void scry__html_footer(scry__text *out, const struct scry__report *report)
{
    scry__text_addf(out, "<p>Made by scry %s; all data is in this file, which loads nothing.</p>", scry_version());
    if (!report->command) return;
    scry__text_adds(out, "<p>Made with <code>");
    scry__html_escape(out, report->command);
    scry__text_adds(out, "</code></p>");
}
