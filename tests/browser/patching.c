/* The view of patching: its numbers are those of --json, in both directions, and it follows pointer and keys. */
#include "browser/large_model.h"
#include "browser/made.h"
#include "browser/shown.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(patching, .init = make_folder, .fini = remove_folder);

#define CLEAN   "The Eiffel Tower is located in"
#define CORRUPT "The Brandenburg Gate is located in"
#define STORY   "report", CLEAN, "--corrupt", CORRUPT, "--quick"

/* What the view says of the cells of one layer of each grid, another for each metric, in both directions:
 * [direction, grid, metric, layer, place, value]. Numbers of places are heads' or positions'. */
#define CELLS_SHOWN                                                                                                    \
    "(() => { const all = [], readout = document.querySelector('#patching .readout');"                                 \
    "scry.data.patching.directions.forEach((direction, way) => direction.grids.forEach((grid, order) => "              \
    "  ['effect', 'logit_difference', 'probability', 'kl'].forEach((metric, shift) => {"                               \
    "    const layer = (order + shift) %% grid.layer_count;"                                                           \
    "    for (let place = 0; place < grid.head_count * grid.position_count; place++) {"                                \
    "      scry.update({ patchWay: direction.direction, patchMetric: metric, patchKind: grid.kind, layer,"             \
    "        [grid.head_count > 1 ? 'head' : 'patchPosition']: place });"                                              \
    "      const value = readout.dataset.value;"                                                                       \
    "      all.push([way, order, metric, layer, place, value === 'null' ? null : Number(value)]); } })));"             \
    "return all; })()"

Test(patching, cells__are_those_of_the_command)
{
    struct page *page   = page_start();
    json_t      *result = RESULT("patch", CLEAN, CORRUPT, "--direction", "both"), *cell;
    size_t       i;
    page_open(page, PAGE(STORY), "patching");
    json_t *cells = page_value(page, CELLS_SHOWN);
    cr_assert_eq(json_array_size(cells), 2 * 4 * (4 * 7 + 3 * 8 + 2 * 4));
    json_array_foreach(cells, i, cell)
    {
        json_t     *grid   = at(of(at(of(result, "directions"), (int)json_integer_value(at(cell, 0))), "grids"),
                                (int)json_integer_value(at(cell, 1)));
        const char *metric = json_string_value(at(cell, 2));
        int         layer = (int)json_integer_value(at(cell, 3)), place = (int)json_integer_value(at(cell, 4));
        json_t     *value =
            at(of(grid, metric), layer * int_of(grid, "head_count") * int_of(grid, "position_count") + place);
        double  exact = json_is_null(value) ? NAN : json_number_value(value);
        json_t *shown = at(cell, 5);
        expect_close(json_is_null(shown) ? NAN : json_number_value(shown), exact, 1e-6 * (1 + fabs(exact)), metric,
                     layer, place);
    }
    json_decref(cells);
    json_decref(result);
    page_close(&page);
}

/* Both prompts stand above the grids and on their axes. */
Test(patching, prompts__are_named_where_they_differ)
{
    struct page *page = page_start();
    size_t       size;
    char        *name;
    page_open(page, PAGE(STORY), "patching");
    json_t *rows = page_value(page, CELLS("#patching table tbody tr"));
    cr_assert_eq(json_array_size(rows), 2);
    cr_expect(strstr(text_at(at(rows, 0), 1), "␣Eiffel␣Tower is located in"), "%s", text_at(at(rows, 0), 1));
    cr_expect(strstr(text_at(at(rows, 1), 1), "␣Brandenburg␣Gate is located in"), "%s", text_at(at(rows, 1), 1));
    cr_expect_gt(read_number(text_at(at(rows, 0), 4)), 1);
    cr_expect_lt(read_number(text_at(at(rows, 1), 4)), -1);
    char *csv = page_download(page, "#patching [data-export=csv]", &size, &name);
    cr_expect(strstr(csv, "denoise,resid_pre,0,,2,␣Eiffel | ␣Brandenburg,"), "%.400s", csv);
    cr_expect(strstr(csv, "denoise,resid_pre,0,,6,␣in,"), "%.400s", csv);
    free(csv);
    free(name);
    char *svg = page_download(page, "#patching [data-export=svg]", &size, &name);
    cr_expect(strstr(svg, ">residual stream before the layer<") && strstr(svg, ">patterns<") &&
              strstr(svg, "␣Eiffel | "));
    free(svg);
    free(name);
    json_decref(rows);
    page_close(&page);
}

