/* Attention and the lens: numbers on the page are those of --json, as exactly as the page says it keeps them. */
#include "browser/export_file.h"
#include "browser/made.h"
#include "browser/shown.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(numbers, .init = make_folder, .fini = remove_folder);

/* --- attention --- */

/* The weights of all heads as `scry attn --json` has them: [layer * heads + head]["pattern"][query][key]. */
static double weight_of(json_t *attention, int head, int query, int key)
{
    json_t *pattern = of(at(of(attention, "heads"), head), "pattern");
    return json_number_value(at(at(pattern, query), key));
}

Test(numbers, heat_map__shows_the_weights)
{
    struct page *page      = page_start();
    json_t      *attention = RESULT("attn", MADE_PROMPT, "--layers", "all");
    page_open(page, REPORT(MADE_PROMPT), "heatmap");
    int     heads = int_of(of(attention, "model"), "head_count"), count = int_of(attention, "query_count");
    int     levels = (int)page_number(page, "scry.data.attention.levels");
    json_t *shown  = page_value(page, "(() => { const shown = [], { layer_count, head_count } = scry.data.model;"
                                       "for (let layer = 0; layer < layer_count; layer++)"
                                       "for (let head = 0; head < head_count; head++)"
                                       "for (let query = 0; query < scry.data.tokens.length; query++) {"
                                       "  const key = (7 * layer + 3 * head + query) %% (query + 1);"
                                       "  scry.update({ layer, head, query, key });"
                                       "  const text = document.querySelector('#heatmap .readout strong').textContent;"
                                       "  shown.push([layer * head_count + head, query, key, Number(text)]); }"
                                       "return shown; })()"),
           *cell;
    size_t i;
    cr_assert_eq(json_array_size(shown), json_array_size(of(attention, "heads")) * (size_t)count);
    json_array_foreach(shown, i, cell)
    {
        int    head = (int)json_integer_value(at(cell, 0)), query = (int)json_integer_value(at(cell, 1));
        double exact = weight_of(attention, head, query, (int)json_integer_value(at(cell, 2)));
        /* four decimals, of a square of a small number */
        expect_close(json_number_value(at(cell, 3)), exact, decimals(4, exact) + 1.01 * sqrt(exact) / levels, "weight",
                     head, query);
    }
    cr_expect_gt(heads, 0);
    json_decref(shown);
    json_decref(attention);
    page_close(&page);
}

/* Long prompts are kept more coarsely, and the page says how coarsely. */
Test(numbers, heat_map__shows_the_weights_of_a_long_prompt_as_exactly_as_it_says)
{
    struct page *page      = page_start();
    const char  *text      = made_long_prompt();
    json_t      *attention = RESULT("attn", text, "--layers", "2", "--queries", "250:254"), *cell;
    size_t       i;
    page_open(page, REPORT(text), "heatmap?layer=2");
    int     levels = (int)page_number(page, "scry.data.attention.levels");
    json_t *shown =
        page_value(page, "(() => { const shown = [];"
                         "for (let head = 0; head < scry.data.model.head_count; head++)"
                         "for (let query = 250; query < 254; query++)"
                         "for (let key = 0; key <= query; key += 50) {"
                         "  scry.update({ head, query, key });"
                         "  const text = document.querySelector('#heatmap .readout strong').textContent;"
                         "  shown.push([head, query - 250, key, Number(text), text.split('.')[1].length]); }"
                         "return shown; })()");
    cr_expect_lt(levels, 65535);
    cr_expect(page_holds(page, "document.querySelector('#heatmap .note').textContent.includes('√w / %d')", levels));
    json_array_foreach(shown, i, cell)
    {
        int    head = (int)json_integer_value(at(cell, 0)), query = (int)json_integer_value(at(cell, 1));
        double exact = weight_of(attention, head, query, (int)json_integer_value(at(cell, 2)));
        double step  = sqrt(exact) / levels + 0.25 / levels / levels; /* half a code, of the root */
        expect_close(json_number_value(at(cell, 3)), exact,
                     decimals((int)json_integer_value(at(cell, 4)), exact) + step, "weight", head, query);
    }
    json_decref(shown);
    json_decref(attention);
    page_close(&page);
}

struct weights {
    json_t *attention;
    int     head, levels, rows, query, key;
};

/* query, query_token, key, key_token, weight */
static void check_weight(void *user, int record, int column, const char *text)
{
    struct weights *weights = user;
    if (!record) return;
    if (column == 0) weights->query = atoi(text);
    if (column == 2) weights->key = atoi(text);
    if (column != 4) return;
    double exact = weight_of(weights->attention, weights->head, weights->query, weights->key);
    expect_close(atof(text), exact, 1e-5 * exact + 1.01 * sqrt(exact) / weights->levels + 1e-9, "weight",
                 weights->query, weights->key);
    weights->rows++;
}

Test(numbers, heat_map__exports_the_weights)
{
    struct page   *page    = page_start();
    struct weights weights = {.attention = RESULT("attn", MADE_PROMPT, "--layers", "3"), .head = 4};
    int            columns, count = int_of(weights.attention, "query_count");
    size_t         size;
    char          *name;
    page_open(page, REPORT(MADE_PROMPT), "heatmap?layer=3&head=4");
    weights.levels = (int)page_number(page, "scry.data.attention.levels");
    char *csv      = page_download(page, "#heatmap [data-export=csv]", &size, &name);
    cr_expect_gt(export_read_csv(csv, size, &columns, check_weight, &weights), 1);
    cr_expect_eq(weights.rows, count * (count + 1) / 2);
    free(csv);
    free(name);
    json_decref(weights.attention);
    page_close(&page);
}

