/* scry diagnose: what is wrong with a model on one prompt. */
#include "cli/command.h"
#include "cli/output.h"

#include "report/json_diagnosis.h"

#include <math.h>
#include <stdio.h>

struct diagnose {
    struct cli_common     common;
    scry_diagnose_options options;
    bool                  strict, failed;
};

/* layer 2, head 5, query 7 "␣is" */
static void add_place(scry__text *out, const scry_diagnosis *result, const scry_place *place)
{
    static const char *const names[]   = {"layer", "head", "query", "key"};
    const int                numbers[] = {place->layer, place->head, place->query, place->key};
    const char              *gap       = "";
    for (int i = 0; i < 4; i++) {
        if (numbers[i] < 0) continue;
        scry__text_addf(out, "%s%s %d", gap, names[i], numbers[i]);
        if (i >= 2) {
            scry__text_adds(out, " \"");
            scry__label_add(out, result->tokens->texts[numbers[i]]);
            scry__text_adds(out, "\"");
        }
        gap = ", ";
    }
}

static void add_finding(scry__text *out, const scry_diagnosis *result, const scry_finding *finding)
{
    scry__text_addf(out, "%s: %s", scry_severity_text(finding->severity), scry_diagnosis_text(finding->kind));
    if (finding->place.layer >= 0 || finding->place.query >= 0) scry__text_adds(out, " at ");
    add_place(out, result, &finding->place);
    scry__text_adds(out, "\n  ");
    scry__label_prose(out, finding->text);
    for (int i = 0; i < finding->evidence_count; i++) {
        const scry_evidence *each = &finding->evidence[i];
        if (isnan(each->value)) continue;
        scry__text_addf(out, "\n    %s: %.4g", each->name, each->value);
        if (!isnan(each->threshold)) scry__text_addf(out, " (threshold %.4g)", each->threshold);
    }
    scry__text_addf(out, "\n  Try: %s\n\n", finding->advice);
}

static void add_checks(scry__text *out, const scry_diagnosis *result)
{
    for (int kind = 0; kind < SCRY_DIAGNOSIS_COUNT; kind++) {
        const scry_check *check = &result->checks[kind];
        scry__text_addf(out, "%-14s %-15s", scry_diagnosis_text((scry_diagnosis_kind)kind),
                        scry_outcome_text(check->outcome));
        scry__label_prose(out, check->detail);
        scry__text_adds(out, "\n");
    }
}

static scry_status print_text(const scry_diagnosis *result)
{
    scry__text text = {0};
    for (int i = 0; i < result->finding_count; i++) add_finding(&text, result, &result->findings[i]);
    add_checks(&text, result);
    scry__text_addf(&text, "\n%d finding%s\n", result->finding_count, result->finding_count == 1 ? "" : "s");
    return cli_print(&text);
}

static scry_status print_json(const struct diagnose *diagnose, const scry_diagnosis *result)
{
    scry__json_source source = cli_source(&diagnose->common);
    json_t           *object = NULL;
    scry_status       status = scry__json_diagnosis(&object, result, &source);
    return status ? status : cli_print_json(object);
}

/* Errors and warnings; notes never fail a check. */
static int count_serious(const scry_diagnosis *result)
{
    int count = 0;
    for (int i = 0; i < result->finding_count; i++) count += result->findings[i].severity != SCRY_SEVERITY_NOTE;
    return count;
}

static scry_status run(void *state, const char *text)
{
    struct diagnose *diagnose = state;
    scry_diagnosis  *result   = NULL;
    scry_status      status   = cli_open(&diagnose->common, text);
    if (status) return status;
    diagnose->options.ids      = diagnose->common.ids;
    diagnose->options.id_count = diagnose->common.id_count;
    status                     = scry_diagnose_run(&result, diagnose->common.model, text, &diagnose->options);
    if (status) return status;
    status = diagnose->common.json ? print_json(diagnose, result) : print_text(result);
    if (!status) cli_note_fallbacks(&diagnose->common);
    diagnose->failed = !status && diagnose->strict && count_serious(result);
    scry_diagnosis_destroy(&result);
    return status;
}

int cli_diagnose(int argc, char **argv)
{
    struct diagnose         diagnose  = {0};
    const struct cli_option options[] = {
        {'c', "context", CLI_STRING, &diagnose.options.context, "SPAN",
         "part of TEXT that the prediction is to rest on", 0, 0},
        {'n', "tokens", CLI_INT, &diagnose.options.max_tokens, "N", "tokens generated to look for loops (64)", 1,
         1000000},
        {0, "strict", CLI_FLAG, &diagnose.strict, NULL, "exit code 1 where there is an error or a warning", 0, 0},
        CLI_MODEL_OPTIONS(diagnose.common),
        CLI_COMMON_OPTIONS(diagnose.common),
    };
    const struct cli_syntax syntax = {
        .usage = "scry diagnose [options] TEXT",
        .about =
            "Looks for what is wrong with a model on a prompt: NaN and infinity and where they come from, masks, the "
            "scale\n"
            "of scores, uniform and collapsed attention, a context that is not used, loops, signs of made-up "
            "answers. Each\n"
            "finding has its evidence, the threshold, the place and what to try; docs/definitions.md has the rules.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
        .most         = 1,
    };
    int code = cli_main(&syntax, &diagnose.common, argc, argv, run, &diagnose);
    return code ? code : diagnose.failed ? scry_status_exit_code(SCRY_CHECK_FAILED) : 0;
}
