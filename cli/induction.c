/* scry induction: random tokens said twice, the heads that see it coming, and what feeds them. */
#include "cli/command.h"
#include "cli/output.h"
#include "cli/sheet.h"

#include "base/alloc.h"
#include "report/json_heads.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct induction {
    struct cli_common      common;
    scry_induction_options options;
    bool                   all;
    scry_induction        *result;
    struct cli_progress    progress;
};

static void put_spread(struct cli_sheet *sheet, int column, scry_spread spread)
{
    if (isnan(spread.spread))
        cli_sheet_put(sheet, column, "%.4f", (double)spread.mean);
    else
        cli_sheet_put(sheet, column, "%.4f +- %.4f", (double)spread.mean, (double)spread.spread);
}

static void add_loss(scry__text *out, const char *what, scry_spread loss)
{
    scry__text_addf(out, "%s %.4f", what, (double)loss.mean);
    if (!isnan(loss.spread)) scry__text_addf(out, " +- %.4f", (double)loss.spread);
}

/* What was asked, and how well the model says a sequence again. */
static void add_summary(scry__text *out, const struct induction *induction)
{
    const scry_induction *result     = induction->result;
    int                   vocabulary = scry_model_get_info(induction->common.model)->vocabulary;
    scry__text_addf(out, "%d x %d random tokens said twice, behind %d that begin%s a text (+- is over sequences)\n",
                    result->seeds, result->length, result->prefix, result->prefix == 1 ? "s" : "");
    add_loss(out, "Loss, nats a token: first copy", result->loss_first);
    add_loss(out, ", second", result->loss_second);
    scry__text_addf(out, " (a guess: %.4f)\n", log(vocabulary));
}

enum { HEAD_NAME, HEAD_SURE, HEAD_INDUCTION, HEAD_DUPLICATE, HEAD_PREVIOUS, HEAD_COLUMNS };

static const scry__table_column head_columns[HEAD_COLUMNS] = {
    [HEAD_NAME]      = {"head", SCRY__ALIGN_LEFT, true},
    [HEAD_SURE]      = {"certainty", SCRY__ALIGN_LEFT, true},
    [HEAD_INDUCTION] = {"induction", SCRY__ALIGN_RIGHT, true},
    [HEAD_DUPLICATE] = {"duplicate", SCRY__ALIGN_RIGHT, true},
    [HEAD_PREVIOUS]  = {"previous", SCRY__ALIGN_RIGHT, true},
};

static void put_null(struct cli_sheet *sheet, const char *name, float induction, float duplicate, float previous)
{
    if (isnan(induction)) return;
    cli_sheet_put(sheet, HEAD_NAME, "%s", name);
    cli_sheet_put(sheet, HEAD_INDUCTION, "%.4f", (double)induction);
    cli_sheet_put(sheet, HEAD_DUPLICATE, "%.4f", (double)duplicate);
    cli_sheet_put(sheet, HEAD_PREVIOUS, "%.4f", (double)previous);
    sheet->rows++;
}

static bool is_shown(const struct induction *induction, const scry_induction_head *head)
{
    const scry_induction *result = induction->result;
    return induction->all || head->certainty >= SCRY_CERTAINTY_WEAK ||
           head->previous > 0.5F * (1 + result->previous.uniform);
}

/* Induction heads and those that attend to the previous token, below what no learning gives. */
static scry_status add_heads(scry__text *out, const struct induction *induction)
{
    const scry_induction *result = induction->result;
    int                   total = result->layer_count * result->head_count, shown = 0;
    scry__terminal        terminal = cli_terminal();
    struct cli_sheet      sheet;
    if (!cli_sheet_create(&sheet, HEAD_COLUMNS, total + 3)) return SCRY_OUT_OF_MEMORY;
    put_null(&sheet, "uniform", result->induction.uniform, result->duplicate.uniform, result->previous.uniform);
    put_null(&sheet, "random weights", result->induction.random_mean, result->duplicate.random_mean,
             result->previous.random_mean);
    put_null(&sheet, "  largest", result->induction.random_largest, result->duplicate.random_largest,
             result->previous.random_largest);
    for (int i = 0; i < total; i++) {
        const scry_induction_head *head = &result->heads[i];
        if (!is_shown(induction, head)) continue;
        cli_sheet_put(&sheet, HEAD_NAME, "%d.%d", head->layer, head->head);
        cli_sheet_put(&sheet, HEAD_SURE, "%s", scry_certainty_name(head->certainty));
        put_spread(&sheet, HEAD_INDUCTION, head->induction);
        put_spread(&sheet, HEAD_DUPLICATE, head->duplicate);
        cli_sheet_put(&sheet, HEAD_PREVIOUS, "%.4f", (double)head->previous);
        sheet.rows++;
        shown++;
    }
    scry_status status = cli_sheet_add(out, &terminal, &sheet, head_columns);
    if (shown < total)
        scry__text_addf(out, "\n%d of %d heads show induction or attend to the previous token; --all lists them all\n",
                        shown, total);
    cli_sheet_finish(&sheet);
    return status;
}

