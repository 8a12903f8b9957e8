/* Analyses: numbers on the page are those of the command's --json. */
#include "browser/made.h"
#include "browser/shown.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(analyses, .init = make_folder, .fini = remove_folder);

/* The texts of a table's cells, row by row, of the rows that match. */
#define CELLS(rows)                                                                                                    \
    "[...document.querySelectorAll('" rows "')].map(row => [...row.children].map(cell => cell.textContent))"

/* --- atlas --- */

static void expect_nulls(json_t *row, json_t *kinds, const char *key)
{
    for (int i = 0; i < (int)json_array_size(kinds); i++) { /* behind the row's name and an empty cell */
        double exact = number_of(at(kinds, i), key);
        expect_close(read_number(text_at(row, i + 2)), exact, decimals(3, exact), key, i, 0);
    }
}

Test(analyses, atlas__shows_every_score_and_its_nulls)
{
    struct page *page  = page_start();
    json_t      *heads = RESULT("heads", MADE_PROMPT), *kinds = of(heads, "kinds"), *head;
    size_t       i;
    page_open(page, REPORT(MADE_PROMPT), "atlas");
    json_t *nulls = page_value(page, CELLS("#atlas table.sortable tr.null"));
    cr_assert_eq(json_array_size(nulls), 3);
    expect_nulls(at(nulls, 0), kinds, "uniform");
    expect_nulls(at(nulls, 1), kinds, "random_mean");
    expect_nulls(at(nulls, 2), kinds, "random_largest");
    json_t *rows = page_value(page, CELLS("#atlas table.sortable tbody tr:not(.null)"));
    cr_assert_eq(json_array_size(rows), json_array_size(of(heads, "heads")));
    json_array_foreach(of(heads, "heads"), i, head)
    {
        char    name[32];
        json_t *row = at(rows, (int)i);
        snprintf(name, sizeof name, "%d.%d", int_of(head, "layer"), int_of(head, "head"));
        cr_expect_str_eq(text_at(row, 0), name);
        const char *kind = json_string_value(of(head, "kind"));
        cr_expect(kind ? !strncmp(text_at(row, 1), kind, strlen(kind)) : !strcmp(text_at(row, 1), "–"), "%s: %s", name,
                  text_at(row, 1));
        for (int k = 0; k < (int)json_array_size(kinds); k++) {
            double exact = number_of(of(of(head, "scores"), json_string_value(of(at(kinds, k), "name"))), "value");
            expect_close(read_number(text_at(row, k + 2)), exact, decimals(3, exact), name, k, 0);
        }
    }
    json_decref(rows);
    json_decref(nulls);
    json_decref(heads);
    page_close(&page);
}

Test(analyses, atlas__is_sorted_by_its_headings)
{
    struct page *page = page_start();
    page_open(page, REPORT(MADE_PROMPT), "atlas");
    page_value(page, "[...document.querySelectorAll('#atlas th button')].find(each => each.textContent === "
                     "'induction').dataset.test = 'here'");
    page_click(page, "#atlas th button[data-test=here]");
    json_t *rows = page_value(page, CELLS("#atlas table.sortable tbody tr:not(.null)"));
    int column   = (int)page_number(page, "[...document.querySelectorAll('#atlas table.sortable thead th')].findIndex("
                                            "each => each.textContent === 'induction')");
    cr_assert_gt(json_array_size(rows), 1);
    for (int i = 1; i < (int)json_array_size(rows); i++)
        cr_expect_leq(read_number(text_at(at(rows, i), column)), read_number(text_at(at(rows, i - 1), column)));
    cr_expect(
        page_holds(page, "document.querySelector('#atlas th[aria-sort=descending]').textContent === 'induction'"));
    page_click(page, "#atlas table.sortable tbody tr:not(.null) th button");
    cr_expect(page_holds(page, "scry.state.view === 'heatmap'"), "a head's name opens its heat map");
    json_decref(rows);
    page_close(&page);
}

/* --- queries and keys --- */

Test(analyses, neurons__give_the_weight)
{
    struct page *page      = page_start();
    json_t      *attention = RESULT("attn", MADE_PROMPT, "--layers", "all"), *cell;
    size_t       i;
    page_open(page, REPORT(MADE_PROMPT), "neuron");
    json_t *shown = page_value(
        page,
        "(() => { const shown = [], { layer_count, head_count } = scry.data.model;"
        "for (let layer = 0; layer < layer_count; layer++)"
        "for (let head = 0; head < head_count; head++)"
        "for (const query of [3, 11]) {"
        "  scry.update({ layer, head, query, key: (layer + 2 * head) %% (query + 1) });"
        "  const readout = document.querySelector('#neuron .readout');"
        "  const [dot, score, weight] = [...readout.querySelectorAll('strong')].map(each => Number(each.textContent));"
        "  const scale = Number(readout.textContent.match(/× scale ([\\d.]+)/)[1]);"
        "  const lse = Number(readout.textContent.match(/lse of the row (-?[\\d.]+)/)[1]);"
        "  shown.push([layer * head_count + head, query, scry.state.key, dot, scale, score, lse, weight]); }"
        "return shown; })()");
    json_array_foreach(shown, i, cell)
    {
        double number[8];
        for (int k = 0; k < 8; k++) number[k] = json_number_value(at(cell, k));
        json_t *pattern = of(at(of(attention, "heads"), (int)number[0]), "pattern");
        double  exact   = json_number_value(at(at(pattern, (int)number[1]), (int)number[2]));
        /* queries and keys are kept to 16 bits */
        expect_close(number[7], exact, 1e-4 + 0.005 * exact, "weight", (int)number[0], (int)number[1]);
        expect_close(number[5], number[3] * number[4], 1e-3 + 1e-4 * fabs(number[3]), "score", (int)number[0],
                     (int)number[1]);
        expect_close(number[7], exp(number[5] - number[6]), 1e-4 + 2e-3 * number[7], "softmax", (int)number[0],
                     (int)number[1]);
    }
    cr_expect_gt(json_array_size(shown), 50);
    json_decref(shown);
    json_decref(attention);
    page_close(&page);
}

/* --- logit trace --- */

Test(analyses, trace__shows_each_step)
{
    struct page *page = page_start();
    json_t      *run = RESULT("run", MADE_PROMPT, "-n", "6"), *steps = of(run, "steps"), *step;
    size_t       i;
    page_open(page, REPORT(MADE_PROMPT, "-n", "6"), "trace");
    json_t *rows = page_value(page, CELLS("#trace table tbody tr"));
    cr_assert_geq(json_array_size(rows), json_array_size(steps));
    json_array_foreach(steps, i, step)
    {
        json_t *row = at(rows, (int)i), *chosen = of(step, "chosen");
        double  slack, share                    = read_percent(text_at(row, 2), &slack);
        cr_expect_eq(page_number(page, "scry.data.generation.steps[%zu].chosen.id", i), int_of(chosen, "id"));
        expect_close(share, number_of(chosen, "probability"), slack, "probability", (int)i, 0);
        expect_close(read_number(text_at(row, 3)), number_of(chosen, "logit"), decimals(3, number_of(chosen, "logit")),
                     "logit", (int)i, 0);
        expect_close(read_number(text_at(row, 4)), number_of(step, "entropy"), decimals(3, number_of(step, "entropy")),
                     "entropy", (int)i, 0);
    }
    json_decref(rows);
    json_decref(run);
    page_close(&page);
}