static char *part_of(struct page *page, const char *selector)
{
    return page_text(page, "document.querySelector('#patching %s').textContent", selector);
}

Test(patching, switches__change_direction_and_metric)
{
    static const char *const metrics[] = {"logit_difference", "probability", "kl", "effect"};
    struct page             *page      = page_start();
    page_open(page, PAGE(STORY), "patching");
    char *restores = part_of(page, ".prose");
    cr_expect(strstr(restores, "restores at least half of the difference at"), "%s", restores);
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        char *before = part_of(page, ".scale"), *value = part_of(page, ".readout");
        page_choose(page, "#patching .controls select:has(option[value=kl])", metrics[i]);
        char *after = part_of(page, ".scale"), *same = part_of(page, ".readout");
        cr_expect_str_neq(before, after, "%s", metrics[i]);
        cr_expect_str_eq(value, same, "the readout has every metric");
        free(same);
        free(after);
        free(value);
        free(before);
    }
    page_choose(page, "#patching .controls select:has(option[value=noise])", "noise");
    cr_expect(page_holds(page, "scry.state.patchWay === 'noise'"));
    char *breaks = part_of(page, ".prose");
    cr_expect(strstr(breaks, "put into the clean run, breaks"), "%s", breaks);
    page_screenshot(page, "patching-noise", true);
    free(breaks);
    free(restores);
    page_close(&page);
}

Test(patching, cells__follow_pointer_click_and_keys)
{
    struct page *page = page_start();
    page_open(page, PAGE(STORY), "patching?patchPosition=0");
    char *before = part_of(page, ".readout");
    page_point_at(page, "#patching .even .figure-box:nth-child(3) canvas", 0.9, 0.5);
    char *pointed = part_of(page, ".readout");
    cr_expect(strstr(pointed, "output of attention") && strcmp(before, pointed), "%s", pointed);
    page_point(page, "h1");
    char *away = part_of(page, ".readout");
    cr_expect_str_eq(before, away);
    page_click_at(page, "#patching .three .figure-box:nth-child(1) canvas", 0.9, 0.5);
    cr_expect(page_holds(page, "scry.state.patchKind === 'z' && scry.state.head > 4"));
    double head = page_number(page, "scry.state.head"), layer = page_number(page, "scry.state.layer");
    page_press(page, "ArrowLeft");
    page_press(page, "ArrowUp");
    cr_expect_eq(page_number(page, "scry.state.head"), head - 1);
    cr_expect_eq(page_number(page, "scry.state.layer"), layer - 1);
    for (int i = 0; i < 9; i++) page_press(page, "ArrowUp");
    cr_expect_eq(page_number(page, "scry.state.layer"), 0, "never past the edge");
    free(away);
    free(pointed);
    free(before);
    page_close(&page);
}

/* Prompts of unequal length have positions without a match; a model that knows nothing has no effects. */
Test(patching, what_is_not_there__is_said)
{
    struct page *page = page_start();
    page_open(page, PAGE("report", CLEAN, "--corrupt", "The Colosseum is located in", "--align", "--quick"),
              "patching?patchWay=noise&patchPosition=2");
    page_value(page, "scry.update({ patchWay: 'noise', patchKind: 'resid_pre', patchPosition: "
                     "scry.data.patching.directions[1].matches.indexOf(null) })");
    char *readout = part_of(page, ".readout");
    cr_expect(strstr(readout, "not patched: no position of the other prompt matches"), "%s", readout);
    page_open(page,
              PAGE("patch", "--model", large_model(false), "--clean-ids", "1,2,3", "--corrupt-ids", "1,5,3",
                   "--answer-id", "2", "--wrong-id", "3"),
              NULL);
    char *story = part_of(page, ".prose");
    cr_expect(strstr(story, "effects are not defined"), "%s", story);
    free(story);
    free(readout);
    page_close(&page);
}

