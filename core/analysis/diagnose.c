/* Diagnoses from the prompt to the findings: the checks in order, and what they share. See scry/diagnose.h. */
#include "analysis/diagnose.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "model/model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 1024 };

const char *scry_diagnosis_text(scry_diagnosis_kind kind)
{
    static const char *const texts[] = {
#define NAME(id, name, question) name,
        SCRY_DIAGNOSIS_LIST(NAME)
#undef NAME
    };
    return (unsigned)kind < SCRY_DIAGNOSIS_COUNT ? texts[kind] : "unknown";
}

const char *scry_diagnosis_question(scry_diagnosis_kind kind)
{
    static const char *const texts[] = {
#define QUESTION(id, name, question) question,
        SCRY_DIAGNOSIS_LIST(QUESTION)
#undef QUESTION
    };
    return (unsigned)kind < SCRY_DIAGNOSIS_COUNT ? texts[kind] : "unknown";
}

const char *scry_severity_text(scry_severity severity)
{
    static const char *const texts[] = {
#define NAME(id, name) name,
        SCRY_SEVERITY_LIST(NAME)
#undef NAME
    };
    return (unsigned)severity < sizeof texts / sizeof *texts ? texts[severity] : "unknown";
}

const char *scry_diagnosis_outcome_text(scry_diagnosis_outcome outcome)
{
    static const char *const texts[] = {"not applicable", "clear", "finding"};
    return (unsigned)outcome < sizeof texts / sizeof *texts ? texts[outcome] : "unknown";
}

scry_status scry__diagnose_add(scry__diagnosing *diagnosing, scry_finding finding, const char *format, ...)
{
    scry_diagnosis *result = diagnosing->result;
    char            line[TEXT_SIZE];
    va_list         arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (result->finding_count == diagnosing->capacity) {
        int           capacity = diagnosing->capacity ? 2 * diagnosing->capacity : 8;
        scry_finding *grown    = scry__realloc(result->findings, (size_t)capacity, sizeof *grown);
        if (!grown) return SCRY_OUT_OF_MEMORY;
        result->findings     = grown;
        diagnosing->capacity = capacity;
    }
    while (finding.evidence_count < SCRY_MAX_EVIDENCE && finding.evidence[finding.evidence_count].name)
        finding.evidence_count++;
    finding.text = scry__strdup(line);
    if (!finding.text) return SCRY_OUT_OF_MEMORY;
    result->findings[result->finding_count++] = finding;
    result->checks[finding.kind].outcome      = SCRY_OUTCOME_FINDING;
    return SCRY_OK;
}

