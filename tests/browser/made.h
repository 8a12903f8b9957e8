/* Reports and results made by the program under test. */
#ifndef SCRY_TESTS_BROWSER_MADE_H
#define SCRY_TESTS_BROWSER_MADE_H

#include "browser/page.h"
#include "e2e/program.h"

/* A prompt on which the demo model knows the answer, and on which its induction heads have something to do. */
#define MADE_PROMPT "The capital of France is Paris. The capital of France is"

/* Another, as long, whose answer is another. */
#define MADE_OTHER_PROMPT "The capital of Peru is Lima. The capital of Peru is"

/* A report with every view. */
#define MADE_WHOLE MADE_PROMPT, "--corrupt", MADE_OTHER_PROMPT

/* One of at least 256 tokens. */
const char *made_long_prompt(void);

/* Writes a page by `scry ... -o FILE` into the test's folder and gives its path; fails the test where that does not
 * work. The arguments end with NULL. */
const char *made_page(const char *const *arguments);
#define PAGE(...)   made_page((const char *const[]){__VA_ARGS__, NULL})
#define REPORT(...) PAGE("report", __VA_ARGS__)

/* What a command says with --json. */
json_t *made_result(const char *const *arguments);
#define RESULT(...) made_result((const char *const[]){__VA_ARGS__, "--json", NULL})

/* Opens a view by its link in the navigation, as a person does. */
void made_view(struct page *page, const char *view);

/* The ids of the views that the page has, in order; the caller's. */
json_t *made_views(struct page *page);

/* A script: the texts of a table's cells, row by row, of the rows that match. */
#define CELLS(rows)                                                                                                    \
    "[...document.querySelectorAll('" rows "')].map(row => [...row.children].map(cell => cell.textContent))"

#endif
