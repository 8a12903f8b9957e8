/* scry lens: predictions by layer and position, in the terminal, as a picture, or to .npz. */
#include "cli/command.h"
#include "cli/output.h"

#include "base/alloc.h"
#include "report/colour.h"
#include "report/lens_picture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct lens {
    struct cli_common common;
    scry_lens_options options;
    const char       *output, *tuned_path;
    scry_tuned_lens  *tuned;        /* read from there; NULL: the logit lens */
    int               position;     /* of the table of one position; -1: the last shown */
    int               positions[2]; /* columns of the overview; {0, 0}: the last that fit, in a picture all */
    scry_lens        *result;
};

/* Formatted cells of a table, kept until it is printed. */
enum { CELL_SIZE = 96 };

/* A token's label is worth that many columns before others are left out. */
enum { READABLE = 8 };

static void layer_name(char *out, size_t size, int layer, int layer_count)
{
    if (layer == 0)
        snprintf(out, size, "embed");
    else
        snprintf(out, size, "%d%s", layer, layer == layer_count - 1 ? " (final)" : "");
}

static void cell_text(char *out, const char *text)
{
    scry__text label = {0};
    scry__label_add(&label, text ? text : "");
    snprintf(out, CELL_SIZE, "%s", label.status ? "" : label.data);
    scry__text_finish(&label);
}

/* Columns that a position takes in the overview: its widest label, as far as that is worth its room. */
static int overview_width(const scry_lens *lens, int position)
{
    char text[CELL_SIZE];
    int  most = 0;
    for (int layer = -1; layer < lens->layer_count; layer++) {
        cell_text(text, layer < 0 ? lens->tokens->texts[position] : scry_lens_at(lens, layer, position)->top->text);
        int width = scry__label_width(text);
        most      = width > most ? width : most;
    }
    return most < READABLE ? most : READABLE;
}

/* How many positions from `at` on (step 1) or back (step -1), at most `most`, stand readably beside the layers. */
static int count_fitting(const scry_lens *lens, int at, int step, int most)
{
    char           layer[CELL_SIZE];
    scry__terminal terminal = cli_terminal();
    layer_name(layer, CELL_SIZE, lens->layer_count - 1, lens->layer_count);
    int count = 0, used = scry__label_width(layer);
    for (; count < most; count++) {
        used += SCRY__TABLE_GAP + overview_width(lens, at + count * step);
        if (used > terminal.width) break;
    }
    return count ? count : 1;
}

/* Layers down, positions across: the likeliest token, shaded by its probability. */
static scry_status add_overview(scry__text *out, const scry_lens *lens, int begin, int end)
{
    int    columns = end - begin + 1, rows = lens->layer_count;
    size_t cells                 = (size_t)columns * (size_t)rows;
    char(*texts)[CELL_SIZE]      = scry__alloc(cells + (size_t)columns, sizeof *texts);
    const char        **pointers = scry__alloc(cells, sizeof *pointers);
    scry__rgb          *shades   = scry__alloc(cells, sizeof *shades);
    scry__table_column *headings = scry__alloc((size_t)columns, sizeof *headings);
    scry__terminal      terminal = cli_terminal();
    scry_status         status   = texts && pointers && shades && headings ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (int column = 0; !status && column < columns; column++) {
        char *heading = texts[cells + (size_t)column];
        if (column) cell_text(heading, lens->tokens->texts[begin + column - 1]);
        headings[column] = (scry__table_column){.heading = column ? heading : "layer", .whole = !column};
        for (int layer = 0; layer < rows; layer++) {
            size_t at    = (size_t)layer * (size_t)columns + (size_t)column;
            pointers[at] = texts[at];
            if (column) {
                const scry_candidate *top = scry_lens_at(lens, layer, begin + column - 1)->top;
                cell_text(texts[at], top->text);
                shades[at] = scry__colour_at(SCRY__COLOURS_SEQUENTIAL, (double)top->probability);
            } else {
                layer_name(texts[at], CELL_SIZE, layer, rows);
                shades[at] = scry__colour_at(SCRY__COLOURS_SEQUENTIAL, 0);
            }
        }
    }
    const scry__table table = {columns, rows, headings, pointers, shades};
    if (!status) status = scry__terminal_table(out, &terminal, &table);
    scry__free(headings);
    scry__free(shades);
    scry__free(pointers);
    scry__free(texts);
    return status;
}

