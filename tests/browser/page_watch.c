/* Listening to a page: what it says, throws and asks for. See page.h. */
#include "browser/page_parts.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void note(struct page *page, const char *what, const char *detail)
{
    char *longer = NULL;
    cr_assert_geq(asprintf(&longer, "%s%s: %s\n", page->noted ? page->noted : "", what, detail ? detail : ""), 0);
    free(page->noted);
    page->noted = longer;
}

const char *page__text(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* May the page ask for this? Its own file, and what it holds or makes itself. */
static bool is_inside(const struct page *page, const char *url)
{
    size_t own = strcspn(page->url, "#");
    return (own && !strncmp(url, page->url, own) && (!url[own] || url[own] == '#')) || !strncmp(url, "data:", 5) ||
           !strncmp(url, "blob:", 5) || !strcmp(url, "about:blank");
}

static void hear_console(struct page *page, json_t *params)
{
    static const char *const quiet[] = {"log", "info", "debug", "timeEnd"};
    const char              *type    = page__text(params, "type");
    for (size_t i = 0; i < sizeof quiet / sizeof *quiet; i++)
        if (!strcmp(type, quiet[i])) return;
    json_t     *first = json_array_get(json_object_get(params, "args"), 0);
    const char *value = page__text(first, "value");
    note(page, "console", value ? value : page__text(first, "description"));
}

static void hear_log(struct page *page, json_t *params)
{
    json_t     *entry = json_object_get(params, "entry");
    const char *level = page__text(entry, "level");
    if (!strcmp(level, "error") || !strcmp(level, "warning")) note(page, "log", page__text(entry, "text"));
}

static void hear_exception(struct page *page, json_t *params)
{
    json_t     *details = json_object_get(params, "exceptionDetails");
    const char *said    = page__text(json_object_get(details, "exception"), "description");
    note(page, "exception", said ? said : page__text(details, "text"));
}

static void hear_request(struct page *page, json_t *params)
{
    const char *url = page__text(json_object_get(params, "request"), "url");
    if (!is_inside(page, url)) note(page, "request", url);
}

/* Every request stops here first: one to the outside fails, and so never gets as far as a name to resolve. */
static void hear_pause(struct page *page, json_t *params)
{
    const char *url = page__text(json_object_get(params, "request"), "url"), *id = page__text(params, "requestId");
    if (is_inside(page, url))
        chromium_send(page->chromium, page->session, "Fetch.continueRequest", json_pack("{s:s}", "requestId", id));
    else
        chromium_send(page->chromium, page->session, "Fetch.failRequest",
                      json_pack("{s:s, s:s}", "requestId", id, "errorReason", "BlockedByClient"));
}

static void hear_socket(struct page *page, json_t *params)
{
    note(page, "socket", page__text(params, "url"));
}

static void hear_target(struct page *page, json_t *params)
{
    json_t *info = json_object_get(params, "targetInfo");
    if (*page->target && strcmp(page__text(info, "targetId"), page->target) &&
        !strcmp(page__text(info, "type"), "page"))
        note(page, "window", page__text(info, "url"));
}

static void hear_loaded(struct page *page, json_t *params)
{
    (void)params;
    page->loaded = true;
}

static void hear_crash(struct page *page, json_t *params)
{
    (void)params;
    note(page, "crash", page->url);
}

static void hear_download(struct page *page, json_t *params)
{
    free(page->saved_id);
    free(page->saved_name);
    page->saved_id   = strdup(page__text(params, "guid"));
    page->saved_name = strdup(page__text(params, "suggestedFilename"));
    if (!is_inside(page, page__text(params, "url"))) note(page, "download", page__text(params, "url"));
}

static void hear_progress(struct page *page, json_t *params)
{
    if (!strcmp(page__text(params, "state"), "completed")) page->saved = true;
    if (!strcmp(page__text(params, "state"), "canceled")) note(page, "download canceled", page->saved_name);
}

static const struct {
    const char *method;
    void (*hear)(struct page *page, json_t *params);
} events[] = {
    {"Runtime.consoleAPICalled", hear_console},
    {"Runtime.exceptionThrown", hear_exception},
    {"Log.entryAdded", hear_log},
    {"Network.requestWillBeSent", hear_request},
    {"Network.webSocketCreated", hear_socket},
    {"Network.webTransportCreated", hear_socket},
    {"Fetch.requestPaused", hear_pause},
    {"Target.targetCreated", hear_target},
    {"Inspector.targetCrashed", hear_crash},
    {"Page.loadEventFired", hear_loaded},
    {"Browser.downloadWillBegin", hear_download},
    {"Browser.downloadProgress", hear_progress},
};

void page__hear(void *user, const char *session, const char *method, json_t *params)
{
    (void)session; /* there is one page */
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (!strcmp(method, events[i].method)) events[i].hear(user, params);
}