/* --- lens --- */

Test(numbers, lens__shows_tokens_probabilities_and_divergences)
{
    struct page *page = page_start();
    json_t      *lens = RESULT("lens", MADE_PROMPT, "--top", "10"), *layers = of(lens, "layers");
    page_open(page, REPORT(MADE_PROMPT), "lens");
    json_t
        *shown = page_value(
            page,
            "(() => { const shown = [], { layer_count, token_count } = scry.data.lens;"
            "for (let lensLayer = 0; lensLayer < layer_count; lensLayer++)"
            "for (let position = 0; position < token_count; position++) {"
            "  scry.update({ lensLayer, position });"
            "  const detail = document.querySelector('#lens .lens-detail');"
            "  const texts = (selector, from) => [...from.querySelectorAll(selector)].map(each => each.textContent);"
            "  shown.push({ layer: lensLayer, position, chosen: document.querySelector('#lens td.chosen').textContent,"
            "    labels: texts('.label', detail.children[0]), shares: texts('.number', detail.children[0]),"
            "    facts: texts('dd', detail) }); }"
            "return shown; })()"),
        *cell;
    size_t i;
    cr_assert_eq(json_array_size(shown), json_array_size(layers) * (size_t)int_of(lens, "token_count"));
    json_array_foreach(shown, i, cell)
    {
        int     layer = int_of(cell, "layer"), position = int_of(cell, "position");
        json_t *exact = at(of(at(layers, layer), "positions"), position), *top = of(exact, "top");
        json_t *shares = of(cell, "shares"), *facts = of(cell, "facts");
        cr_assert_eq(json_array_size(shares), json_array_size(top));
        for (int k = 0; k < (int)json_array_size(top); k++) {
            double slack, share = read_percent(text_at(shares, k), &slack);
            expect_close(share, number_of(at(top, k), "probability"), slack, "probability", layer, position);
        }
        cr_expect_str_eq(json_string_value(of(cell, "chosen")), text_at(of(cell, "labels"), 0));
        expect_close(read_number(text_at(facts, 0)), number_of(exact, "entropy"),
                     decimals(3, number_of(exact, "entropy")), "entropy", layer, position);
        expect_close(read_number(text_at(facts, 1)), number_of(exact, "kl"), decimals(3, number_of(exact, "kl")), "KL",
                     layer, position);
    }
    json_decref(shown);
    json_decref(lens);
    page_close(&page);
}

/* The page has the tokens of the lens in the same places. */
Test(numbers, lens__names_the_same_tokens)
{
    struct page *page = page_start();
    json_t      *lens = RESULT("lens", MADE_PROMPT, "--top", "10"), *layers = of(lens, "layers");
    page_open(page, REPORT(MADE_PROMPT), "lens");
    json_t *ids   = page_value(page, "scry.data.lens.top.map(place => scry.data.lens.texts[place].id)");
    int     count = int_of(lens, "token_count"), places = int_of(lens, "top_count");
    cr_assert_eq(json_array_size(ids), json_array_size(layers) * (size_t)(count * places));
    for (int i = 0; i < (int)json_array_size(ids); i++) {
        int     layer = i / places / count, position = i / places % count;
        json_t *exact = at(of(at(layers, layer), "positions"), position);
        cr_expect_eq(json_integer_value(at(ids, i)), int_of(at(of(exact, "top"), i % places), "id"),
                     "layer %d, position %d", layer, position);
    }
    json_decref(ids);
    json_decref(lens);
    page_close(&page);
}

/* Read by a tuned lens, the page says so, and has what that reads. */
Test(numbers, lens__is_the_tuned_one_where_asked_for)
{
    struct page *page  = page_start();
    const char  *file  = in_folder("lens.safetensors");
    json_t      *tuned = RESULT("tune-lens", "README.md", "-o", file, "--steps", "2", "--length", "32", "--batch", "2",
                                "--evaluation-batches", "1");
    json_t      *lens  = RESULT("lens", MADE_PROMPT, "--top", "1", "--tuned", file);
    page_open(page, REPORT(MADE_PROMPT, "--quick", "--tuned", file), "lens");
    cr_expect(page_holds(page, "document.querySelector('nav a[href=\"#lens\"]').textContent.includes('Tuned lens')"));
    json_t *entropies = page_value(page, "scry.data.lens.entropy");
    int     count     = int_of(lens, "token_count");
    size_t  i;
    json_t *entropy;
    cr_assert_eq(json_array_size(entropies), (size_t)(count * int_of(lens, "layer_count")));
    json_array_foreach(entropies, i, entropy)
    {
        json_t *cell  = at(of(at(of(lens, "layers"), (int)i / count), "positions"), (int)i % count);
        double  exact = json_number_value(of(cell, "entropy"));
        cr_expect_float_eq(json_number_value(entropy), exact, 1e-4, "cell %zu", i);
    }
    json_decref(entropies);
    json_decref(lens);
    json_decref(tuned);
    page_close(&page);
}