/* The overview of the positions asked for, in as many tables as they need; else of the last that fit, in one. */
static scry_status add_overviews(scry__text *out, const struct lens *lens)
{
    const scry_lens *result = lens->result;
    int              count  = result->token_count;
    int              begin = lens->positions[0], last = lens->positions[1];
    scry_status      status = SCRY_OK;
    if (!last) {
        last  = count;
        begin = count - count_fitting(result, count - 1, -1, count);
    }
    for (int end; !status && begin < last; begin = end) {
        end = begin + count_fitting(result, begin, 1, last - begin);
        if (end - begin < count)
            scry__text_addf(out, "%sPositions %d to %d of 0 to %d%s:\n", out->size ? "\n" : "", begin, end - 1,
                            count - 1, lens->positions[1] ? "" : " (--positions A:B shows others)");
        status = add_overview(out, result, begin, end);
    }
    return status;
}

enum {
    COLUMN_LAYER,
    COLUMN_TOP,
    COLUMN_PROBABILITY,
    COLUMN_ENTROPY,
    COLUMN_KL,
    COLUMN_RANK,
    COLUMN_TARGET,
    COLUMN_COUNT
};

static void position_row(char (*row)[CELL_SIZE], const scry_lens *lens, int layer, int position)
{
    const scry_lens_cell *cell = scry_lens_at(lens, layer, position);
    layer_name(row[COLUMN_LAYER], CELL_SIZE, layer, lens->layer_count);
    cell_text(row[COLUMN_TOP], cell->top->text);
    snprintf(row[COLUMN_PROBABILITY], CELL_SIZE, "%.4f", (double)cell->top->probability);
    snprintf(row[COLUMN_ENTROPY], CELL_SIZE, "%.3f", (double)cell->entropy);
    if (!isnan(cell->kl)) snprintf(row[COLUMN_KL], CELL_SIZE, "%.4f", (double)cell->kl);
    if (cell->target_id < 0) return;
    snprintf(row[COLUMN_RANK], CELL_SIZE, "%d", cell->target_rank);
    snprintf(row[COLUMN_TARGET], CELL_SIZE, "%.4f", exp((double)cell->target_log_probability));
}

/* One position in numbers, layer by layer. */
static scry_status add_position(scry__text *out, const scry_lens *lens, int position)
{
    static const scry__table_column headings[COLUMN_COUNT] = {
        {"layer", SCRY__ALIGN_LEFT, true},
        {"top-1", SCRY__ALIGN_LEFT, false},
        {"probability", SCRY__ALIGN_RIGHT, false},
        {"entropy", SCRY__ALIGN_RIGHT, true},
        {"KL", SCRY__ALIGN_RIGHT, true},
        {"target rank", SCRY__ALIGN_RIGHT, false},
        {"target prob.", SCRY__ALIGN_RIGHT, false},
    };
    bool           has_target = scry_lens_at(lens, 0, position)->target_id >= 0;
    int            columns    = has_target ? COLUMN_COUNT : COLUMN_RANK;
    scry__terminal terminal   = cli_terminal();
    size_t         cells      = (size_t)lens->layer_count * COLUMN_COUNT;
    char(*texts)[CELL_SIZE]   = scry__alloc(cells, sizeof *texts);
    const char **pointers     = scry__alloc(cells, sizeof *pointers);
    scry_status  status       = texts && pointers ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (int layer = 0; !status && layer < lens->layer_count; layer++) {
        char(*row)[CELL_SIZE] = texts + (size_t)layer * COLUMN_COUNT;
        position_row(row, lens, layer, position);
        for (int column = 0; column < columns; column++) pointers[layer * columns + column] = row[column];
    }
    const scry__table table = {columns, lens->layer_count, headings, pointers, NULL};
    scry__text_addf(out, "\nAt position %d, \"%s\"%s (entropy and KL to the final layer in nats%s):\n", position,
                    lens->tokens->texts[position], lens->tuned ? ", by the tuned lens" : "",
                    has_target ? "; rank 0 is best" : "");
    if (!status) status = scry__terminal_table(out, &terminal, &table);
    scry__free(pointers);
    scry__free(texts);
    return status;
}

/* A 32-bit member of structs that lie `stride` bytes apart, the first at `first`, as an array. */
static scry_status add_member(scry__npz *npz, const char *name, scry__npy_dtype dtype, int rank, const int64_t *shape,
                              const void *first, size_t stride)
{
    size_t count = 1;
    for (int axis = 0; axis < rank; axis++) count *= (size_t)shape[axis];
    uint32_t *values = scry__alloc(count, sizeof *values);
    if (!values) return SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; i < count; i++) memcpy(&values[i], (const char *)first + i * stride, sizeof *values);
    scry_status status = scry__npz_add(npz, name, dtype, rank, shape, values);
    scry__free(values);
    return status;
}

