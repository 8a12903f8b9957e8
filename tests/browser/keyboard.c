/* A report can be used without a pointer. */
#include "browser/made.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(keyboard, .init = make_folder, .fini = remove_folder);

enum { MOST_STOPS = 400 };

/* Goes on with Tab until what has the focus matches the selector; fails the test where that never comes. */
static void tab_to(struct page *page, const char *selector)
{
    for (int i = 0; i < MOST_STOPS; i++) {
        page_press(page, "Tab");
        if (page_holds(page, "document.activeElement.matches(`%s`)", selector)) return;
    }
    cr_assert_fail("Tab never comes to %s", selector);
}

Test(keyboard, links__open_views_and_brackets_step_through_them)
{
    struct page *page = page_start();
    page_open(page, REPORT(MADE_PROMPT), NULL);
    tab_to(page, "nav a[href='#lens']");
    cr_expect(page_holds(page, "getComputedStyle(document.activeElement).outlineStyle !== 'none'"), "focus is seen");
    page_press(page, "Enter");
    cr_expect(page_holds(page, "scry.state.view === 'lens'"));
    json_t *views = made_views(page);
    for (size_t i = 0; i < json_array_size(views); i++) page_press(page, "]");
    cr_expect(page_holds(page, "scry.state.view === 'lens'"), "once around");
    page_press(page, "[");
    cr_expect(page_holds(page, "scry.state.view !== 'lens'"));
    json_decref(views);
    page_close(&page);
}

Test(keyboard, arrows__move_the_choice)
{
    struct page *page = page_start();
    const char  *path = REPORT(MADE_PROMPT);
    page_open(page, path, "heatmap?layer=1&head=2&query=5&key=3");
    tab_to(page, "#heatmap canvas.figure");
    page_press(page, "ArrowDown");
    page_press(page, "ArrowLeft");
    cr_expect(page_holds(page, "scry.state.query === 6 && scry.state.key === 2"));
    for (int i = 0; i < 20; i++) page_press(page, "ArrowUp");
    cr_expect(page_holds(page, "scry.state.query === 0 && scry.state.key === 0"), "never past the corner");
    page_press(page, "h");
    page_press(page, "l");
    cr_expect(page_holds(page, "scry.state.head === 3 && scry.state.layer === 2"));
    page_press(page, "Shift+L");
    page_press(page, "Shift+H");
    cr_expect(page_holds(page, "scry.state.head === 2 && scry.state.layer === 1"));

    page_open(page, path, "lens");
    tab_to(page, "#lens td.chosen");
    page_press(page, "ArrowUp");
    cr_expect(page_holds(page, "scry.state.lensLayer === 5"));
    cr_expect(page_holds(page, "document.activeElement.matches('#lens td.chosen')"), "the focus goes along");
    page_close(&page);
}

/* Every button, field and picture has a name to be read aloud, and every control is reached by Tab. */
Test(keyboard, controls__have_names_and_are_reached)
{
    struct page *page = page_start();
    page_open(page, REPORT(MADE_WHOLE), NULL);
    json_t *views = made_views(page), *view;
    size_t  at;
    json_array_foreach(views, at, view)
    {
        const char *name = json_string_value(view);
        made_view(page, name);
        char *nameless =
            page_text(page,
                      "[...document.querySelectorAll('#%s button, #%s select, #%s input, #%s canvas[tabindex]')]"
                      ".filter(each => each.checkVisibility())"
                      ".filter(each => !(each.getAttribute('aria-label') || each.textContent.trim() || each.title || "
                      "each.labels?.length || each.getAttribute('aria-labelledby')))"
                      ".map(each => each.outerHTML.slice(0, 120)).join('\\n')",
                      name, name, name, name);
        cr_expect_str_eq(nameless, "", "%s: without a name: %s", name, nameless);
        free(nameless);
    }
    json_decref(views);
    page_close(&page);
}

Test(keyboard, theme__changes_by_its_key)
{
    struct page *page = page_start();
    page_open(page, REPORT(MADE_PROMPT), NULL);
    static const char behind[] = "getComputedStyle(document.body).backgroundColor";
    char             *light    = page_text(page, "%s", behind);
    for (int i = 0; i < 2; i++) page_press(page, "t"); /* the system's, light, dark */
    char *dark = page_text(page, "%s", behind);
    page_press(page, "t");
    char *again = page_text(page, "%s", behind);
    cr_expect_str_neq(dark, light);
    cr_expect_str_eq(again, light);
    free(light);
    free(dark);
    free(again);
    page_close(&page);
}
