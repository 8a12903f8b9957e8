/* Tests of core/report: colour maps, labels, heat maps as pictures. */
#include "base/alloc.h"
#include "base/file.h"
#include "report/heatmap.h"
#include "report/label.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* CIE lightness of an sRGB colour. */
static double lightness(scry__rgb colour)
{
    const uint8_t parts[]  = {colour.red, colour.green, colour.blue};
    const double  shares[] = {0.2126, 0.7152, 0.0722};
    double        y        = 0;
    for (int i = 0; i < 3; i++) {
        double value = parts[i] / 255.0;
        y += shares[i] * (value <= 0.04045 ? value / 12.92 : pow((value + 0.055) / 1.055, 2.4));
    }
    return y > 0.008856 ? 116 * cbrt(y) - 16 : 903.3 * y;
}

Test(colour, sequential__rises_in_lightness_everywhere)
{
    double before = lightness(scry__colour_at(SCRY__COLOURS_SEQUENTIAL, 0));
    for (int i = 1; i <= 100; i++) {
        double found = lightness(scry__colour_at(SCRY__COLOURS_SEQUENTIAL, i / 100.0));
        cr_expect_gt(found, before, "at %d%%: %.2f after %.2f", i, found, before);
        before = found;
    }
}

Test(colour, ends__hold_outside_and_for_nan)
{
    scry__rgb low = scry__colour_at(SCRY__COLOURS_DIVERGING, -3), nan = scry__colour_at(SCRY__COLOURS_DIVERGING, NAN);
    scry__rgb middle = scry__colour_at(SCRY__COLOURS_DIVERGING, 0.5),
              high   = scry__colour_at(SCRY__COLOURS_DIVERGING, 7);
    cr_expect(low.red == 59 && low.green == 76 && low.blue == 192);
    cr_expect(nan.red == low.red && nan.blue == low.blue);
    cr_expect(middle.red == 221 && middle.green == 221 && middle.blue == 221);
    cr_expect(high.red == 180 && high.green == 4 && high.blue == 38);
    cr_expect(scry__colour_is_light((scry__rgb){253, 231, 37}) && !scry__colour_is_light((scry__rgb){68, 1, 84}));
}

