/* Activation patching: facts that hold whatever the model, every cell against a whole pass with the same edit, and what
 * matches what in prompts of unequal length. What may be asked and what is refused is in patch_use.c. */
#include "analysis/patch.h"
#include "checkpoint_edit.h"
#include "prompts.h"
#include "scry/edit.h"
#include "scry/trace.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A difference so far from the end reaches it in every family, windows or not. */
enum { REACH = 3 };

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
}

TestSuite(patch, .init = use_plugins);

/* --- what is matched --- */

Test(patch, match__goes_from_both_ends)
{
    static const struct {
        const char *base, *source; /* a letter a token */
        int         matches[8];
    } cases[] = {
        {"abcd", "abcd", {0, 1, 2, 3}},
        {"abxd", "abcd", {0, 1, 2, 3}},
        {"abxcd", "abcd", {0, 1, -1, 2, 3}},
        {"abcd", "abxcd", {0, 1, 3, 4}},
        {"xyzd", "d", {-1, -1, -1, 0}},
        {"d", "xyzd", {3}},
        {"ab", "abb", {0, 2}},
        {"abb", "ab", {0, -1, 1}},
        {"aaa", "aaaaa", {0, 1, 4}},
        {"axyzb", "apqb", {0, -1, 1, 2, 3}},
        {"apqb", "axyzb", {0, 2, 3, 4}},
        {"a", "b", {0}},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        int32_t     base_ids[8], source_ids[8], matches[8];
        scry_tokens base   = {.count = (int)strlen(cases[c].base), .ids = base_ids};
        scry_tokens source = {.count = (int)strlen(cases[c].source), .ids = source_ids};
        for (int i = 0; i < base.count; i++) base_ids[i] = cases[c].base[i];
        for (int i = 0; i < source.count; i++) source_ids[i] = cases[c].source[i];
        scry__patch_match(matches, &base, &source);
        for (int i = 0; i < base.count; i++)
            cr_expect_eq(matches[i], cases[c].matches[i], "%s, %s: position %d: %d", cases[c].base, cases[c].source, i,
                         matches[i]);
    }
}

/* --- facts --- */

/* The same float, or on devices that sum otherwise within what f32 promises; `scale` is what logits were divided by. */
static void expect_close(const struct fixture *f, bool exact, const char *what, int layer, int position, float found,
                         float expected, double scale)
{
    double off = fabs((double)found - (double)expected);
    cr_expect(exact ? found == expected : off * scale <= 2 * PROMISE, "%s: %s, layer %d, position %d: %.9g, not %.9g",
              f->name, what, layer, position, (double)found, (double)expected);
}

/* Before the token that differs a patch puts what is there; behind it, the stream that enters the first layer is the
 * same again; at it, that stream is all that differs. */
static void check_first_stream(const struct fixture *f, bool exact, const scry_patching *result, int at)
{
    const scry_patch_grid *grid = patching_grid(result, SCRY_PATCH_RESID_PRE);
    double scale = fabs((double)result->clean.logit_difference - (double)result->corrupt.logit_difference);
    cr_assert(grid && result->defined);
    cr_expect_eq(result->first_difference, at);
    for (int position = 0; position < grid->position_count; position++)
        expect_close(f, exact || position != at, "resid_pre", 0, position, patching_cell(grid, 0, 0, position)->effect,
                     position == at, scale);
    for (int i = 0; i < result->grid_count; i++) {
        const scry_patch_grid *one = &result->grids[i];
        if (scry_patch_kind_has_heads(one->kind)) continue;
        for (int layer = 0; layer < one->layer_count; layer++)
            for (int position = 0; position < at; position++)
                expect_close(f, true, scry_patch_kind_text(one->kind), layer, position,
                             patching_cell(one, layer, 0, position)->effect, 0, 1);
    }
}

