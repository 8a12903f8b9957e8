/* scry diagnose: what is wrong with a model on one prompt. */
#include "cli/command.h"
#include "cli/output.h"

#include "base/alloc.h"
#include "base/array_file.h"
#include "base/error.h"
#include "report/json_diagnosis.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>

struct diagnose {
    struct cli_common     common;
    scry_diagnose_options options;
    const char           *mask_path, *attention;
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
        if (i >= 2 && result->tokens) {
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
                        scry_diagnosis_outcome_text(check->outcome));
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
    scry__json_source source = diagnose->attention ? (scry__json_source){0} : cli_source(&diagnose->common);
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

/* Whole numbers and booleans say who is seen (not 0) and who is not. */
static void hide_zeros(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) values[i] = values[i] != 0 ? 0 : -INFINITY;
}

/* The one array of the file: [T, T], [H, T, T] or [L, H, T, T]. */
static scry_status read_mask(struct diagnose *diagnose, float **values)
{
    scry__array_file  *file                        = NULL;
    scry_status        status                      = scry__array_file_open(&file, diagnose->mask_path);
    const scry__array *array                       = status ? NULL : &file->arrays[0];
    int64_t            shape[SCRY__ARRAY_MAX_RANK] = {1, 1, 1, 1};
    if (status) return status;
    bool good = file->count == 1 && array->type <= SCRY__ARRAY_BOOL && array->rank >= 2 && array->rank <= 4;
    for (int axis = 0; good && axis < array->rank; axis++) shape[4 - array->rank + axis] = array->shape[axis];
    for (int axis = 0; axis < 4; axis++) good &= shape[axis] >= 1 && shape[axis] <= INT_MAX;
    if (!good || shape[2] != shape[3])
        status = scry__fail(SCRY_BAD_INPUT,
                            "%s: expected one array of numbers [T, T], [heads, T, T] or [layers, heads, T, T]",
                            diagnose->mask_path);
    if (!status && !(*values = scry__alloc(array->count, sizeof **values))) status = SCRY_OUT_OF_MEMORY;
    if (!status) status = scry__array_read_f32(file, array, *values);
    if (!status && array->type > SCRY__ARRAY_F64) hide_zeros(*values, array->count);
    if (!status) {
        diagnose->options.mask        = *values;
        diagnose->options.mask_layers = (int)shape[0];
        diagnose->options.mask_heads  = (int)shape[1];
        diagnose->options.mask_tokens = (int)shape[2];
    }
    scry__array_file_close(&file);
    return status;
}

static scry_status diagnose_model(scry_diagnosis **out, struct diagnose *diagnose, const char *text)
{
    float      *mask   = NULL;
    scry_status status = diagnose->mask_path ? read_mask(diagnose, &mask) : SCRY_OK;
    if (!status) status = cli_open(&diagnose->common, text);
    diagnose->options.ids      = diagnose->common.ids;
    diagnose->options.id_count = diagnose->common.id_count;
    if (!status) status = scry_diagnose_run(out, diagnose->common.model, text, &diagnose->options);
    if (!status) cli_note_fallbacks(&diagnose->common);
    scry__free(mask);
    return status;
}

static scry_status run(void *state, const char *text)
{
    struct diagnose *diagnose = state;
    scry_diagnosis  *result   = NULL;
    if (diagnose->attention && (text || diagnose->common.ids_text || diagnose->common.model_path ||
                                diagnose->mask_path || diagnose->options.context))
        return cli_bad(
            "--attention: weights are all that is looked at: expected no TEXT, --ids, --model, --mask or --context");
    scry_status status = diagnose->attention ? scry_diagnose_attention(&result, diagnose->attention)
                                             : diagnose_model(&result, diagnose, text);
    if (status) return status;
    status           = diagnose->common.json ? print_json(diagnose, result) : print_text(result);
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
        {'n', "tokens", CLI_INT, &diagnose.options.max_tokens, "N", "tokens generated to look for loops (128)", 1,
         1000000},
        {0, "mask", CLI_STRING, &diagnose.mask_path, "F.npy",
         "mask in full, instead of the model's: added to scores; of whole numbers or booleans, 0 hides", 0, 0},
        {0, "attention", CLI_STRING, &diagnose.attention, "F.npz", "look at these attention patterns, with no model", 0,
         0},
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
