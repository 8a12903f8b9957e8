/* One page in Chromium, used as a person uses it and watched all the while: whatever it says on the console, throws, or
 * asks for from outside its file is noted, and page_close fails the test for it. */
#ifndef SCRY_TESTS_BROWSER_PAGE_H
#define SCRY_TESTS_BROWSER_PAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Where the tests' screenshots are kept: a folder of the build. */
#define SCRY_SCREENSHOTS SCRY_BUILD_DIR "/screenshots"

struct page;

/* Starts a browser for the test, with the fixture's folder (program.h). */
struct page *page_start(void);
/* Shows the file at `path`; `hash` is the address' part behind #, or NULL. Waits until the page has loaded, and is
 * ready if it is one that says so. */
void page_open(struct page *page, const char *path, const char *hash);
/* Ends the browser. Fails the test for each thing noted, unless the test took them with page_noted. */
void page_close(struct page **page);

/* What was noted so far, one thing a line; forgotten afterwards. The caller's. */
char *page_noted(struct page *page);

/* Scripts are printf formats of one expression; a promise is waited for. Fails the test where the script throws. */
#define PAGE_SCRIPT __attribute__((format(printf, 2, 3)))
json_t *page_value(struct page *page, const char *script, ...) PAGE_SCRIPT;  /* the caller's */
char   *page_text(struct page *page, const char *script, ...) PAGE_SCRIPT;   /* the caller's; not a string: fails */
double  page_number(struct page *page, const char *script, ...) PAGE_SCRIPT; /* null is NaN */
bool    page_holds(struct page *page, const char *script, ...) PAGE_SCRIPT;
/* Until the expression holds; fails the test after a minute. */
void page_wait(struct page *page, const char *script, ...) PAGE_SCRIPT;

/* The pointer goes to the middle of the first element that the selector finds, or is pressed there. */
void page_point(struct page *page, const char *selector);
void page_click(struct page *page, const char *selector);
/* The same at a place inside the element, in shares of its width and height. */
void page_point_at(struct page *page, const char *selector, double x, double y);
void page_click_at(struct page *page, const char *selector, double x, double y);
/* A key by its name ("Tab", "ArrowDown", "Enter", " ", "a"), with "Shift+" before it where held. */
void page_press(struct page *page, const char *key);
/* Sets an element's value as a person would: the events that follow are sent too. */
void page_choose(struct page *page, const char *selector, const char *value);

void page_size(struct page *page, int width, int height);
void page_theme(struct page *page, bool dark);
/* Pages opened from here on run no scripts of their own. */
void page_without_scripts(struct page *page);
/* The whole page as SCRY_SCREENSHOTS/NAME.png, or what is in the window. */
void page_screenshot(struct page *page, const char *name, bool whole);

/* Clicks, and gives the file that this saves: its bytes, and the name that the page gave it. Both are the caller's. */
char *page_download(struct page *page, const char *selector, size_t *size, char **name);

/* Processor time in seconds that pages have used so far, all threads of those of their processes that still run. */
double page_processor_time(struct page *page);

#endif