/* Where only the last token differs, the stream of the last position is all that differs at every layer. */
static void check_last_stream(const struct fixture *f, bool exact, const scry_patching *result)
{
    const scry_patch_grid *grid   = patching_grid(result, SCRY_PATCH_RESID_PRE);
    const scry_patch_side *source = scry_patching_source(result);
    double scale = fabs((double)result->clean.logit_difference - (double)result->corrupt.logit_difference);
    int    last  = grid->position_count - 1;
    for (int layer = 0; layer < grid->layer_count; layer++) {
        const scry_patch_cell *cell = patching_cell(grid, layer, 0, last);
        expect_close(f, exact, "effect", layer, last, cell->effect, 1, scale);
        expect_close(f, exact, "logit difference", layer, last, cell->logit_difference, source->logit_difference, 1);
        expect_close(f, exact, "probability", layer, last, cell->probability, source->answer.probability, 1);
        expect_close(f, false, "KL", layer, last, cell->kl, 0, 1);
    }
}

static void check_facts(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    bool exact = !strcmp(device, "reference");
    for (int direction = 0; direction < SCRY_PATCH_DIRECTION_COUNT; direction++) {
        struct prompts     within = prompts_make(&f, f.id_count - REACH, 0), last = prompts_make(&f, f.id_count - 1, 0);
        scry_patch_options options = prompts_options(&within, (scry_patch_direction)direction);
        scry_patching     *result  = patching_of(&f, &options);
        check_first_stream(&f, exact, result, within.at);
        scry_patching_destroy(&result);
        options       = prompts_options(&last, (scry_patch_direction)direction);
        options.kinds = 1 << SCRY_PATCH_RESID_PRE;
        result        = patching_of(&f, &options);
        check_last_stream(&f, exact, result);
        scry_patching_destroy(&result);
    }
    fixture_close(&f);
}

Test(patch, facts__hold_on_every_family, .timeout = 300)
{
    fixture_for_all(check_facts);
}

/* Of each way to attend and to norm one: the sweep has its own tests there. */
static void check_some_facts(const char *device, const char *name)
{
    static const char *const some[] = {"gpt2", "gpt_neox", "llama", "qwen2_window"};
    for (size_t i = 0; i < COUNT(some); i++)
        if (!strcmp(name, some[i])) check_facts(device, name);
}
FIXTURES_ON_PLUGINS(patch, facts, hold, false, check_some_facts)

/* --- cells against whole passes --- */

static scry_trace *trace(const struct fixture *f, const int32_t *ids, int count, const char *hooks,
                         const scry_edit *edit)
{
    scry_trace      *result = NULL;
    const scry_edits edits  = {1, edit};
    cr_assert_eq(scry_trace_run(&result, f->model, NULL,
                                &(scry_trace_options){
                                    .ids = ids, .id_count = count, .hooks = hooks, .edits = edit ? &edits : NULL}),
                 SCRY_OK, "%s: %s", f->name, scry_last_error());
    return result;
}

static double lse_of(const float *logits, int count)
{
    double most = -INFINITY, sum = 0;
    for (int i = 0; i < count; i++) most = fmax(most, (double)logits[i]);
    for (int i = 0; i < count; i++) sum += exp((double)logits[i] - most);
    return most + log(sum);
}

/* KL(a || b) of two rows of logits. */
static double kl_of(const float *a, const float *b, int count)
{
    double lse_a = lse_of(a, count), lse_b = lse_of(b, count), sum = 0;
    for (int i = 0; i < count; i++) {
        double log_a = (double)a[i] - lse_a;
        sum += exp(log_a) * (log_a - ((double)b[i] - lse_b));
    }
    return sum;
}

static const float *last_row(const scry_trace *trace, int vocabulary)
{
    const scry_capture *logits = scry_trace_find(trace, "logits");
    return (const float *)logits->data + (size_t)(logits->shape[0] - 1) * (size_t)vocabulary;
}

/* The source's values moved by hand to the baseline's positions; to be freed. */
static float *move(const scry_patching *result, const scry_capture *capture, int rows)
{
    size_t width = 1;
    for (int axis = 1; axis < capture->rank; axis++) width *= (size_t)capture->shape[axis];
    float *moved = calloc((size_t)rows * width, sizeof *moved);
    for (int i = 0; i < rows; i++)
        if (result->matches[i] >= 0)
            memcpy(moved + (size_t)i * width, (const float *)capture->data + (size_t)result->matches[i] * width,
                   width * sizeof *moved);
    return moved;
}

