/* The page that `scry diff` writes: its numbers are those of --json, and runs can be gone through. */
#include "browser/export_file.h"
#include "browser/made.h"
#include "browser/shown.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(comparison, .init = make_folder, .fini = remove_folder);

Test(comparison, places__are_the_largest_differences_and_lead_to_their_cell)
{
    struct page *page = page_start();
    json_t      *diff = RESULT("diff", "--text", MADE_PROMPT), *places = of(diff, "places"), *row;
    size_t       i;
    page_open(page, PAGE("diff", "--text", MADE_PROMPT), "comparison");
    int     levels = (int)page_number(page, "scry.data.attention.levels");
    json_t *rows =
        page_value(page, "[...document.querySelectorAll('#comparison h3')].filter(each => each.textContent === "
                         "'Largest differences').map(each => each.parentElement.querySelector('table').dataset.test "
                         "= 'places') && " CELLS("#comparison [data-test=places] tbody tr"));
    cr_assert_gt(json_array_size(rows), 5);
    json_array_foreach(rows, i, row)
    {
        json_t *place = at(places, (int)i);
        char    name[32], selector[128];
        double  a = number_of(place, "a"), b = number_of(place, "b");
        snprintf(name, sizeof name, "%d.%d", int_of(place, "layer"), int_of(place, "head"));
        cr_expect_str_eq(text_at(row, 0), name);
        expect_close(read_number(text_at(row, 3)), a, decimals(3, a), "a", (int)i, 0);
        expect_close(read_number(text_at(row, 4)), b, decimals(3, b), "b", (int)i, 0);
        snprintf(selector, sizeof selector, "#comparison [data-test=places] tbody tr:nth-child(%zu) button", i + 1);
        page_click(page, selector);
        cr_expect(page_holds(page, "scry.state.query === %d && scry.state.key === %d", int_of(place, "query"),
                             int_of(place, "key")));
        double shown = page_number(page, "Number(document.querySelector('#comparison .readout').dataset.value)");
        expect_close(shown, b - a, 1.01 * (sqrt(a) + sqrt(b)) / levels + 1e-6, "difference", (int)i, 1);
    }
    json_decref(rows);
    json_decref(diff);
    page_close(&page);
}

Test(comparison, views__open_for_twins_prompts_and_series)
{
    static const char *const runs[][8] = {
        {"diff", "--text", MADE_PROMPT, NULL},
        {"diff", "--prompts", MADE_PROMPT, MADE_OTHER_PROMPT, NULL},
        {"diff", "--text", MADE_PROMPT, "models/demo", "models/demo", "models/demo", NULL},
    };
    static const char *const names[] = {"twin", "prompts", "series"};
    struct page             *page    = page_start();
    for (int i = 0; i < 3; i++) {
        page_open(page, made_page(runs[i]), NULL);
        json_t *views = made_views(page), *view;
        size_t  index;
        bool    found = false;
        json_array_foreach(views, index, view)
        {
            char picture[96];
            bool comparison = !strcmp(json_string_value(view), "comparison");
            found           = found || comparison;
            made_view(page, json_string_value(view));
            snprintf(picture, sizeof picture, "comparison-%s", names[i]);
            if (comparison) page_screenshot(page, picture, true);
        }
        cr_expect(found, "%s: no comparison", names[i]);
        json_decref(views);
    }
    page_close(&page);
}

Test(comparison, scrubber__goes_through_the_runs)
{
    struct page *page = page_start();
    page_open(page, PAGE("diff", "--text", MADE_PROMPT, "models/demo", "models/demo", "models/demo"), "comparison");
    cr_expect_eq(page_number(page, "Number(document.querySelector('#comparison input[type=range]').max)"), 2);
    page_choose(page, "#comparison input[type=range]", "1");
    cr_expect(page_holds(page, "scry.state.checkpoint === 1"));
    page_choose(page, "#comparison input[type=range]", "0");
    cr_expect_eq(page_number(page, "Number(document.querySelector('#comparison .readout').dataset.value)"), 0,
                 "a run less itself");
    page_close(&page);
}

/* The same with every number as a real: where scry writes 1.0, a page writes 1. Takes `object`. */
static json_t *with_reals(json_t *object)
{
    char   *text  = json_dumps(object, JSON_REAL_PRECISION(17));
    json_t *reals = text ? json_loads(text, JSON_DECODE_INT_AS_REAL, NULL) : NULL;
    cr_assert_not_null(reals);
    free(text);
    json_decref(object);
    return reals;
}

Test(comparison, export__is_the_result)
{
    struct page *page = page_start();
    json_t      *diff = with_reals(RESULT("diff", "--prompts", MADE_PROMPT, MADE_OTHER_PROMPT)), *file;
    size_t       size;
    char        *name;
    page_open(page, PAGE("diff", "--prompts", MADE_PROMPT, MADE_OTHER_PROMPT), "comparison");
    char *bytes = page_download(page, "#comparison [data-export=json]", &size, &name);
    file        = json_loadb(bytes, size, JSON_DECODE_INT_AS_REAL, NULL);
    cr_assert_not_null(file);
    static const char *const keys[] = {"heads", "places", "lens", "loss"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        cr_expect(json_equal(of(file, keys[i]), of(diff, keys[i])), "%s differ", keys[i]);
    json_decref(file);
    json_decref(diff);
    free(bytes);
    free(name);
    page_close(&page);
}