/* The page that scry patch writes opens there, and has heads by position where asked. */
Test(patching, page_of_the_command__opens_there)
{
    struct page *page = page_start();
    page_open(page, PAGE("patch", CLEAN, CORRUPT, "--by-position", "--kinds", "resid_pre,z"), NULL);
    cr_expect(page_holds(page, "scry.state.view === 'patching'"));
    page_choose(page, "#patching .controls select:has(option[value='6'])", "6");
    cr_expect(page_holds(page, "scry.state.patchPosition === 6"));
    page_value(page, "scry.update({ patchKind: 'z', layer: 3, head: 2 })");
    double shown = page_number(page, "Number(document.querySelector('#patching .readout').dataset.value)");
    double exact = page_number(page, "scry.data.patching.directions[0].grids[1].effect[(3 * 8 + 2) * 7 + 6]");
    expect_close(shown, exact, 1e-9, "z", 3, 2);
    page_open(page, PAGE("patch", CLEAN, CORRUPT, "--kinds", "z,v"), NULL);
    char *story = part_of(page, ".prose");
    cr_expect_str_eq(story, "", "nothing is known of the stream");
    free(story);
    json_t *views = made_views(page), *view;
    size_t  index;
    json_array_foreach(views, index, view) made_view(page, json_string_value(view));
    json_decref(views);
    page_close(&page);
}

/* Estimates are a metric of their own, on the effects' scale, beside which their distance is told; alone they have no
 * other beside them. */
Test(patching, estimates__stand_beside_effects)
{
    struct page *page = page_start();
    page_open(page, PAGE("patch", CLEAN, CORRUPT, "--kinds", "resid_pre,z,pattern", "--method", "both"), NULL);
    char *scale = part_of(page, ".scale"), *readout;
    page_choose(page, "#patching .controls select:has(option[value=kl])", "estimate");
    page_value(page, "scry.update({ patchKind: 'z', layer: 1, head: 2 })");
    readout      = part_of(page, ".readout");
    double shown = page_number(page, "Number(document.querySelector('#patching .readout').dataset.value)");
    double exact = page_number(page, "scry.data.patching.directions[0].grids[1].estimate[8 + 2]");
    expect_close(shown, exact, 1e-9, "z", 1, 2);
    cr_expect(strstr(readout, "effect ") && strstr(readout, "estimate ") && strstr(readout, "48 cells") &&
                  strstr(readout, "correlation 0."),
              "%s", readout);
    char *other = part_of(page, ".scale");
    cr_expect_eq(strtod(strpbrk(scale, "0123456789"), NULL), strtod(strpbrk(other, "0123456789"), NULL), "%s and %s",
                 scale, other);
    free(other);
    free(readout);
    free(scale);
    page_open(page, PAGE("patch", CLEAN, CORRUPT, "--method", "estimate"), NULL);
    cr_expect(page_holds(page, "scry.state.patchMetric === 'estimate' && !document.querySelector('option[value=kl]')"));
    readout = part_of(page, ".readout");
    cr_expect(strstr(readout, "estimate ") && !strstr(readout, "KL") && !strstr(readout, "correlation"), "%s", readout);
    page_screenshot(page, "patching-estimate", true);
    free(readout);
    page_open(page, PAGE(STORY, "--method", "both"), "patching?patchMetric=estimate&patchWay=noise");
    readout = part_of(page, ".readout");
    cr_expect(strstr(readout, "effect ") && strstr(readout, "estimate ") && strstr(readout, "estimates are off by"),
              "a report has both, too: %s", readout);
    free(readout);
    json_t *views = made_views(page), *view;
    size_t  index;
    json_array_foreach(views, index, view) made_view(page, json_string_value(view));
    json_decref(views);
    page_close(&page);
}

/* --- many pairs --- */

/* Two prompts of one length, and one that is longer: in three pairs something is known of heads, in two of positions.
 */
static const char *write_pairs(void)
{
    static const char lines[] = "{\"clean\": \"The capital of France is\", \"corrupt\": \"The capital of Italy is\"}\n"
                                "{\"clean\": \"The capital of Spain is\", \"corrupt\": \"The capital of Peru is\"}\n"
                                "{\"clean\": \"" CLEAN "\", \"corrupt\": \"" CORRUPT "\"}\n";
    const char       *path    = in_folder("pairs.jsonl");
    FILE             *file    = fopen(path, "w");
    cr_assert(file && fputs(lines, file) >= 0 && !fclose(file), "%s", path);
    return path;
}

#define PAIRS "patch", "--pairs", write_pairs(), "--kinds", "resid_pre,z", "--direction", "both"

