/* scry attribute: what speaks for a token directly, part by part: in the terminal or as a picture. */
#include "cli/command.h"
#include "cli/output.h"
#include "cli/sheet.h"

#include "base/alloc.h"
#include "report/attribution_picture.h"
#include "report/json_attribution.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct attribute {
    struct cli_common        common;
    scry_attribution_options options;
    const char              *output;
    int                      top; /* contributions shown */
    bool                     all;
    scry_attribution        *result;
};

/* --- tables --- */

enum { PART, VALUE, SHARE, KEY, TOKEN, WEIGHT, COLUMN_COUNT };
static const scry__table_column columns[] = {
    [PART] = {"", SCRY__ALIGN_LEFT, true},        [VALUE] = {"logit", SCRY__ALIGN_RIGHT, true},
    [SHARE] = {"share", SCRY__ALIGN_RIGHT, true}, [KEY] = {"looks at", SCRY__ALIGN_RIGHT, true},
    [TOKEN] = {"token", SCRY__ALIGN_LEFT, false}, [WEIGHT] = {"weight", SCRY__ALIGN_RIGHT, true},
};

static void put_value(struct cli_sheet *sheet, double value, double logit)
{
    cli_sheet_put(sheet, VALUE, "%+.4f", value);
    if (logit != 0) cli_sheet_put(sheet, SHARE, "%.1f%%", 100 * value / logit);
    sheet->rows++;
}

/* What the parts of each kind come to, and all of them. */
static scry_status add_kinds(scry__text *out, const scry_attribution *result)
{
    scry__terminal   terminal                        = cli_terminal();
    double           sums[SCRY_CONTRIBUTION_COUNT]   = {0};
    int              counts[SCRY_CONTRIBUTION_COUNT] = {0};
    struct cli_sheet sheet;
    if (!cli_sheet_create(&sheet, COLUMN_COUNT, SCRY_CONTRIBUTION_COUNT + 1)) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < result->count; i++) {
        sums[result->contributions[i].kind] += result->contributions[i].value;
        counts[result->contributions[i].kind]++;
    }
    for (int kind = 0; kind < SCRY_CONTRIBUTION_COUNT; kind++) {
        if (!counts[kind]) continue;
        if (counts[kind] == 1)
            cli_sheet_put(&sheet, PART, "%s", scry_contribution_text((scry_contribution_kind)kind));
        else
            cli_sheet_put(&sheet, PART, "%s, all %d", scry_contribution_text((scry_contribution_kind)kind),
                          counts[kind]);
        put_value(&sheet, sums[kind], result->logit);
    }
    cli_sheet_put(&sheet, PART, "sum");
    put_value(&sheet, result->logit - result->residue, result->logit);
    scry_status status = cli_sheet_add(out, &terminal, &sheet, columns);
    cli_sheet_finish(&sheet);
    scry__text_addf(out, "residue %.2g: what rounding leaves, at most %.2g\n", result->residue, result->bound);
    return status;
}

/* The largest first; else in order of execution. */
static int by_size(const void *a, const void *b)
{
    const scry_contribution *x = *(const scry_contribution *const *)a, *y = *(const scry_contribution *const *)b;
    if (fabs(x->value) != fabs(y->value)) return fabs(x->value) < fabs(y->value) ? 1 : -1;
    return x < y ? -1 : x > y;
}

/* A head with the key that it attends to most. */
static void put_part(struct cli_sheet *sheet, const scry_attribution *result, const scry_contribution *one)
{
    const char *kind = scry_contribution_text(one->kind);
    if (one->head >= 0)
        cli_sheet_put(sheet, PART, "%s %d.%d", kind, one->layer, one->head);
    else if (one->layer >= 0)
        cli_sheet_put(sheet, PART, "%s %d", kind, one->layer);
    else
        cli_sheet_put(sheet, PART, "%s", kind);
    if (one->key >= 0) {
        cli_sheet_put(sheet, KEY, "%d", one->key);
        cli_sheet_put_token(sheet, TOKEN, result->tokens->texts[one->key]);
        cli_sheet_put(sheet, WEIGHT, "%.3f", (double)one->weight);
    }
    put_value(sheet, one->value, result->logit);
}

static scry_status add_parts(scry__text *out, const struct attribute *attribute)
{
    const scry_attribution   *result   = attribute->result;
    scry__terminal            terminal = cli_terminal();
    int                       count    = result->count;
    int                       shown    = attribute->all || attribute->top > count ? count : attribute->top;
    const scry_contribution **parts    = scry__alloc((size_t)count, sizeof(scry_contribution *));
    struct cli_sheet          sheet    = {0};
    scry_status               status   = SCRY_OUT_OF_MEMORY;
    if (!parts || !cli_sheet_create(&sheet, COLUMN_COUNT, shown)) goto done;
    for (int i = 0; i < count; i++) parts[i] = &result->contributions[i];
    qsort(parts, (size_t)count, sizeof *parts, by_size);
    for (int i = 0; i < shown; i++) put_part(&sheet, result, parts[i]);
    if (shown < count)
        scry__text_addf(out, "\nThe largest %d of %d (--all shows the others too):\n", shown, count);
    else
        scry__text_adds(out, "\nEach part, the largest first:\n");
    status = cli_sheet_add(out, &terminal, &sheet, columns);
done:
    cli_sheet_finish(&sheet);
    scry__free(parts);
    return status;
}

