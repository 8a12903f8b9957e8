/* The watch kept over pages does see what it is there for: each of these pages does one thing that no report may do. */
#include "browser/page.h"
#include "e2e/program.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(watch, .init = make_folder, .fini = remove_folder);

/* The quiet ones come first: what another says late is not theirs. */
static const struct trial {
    const char *page, *noted; /* noted: a part of the line expected, NULL for none at all */
    bool        click;        /* its link is clicked */
} trials[] = {
    {"<p>Quiet.", NULL, false},
    {"<script>console.log('of no interest')</script>", NULL, false},
    {"<script>location.hash = 'layer=3'</script>", NULL, false},
    {"<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>", NULL, false},
    {"<a href='#place'>x</a><p id=place>y", NULL, true},
    {"<script>console.error('said aloud')</script>", "console: said aloud", false},
    {"<script>console.warn('said softly')</script>", "console: said softly", false},
    {"<script>undefined.shape</script>", "exception: TypeError", false},
    {"<script>Promise.reject(new Error('nobody heard'))</script>", "exception: Error: nobody heard", false},
    {"<img src='http://scry.invalid/a.png'>", "request: http://scry.invalid/a.png", false},
    {"<link rel=stylesheet href='https://scry.invalid/a.css'>", "request: https://scry.invalid/a.css", false},
    {"<script src='//scry.invalid/a.js'></script>", "a.js", false},
    {"<script src='beside.js'></script>", "beside.js", false},
    {"<iframe src='https://scry.invalid/frame'></iframe>", "request: https://scry.invalid/frame", false},
    {"<script>fetch('https://scry.invalid/b').catch(() => {})</script>", "request: https://scry.invalid/b", false},
    {"<script>navigator.sendBeacon('https://scry.invalid/c', 'd')</script>", "request: https://scry.invalid/c", false},
    {"<script>new WebSocket('wss://scry.invalid/e')</script>", "socket: wss://scry.invalid/e", false},
    {"<style>body { background: url(http://scry.invalid/g.png) }</style><p>x", "request: http://scry.invalid/g.png",
     false},
    {"<meta http-equiv=Content-Security-Policy content=\"img-src 'none'\"><img src='data:image/gif;base64,R0lGODlh'>",
     "Content Security Policy", false},
    {"<a href='https://scry.invalid/h'>x</a>", "request: https://scry.invalid/h", true},
    {"<a href='https://scry.invalid/i' target=_blank>x</a>", "window: ", true},
};

enum { MOST_TRIES = 100, PAUSE = 100 }; /* ten seconds, on a machine that has other things to do */

static void try_page(struct page *page, const struct trial *trial)
{
    const char *path  = in_folder("page.html");
    FILE       *file  = fopen(path, "w");
    bool        found = false;
    cr_assert_not_null(file);
    fprintf(file, "<!doctype html><meta charset=utf-8><title>Test</title>%s", trial->page);
    cr_assert_eq(fclose(file), 0);
    page_open(page, path, NULL);
    if (trial->click) page_click(page, "a");
    for (int i = 0; !found && i < (trial->noted ? MOST_TRIES : 2); i++) {
        page_value(page, "new Promise(done => setTimeout(done, %d))", PAUSE);
        char *noted = page_noted(page);
        found       = trial->noted ? !!strstr(noted, trial->noted) : !!*noted;
        cr_expect(trial->noted || !*noted, "%s: noted \"%s\"", trial->page, noted);
        free(noted);
    }
    cr_expect_eq(found, !!trial->noted, "%s: %s was not noted", trial->page, trial->noted);
}

Test(watch, noted__is_what_no_report_may_do)
{
    struct page *page = page_start();
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) try_page(page, &trials[i]);
    free(page_noted(page));
    page_close(&page);
}
