/* One offline HTML file: fills the page's template. See html.h.
 *
 * The policy allows exactly the embedded style and script, by their hashes, and nothing from outside. Texts from models
 * and prompts reach the page escaped, or as JSON that the script shows as text. */
#include "report/html.h"

#include "base/error.h"
#include "base/file.h"
#include "report/assets.h"
#include "report/base64.h"
#include "report/html_attention.h"
#include "report/html_data.h"
#include "report/html_static.h"

#include <string.h>

static void add_policy(scry__text *out, const struct scry__report *report)
{
    (void)report;
    scry__text_adds(out,
                    "default-src &#39;none&#39;; base-uri &#39;none&#39;; form-action &#39;none&#39;; img-src data:; "
                    "style-src &#39;sha256-");
    scry__base64_add(out, scry__asset_style.sha256, sizeof scry__asset_style.sha256);
    scry__text_adds(out, "&#39;; script-src &#39;sha256-");
    scry__base64_add(out, scry__asset_script.sha256, sizeof scry__asset_script.sha256);
    scry__text_adds(out, "&#39;");
}

static void add_version(scry__text *out, const struct scry__report *report)
{
    (void)report;
    scry__text_adds(out, scry_version());
}

static void add_style(scry__text *out, const struct scry__report *report)
{
    (void)report;
    scry__text_add(out, scry__asset_style.text, scry__asset_style.size);
}

static void add_script(scry__text *out, const struct scry__report *report)
{
    (void)report;
    scry__text_add(out, scry__asset_script.text, scry__asset_script.size);
}

static void add_data(scry__text *out, const struct scry__report *report)
{
    scry_status status = scry__html_data(out, report);
    if (status) out->status = status;
}

static const struct {
    const char *name; /* as it stands in the template */
    void (*add)(scry__text *out, const struct scry__report *report);
} places[] = {
    {"{{policy}}", add_policy},
    {"{{version}}", add_version},
    {"{{title}}", scry__html_title},
    {"{{style}}", add_style},
    {"{{facts}}", scry__html_facts},
    {"{{summary}}", scry__html_summary},
    {"{{candidates}}", scry__html_candidates},
    {"{{layers}}", scry__html_layers},
    {"{{footer}}", scry__html_footer},
    {"{{data}}", add_data},
    {"{{script}}", add_script},
};

static void fill_template(scry__text *out, const struct scry__report *report)
{
    const char *at = scry__asset_page.text;
    for (const char *mark; (mark = strstr(at, "{{"));) {
        scry__text_add(out, at, (size_t)(mark - at));
        at = mark;
        for (size_t i = 0; i < sizeof places / sizeof *places && at == mark; i++) {
            size_t size = strlen(places[i].name);
            if (strncmp(mark, places[i].name, size)) continue;
            places[i].add(out, report);
            at = mark + size;
        }
        if (at == mark) { /* the template names something unknown: a fault of this build */
            out->status = scry__fail(SCRY_BAD_ARGUMENT, "the report's template has no part %.20s", mark);
            return;
        }
    }
    scry__text_adds(out, at);
}

static scry_status check(const char *path, const struct scry__report *report)
{
    const scry__report_attention *attention = report->attention;
    if (!report->tokens) {
        if (report->title && !report->lens && !attention) return SCRY_OK;
        return scry__fail(SCRY_BAD_ARGUMENT, "%s: a report without tokens needs a title, and has no lens or attention",
                          path);
    }
    if (report->tokens->count < 1) return scry__fail(SCRY_BAD_ARGUMENT, "%s: a report needs at least one token", path);
    if (report->lens && (report->lens->token_count != report->tokens->count || report->lens->layer_count < 1 ||
                         report->lens->top_count < 1))
        return scry__fail(SCRY_BAD_ARGUMENT, "%s: the lens has %d positions, the prompt %d tokens", path,
                          report->lens->token_count, report->tokens->count);
    if (attention && attention->token_count != report->tokens->count)
        return scry__fail(SCRY_BAD_ARGUMENT, "%s: attention is not of the prompt's %d tokens", path,
                          report->tokens->count);
    return SCRY_OK;
}

scry_status scry__html_write(const char *path, const struct scry__report *report)
{
    scry__text  page   = {0};
    scry_status status = check(path, report);
    if (status) return status;
    fill_template(&page, report);
    status = page.status;
    if (!status) status = scry__file_write(path, page.data, page.size);
    scry__text_finish(&page);
    return status;
}