static scry_status print_tables(const struct attribute *attribute)
{
    const scry_attribution *result = attribute->result;
    scry__text              text   = {0};
    scry__text_addf(&text, "Position %d ", result->position);
    scry__label_add(&text, result->tokens->texts[result->position]);
    cli_add_candidate(&text, " and the next token", &result->answer);
    if (result->has_wrong) {
        cli_add_candidate(&text, "less", &result->wrong);
        scry__text_addf(&text, "The difference of %+.4f", result->logit);
    } else {
        scry__text_addf(&text, "The logit of %.4f", result->logit);
    }
    scry__text_adds(&text, ", split over what was written to the residual stream there:\n\n");
    scry_status status = add_kinds(&text, result);
    if (!status) status = add_parts(&text, attribute);
    if (!status) return cli_print(&text);
    scry__text_finish(&text);
    return status;
}

/* --- the command --- */

static scry_status print_result(const struct attribute *attribute)
{
    const scry_attribution *result = attribute->result;
    scry_status             status = SCRY_OK;
    if (attribute->output) status = scry__attribution_picture_write(attribute->output, result);
    if (!status && attribute->output && !attribute->common.quiet)
        fprintf(stderr, "scry: %d layers x %d heads in %s\n", result->layer_count, result->head_count,
                attribute->output);
    if (!status && attribute->common.json) {
        json_t           *object = NULL;
        scry__json_source source = cli_source(&attribute->common);
        status                   = scry__json_attribution(&object, result, &source);
        if (!status) status = cli_print_json(object);
    }
    if (!status && !attribute->common.json && !attribute->output) status = print_tables(attribute);
    return status;
}

static scry_status check(struct attribute *attribute)
{
    scry_attribution_options *options = &attribute->options;
    options->has_position             = options->position >= 0;
    scry_status status                = cli_check_token(&options->answer, "answer");
    if (!status) status = cli_check_token(&options->wrong, "wrong");
    return status ? status : cli_check_suffix(attribute->output, ".png .svg .pdf");
}

static scry_status show(void *state, const char *text)
{
    struct attribute *attribute = state;
    scry_status       status    = check(attribute);
    if (!status) status = cli_open(&attribute->common, text);
    if (status) return status;
    attribute->options.ids      = attribute->common.ids;
    attribute->options.id_count = attribute->common.id_count;
    status = scry_attribution_run(&attribute->result, attribute->common.model, text, &attribute->options);
    if (!status) status = print_result(attribute);
    if (!status) cli_note_fallbacks(&attribute->common);
    scry_attribution_destroy(&attribute->result);
    return status;
}

int cli_attribute(int argc, char **argv)
{
    struct attribute        attribute = {.options = {.answer.id = -1, .wrong.id = -1, .position = -1}, .top = 10};
    const struct cli_option options[] = {
        {'p', "position", CLI_INT, &attribute.options.position, "N", "the position that is asked about (the last)", 0,
         1e9},
        {'a', "answer", CLI_STRING, &attribute.options.answer.text, "TOKEN",
         "the next token whose logit is split, e.g. \" Paris\" (the likeliest)", 0, 0},
        {0, "answer-id", CLI_INT, &attribute.options.answer.id, "ID", "the same, by id", 0, 1e9},
        {'w', "wrong", CLI_STRING, &attribute.options.wrong.text, "TOKEN",
         "split the difference to this one's logit instead, e.g. \" Rome\"", 0, 0},
        {0, "wrong-id", CLI_INT, &attribute.options.wrong.id, "ID", "the same, by id", 0, 1e9},
        {'k', "top", CLI_INT, &attribute.top, "K", "parts in the table (10)", 1, 1e6},
        {0, "all", CLI_FLAG, &attribute.all, NULL, "all parts", 0, 0},
        {'o', "output", CLI_STRING, &attribute.output, "FILE",
         ".png, .svg or .pdf instead of the terminal: layers x heads and MLPs", 0, 0},
        CLI_MODEL_OPTIONS(attribute.common),
        CLI_COMMON_OPTIONS(attribute.common),
    };
    const struct cli_syntax syntax = {
        .usage = "scry attribute [options] TEXT",
        .about =
            "Direct logit attribution: the logit of the next token at one position, or its difference to another "
            "token's,\n"
            "split over embedding, heads, MLPs and biases, with the final norm frozen at its actual denominator. It is "
            "what\n"
            "each wrote for the token directly, not what would happen without it: later layers read it too.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
        .most         = 1,
    };
    return cli_main(&syntax, &attribute.common, argc, argv, show, &attribute);
}