enum { FEEDER_HEAD, FEEDER_FROM, FEEDER_COMPOSITION, FEEDER_NULL, FEEDER_PREVIOUS, FEEDER_COLUMNS };

static const scry__table_column feeder_columns[FEEDER_COLUMNS] = {
    [FEEDER_HEAD]        = {"head", SCRY__ALIGN_LEFT, true},
    [FEEDER_FROM]        = {"is fed by", SCRY__ALIGN_LEFT, true},
    [FEEDER_COMPOSITION] = {"K-composition", SCRY__ALIGN_RIGHT, true},
    [FEEDER_NULL]        = {"of strangers", SCRY__ALIGN_RIGHT, true},
    [FEEDER_PREVIOUS]    = {"its previous", SCRY__ALIGN_RIGHT, true},
};

static scry_status add_feeders(scry__text *out, const scry_induction *result)
{
    scry__terminal   terminal = cli_terminal();
    struct cli_sheet sheet;
    if (!result->feeder_count) return SCRY_OK;
    if (!cli_sheet_create(&sheet, FEEDER_COLUMNS, result->feeder_count)) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < result->feeder_count; i++) {
        const scry_feeder *feeder = &result->feeders[i];
        cli_sheet_put(&sheet, FEEDER_HEAD, "%d.%d", feeder->layer, feeder->head);
        cli_sheet_put(&sheet, FEEDER_FROM, "%d.%d", feeder->from_layer, feeder->from_head);
        cli_sheet_put(&sheet, FEEDER_COMPOSITION, "%.4f", (double)feeder->k_composition);
        cli_sheet_put(&sheet, FEEDER_NULL, "%.4f", (double)feeder->null);
        cli_sheet_put(&sheet, FEEDER_PREVIOUS, "%.4f", (double)feeder->previous);
        sheet.rows++;
    }
    scry__text_adds(out, "\nWhose output their keys are made of, by the weights:\n");
    scry_status status = cli_sheet_add(out, &terminal, &sheet, feeder_columns);
    cli_sheet_finish(&sheet);
    return status;
}

static scry_status print_tables(const struct induction *induction)
{
    scry__text out = {0};
    add_summary(&out, induction);
    scry__text_adds(&out, "\n");
    scry_status status = add_heads(&out, induction);
    if (!status) status = add_feeders(&out, induction->result);
    if (!status) return cli_print(&out);
    scry__text_finish(&out);
    return status;
}

static scry_status print_json(const struct induction *induction)
{
    json_t           *object = NULL;
    scry__json_source source = cli_source(&induction->common);
    scry_status       status = scry__json_induction(&object, induction->result, &source);
    return status ? status : cli_print_json(object);
}

static bool show_progress(void *user, int64_t done, int64_t total)
{
    cli_progress_step(&((struct induction *)user)->progress, done, total);
    return true;
}

static scry_status show(void *state, const char *text)
{
    struct induction *induction = state;
    (void)text; /* the tokens are drawn */
    scry_status status = cli_open_model(&induction->common);
    if (status) return status;
    induction->options.progress = show_progress;
    induction->options.user     = induction;
    cli_progress_start(&induction->progress, &induction->common, "models");
    status = scry_induction_run(&induction->result, induction->common.model, &induction->options);
    cli_progress_end(&induction->progress);
    if (!status) status = induction->common.json ? print_json(induction) : print_tables(induction);
    if (!status) cli_note_fallbacks(&induction->common);
    scry_induction_destroy(&induction->result);
    return status;
}

int cli_induction(int argc, char **argv)
{
    struct induction        induction = {0};
    const struct cli_option options[] = {
        {'n', "length", CLI_INT, &induction.options.length, "S", "random tokens said twice (50, as far as they fit)", 2,
         1e6},
        {0, "seeds", CLI_INT, &induction.options.seeds, "N", "sequences of them (8)", 1, 1e4},
        {0, "feeders", CLI_INT, &induction.options.feeders, "N", "heads listed for each induction head (3)", 1, 1e4},
        {0, "random-seeds", CLI_INT, &induction.options.random_seeds, "N", "models of random weights (1)", 1, 1e4},
        {0, "no-random", CLI_FLAG, &induction.options.skip_random, NULL, "leave them out", 0, 0},
        {0, "seed", CLI_SEED, &induction.options.seed, "SEED", "of all that is random (0)", 0, 0},
        {'a', "all", CLI_FLAG, &induction.all, NULL, "all heads", 0, 0},
        CLI_CHECKPOINT_OPTIONS(induction.common),
        CLI_COMMON_OPTIONS(induction.common),
    };
    const struct cli_syntax syntax = {
        .usage = "scry induction [options]",
        .about = "Says random tokens twice and asks which heads see the second copy coming: those that attend to what "
                 "came after\n"
                 "the same token in the first (induction). Their keys are made of what earlier heads write, often one "
                 "that attends\n"
                 "to the previous token; K-composition tells from the weights alone.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
    };
    return cli_main(&syntax, &induction.common, argc, argv, show, &induction);
}