scry_status scry__diagnose_settle(scry__diagnosing *diagnosing, scry_diagnosis_kind kind,
                                  scry_diagnosis_outcome outcome, const char *format, ...)
{
    scry_check *check = &diagnosing->result->checks[kind];
    char        line[TEXT_SIZE];
    va_list     arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    bool found = check->outcome == SCRY_OUTCOME_FINDING;
    if (!found) check->outcome = outcome;
    scry__free(check->detail);
    check->detail = scry__strdup(found ? "see what was found" : line);
    return check->detail ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

scry_status scry__diagnose_settle_rest(scry__diagnosing *diagnosing, const char *why)
{
    scry_status status = SCRY_OK;
    for (int kind = 0; kind < SCRY_DIAGNOSIS_COUNT && !status; kind++)
        if (!diagnosing->result->checks[kind].detail)
            status =
                scry__diagnose_settle(diagnosing, (scry_diagnosis_kind)kind, SCRY_OUTCOME_NOT_APPLICABLE, "%s", why);
    return status;
}

/* --- The prompt and its context --- */

/* The tokens of the text's one place [begin, end) in the prompt, by the bytes that tokens stand for. */
static scry_status find_text(scry_range *out, scry_model *model, const scry_tokens *tokens, const char *text)
{
    const scry_tokenizer *tokenizer;
    scry__text            joined = {0};
    size_t               *ends   = scry__alloc((size_t)tokens->count, sizeof *ends);
    scry_status           status = ends ? scry__model_need_tokenizer(model, &tokenizer) : SCRY_OUT_OF_MEMORY;
    for (int i = 0; !status && i < tokens->count; i++) {
        size_t      size  = 0;
        const char *bytes = scry_tokenizer_bytes(tokenizer, tokens->ids[i], &size);
        if (bytes && !scry_tokenizer_is_special(tokenizer, tokens->ids[i])) scry__text_add(&joined, bytes, size);
        ends[i] = joined.size;
    }
    if (!status) status = joined.status;
    const char *found = !status && *text && joined.data ? strstr(joined.data, text) : NULL;
    if (!status && !found)
        status = scry__fail(SCRY_BAD_ARGUMENT, "context \"%s\": expected a part of the prompt", text);
    if (!status) {
        size_t begin = (size_t)(found - joined.data), end = begin + strlen(text);
        while (ends[out->begin] <= begin) out->begin++;
        while (ends[out->end] < end) out->end++;
        out->end++;
    }
    scry__text_finish(&joined);
    scry__free(ends);
    return status;
}

static scry_status find_context(scry_diagnosis *result, scry_model *model, const scry_diagnose_options *options)
{
    int count       = result->tokens->count;
    result->context = options->context_tokens;
    if (options->context) {
        result->context    = (scry_range){0};
        scry_status status = find_text(&result->context, model, result->tokens, options->context);
        if (status) return status;
    }
    const scry_range range = result->context;
    if (range.begin == 0 && range.end == 0) return SCRY_OK;
    if (range.begin < 0 || range.end <= range.begin || range.end > count)
        return scry__fail(SCRY_BAD_ARGUMENT, "context tokens %d to %d: expected a range within 0 to %d", range.begin,
                          range.end, count);
    return SCRY_OK;
}

static scry_status upload_mask(scry__diagnosing *diagnosing)
{
    const scry_diagnose_options *options = diagnosing->options;
    const scry_model_info       *info    = scry_model_get_info(diagnosing->model);
    size_t                       count   = (size_t)diagnosing->result->tokens->count;
    if (!options->mask) return SCRY_OK;
    if (options->mask_tokens != (int)count)
        return scry__fail(SCRY_BAD_ARGUMENT, "mask of %d tokens: expected %zu, as many as the prompt has",
                          options->mask_tokens, count);
    if ((options->mask_layers != 1 && options->mask_layers != info->layer_count) ||
        (options->mask_heads != 1 && options->mask_heads != info->head_count))
        return scry__fail(SCRY_BAD_ARGUMENT, "mask of %d layers and %d heads: expected 1 or %d, and 1 or %d",
                          options->mask_layers, options->mask_heads, info->layer_count, info->head_count);
    size_t      bytes  = (size_t)options->mask_layers * (size_t)options->mask_heads * count * count * sizeof(float);
    scry_status status = scry_buffer_create(&diagnosing->mask, diagnosing->model->device, bytes);
    return status ? status : scry_buffer_write(diagnosing->mask, 0, options->mask, bytes);
}

static bool has_error(const scry_diagnosis *result)
{
    for (int i = 0; i < result->finding_count; i++)
        if (result->findings[i].severity == SCRY_SEVERITY_ERROR) return true;
    return false;
}

/* What a model says means something only where it computes what it should. */
static scry_status run_checks(scry__diagnosing *diagnosing)
{
    scry_diagnosis *result = diagnosing->result;
    scry_status     status = scry__diagnose_watch(diagnosing);
    if (!status) status = scry__diagnose_rows(diagnosing);
    if (!status && diagnosing->finite) status = scry__diagnose_heads(diagnosing);
    if (!status && !has_error(result)) {
        status = scry__diagnose_context(diagnosing);
        if (!status) status = scry__diagnose_output(diagnosing);
    }
    return status ? status : scry__diagnose_settle_rest(diagnosing, "what was found before it comes first");
}

scry_status scry_diagnose_run(scry_diagnosis **out, scry_model *model, const char *text,
                              const scry_diagnose_options *options)
{
    static const scry_diagnose_options defaults;
    scry__diagnosing                   diagnosing = {.model = model, .options = options ? options : &defaults};
    *out                                          = NULL;
    diagnosing.result                             = scry__alloc(1, sizeof *diagnosing.result);
    if (!diagnosing.result) return SCRY_OUT_OF_MEMORY;
    options            = diagnosing.options;
    scry_status status = scry_tokens_create(&diagnosing.result->tokens, model, text, options->ids, options->id_count);
    if (!status) status = find_context(diagnosing.result, model, options);
    if (!status) status = upload_mask(&diagnosing);
    if (!status) status = run_checks(&diagnosing);
    scry__watched_finish(&diagnosing.watched);
    scry_buffer_destroy(&diagnosing.mask);
    if (status)
        scry_diagnosis_destroy(&diagnosing.result);
    else
        *out = diagnosing.result;
    return status;
}

void scry_diagnosis_destroy(scry_diagnosis **diagnosis)
{
    scry_diagnosis *self = diagnosis ? *diagnosis : NULL;
    if (!self) return;
    for (int i = 0; i < self->finding_count; i++) scry__free(self->findings[i].text);
    scry__free(self->findings);
    for (int i = 0; i < SCRY_DIAGNOSIS_COUNT; i++) scry__free(self->checks[i].detail);
    scry_tokens_destroy(&self->tokens);
    scry__free(self);
    *diagnosis = NULL;
}
