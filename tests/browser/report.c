/* The report in a browser. */
#include "browser/page.h"
#include "e2e/program.h"

#include <criterion/criterion.h>

TestSuite(report, .init = make_folder, .fini = remove_folder);

Test(report, page__opens)
{
    const char    *path    = in_folder("report.html");
    struct outcome outcome = SCRY("report", "The capital of France is", "-o", path);
    cr_assert_eq(outcome.exit_code, 0, "%s", outcome.err);
    outcome_free(&outcome);
    struct page *page = page_start();
    page_open(page, path, NULL);
    cr_expect(page_holds(page, "document.title.includes('The capital of France is')"));
    page_screenshot(page, "opens", true);
    page_close(&page);
}
