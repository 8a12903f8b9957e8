/* Analyses: numbers on the page are those of the command's --json. */
#include "browser/large_model.h"
#include "browser/made.h"
#include "browser/shown.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(analyses, .init = make_folder, .fini = remove_folder);

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

/* --- induction --- */

Test(analyses, induction__stands_below_the_atlas)
{
    struct page *page      = page_start();
    json_t      *induction = RESULT("induction"), *loss = of(induction, "loss"), *heads = of(induction, "heads"), *row;
    int          head_count = int_of(of(induction, "model"), "head_count");
    size_t       i;
    page_open(page, REPORT(MADE_PROMPT), "atlas");
    char  *text     = page_text(page, "[...document.querySelectorAll('#atlas .note')].at(-1).textContent");
    double shown[4] = {0};
    cr_assert_eq(sscanf(strstr(text, "loss ") ? strstr(text, "loss ") : "",
                        "loss %lf \u00b1 %lf nats the first time, %lf \u00b1 %lf", &shown[0], &shown[1], &shown[2],
                        &shown[3]),
                 4, "%s", text);
    static const char *const keys[] = {"first", "first_spread", "second", "second_spread"};
    for (int k = 0; k < 4; k++)
        expect_close(shown[k], number_of(loss, keys[k]), decimals(3, number_of(loss, keys[k])), keys[k], k, 0);
    json_t *rows = page_value(page, CELLS("#atlas .columns.even table:first-child tbody tr"));
    cr_assert_gt(json_array_size(rows), 4);
    json_array_foreach(rows, i, row)
    {
        int layer = -1, head = -1;
        cr_assert_eq(sscanf(text_at(row, 0), "%d.%d", &layer, &head), 2);
        json_t *exact = at(heads, layer * head_count + head);
        expect_close(read_number(text_at(row, 1)), number_of(exact, "induction"), decimals(3, 1), "induction", layer,
                     head);
        expect_close(read_number(text_at(row, 3)), number_of(exact, "duplicate"), decimals(3, 1), "duplicate", layer,
                     head);
        cr_expect_str_eq(text_at(row, 5), json_string_value(of(exact, "certainty")));
    }
    json_decref(rows);
    json_decref(induction);
    free(text);
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

/* --- influence --- */

Test(analyses, influence__shows_weights_rollout_and_cuts)
{
    struct page *page      = page_start();
    json_t      *influence = RESULT("influence", MADE_PROMPT), *keys = of(influence, "keys"), *cell;
    size_t       i;
    page_open(page, REPORT(MADE_PROMPT), "influence");
    json_t *shown = page_value(page, "(() => { const shown = [];"
                                     "for (let key = 0; key < scry.data.tokens.length; key++) {"
                                     "  scry.update({ key });"
                                     "  const text = document.querySelector('#influence .readout').textContent;"
                                     "  shown.push(['weight', 'rollout', 'logit', 'log-probability', 'KL'].map(name => "
                                     "    Number(text.match(name + ' ([-+]?[\\\\d.]+)')[1]))); }"
                                     "return shown; })()");
    cr_assert_eq(json_array_size(shown), json_array_size(keys));
    json_array_foreach(shown, i, cell)
    {
        json_t      *key = at(keys, (int)i), *cut = of(key, "cut");
        const double exact[] = {number_of(key, "weight"), number_of(key, "rollout"), number_of(cut, "logit"),
                                number_of(cut, "log_probability"), number_of(cut, "kl")};
        for (int k = 0; k < 5; k++)
            expect_close(json_number_value(at(cell, k)), exact[k], decimals(4, exact[k]), "key", (int)i, k);
    }
    json_decref(shown);
    json_decref(influence);
    page_close(&page);
}

Test(analyses, influence__lists_the_heads_that_matter_most)
{
    struct page *page      = page_start();
    json_t      *influence = RESULT("influence", MADE_PROMPT), *heads = of(influence, "heads"), *row;
    int          head_count = int_of(of(influence, "model"), "head_count");
    double       before     = INFINITY;
    size_t       i;
    page_open(page, REPORT(MADE_PROMPT), "influence");
    json_t *rows = page_value(page, CELLS("#influence .columns.even table:first-child tbody tr"));
    cr_assert_gt(json_array_size(rows), 5);
    json_array_foreach(rows, i, row)
    {
        int    layer = -1, head = -1;
        double shown = read_number(text_at(row, 1));
        cr_assert_eq(sscanf(text_at(row, 0), "%d.%d", &layer, &head), 2);
        double exact = number_of(of(at(heads, layer * head_count + head), "cut"), "logit");
        expect_close(shown, exact, decimals(3, exact), "head", layer, head);
        cr_expect_leq(fabs(shown), before + 1e-9, "the largest first");
        before = fabs(shown);
    }
    page_click(page, "#influence .columns.even table:first-child tbody tr:first-child button");
    cr_expect(page_holds(page, "scry.state.view === 'heatmap'"), "a head's name opens its heat map");
    json_decref(rows);
    json_decref(influence);
    page_close(&page);
}

/* --- diagnoses --- */

/* What every check came to, as the page says it. */
static void expect_checks(struct page *page, json_t *diagnosis)
{
    json_t *rows = page_value(page, CELLS("#diagnoses table.checks tbody tr")), *check;
    size_t  i;
    cr_expect_eq(json_array_size(rows), json_array_size(of(diagnosis, "checks")));
    json_array_foreach(of(diagnosis, "checks"), i, check)
    {
        static const char *const keys[] = {"kind", "outcome", "detail"};
        for (int k = 0; k < 3; k++)
            cr_expect_str_eq(text_at(at(rows, (int)i), k), json_string_value(of(check, keys[k])));
    }
    json_decref(rows);
}

Test(analyses, diagnoses__find_nothing_in_a_healthy_model_and_say_what_was_looked_at)
{
    struct page *page      = page_start();
    json_t      *diagnosis = RESULT("diagnose", MADE_PROMPT);
    page_open(page, REPORT(MADE_PROMPT), "diagnoses");
    expect_checks(page, diagnosis);
    cr_expect_eq(json_array_size(of(diagnosis, "findings")), 0);
    cr_expect_eq(page_number(page, "document.querySelectorAll('#diagnoses article').length"), 0);
    cr_expect(page_holds(page, "document.querySelector('#diagnoses').textContent.includes('No finding')"));
    json_decref(diagnosis);
    page_close(&page);
}

Test(analyses, diagnoses__lead_to_the_place)
{
    struct page *page      = page_start();
    const char  *model     = large_model(true);
    json_t      *diagnosis = RESULT("diagnose", "--model", model, "--ids", "1,2,0,3"), *finding;
    size_t       i;
    page_open(page, REPORT("--model", model, "--ids", "1,2,0,3"), "diagnoses");
    expect_checks(page, diagnosis);
    cr_assert_gt(json_array_size(of(diagnosis, "findings")), 0);
    json_array_foreach(of(diagnosis, "findings"), i, finding)
    {
        char *shown = page_text(page, "document.querySelectorAll('#diagnoses article')[%zu].textContent", i);
        cr_expect(strstr(shown, json_string_value(of(finding, "kind"))), "%s", shown);
        cr_expect(strstr(shown, json_string_value(of(finding, "severity"))), "%s", shown);
        cr_expect(strstr(shown, json_string_value(of(finding, "text"))), "%s", shown);
        cr_expect(strstr(shown, json_string_value(of(finding, "advice"))), "%s", shown);
        free(shown);
    }
    page_screenshot(page, "diagnoses-found", true);
    bool led = page_holds(page, "!!document.querySelector('#diagnoses article button.link')");
    if (led) {
        page_click(page, "#diagnoses article button.link");
        cr_expect(page_holds(page, "scry.state.view !== 'diagnoses'"));
    }
    json_decref(diagnosis);
    page_close(&page);
}
