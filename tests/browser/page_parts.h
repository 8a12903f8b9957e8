/* What the files of a page share: page.c opens and asks, page_watch.c listens, page_use.c points, types and keeps. */
#ifndef SCRY_TESTS_BROWSER_PAGE_PARTS_H
#define SCRY_TESTS_BROWSER_PAGE_PARTS_H

#include "browser/chromium.h"
#include "browser/page.h"

struct page {
    struct chromium *chromium;
    char             session[64], target[64], url[512];
    char            *noted;
    bool             loaded, saved, scriptless;
    int              downloads;
    char            *saved_id, *saved_name; /* of the last download */
};

/* Takes an event of the browser: notes what a page must not do, and what is waited for. */
void page__hear(void *user, const char *session, const char *method, json_t *params);

/* A command to the page whose answer is of no interest. */
void page__act(struct page *page, const char *method, json_t *params);

/* A member that is a text. */
const char *page__text(json_t *object, const char *key);

#endif
