/* Reports of models and prompts at the edges: every view of theirs opens, and nothing is thrown. */
#include "browser/large_model.h"
#include "browser/made.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(odd, .init = make_folder, .fini = remove_folder);

/* Opens each view, and lets keys go over what is in it. */
static void use_every_view(struct page *page)
{
    static const char *const pressed[] = {"ArrowDown", "ArrowRight", "ArrowUp", "ArrowLeft", "l",
                                          "h",         "n",          "p",       "Shift+L"};
    json_t                  *views     = made_views(page), *view;
    size_t                   at;
    json_array_foreach(views, at, view)
    {
        made_view(page, json_string_value(view));
        page_value(page, "document.querySelector('#%s [tabindex=\"0\"]')?.focus()", json_string_value(view));
        for (size_t i = 0; i < sizeof pressed / sizeof *pressed; i++) page_press(page, pressed[i]);
    }
    json_decref(views);
}

Test(odd, prompts__of_one_token_and_of_many_alike)
{
    struct page *page = page_start();
    page_open(page, REPORT("--ids", "5"), NULL);
    use_every_view(page);
    page_open(page, REPORT("--ids", "5,5,5,5,5,5,5,5,5,5,5,5"), NULL);
    use_every_view(page);
    page_close(&page);
}

/* No weight is anything but 0: attention is uniform and every token as likely as any other. */
Test(odd, model__that_knows_nothing)
{
    struct page *page = page_start();
    page_open(page, REPORT("--model", large_model(false), "--ids", "1,2,3,4", "-n", "2"), NULL);
    use_every_view(page);
    cr_expect(
        page_holds(page, "!document.body.innerText.includes('NaN') && !document.body.innerText.includes('undefined')"));
    page_close(&page);
}

/* From the second position on there is not one finite number. */
Test(odd, model__whose_numbers_are_none)
{
    struct page *page = page_start();
    page_open(page,
              REPORT("--model", large_model(true), "--ids", "1,0,2,3", "-n", "2", "--corrupt-ids", "1,0,5,3",
                     "--answer-id", "1", "--wrong-id", "2"),
              NULL);
    use_every_view(page);
    cr_expect(page_holds(page, "scry.data.lens.entropy.at(-1) === null"));
    cr_expect(page_holds(page, "!document.body.innerText.includes('undefined')"));
    page_close(&page);
}

/* Sides that are files may know neither tokens nor a model. */
Test(odd, comparison__of_files)
{
    char           path[512];
    struct outcome outcome = SCRY("attn", MADE_PROMPT, "--layers", "all", "-o", in_folder("a.npz"));
    cr_assert_eq(outcome.exit_code, 0, "%s", outcome.err);
    outcome_free(&outcome);
    snprintf(path, sizeof path, "%s", in_folder("a.npz"));
    struct page *page = page_start();
    page_open(page, PAGE("diff", path, path), NULL);
    use_every_view(page);
    page_close(&page);
}

Test(odd, report__made_quickly)
{
    struct page *page = page_start();
    page_open(page, REPORT("--quick", MADE_PROMPT), NULL);
    use_every_view(page);
    page_close(&page);
}

Test(odd, page__says_the_main_things_without_scripts)
{
    struct page *page = page_start();
    page_without_scripts(page);
    page_open(page, REPORT(MADE_PROMPT), NULL);
    char *text = page_text(page, "document.body.innerText");
    cr_expect(strstr(text, "likeliest next token") && strstr(text, "Paris"), "%s", text);
    cr_expect(strstr(text, "need JavaScript"), "%s", text);
    cr_expect(page_holds(page, "document.querySelectorAll('#overview table').length >= 2"));
    page_screenshot(page, "scriptless", true);
    free(text);
    page_close(&page);
}

Test(odd, text__never_says_undefined)
{
    struct page *page = page_start();
    page_open(page, REPORT(MADE_PROMPT), NULL);
    json_t *views = made_views(page), *view;
    size_t  at;
    json_array_foreach(views, at, view)
    {
        made_view(page, json_string_value(view));
        char *found =
            page_text(page, "(document.body.innerText.match(/.*(\\bundefined\\b|\\bNaN\\b|\\[object).*/) ?? [''])[0]");
        cr_expect_str_eq(found, "", "%s: %s", json_string_value(view), found);
        free(found);
    }
    json_decref(views);
    page_close(&page);
}
