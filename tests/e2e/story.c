/* The demo model's causal story: where the fact that the Eiffel Tower stands in Paris is, on its way to the answer. The
 * residual stream has it at the subject until attention of the last two layers brings it to the last position. */
#include "program.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CLEAN   "The Eiffel Tower is located in"
#define CORRUPT "The Brandenburg Gate is located in"

enum { SUBJECT = 2, SUBJECT_END = 3, LAST = 6, LAYERS = 6, POSITIONS = 7 };

TestSuite(story, .init = make_folder, .fini = remove_folder);

enum grid { STREAM, ATTENTION };

static const char *const kinds[] = {"resid_pre", "attn_out"};

/* The effect in the stream before a layer, or of the layer's attention, at a position. */
static double effect(const json_t *direction, enum grid kind, int layer, int position)
{
    const json_t *grids = json_object_get(direction, "grids"), *grid;
    double        found = NAN;
    size_t        index;
    json_array_foreach((json_t *)grids, index, grid)
    {
        if (strcmp(json_string_value(json_object_get(grid, "kind")), kinds[kind])) continue;
        cr_assert_eq(json_integer_value(json_object_get(grid, "position_count")), POSITIONS);
        const json_t *value = json_array_get(json_object_get(grid, "effect"), (size_t)(layer * POSITIONS + position));
        cr_assert(json_is_number(value), "%s, layer %d, position %d", kinds[kind], layer, position);
        found = json_number_value(value);
    }
    cr_assert(!isnan(found), "no grid of %s", kinds[kind]);
    return found;
}

static json_t *patch(const char *device)
{
    struct outcome outcome = SCRY("patch", CLEAN, CORRUPT, "--answer", " Paris", "--wrong", " Berlin", "--kinds",
                                  "resid_pre,attn_out", "--direction", "both", "--json", "--device", device);
    json_t        *object  = outcome_json(&outcome);
    outcome_free(&outcome);
    return object;
}

/* In both directions: what restores the answer is what breaks it. */
Test(story, answer__goes_from_the_subject_to_the_last_position)
{
    static const char *const devices[] = {"cpu", "reference"};
    for (int i = 0; i < 2; i++) {
        json_t       *object     = patch(devices[i]);
        const json_t *directions = json_object_get(object, "directions"), *direction;
        size_t        index;
        json_array_foreach((json_t *)directions, index, direction)
        {
            for (int layer = 0; layer < LAYERS - 1; layer++) {
                cr_expect_gt(effect(direction, STREAM, layer, SUBJECT), 0.75, "layer %d", layer);
                cr_expect_lt(fabs(effect(direction, STREAM, layer, LAST)), 0.1, "layer %d", layer);
            }
            cr_expect_lt(effect(direction, STREAM, LAYERS - 1, SUBJECT), 0.55);
            cr_expect_gt(effect(direction, STREAM, LAYERS - 1, LAST), 0.3);
            for (int layer = 0; layer < LAYERS; layer++) {
                double brought = effect(direction, ATTENTION, layer, LAST);
                cr_expect(layer < LAYERS - 2 ? fabs(brought) < 0.1 : brought > 0.25, "layer %d: %g", layer, brought);
                for (int position = 0; position < POSITIONS; position++) {
                    double elsewhere = effect(direction, STREAM, layer, position);
                    if (position != SUBJECT && position != LAST)
                        cr_expect_lt(fabs(elsewhere), 0.25, "layer %d, position %d: %g", layer, position, elsewhere);
                }
            }
            for (int position = 0; position < SUBJECT; position++)
                cr_expect_eq(effect(direction, STREAM, 0, position), 0, "before the prompts differ");
        }
        cr_expect_eq(index, 2);
        json_decref(object);
    }
}

/* The report tells it, with estimates where asked, and names the command that makes it again. */
Test(story, report__has_it)
{
    const char    *path = in_folder("report.html");
    struct outcome outcome =
        SCRY("report", CLEAN, "--corrupt", CORRUPT, "--answer", " Paris", "--method", "both", "--quick", "-o", path);
    struct outcome guess   = SCRY("patch", CLEAN, CORRUPT, "--answer", " Paris", "--wrong", " Berlin", "--kinds",
                                  "resid_pre", "--method", "estimate", "--json");
    json_t        *guessed = outcome_json(&guess);
    size_t         size;
    cr_assert_eq(outcome.exit_code, 0, "%s", outcome.err);
    char *page = read_file(path, &size);
    char *data = strstr(page, "id=\"data\">");
    cr_assert_not_null(data);
    data += strlen("id=\"data\">");
    *strstr(data, "</script>") = 0;
    json_t *object = json_loads(data, 0, NULL), *restored = patch("cpu");
    cr_assert_not_null(object);
    const json_t *shown = json_array_get(json_object_get(json_object_get(object, "patching"), "directions"), 0);
    const json_t *known = json_array_get(json_object_get(restored, "directions"), 0);
    for (int layer = 0; layer < LAYERS; layer++)
        for (int position = 0; position < POSITIONS; position++)
            cr_expect_eq(effect(shown, STREAM, layer, position), effect(known, STREAM, layer, position));
    const json_t *estimates[] = {shown, json_array_get(json_object_get(guessed, "directions"), 0)};
    for (int i = 0; i < 2; i++)
        estimates[i] = json_object_get(json_array_get(json_object_get(estimates[i], "grids"), 0), "estimate");
    cr_expect(estimates[0] && json_equal(estimates[0], estimates[1]), "estimates are those of scry patch");
    json_decref(guessed);
    json_decref(restored);
    json_decref(object);
    free(page);
    page = read_file(path, &size);
    cr_expect(strstr(page, "--corrupt &#39;" CORRUPT
                           "&#39; --answer &#39; Paris&#39; --method &#39;both&#39; -- &#39;" CLEAN "&#39;"));
    free(page);
    outcome_free(&guess);
    outcome_free(&outcome);
}

Test(story, report__refuses_half_a_question)
{
    static const struct {
        const char *option, *value, *says;
    } cases[] = {
        {"--answer", " Paris",
         "--answer, --wrong, --align and --method say how another prompt is patched: expected --corrupt too"},
        {"--method", "both", "expected --corrupt too"},
        {"--method", "guess", "--method \"guess\": expected exact, estimate or both"},
        {"--wrong-id", "5", "expected --corrupt too"},
        {"--corrupt", "The capital of the United Kingdom of old is", "7"},
        {"--corrupt-ids", "5,x", "--corrupt-ids \"5,x\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome outcome =
            SCRY("report", CLEAN, cases[i].option, cases[i].value, "--quick", "-o", in_folder("r.html"));
        cr_expect_eq(outcome.exit_code, 2, "%s: %d", cases[i].option, outcome.exit_code);
        cr_expect(strstr(outcome.err, cases[i].says), "%s: %s", cases[i].option, outcome.err);
        outcome_free(&outcome);
    }
}