/* One number of every cell as an array [layers, positions]. */
static scry_status add_array(scry__npz *npz, const char *name, scry__npy_dtype dtype, const scry_lens *lens,
                             size_t offset)
{
    const int64_t shape[] = {lens->layer_count, lens->token_count};
    return add_member(npz, name, dtype, 2, shape, (const char *)lens->cells + offset, sizeof *lens->cells);
}

/* One number of every candidate as an array [layers, positions, top]. */
static scry_status add_top(scry__npz *npz, const char *name, scry__npy_dtype dtype, const scry_lens *lens,
                           size_t offset)
{
    const int64_t shape[] = {lens->layer_count, lens->token_count, lens->top_count};
    return add_member(npz, name, dtype, 3, shape, (const char *)lens->candidates + offset, sizeof *lens->candidates);
}

/* Targets only where any was asked for. */
static scry_status add_targets(scry__npz *npz, const scry_lens *lens)
{
    scry_status status = add_array(npz, "target_id", SCRY__NPY_I32, lens, offsetof(scry_lens_cell, target_id));
    if (!status) status = add_array(npz, "target_rank", SCRY__NPY_I32, lens, offsetof(scry_lens_cell, target_rank));
    if (!status) status = add_array(npz, "target_logit", SCRY__NPY_F32, lens, offsetof(scry_lens_cell, target_logit));
    if (!status)
        status = add_array(npz, "target_log_probability", SCRY__NPY_F32, lens,
                           offsetof(scry_lens_cell, target_log_probability));
    return status;
}

/* Whether a tuned lens read them, as an array without axes. */
static scry_status add_kind(scry__npz *npz, const scry_lens *lens)
{
    const int32_t tuned = lens->tuned;
    return scry__npz_add(npz, "tuned", SCRY__NPY_I32, 0, NULL, &tuned);
}

static scry_status write_arrays(const struct lens *lens)
{
    const scry_lens         *result  = lens->result;
    const scry_lens_options *options = &lens->options;
    scry__npz               *npz     = NULL;
    scry_status              status  = scry__npz_open(&npz, lens->output);
    if (!status) status = add_top(npz, "top_id", SCRY__NPY_I32, result, offsetof(scry_candidate, id));
    if (!status) status = add_top(npz, "top_logit", SCRY__NPY_F32, result, offsetof(scry_candidate, logit));
    if (!status) status = add_top(npz, "top_probability", SCRY__NPY_F32, result, offsetof(scry_candidate, probability));
    if (!status) status = add_array(npz, "entropy", SCRY__NPY_F32, result, offsetof(scry_lens_cell, entropy));
    if (!status) status = add_array(npz, "lse", SCRY__NPY_F32, result, offsetof(scry_lens_cell, lse));
    if (!status) status = add_array(npz, "kl", SCRY__NPY_F32, result, offsetof(scry_lens_cell, kl));
    if (!status && (options->target.text || options->target.has_id || options->target_next))
        status = add_targets(npz, result);
    if (!status) status = add_kind(npz, result);
    if (!status) status = cli_add_tokens(npz, result->tokens);
    if (!status) return scry__npz_commit(&npz);
    scry__npz_abort(&npz);
    return status;
}

static scry_status write_output(const struct lens *lens)
{
    const char *dot = strrchr(lens->output, '.');
    int         end = lens->positions[1] ? lens->positions[1] : lens->result->token_count;
    if (dot && !strcmp(dot, ".npz")) return write_arrays(lens);
    scry__text edits = {0};
    cli_add_edits(&edits, "\n", &lens->common, "");
    scry_status status = edits.status;
    if (!status) status = scry__lens_picture_write(lens->output, lens->result, lens->positions[0], end, edits.data);
    scry__text_finish(&edits);
    return status;
}

static scry_status print_tables(const struct lens *lens)
{
    const scry_lens *result   = lens->result;
    int              shown    = lens->positions[1] ? lens->positions[1] : result->token_count;
    int              position = lens->position < 0 ? shown - 1 : lens->position;
    if (lens->position < 0 && lens->options.target_next && position > 0 && position == result->token_count - 1)
        position--; /* the last has no next token to rank */
    scry__text text = {0};
    cli_add_edits(&text, "", &lens->common, "\n");
    scry_status status = add_overviews(&text, lens);
    if (!status) status = add_position(&text, result, position);
    if (!status) return cli_print(&text);
    scry__text_finish(&text);
    return status;
}

