/* The watch kept over pages does see what it is there for: each of these pages does one thing that no report may do. */
#include "browser/page.h"
#include "e2e/program.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(watch, .init = make_folder, .fini = remove_folder);

struct trial {
    const char *page, *noted; /* noted: a part of the line expected, NULL for none at all */
};

/* Done while the page is shown. */
static const struct trial shown[] = {
    {"<p>Quiet.", NULL},
    {"<script>console.log('of no interest')</script>", NULL},
    {"<script>location.hash = 'layer=3'</script>", NULL},
    {"<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>", NULL},
    {"<script>console.error('said aloud')</script>", "console: said aloud"},
    {"<script>console.warn('said aloud')</script>", "console: said aloud"},
    {"<script>undefined.shape</script>", "exception: TypeError"},
    {"<script>Promise.reject(new Error('nobody heard'))</script>", "exception: Error: nobody heard"},
    {"<img src='http://scry.invalid/a.png'>", "request: http://scry.invalid/a.png"},
    {"<link rel=stylesheet href='https://scry.invalid/a.css'>", "request: https://scry.invalid/a.css"},
    {"<script src='//scry.invalid/a.js'></script>", "a.js"},
    {"<script src='beside.js'></script>", "beside.js"},
    {"<iframe src='https://scry.invalid/'></iframe>", "request: https://scry.invalid/"},
    {"<script>fetch('https://scry.invalid/b').catch(() => {})</script>", "request: https://scry.invalid/b"},
    {"<script>navigator.sendBeacon('https://scry.invalid/c', 'd')</script>", "request: https://scry.invalid/c"},
    {"<script>new WebSocket('wss://scry.invalid/e')</script>", "socket: wss://scry.invalid/e"},
    {"<style>body { background: url(http://scry.invalid/g.png) }</style><p>x", "request: http://scry.invalid/g.png"},
    {"<meta http-equiv=Content-Security-Policy content=\"img-src 'none'\"><img src='data:image/gif;base64,R0lGODlh'>",
     "Content Security Policy"},
};

/* Done when its link is clicked. */
static const struct trial clicked[] = {
    {"<a href='#place'>x</a><p id=place>y", NULL},
    {"<a href='https://scry.invalid/'>x</a>", "request: https://scry.invalid/"},
    {"<a href='https://scry.invalid/' target=_blank>x</a>", "window: "},
};

static void try_page(struct page *page, const struct trial *trial, bool click)
{
    const char *path = in_folder("page.html");
    FILE       *file = fopen(path, "w");
    cr_assert_not_null(file);
    fprintf(file, "<!doctype html><meta charset=utf-8><title>Test</title>%s", trial->page);
    cr_assert_eq(fclose(file), 0);
    page_open(page, path, NULL);
    if (click) page_click(page, "a");
    page_value(page, "new Promise(done => setTimeout(done, 100))");
    char *noted = page_noted(page);
    cr_expect(trial->noted ? !!strstr(noted, trial->noted) : !*noted, "%s: noted \"%s\"", trial->page, noted);
    free(noted);
}

Test(watch, noted__is_what_no_report_may_do)
{
    struct page *page = page_start();
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) try_page(page, &shown[i], false);
    for (size_t i = 0; i < sizeof clicked / sizeof *clicked; i++) try_page(page, &clicked[i], true);
    page_close(&page);
}
