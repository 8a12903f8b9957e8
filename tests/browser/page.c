/* Opening, closing and asking a page. See page.h. */
#include "browser/page_parts.h"

#include "e2e/program.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void page__act(struct page *page, const char *method, json_t *params)
{
    chromium_do(page->chromium, page->session, method, params);
}

struct page *page_start(void)
{
    struct page *page = calloc(1, sizeof *page);
    cr_assert_not_null(page);
    page->chromium = chromium_start(in_folder(""), page__hear, page);
    json_t *made = chromium_call(page->chromium, NULL, "Target.createTarget", json_pack("{s:s}", "url", "about:blank"));
    snprintf(page->target, sizeof page->target, "%s", page__text(made, "targetId"));
    json_t *attached = chromium_call(page->chromium, NULL, "Target.attachToTarget",
                                     json_pack("{s:s, s:b}", "targetId", page->target, "flatten", true));
    snprintf(page->session, sizeof page->session, "%s", page__text(attached, "sessionId"));
    json_decref(attached);
    json_decref(made);
    static const char *const parts[] = {"Page.enable", "Runtime.enable", "Log.enable", "Network.enable",
                                        "Inspector.enable"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) page__act(page, parts[i], NULL);
    page__act(page, "Fetch.enable", NULL);
    chromium_do(page->chromium, NULL, "Target.setDiscoverTargets", json_pack("{s:b}", "discover", true));
    page_size(page, 1280, 900);
    page_theme(page, false);
    return page;
}

static void go(struct page *page, const char *url)
{
    page->loaded      = false;
    json_t     *went  = chromium_call(page->chromium, page->session, "Page.navigate", json_pack("{s:s}", "url", url));
    const char *error = page__text(went, "errorText");
    cr_assert_null(error, "%s: %s", url, error);
    json_decref(went);
    chromium_wait(page->chromium, &page->loaded, url);
}

void page_open(struct page *page, const char *path, const char *hash)
{
    go(page, "about:blank"); /* from the same file, another hash would be no new page */
    snprintf(page->url, sizeof page->url, "file://%s%s%s", path, hash ? "#" : "", hash ? hash : "");
    go(page, page->url);
    if (page->scriptless) return;
    page_wait(page, "!document.querySelector('[data-view]') || document.documentElement.dataset.ready === '1'");
}

void page_close(struct page **at)
{
    struct page *page = *at;
    if (!page) return;
    if (page->chromium) page_value(page, "0"); /* whatever is still on its way has come before this answer */
    cr_expect_null(page->noted, "%s: %s", page->url, page->noted);
    chromium_stop(&page->chromium);
    free(page->noted);
    free(page->saved_id);
    free(page->saved_name);
    free(page);
    *at = NULL;
}

char *page_noted(struct page *page)
{
    char *noted = page->noted ? page->noted : strdup("");
    page->noted = NULL;
    return noted;
}

/* --- asking --- */

static json_t *evaluate(struct page *page, const char *format, va_list arguments)
{
    char *script = NULL;
    cr_assert_geq(vasprintf(&script, format, arguments), 0);
    json_t *answer =
        chromium_call(page->chromium, page->session, "Runtime.evaluate",
                      json_pack("{s:s, s:b, s:b}", "expression", script, "returnByValue", true, "awaitPromise", true));
    json_t *thrown = json_object_get(json_object_get(answer, "exceptionDetails"), "exception");
    cr_assert_null(thrown, "%s: %s", script, page__text(thrown, "description"));
    json_t *value = json_object_get(json_object_get(answer, "result"), "value");
    value         = value ? json_incref(value) : json_null();
    json_decref(answer);
    free(script);
    return value;
}

#define EVALUATE(value)                                                                                                \
    va_list arguments;                                                                                                 \
    va_start(arguments, script);                                                                                       \
    json_t *value = evaluate(page, script, arguments);                                                                 \
    va_end(arguments)

json_t *page_value(struct page *page, const char *script, ...)
{
    EVALUATE(value);
    return value;
}

char *page_text(struct page *page, const char *script, ...)
{
    EVALUATE(value);
    cr_assert(json_is_string(value), "%s: expected a text", script);
    char *text = strdup(json_string_value(value));
    json_decref(value);
    return text;
}

double page_number(struct page *page, const char *script, ...)
{
    EVALUATE(value);
    cr_assert(json_is_number(value) || json_is_null(value), "%s: expected a number", script);
    double number = json_is_number(value) ? json_number_value(value) : NAN;
    json_decref(value);
    return number;
}

bool page_holds(struct page *page, const char *script, ...)
{
    EVALUATE(value);
    cr_assert(json_is_boolean(value), "%s: expected true or false", script);
    bool holds = json_is_true(value);
    json_decref(value);
    return holds;
}

void page_wait(struct page *page, const char *script, ...)
{
    char   *expression = NULL;
    va_list arguments;
    va_start(arguments, script);
    cr_assert_geq(vasprintf(&expression, script, arguments), 0);
    va_end(arguments);
    for (int tries = 0; !page_holds(page, "!!(%s)", expression); tries++) {
        cr_assert_lt(tries, 1200, "waited a minute for: %s", expression);
        usleep(50000);
    }
    free(expression);
}
