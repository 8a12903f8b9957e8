/* Each view hands out its picture as SVG and PNG and its data as CSV and JSON. */
#include "browser/export_file.h"
#include "browser/hostile_model.h"
#include "browser/made.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(exports, .init = make_folder, .fini = remove_folder);

static const struct {
    const char *name;
    const char *(*check)(const char *bytes, size_t size);
} kinds[] = {
    {"svg", export_check_svg}, {"png", export_check_png}, {"csv", export_check_csv}, {"json", export_check_json}};

static char *export(struct page *page, const char *view, const char *kind, size_t *size)
{
    char button[128], suffix[8], *name;
    snprintf(button, sizeof button, "#%s [data-export=%s]", view, kind);
    snprintf(suffix, sizeof suffix, ".%s", kind);
    char *bytes = page_download(page, button, size, &name);
    cr_expect(strlen(name) > strlen(suffix) && !strcmp(name + strlen(name) - strlen(suffix), suffix), "%s: named %s",
              button, name);
    free(name);
    return bytes;
}

static void export_all(struct page *page)
{
    json_t *views = made_views(page), *view;
    size_t  at;
    json_array_foreach(views, at, view)
    {
        const char *name = json_string_value(view);
        made_view(page, name);
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            if (!page_holds(page, "!!document.querySelector('#%s [data-export=%s]')", name, kinds[i].name)) {
                cr_expect_fail("%s: no export as %s", name, kinds[i].name);
                continue;
            }
            size_t      size;
            char       *bytes = export(page, name, kinds[i].name, &size);
            const char *wrong = kinds[i].check(bytes, size);
            cr_expect_null(wrong, "%s as %s: %s", name, kinds[i].name, wrong);
            free(bytes);
        }
    }
    json_decref(views);
}

Test(exports, files__are_what_they_say)
{
    struct page *page = page_start();
    page_open(page, REPORT(MADE_WHOLE), NULL);
    export_all(page);
    page_close(&page);
}

Test(exports, files__are_what_they_say_of_a_comparison)
{
    struct page *page = page_start();
    page_open(page, PAGE("diff", "--text", MADE_PROMPT, "models/demo", "models/demo", "models/demo"), NULL);
    export_all(page);
    page_close(&page);
}

Test(exports, files__are_what_they_say_whatever_the_tokens)
{
    struct page *page = page_start();
    page_open(page, REPORT("--model", hostile_model(), "--corrupt", hostile_prompt(true), hostile_prompt(false)), NULL);
    export_all(page);
    page_close(&page);
}
