/* What pointing and clicking does in each view. */
#include "browser/made.h"
#include "browser/shown.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(interactions, .init = make_folder, .fini = remove_folder);

/* The readout of the view that is open. */
static char *readout(struct page *page)
{
    return page_text(page, "document.querySelector(`#${scry.state.view} .readout`).textContent");
}

/* What pointing or clicking there makes of the readout; fails the test unless that changes it, or leaves it alone. */
static void expect_readout(struct page *page, const char *before, bool changes, const char *what)
{
    page_value(page, "new Promise(drawn => requestAnimationFrame(() => setTimeout(drawn)))");
    char *after = readout(page);
    cr_expect(!strcmp(before, after) != changes, "%s: \"%s\", before \"%s\"", what, after, before);
    free(after);
}

Test(interactions, text__shows_a_token_under_the_pointer_and_keeps_the_one_clicked)
{
    struct page *page = page_start();
    page_open(page, REPORT(MADE_PROMPT), "text");
    char *before = readout(page);
    page_point(page, "#text bdi:nth-of-type(4)");
    expect_readout(page, before, true, "another token");
    page_point(page, "h1");
    expect_readout(page, before, false, "away again");
    page_value(page, "document.querySelector('#text .token-text, #text [tabindex]').dataset.test = 'text'");
    page_click(page, "#text [data-test=text] > :nth-child(5)");
    cr_expect(page_holds(page, "scry.state.query === 4"));
    page_point(page, "h1");
    expect_readout(page, before, true, "kept");
    free(before);
    page_close(&page);
}

Test(interactions, head_view__isolates_a_token_and_hides_heads)
{
    struct page *page = page_start();
    page_open(page, REPORT(MADE_PROMPT), "heads-view");
    char *before = readout(page);
    page_point_at(page, "#heads-view canvas", 0.02, 0.5);
    expect_readout(page, before, true, "a query");
    page_point_at(page, "#heads-view canvas", 0.5, 0.5);
    expect_readout(page, before, false, "between the sides");
    page_point_at(page, "#heads-view canvas", 0.98, 0.1);
    expect_readout(page, before, true, "a key");
    page_click_at(page, "#heads-view canvas", 0.02, 0.5);
    cr_expect(page_holds(page, "scry.state.locked === 1"), "a click keeps it");
    page_press(page, "Escape");
    cr_expect(page_holds(page, "scry.state.locked === 0"), "Escape lets it go");
    page_click(page, "#heads-view .chips button:nth-of-type(3)");
    cr_expect(page_holds(page, "scry.state.shown === '0,1,3,4,5,6,7'"));
    cr_expect(page_holds(page, "document.querySelectorAll('#heads-view .chips [aria-pressed=true]').length === 7"));
    page_click(page, "#heads-view .chips button:nth-of-type(3)");
    cr_expect(page_holds(page, "scry.state.shown === 'all'"));
    free(before);
    page_close(&page);
}

Test(interactions, all_heads__are_chosen_by_a_click)
{
    struct page *page = page_start();
    page_open(page, REPORT(MADE_PROMPT), "model-view?layer=0&head=0");
    page_click_at(page, "#model-view .figure-box canvas", 0.98, 0.97); /* the last layer's last head */
    cr_expect(page_holds(page, "scry.state.layer === 5 && scry.state.head === 7"));
    cr_expect(page_holds(page, "document.querySelector('#model-view h3').textContent === 'Layer 5, head 7'"));
    page_value(page, "[...document.querySelectorAll('#model-view .links button')].at(-1).dataset.test = 'last'");
    page_click(page, "#model-view [data-test=last]");
    cr_expect(page_holds(page, "scry.state.view === 'neuron' && scry.state.layer === 5 && scry.state.head === 7"));
    page_close(&page);
}

Test(interactions, heat_map__follows_pointer_and_click_and_subtracts)
{
    struct page *page = page_start();
    page_open(page, REPORT(MADE_PROMPT), "heatmap?layer=2&head=1&query=12&key=0");
    char *before = readout(page);
    page_point_at(page, "#heatmap canvas.figure", 0.4, 0.7);
    expect_readout(page, before, true, "another cell");
    page_click_at(page, "#heatmap canvas.figure", 0.4, 0.7);
    cr_expect(page_holds(page, "scry.state.query < 12 && scry.state.key > 0 && scry.state.key <= scry.state.query"));
    double weight = page_number(page, "Number(document.querySelector('#heatmap .readout strong').textContent)");
    page_choose(page, "#heatmap .controls select:has(option[value=even])", "even");
    double less = page_number(page, "Number(document.querySelector('#heatmap .readout strong').textContent)");
    expect_close(less, weight - 1 / (1 + page_number(page, "scry.state.query")), 1.1e-4, "less an even spread", 0, 0);
    page_choose(page, "#heatmap .controls select:has(option[value=even])", "head");
    page_value(page, "scry.update({ otherLayer: 2, otherHead: 1 })");
    cr_expect_eq(page_number(page, "Number(document.querySelector('#heatmap .readout strong').textContent)"), 0,
                 "a head less itself");
    page_screenshot(page, "heatmap-less-itself", true);
    free(before);
    page_close(&page);
}

Test(interactions, lens__lists_candidates_under_the_pointer_and_has_a_slider)
{
    struct page *page = page_start();
    page_open(page, REPORT(MADE_PROMPT), "lens");
    page_point(page, "#lens td[data-layer='3'][data-position='5']");
    cr_expect(page_holds(page, "!document.querySelector('#lens .popup').hidden"));
    cr_expect_eq(page_number(page, "document.querySelectorAll('#lens .popup .number').length"), 10);
    page_point(page, "h1");
    cr_expect(page_holds(page, "document.querySelector('#lens .popup').hidden"));
    page_choose(page, "#lens input[type=range]", "2");
    cr_expect(page_holds(page, "scry.state.lensLayer === 2"));
    cr_expect(page_holds(page, "document.querySelector('#lens td.chosen').dataset.layer === '2'"));
    static const char *const measures[] = {"entropy", "kl", "probability"};
    for (size_t i = 0; i < sizeof measures / sizeof *measures; i++) {
        char *before = page_text(page, "document.querySelector('#lens .scale').textContent");
        page_choose(page, "#lens .controls select", measures[i]);
        char *after = page_text(page, "document.querySelector('#lens .scale').textContent");
        cr_expect_str_neq(before, after, "%s", measures[i]);
        free(before);
        free(after);
    }
    page_close(&page);
}

Test(interactions, trace__steps_through_the_continuation)
{
    struct page *page = page_start();
    page_open(page, REPORT(MADE_PROMPT), "trace");
    page_click(page, "#trace tbody tr:nth-child(3) button");
    cr_expect(page_holds(page, "scry.state.step === 2"));
    cr_expect(page_holds(page, "document.querySelector('#trace .panel h3').textContent === 'Step 2'"));
    page_close(&page);
}