/* One cell, by a whole pass over the baseline with one edit. */
static void check_cell(const struct fixture *f, const scry_patching *result, const scry_patch_grid *grid, int layer,
                       int head, int position)
{
    const scry_patch_side *base = scry_patching_baseline(result), *source = scry_patching_source(result);
    const scry_patch_cell *cell       = patching_cell(grid, layer, head, position);
    int                    vocabulary = scry_model_get_info(f->model)->vocabulary, rows = base->tokens->count;
    char                   hook[SCRY__HOOK_NAME_SIZE], hooks[SCRY__HOOK_NAME_SIZE + 8];
    scry__patch_hook(hook, grid->kind, layer);
    snprintf(hooks, sizeof hooks, "%s,logits", hook);
    scry_trace         *other   = trace(f, source->tokens->ids, source->tokens->count, hooks, NULL);
    const scry_capture *capture = scry_trace_find(other, hook);
    bool                pattern = grid->kind == SCRY_PATCH_PATTERN, together = grid->position_count == 1;
    float              *moved = pattern ? NULL : move(result, capture, rows);
    scry_edit           edit  = {.hook      = hook,
                                 .kind      = SCRY_EDIT_REPLACE,
                                 .heads     = {scry_patch_kind_has_heads(grid->kind) ? UINT64_C(1) << head : 0},
                                 .positions = {together ? 0 : position, together ? rows : position + 1},
                                 .values    = {.data    = pattern ? capture->data : moved,
                                               .rows    = rows,
                                               .heads   = capture->rank == 2 ? 1 : (int)capture->shape[pattern ? 0 : 1],
                                               .columns = (int)capture->shape[capture->rank - 1]}};
    for (int i = 0; together && i < rows; i++)
        if (result->matches[i] < 0) edit.positions.begin = i + 1;
    scry_trace  *edited = trace(f, base->tokens->ids, rows, "logits", &edit);
    const float *logits = last_row(edited, vocabulary);
    double off[] = {(double)logits[PROMPTS_ANSWER] - (double)logits[PROMPTS_WRONG] - (double)cell->logit_difference,
                    exp((double)logits[PROMPTS_ANSWER] - lse_of(logits, vocabulary)) - (double)cell->probability,
                    kl_of(last_row(other, vocabulary), logits, vocabulary) - (double)cell->kl};
    for (size_t i = 0; i < COUNT(off); i++)
        cr_expect(fabs(off[i]) <= 2 * PROMISE, "%s: %s %s, layer %d, head %d, position %d: metric %zu is off by %g",
                  f->name, scry_patch_direction_text(result->direction), scry_patch_kind_text(grid->kind), layer, head,
                  position, i, off[i]);
    free(moved);
    scry_trace_destroy(&edited);
    scry_trace_destroy(&other);
}

/* The effect is made of the logit differences beside it. */
static void check_effects(const struct fixture *f, const scry_patching *result, const scry_patch_grid *grid)
{
    double base   = (double)scry_patching_baseline(result)->logit_difference;
    double source = (double)scry_patching_source(result)->logit_difference;
    for (int i = 0; i < grid->layer_count * grid->head_count * grid->position_count; i++) {
        const scry_patch_cell *cell = &grid->cells[i];
        if (isnan(cell->kl)) continue;
        cr_expect_eq(cell->effect, (float)(((double)cell->logit_difference - base) / (source - base)),
                     "%s: %s, cell %d", f->name, scry_patch_kind_text(grid->kind), i);
    }
}

