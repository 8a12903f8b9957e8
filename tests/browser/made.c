/* Reports and results for the browser's tests. See made.h. */
#include "browser/made.h"

#include <criterion/criterion.h>
#include <string.h>

enum { MOST_ARGUMENTS = 24 };

const char *made_long_prompt(void)
{
    static char prompt[2048];
    *prompt = 0;
    for (int i = 0; i < 16; i++) strcat(prompt, "Anna put the key in the box and Bob put the coin in the drawer. ");
    return prompt;
}

const char *made_page(const char *const *arguments)
{
    const char *path = in_folder("report.html"), *all[MOST_ARGUMENTS + 3] = {0};
    int         count = 0;
    for (; arguments[count] && count < MOST_ARGUMENTS; count++) all[count] = arguments[count];
    all[count++]           = "-o";
    all[count++]           = path;
    struct outcome outcome = run_scry(all);
    cr_assert_eq(outcome.exit_code, 0, "%s", outcome.err);
    outcome_free(&outcome);
    return path;
}

json_t *made_result(const char *const *arguments)
{
    struct outcome outcome = run_scry(arguments);
    json_t        *result  = outcome_json(&outcome);
    outcome_free(&outcome);
    return result;
}

void made_view(struct page *page, const char *view)
{
    char link[64];
    snprintf(link, sizeof link, "nav a[href='#%s']", view);
    page_click(page, link);
    page_wait(page, "!document.getElementById('%s').hidden", view); /* the address tells the page, a moment later */
}

json_t *made_views(struct page *page)
{
    return page_value(page, "[...document.querySelectorAll('nav a')].map(link => link.getAttribute('href').slice(1))");
}
