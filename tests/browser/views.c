/* Every view of a report opens, alone, in light and dark, wide and narrow; the address leads back to it. */
#include "browser/made.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(views, .init = make_folder, .fini = remove_folder);

static const char *const expected[] = {"overview", "text",      "heads-view", "model-view", "heatmap", "neuron",
                                       "lens",     "influence", "patching",   "atlas",      "trace",   "diagnoses"};

Test(views, navigation__leads_to_all_of_them)
{
    struct page *page = page_start();
    page_open(page, REPORT(MADE_WHOLE), NULL);
    json_t *views = made_views(page), *view;
    size_t  at;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        bool found                                = false;
        json_array_foreach(views, at, view) found = found || !strcmp(json_string_value(view), expected[i]);
        cr_expect(found, "the report has no view %s", expected[i]);
    }
    json_array_foreach(views, at, view)
    {
        const char *name = json_string_value(view);
        made_view(page, name);
        cr_expect_eq(
            page_number(page, "[...document.querySelectorAll('[data-view]')].filter(each => !each.hidden).length"), 1,
            "%s: another is still shown", name);
        cr_expect(page_holds(page, "document.querySelector('nav a[aria-current]').hash === '#%s'", name));
        cr_expect_gt(page_number(page, "document.querySelector('#%s').innerText.trim().split(/\\s+/).length", name), 10,
                     "%s: next to nothing is shown", name);
    }
    json_decref(views);
    page_close(&page);
}

/* What lies outside the window to the right, and cannot be scrolled to in a box of its own; "" where all is within
 * reach. */
static char *out_of_reach(struct page *page)
{
    return page_text(
        page,
        "(() => { const wide = document.documentElement.clientWidth, found = [];"
        "if (document.documentElement.scrollWidth > wide) found.push('the page scrolls sideways');"
        "const scrolls = node => node && (['auto', 'scroll'].includes(getComputedStyle(node).overflowX) || "
        "scrolls(node.parentElement));"
        "for (const node of document.querySelectorAll('body *'))"
        "  if (node.checkVisibility() && node.getBoundingClientRect().right > wide + 1 && !scrolls(node.parentElement))"
        "    found.push(node.outerHTML.slice(0, 100));"
        "return found.slice(0, 3).join('\\n'); })()");
}

Test(views, pictures__fit_wide_and_narrow_light_and_dark)
{
    static const struct {
        int         width;
        bool        dark;
        const char *name;
    } looks[]         = {{1280, false, "light"}, {1280, true, "dark"}, {390, false, "narrow"}};
    struct page *page = page_start();
    const char  *path = REPORT(MADE_WHOLE);
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        page_size(page, looks[i].width, 900);
        page_theme(page, looks[i].dark);
        page_open(page, path, NULL);
        json_t *views = made_views(page), *view;
        size_t  at;
        json_array_foreach(views, at, view)
        {
            char name[96];
            snprintf(name, sizeof name, "%s-%s", json_string_value(view), looks[i].name);
            made_view(page, json_string_value(view));
            page_screenshot(page, name, true);
            char *found = out_of_reach(page);
            cr_expect_str_eq(found, "", "%s: %s", name, found);
            free(found);
        }
        json_decref(views);
    }
    page_close(&page);
}

/* The contrast of two CSS colours as WCAG defines it. */
#define CONTRAST                                                                                                       \
    "const light = colour => { const [r, g, b] = colour.match(/[\\d.]+/g).map(part => part / 255).map(part => part "   \
    "<= "                                                                                                              \
    "0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };"       \
    "const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);"

Test(views, text__stands_out_from_what_is_behind_it)
{
    struct page *page = page_start();
    page_open(page, REPORT(MADE_WHOLE), NULL);
    json_t *views = made_views(page), *view;
    size_t  at;
    for (int dark = 0; dark < 2; dark++) {
        page_theme(page, dark);
        json_array_foreach(views, at, view)
        {
            made_view(page, json_string_value(view));
            char *faint = page_text(
                page,
                "(() => {" CONTRAST "const behind = node => { for (; node; node = node.parentElement) { const colour = "
                "getComputedStyle(node).backgroundColor; if (!/, 0\\)|\\/ 0/.test(colour)) return colour; } return "
                "'rgb(255, 255, 255)'; };"
                "const found = [];"
                "for (const node of document.querySelectorAll('main *, nav *, header *')) {"
                "  if (![...node.childNodes].some(child => child.nodeType === 3 && child.data.trim())) continue;"
                "  if (!node.checkVisibility()) continue;"
                "  const style = getComputedStyle(node), ratio = contrast(style.color, behind(node));"
                "  if (ratio < 4.5) found.push(ratio.toFixed(2) + ' ' + node.outerHTML.slice(0, 120)); }"
                "return found.slice(0, 5).join('\\n'); })()");
            cr_expect_str_eq(faint, "", "%s, %s: hard to read: %s", json_string_value(view), dark ? "dark" : "light",
                             faint);
            free(faint);
        }
    }
    cr_expect(page_holds(page, "(() => {" CONTRAST
                               "return light(getComputedStyle(document.body).backgroundColor) < 0.05; })()"),
              "dark is dark");
    json_decref(views);
    page_close(&page);
}

Test(views, address__leads_back_to_what_is_chosen)
{
    struct page *page = page_start();
    const char  *path = REPORT(MADE_WHOLE);
    page_open(page, path, NULL);
    made_view(page, "heatmap");
    page_value(page, "scry.update({ layer: 2, head: 5, query: 6, key: 3 })");
    page_wait(page, "location.hash.includes('layer=2')");
    char *hash = page_text(page, "location.hash.slice(1)");
    page_open(page, path, hash);
    cr_expect(page_holds(page, "scry.state.view === 'heatmap' && scry.state.layer === 2 && scry.state.head === 5 && "
                               "scry.state.query === 6 && scry.state.key === 3"),
              "%s", hash);
    page_open(page, path, "nonsense?layer=1e9&head=-3&query=x&key=%ff&__proto__=1&over=<b>&zoom=NaN");
    json_t *views = made_views(page), *view;
    size_t  at;
    json_array_foreach(views, at, view) made_view(page, json_string_value(view));
    json_decref(views);
    free(hash);
    page_close(&page);
}