static scry_status print_result(struct lens *lens)
{
    scry_status status = SCRY_OK;
    if (lens->position >= lens->result->token_count)
        return cli_bad("--position %d: the prompt has positions 0 to %d", lens->position,
                       lens->result->token_count - 1);
    if (lens->positions[1] > lens->result->token_count)
        return cli_bad("--positions %d:%d: the prompt has positions 0 to %d, which is 0:%d", lens->positions[0],
                       lens->positions[1], lens->result->token_count - 1, lens->result->token_count);
    if (lens->output) {
        status = write_output(lens);
        if (!status && !lens->common.quiet)
            fprintf(stderr, "scry: %d layers x %d positions in %s\n", lens->result->layer_count,
                    lens->result->token_count, lens->output);
    }
    if (!status && lens->common.json) {
        json_t           *object = NULL;
        scry__json_source source = cli_source(&lens->common);
        status                   = scry__json_lens(&object, lens->result, &source);
        if (!status) status = cli_print_json(object);
    }
    if (!status && !lens->common.json && !lens->output) status = print_tables(lens);
    return status;
}

static scry_status show(void *state, const char *text)
{
    struct lens *lens = state;
    if (!!lens->options.target.text + (lens->options.target.id >= 0) + lens->options.target_next > 1)
        return cli_bad("--target, --target-id and --next were given together: expected one of them");
    scry_status status = cli_check_suffix(lens->output, ".png .svg .pdf .npz");
    if (!status) status = cli_open(&lens->common, text);
    if (status) return status;
    lens->options.ids           = lens->common.ids;
    lens->options.id_count      = lens->common.id_count;
    lens->options.edits         = lens->common.edits;
    lens->options.target.has_id = lens->options.target.id >= 0;
    if (lens->tuned_path) status = scry_tuned_lens_open(&lens->tuned, lens->common.model, lens->tuned_path);
    lens->options.tuned = lens->tuned;
    if (!status) status = scry_lens_run(&lens->result, lens->common.model, text, &lens->options);
    if (!status) status = print_result(lens);
    if (!status) cli_note_fallbacks(&lens->common);
    scry_lens_destroy(&lens->result);
    scry_tuned_lens_destroy(&lens->tuned);
    return status;
}

int cli_lens(int argc, char **argv)
{
    struct lens             lens      = {.options = {.top = 5, .target.id = -1}, .position = -1};
    const struct cli_option options[] = {
        {'k', "top", CLI_INT, &lens.options.top, "K", "candidates kept per cell (5)", 1, SCRY_MAX_TOP},
        {'t', "target", CLI_STRING, &lens.options.target.text, "TOKEN",
         "rank and probability of this token, e.g. \" Paris\"", 0, 0},
        {0, "target-id", CLI_INT, &lens.options.target.id, "ID", "the same, by id", 0, 1e9},
        {0, "no-kl", CLI_FLAG, &lens.options.skip_kl, NULL, "leave out the KL: less memory for long prompts", 0, 0},
        {0, "next", CLI_FLAG, &lens.options.target_next, NULL,
         "the target is the prompt's own next token, which the last position lacks", 0, 0},
        {0, "tuned", CLI_STRING, &lens.tuned_path, "FILE", "read through this tuned lens, of scry tune-lens", 0, 0},
        {'p', "position", CLI_INT, &lens.position, "N", "position shown in numbers (the last shown)", 0, 1e9},
        {0, "positions", CLI_RANGE, lens.positions, "A:B", "columns shown (the last that fit, in a picture all)", 0, 0},
        {'o', "output", CLI_STRING, &lens.output, "FILE", ".png, .svg, .pdf or .npz instead of the terminal", 0, 0},
        CLI_EDIT_OPTION(lens.common),
        CLI_MODEL_OPTIONS(lens.common),
        CLI_COMMON_OPTIONS(lens.common),
    };
    const struct cli_syntax syntax = {
        .usage   = "scry lens [options] TEXT",
        .about   = "Reads every layer's residual stream with the model's own final norm and unembedding (the logit "
                   "lens). \"embed\" is\n"
                   "the embedding, layer i the residual stream after i blocks, the last row the model's own prediction: "
                   "its KL is 0.\n"
                   "With --tuned each layer is first translated into the final layer's basis (the tuned lens).",
        .options = options,
        .option_count = sizeof options / sizeof *options,
        .most         = 1,
    };
    return cli_main(&syntax, &lens.common, argc, argv, show, &lens);
}