Test(label, label__shows_what_would_not_be_seen)
{
    static const struct {
        const char *text, *label;
    } cases[] = {
        {" Paris", "\xe2\x90\xa3Paris"},
        {"\n", "\xe2\x8f\x8e"},
        {"a\tb", "a\xe2\x87\xa5"
                 "b"},
        {"", "\xe2\x88\x85"},
        {"\x01", "\xc2\xb7"},
        {"\xe2\x80\xae"
         "x",
         "\xc2\xb7x"},
        {"\xff", "\xef\xbf\xbd"},
        {"\xe5\x8c\x97\xc3\xa9", "\xe5\x8c\x97\xc3\xa9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry__text text = {0};
        scry__label_add(&text, cases[i].text);
        cr_expect_str_eq(text.data, cases[i].label, "case %zu", i);
        scry__text_finish(&text);
    }
}

Test(label, fit__gives_exactly_the_width_asked_for)
{
    static const struct {
        const char *text;
        int         width;
        scry__align align;
        const char *fitted;
    } cases[] = {
        {"abc", 5, SCRY__ALIGN_LEFT, "abc  "},
        {"abc", 5, SCRY__ALIGN_RIGHT, "  abc"},
        {"abcdef", 4, SCRY__ALIGN_LEFT, "abc\xe2\x80\xa6"},
        {"\xe5\x8c\x97\xe4\xba\xac", 4, SCRY__ALIGN_LEFT, "\xe5\x8c\x97\xe4\xba\xac"},
        {"\xe5\x8c\x97\xe4\xba\xac", 3, SCRY__ALIGN_LEFT, "\xe5\x8c\x97\xe2\x80\xa6"},
        {"\xe5\x8c\x97\xe4\xba\xac", 2, SCRY__ALIGN_RIGHT, "\xe2\x80\xa6 "},
        {"e\xcc\x81t\xc3\xa9", 3, SCRY__ALIGN_LEFT, "e\xcc\x81t\xc3\xa9"},
        {"\xf0\x9f\x98\x80!", 4, SCRY__ALIGN_RIGHT, " \xf0\x9f\x98\x80!"},
        {"abc", 0, SCRY__ALIGN_LEFT, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry__text text = {0};
        scry__label_fit(&text, cases[i].text, cases[i].width, cases[i].align);
        cr_expect_str_eq(text.data ? text.data : "", cases[i].fitted, "case %zu: %s", i, text.data);
        cr_expect_eq(scry__label_width(text.data ? text.data : ""), cases[i].width);
        scry__text_finish(&text);
    }
}

Test(label, prose__keeps_white_space_and_nothing_that_commands_a_terminal)
{
    scry__text text = {0};
    scry__label_prose(&text, "a b\n\tc\x1b[31m\x07\xe2\x80\xae\xc3\xa9");
    cr_expect_str_eq(text.data, "a b\n\tc\xc2\xb7[31m\xc2\xb7\xc2\xb7\xc3\xa9");
    scry__label_prose(&text, "");
    scry__text_finish(&text);
}

static const float               weights[] = {1, 0.25f, 0.75f, NAN};
static const char *const         tokens[]  = {"The", " <b>&\n"};
static const scry__heatmap_panel panel     = {weights, "head 0"};

static scry__heatmap small_map(void)
{
    return (scry__heatmap){
        .rows          = 2,
        .columns       = 2,
        .row_labels    = tokens,
        .column_labels = tokens,
        .panel_count   = 1,
        .panels        = &panel,
        .title         = "Attention",
        .unit          = "attention weight",
        .maximum       = 1,
    };
}

static char *written(const char *kind, const scry__heatmap *map, size_t *size)
{
    char path[128], *data = NULL;
    snprintf(path, sizeof path, "/tmp/scry-heatmap-%ld%s", (long)getpid(), kind);
    cr_assert_eq(scry__heatmap_write(path, map), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry__file_read(&data, size, path, 1 << 26), SCRY_OK);
    unlink(path);
    return data;
}

static uint32_t big_endian(const char *data)
{
    const unsigned char *bytes = (const unsigned char *)data;
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

Test(heatmap, png__has_signature_and_sensible_size)
{
    scry__heatmap map = small_map();
    size_t        size, again_size;
    char         *png = written(".png", &map, &size), *again = written(".PNG", &map, &again_size);
    cr_expect(!memcmp(png, "\x89PNG\r\n\x1a\n", 8));
    cr_expect(!memcmp(png + 12, "IHDR", 4));
    cr_expect(big_endian(png + 16) >= 800 && big_endian(png + 16) < 2000, "width %u", big_endian(png + 16));
    cr_expect(big_endian(png + 20) >= 300 && big_endian(png + 20) < 2000, "height %u", big_endian(png + 20));
    cr_expect(size == again_size && !memcmp(png, again, size), "the same map gives the same bytes");
    scry__free(png);
    scry__free(again);
}

Test(heatmap, svg__says_in_words_what_it_shows)
{
    scry__heatmap map = small_map();
    size_t        size;
    char         *svg = written(".svg", &map, &size);
    cr_expect(strstr(svg, "<svg"));
    cr_expect(strstr(svg, "<title>Attention</title>"));
    cr_expect(strstr(svg, "Scale: attention weight from 0 to 1"));
    cr_expect(strstr(svg, "The \xe2\x90\xa3&lt;b>&amp;\xe2\x8f\x8e"), "labels are escaped and visible");
    cr_expect_null(strstr(svg, "<b>"));
    scry__free(svg);
}

Test(heatmap, texts__stand_in_cells_as_wide_as_they_need)
{
    static const char *const texts[] = {"a", "<i>", "much longer", " Paris"};
    scry__heatmap            map     = small_map();
    size_t                   size;
    char                    *plain = written(".png", &map, &size);
    map.cell_texts                 = texts;
    char *png = written(".png", &map, &size), *svg = written(".svg", &map, &size);
    cr_expect_lt(big_endian(png + 20), big_endian(plain + 20), "cells are flat");
    cr_expect(
        strstr(svg, "\nThe: a &lt;i>\n\xe2\x90\xa3&lt;b>&amp;\xe2\x8f\x8e: much\xe2\x90\xa3longer \xe2\x90\xa3Paris"),
        "row by row in words");
    map.panel_count = 2;
    cr_expect_eq(scry__heatmap_write("/tmp/x.png", &map), SCRY_BAD_ARGUMENT);
    scry__free(plain);
    scry__free(png);
    scry__free(svg);
}

Test(heatmap, pdf__is_the_same_at_any_time)
{
    scry__heatmap map = small_map();
    size_t        size;
    char         *pdf = written(".pdf", &map, &size);
    cr_expect(!memcmp(pdf, "%PDF-", 5));
    for (size_t i = 0; i + 13 < size; i++) cr_assert(memcmp(pdf + i, "/CreationDate", 13), "a date at byte %zu", i);
    scry__free(pdf);
}

Test(heatmap, grids_and_odd_shapes__are_drawn)
{
    static float              values[300 * 300];
    static const int          shapes[][2] = {{1, 1}, {1, 300}, {300, 1}, {300, 300}, {7, 13}};
    const scry__heatmap_panel panels[] = {{values, "a"}, {values, NULL}, {values, "c"}, {values, "d"}, {values, "e"}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int count = 1; count <= 5; count++) {
            scry__heatmap map = {.rows = shapes[i][0], .columns = shapes[i][1], .panel_count = count, .panels = panels};
            size_t        size;
            char         *png = written(".png", &map, &size);
            cr_expect(!memcmp(png, "\x89PNG", 4));
            scry__free(png);
        }
}

Test(heatmap, scale__is_the_datas_where_none_is_given)
{
    static const float        values[] = {-2, 5, NAN, INFINITY};
    const scry__heatmap_panel one      = {values, NULL};
    scry__heatmap             map      = {.rows = 2, .columns = 2, .panel_count = 1, .panels = &one};
    double                    minimum, maximum;
    scry__heatmap_scale(&map, &minimum, &maximum);
    cr_expect(minimum == -2 && maximum == 5);
    map.colours = SCRY__COLOURS_DIVERGING;
    scry__heatmap_scale(&map, &minimum, &maximum);
    cr_expect(minimum == -5 && maximum == 5);
    map.causal = true;
    scry__heatmap_scale(&map, &minimum, &maximum);
    cr_expect(minimum == -2 && maximum == 2, "masked cells do not count");
}

Test(heatmap, misuse__is_refused_by_name)
{
    scry__heatmap map = small_map();
    static const struct {
        const char *path;
        scry_status status;
    } cases[] = {
        {"/tmp/x.gif", SCRY_BAD_ARGUMENT},
        {"/tmp/png", SCRY_BAD_ARGUMENT},
        {"/tmp/a.png/b", SCRY_BAD_ARGUMENT},
        {"/nonexistent/x.png", SCRY_IO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(scry__heatmap_write(cases[i].path, &map), cases[i].status);
        cr_expect(strstr(scry_last_error(), cases[i].path), "%s", scry_last_error());
    }
    map.rows = 10000;
    cr_expect_eq(scry__heatmap_write("/tmp/x.png", &map), SCRY_BAD_ARGUMENT);
    map.rows = 0;
    cr_expect_eq(scry__heatmap_write("/tmp/x.png", &map), SCRY_BAD_ARGUMENT);
    cr_expect(!scry__file_exists("/tmp/x.png"));
}