/* Every cell's mean and deviation, as the readout has them: [grid, statistic, index, value, text]. */
#define MEANS_SHOWN                                                                                                    \
    "(() => { const all = [], readout = document.querySelector('#patching .readout');"                                 \
    "scry.data.patching_pairs.grids.forEach((grid, order) => { if (grid.direction !== 'noise') return;"                \
    "  ['mean', 'deviation'].forEach(statistic => {"                                                                   \
    "    for (let index = 0; index < grid.effect.mean.length; index++) {"                                              \
    "      const places = grid.head_count * grid.position_count, way = 'noise-' + (grid.labels.length || 6);"          \
    "      scry.update({ patchWay: way, patchMetric: 'effect', patchStatistic: statistic, patchKind: grid.kind,"       \
    "        layer: Math.floor(index / places),"                                                                       \
    "        [grid.head_count > 1 ? 'head' : 'patchPosition']: index %% places });"                                    \
    "      all.push([order, statistic, index, Number(readout.dataset.value), readout.textContent]); } }); });"         \
    "return all; })()"

Test(patching, means_over_pairs__are_those_of_the_command)
{
    struct page *page   = page_start();
    json_t      *result = RESULT(PAIRS), *cell;
    size_t       i;
    page_open(page, PAGE(PAIRS), NULL);
    cr_expect(page_holds(page, "scry.state.view === 'patching'"));
    json_t *cells = page_value(page, MEANS_SHOWN);
    cr_assert_eq(json_array_size(cells), 2 * (6 * 6 + 6 * 7 + 6 * 8));
    json_array_foreach(cells, i, cell)
    {
        const char *statistic = text_at(cell, 1);
        int         index     = (int)json_integer_value(at(cell, 2));
        json_t     *grid      = at(of(result, "grids"), (int)json_integer_value(at(cell, 0)));
        json_t     *value     = at(of(of(grid, "effect"), statistic), index);
        int         pairs     = (int)json_integer_value(at(of(of(grid, "effect"), "count"), index));
        double      exact     = json_is_null(value) ? 0 : json_number_value(value);
        char        says[64];
        expect_close(json_number_value(at(cell, 3)), exact, 1e-6 * (1 + fabs(exact)), statistic, (int)i, index);
        snprintf(says, sizeof says, "(mean ± standard deviation of %d pair%s)", pairs, pairs > 1 ? "s" : "");
        cr_expect(strstr(text_at(cell, 4), says), "%s: %s", says, text_at(cell, 4));
    }
    json_decref(cells);
    json_decref(result);
    page_close(&page);
}

/* Prompts of each length are a choice of their own; where they differ, no token is named. */
Test(patching, means_over_pairs__are_told_and_exported)
{
    struct page *page = page_start();
    size_t       size;
    char        *name;
    page_open(page, PAGE(PAIRS), NULL);
    char *story = part_of(page, ".prose"), *scale = part_of(page, ".scale");
    cr_expect(strstr(story, "In the mean over 2 pairs, the clean residual stream") &&
                  strstr(story, "(differs) (position 4) in layers 0 to"),
              "%s", story);
    page_choose(page, "#patching .controls select:has(option[value=deviation])", "deviation");
    char *other = part_of(page, ".scale");
    cr_expect(strstr(other, "standard deviation of effect") && strcmp(scale, other), "%s", other);
    page_screenshot(page, "patching-pairs", true);
    char *csv = page_download(page, "#patching [data-export=csv]", &size, &name);
    cr_expect(strstr(csv, ",effect,effect_deviation,effect_pairs,") &&
                  strstr(csv, "denoise-6,resid_pre,0,,4,(differs),"),
              "%.400s", csv);
    free(csv);
    free(name);
    page_choose(page, "#patching .controls select:has(option[value=denoise-7])", "denoise-7");
    free(story);
    story = part_of(page, ".prose");
    cr_expect(strstr(story, "In the mean over 1 pair, ") && strstr(story, "␣Tower") == NULL, "%s", story);
    json_t *rows = page_value(page, CELLS("#patching table tbody tr"));
    cr_expect(json_array_size(rows) == 2 && read_number(text_at(at(rows, 0), 1)) > 1 &&
              read_number(text_at(at(rows, 1), 1)) < -1);
    json_t *views = made_views(page), *view;
    size_t  index;
    json_array_foreach(views, index, view) made_view(page, json_string_value(view));
    cr_expect_eq(json_array_size(views), 2);
    json_decref(views);
    json_decref(rows);
    free(other);
    free(scale);
    free(story);
    page_close(&page);
}
