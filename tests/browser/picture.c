/* The picture in docs: views of one report beside each other, in light and dark. It is left among the screenshots as
 * report.png, from where it is copied to docs/ when views have changed. */
#include "browser/made.h"

#include <cairo.h>
#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(picture, .init = make_folder, .fini = remove_folder);

enum { WIDTH = 1000, HEIGHT = 660, COLUMNS = 2, GAP = 16 };

static const struct {
    const char *address;
    bool        dark;
} views[] = {
    {"lens", false},
    {"heads-view?layer=4", true},
    {"model-view?layer=4&head=2", true},
    {"influence", false},
    {"patching", false},
    {"neuron?layer=4&head=2", true},
    {"text", true},
    {"atlas?score=induction&layer=4&head=2", false},
};
enum { VIEW_COUNT = sizeof views / sizeof *views };

static const char *screenshot(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, SCRY_SCREENSHOTS "/%s.png", name);
    return path;
}

static void draw_sheet(void)
{
    double           scale = 0.56, step_x = WIDTH * scale + GAP, step_y = HEIGHT * scale + GAP;
    int              rows = (VIEW_COUNT + COLUMNS - 1) / COLUMNS;
    cairo_surface_t *sheet =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(COLUMNS * step_x + GAP), (int)(rows * step_y + GAP));
    cairo_t *cairo = cairo_create(sheet);
    cairo_set_source_rgb(cairo, 0.85, 0.85, 0.84);
    cairo_paint(cairo);
    for (int i = 0; i < VIEW_COUNT; i++) {
        char name[32];
        snprintf(name, sizeof name, "picture-%d", i);
        cairo_surface_t *view = cairo_image_surface_create_from_png(screenshot(name));
        cairo_save(cairo);
        cairo_translate(cairo, GAP + i % COLUMNS * step_x, GAP + i / COLUMNS * step_y);
        cairo_scale(cairo, scale, scale);
        cairo_set_source_surface(cairo, view, 0, 0);
        cairo_pattern_set_filter(cairo_get_source(cairo), CAIRO_FILTER_BEST);
        cairo_paint(cairo);
        cairo_restore(cairo);
        cairo_surface_destroy(view);
    }
    cr_expect_eq(cairo_status(cairo), CAIRO_STATUS_SUCCESS);
    cr_expect_eq(cairo_surface_write_to_png(sheet, screenshot("report")), CAIRO_STATUS_SUCCESS);
    cairo_destroy(cairo);
    cairo_surface_destroy(sheet);
}

Test(picture, report__views_beside_each_other)
{
    struct page *page = page_start();
    const char  *path = REPORT("The Eiffel Tower is located in Paris. The Eiffel Tower is located in", "--title",
                               "The Eiffel Tower is located in", "--corrupt",
                               "The Brandenburg Gate is located in Berlin. The Brandenburg Gate is located in");
    page_size(page, WIDTH, HEIGHT);
    for (int i = 0; i < VIEW_COUNT; i++) {
        char name[32];
        snprintf(name, sizeof name, "picture-%d", i);
        page_theme(page, views[i].dark);
        page_open(page, path, views[i].address);
        /* What all views have alike is shown once. */
        if (i)
            page_value(page,
                       "document.querySelectorAll('header, nav, #choice').forEach(each => each.hidden = true) ?? 0");
        page_screenshot(page, name, false);
    }
    draw_sheet();
    page_close(&page);
}