/* Two cells of every kind: of different layers, heads and positions from the first that is patched on. */
static void check_cells(const char *device, const char *name)
{
    static int     round; /* equal lengths or not, by direction: the next for the next fixture */
    struct fixture f;
    fixture_open(&f, device, name);
    struct prompts     prompts = prompts_make(&f, f.id_count - REACH, round < 2 ? 0 : 2);
    scry_patch_options options = prompts_options(&prompts, (scry_patch_direction)(round % 2));
    options.by_position        = round % 2;
    options.align              = round >= 2;
    scry_patching *result      = patching_of(&f, &options);
    cr_expect(!patching_grid(result, SCRY_PATCH_PATTERN) == (round >= 2));
    for (int i = 0; i < result->grid_count; i++) {
        const scry_patch_grid *grid = &result->grids[i];
        int                    last = grid->position_count - 1, first = result->first_difference;
        while (result->matches[first] < 0) first++;
        check_effects(&f, result, grid);
        check_cell(&f, result, grid, 0, grid->head_count - 1, last ? first : 0);
        check_cell(&f, result, grid, grid->layer_count - 1, 0, last);
    }
    round = (round + 1) % 4;
    scry_patching_destroy(&result);
    fixture_close(&f);
}

Test(patch, cells__are_those_of_whole_passes, .timeout = 300)
{
    fixture_for_all(check_cells);
}

/* Positions that only the baseline has are not patched: their cells hold nothing, those before them the baseline. */
Test(patch, aligned__leaves_positions_without_a_match)
{
    enum { AT = 3, MORE = 2 };
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    struct prompts     prompts = prompts_make(&f, AT, MORE);
    scry_patch_options options = prompts_options(&prompts, SCRY_DENOISE);
    options.align              = true;
    options.kinds              = 1 << SCRY_PATCH_MLP_OUT;
    scry_patching *result      = patching_of(&f, &options);
    for (int position = 0; position < result->position_count; position++) {
        const scry_patch_cell *cell = patching_cell(&result->grids[0], 1, 0, position);
        bool                   none = position >= AT && position < AT + MORE;
        cr_expect_eq(isnan(cell->effect) && isnan(cell->kl) && isnan(cell->probability), none, "position %d", position);
        cr_expect_eq(result->matches[position], none ? -1 : position < AT ? position : position - MORE);
        if (position < AT) cr_expect_eq(cell->logit_difference, result->corrupt.logit_difference);
    }
    scry_patching_destroy(&result);
    fixture_close(&f);
}

/* The last token twice: the last positions are matched all the same, and so differ in place. */
Test(patch, aligned__reads_both_prompts_at_their_ends)
{
    struct fixture f;
    fixture_open(&f, "reference", "gpt2");
    for (int direction = 0; direction < SCRY_PATCH_DIRECTION_COUNT; direction++) {
        struct prompts prompts          = prompts_make(&f, f.id_count - 1, 1);
        prompts.corrupt[f.id_count - 1] = prompts.corrupt[f.id_count] = prompts.clean[f.id_count - 1];
        scry_patch_options options = prompts_options(&prompts, (scry_patch_direction)direction);
        options.align              = true;
        options.kinds              = 1 << SCRY_PATCH_RESID_PRE;
        scry_patching *result      = patching_of(&f, &options);
        cr_expect_eq(result->first_difference, f.id_count - 1);
        cr_expect_eq(result->clean.position, f.id_count - 1);
        cr_expect_eq(result->corrupt.position, f.id_count);
        scry_patching_destroy(&result);
    }
    fixture_close(&f);
}

/* Layer by layer, all layers at once: on the reference to the bit, which also does not depend on the batch. */
Test(patch, memory__changes_no_bit)
{
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    struct prompts     prompts = prompts_make(&f, 2, 1);
    scry_patch_options options = prompts_options(&prompts, SCRY_DENOISE);
    options.align              = true;
    scry_patching *whole       = patching_of(&f, &options);
    options.most_memory        = 1;
    options.batch              = 3;
    scry_patching *parts       = patching_of(&f, &options);
    cr_expect_gt(parts->cost.passes, whole->cost.passes);
    cr_assert_eq(parts->grid_count, whole->grid_count);
    for (int i = 0; i < whole->grid_count; i++) {
        const scry_patch_grid *grid  = &whole->grids[i];
        size_t                 cells = (size_t)(grid->layer_count * grid->head_count * grid->position_count);
        cr_expect_arr_eq(grid->cells, parts->grids[i].cells, cells * sizeof *grid->cells, "%s",
                         scry_patch_kind_text(grid->kind));
    }
    scry_patching_destroy(&parts);
    scry_patching_destroy(&whole);
    fixture_close(&f);
}

/* --- effects that are none --- */

/* All logits are 0, of every run. */
Test(patch, effect__is_undefined_where_both_runs_agree)
{
    static const checkpoint_edit edit = {"llama", SCALE_TENSORS, "lm_head.weight", "0"};
    char                         path[CHECKPOINT_PATH];
    scry_device                 *device  = NULL;
    scry_model                  *model   = NULL;
    scry_patching               *result  = NULL;
    const int32_t                clean[] = {1, 2, 3, 4}, corrupt[] = {1, 5, 3, 4};
    checkpoint_make(path, &edit);
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = "reference"}), SCRY_OK);
    cr_assert_eq(scry_model_open(&model, device, path, NULL), SCRY_OK, "%s", scry_last_error());
    scry_patch_options options = {.clean_ids        = clean,
                                  .clean_id_count   = COUNT(clean),
                                  .corrupt_ids      = corrupt,
                                  .corrupt_id_count = COUNT(corrupt),
                                  .answer           = {.id = PROMPTS_ANSWER, .has_id = true},
                                  .wrong            = {.id = PROMPTS_WRONG, .has_id = true}};
    cr_assert_eq(scry_patching_run(&result, model, NULL, NULL, &options), SCRY_OK, "%s", scry_last_error());
    cr_expect(!result->defined);
    for (int i = 0; i < result->grid_count; i++) {
        const scry_patch_grid *grid = &result->grids[i];
        for (int cell = 0; cell < grid->layer_count * grid->head_count * grid->position_count; cell++)
            cr_expect(isnan(grid->cells[cell].effect) && grid->cells[cell].logit_difference == 0 &&
                          grid->cells[cell].probability > 0 && grid->cells[cell].kl == 0,
                      "%s, cell %d", scry_patch_kind_text(grid->kind), cell);
    }
    scry_patching_destroy(&result);
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    checkpoint_remove(path);
}

/* --- what is asked --- */

static int32_t likeliest(const struct fixture *f, const int32_t *ids)
{
    int          vocabulary = scry_model_get_info(f->model)->vocabulary;
    scry_trace  *run        = trace(f, ids, f->id_count, "logits", NULL);
    const float *logits     = last_row(run, vocabulary);
    int32_t      best       = 0;
    for (int32_t id = 1; id < vocabulary; id++)
        if (logits[id] > logits[best]) best = id;
    scry_trace_destroy(&run);
    return best;
}

/* Without an answer and a wrong one: the likeliest behind each prompt. */
Test(patch, tokens__are_the_likeliest_where_none_is_named)
{
    struct fixture f;
    fixture_open(&f, "reference", "gpt2");
    struct prompts     prompts = prompts_make(&f, f.id_count - 1, 0);
    scry_patch_options options = prompts_options(&prompts, SCRY_NOISE);
    int32_t           *last    = &prompts.corrupt[f.id_count - 1];
    options.answer = options.wrong = (scry_token_choice){0};
    options.kinds                  = 1 << SCRY_PATCH_Z;
    for (*last = 0; likeliest(&f, prompts.corrupt) == likeliest(&f, prompts.clean);) ++*last;
    scry_patching *result = patching_of(&f, &options);
    cr_expect_eq(result->clean.answer.id, likeliest(&f, prompts.clean));
    cr_expect_eq(result->corrupt.answer.id, result->clean.answer.id);
    cr_expect_eq(result->clean.wrong.id, likeliest(&f, prompts.corrupt));
    cr_expect_eq(scry_patching_baseline(result), &result->clean);
    cr_expect_eq(scry_patching_source(result), &result->corrupt);
    scry_patching_destroy(&result);
    *last = prompts.clean[f.id_count - 1] ? 0 : 1;
    while (likeliest(&f, prompts.corrupt) != likeliest(&f, prompts.clean) || *last == prompts.clean[f.id_count - 1])
        ++*last;
    cr_expect_eq(scry_patching_run(&result, f.model, NULL, NULL, &options), SCRY_BAD_ARGUMENT);
    cr_expect(strstr(scry_last_error(), "are both token"), "%s", scry_last_error());
    fixture_close(&f);
}
