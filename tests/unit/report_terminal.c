/* Tests of core/report/terminal: tables, heat maps and progress lines as text. */
#include "base/alloc.h"
#include "report/terminal.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static const scry__terminal plain = {40, SCRY__TERMINAL_PLAIN};

/* The widest line in columns, escapes left out; -1 where a line holds an unfinished escape. */
static int widest_line(const char *text)
{
    char line[4096];
    int  most = 0, size = 0;
    for (;; text++) {
        if (*text == '\x1b') {
            text = strchr(text, 'm');
            if (!text) return -1;
        } else if (*text == '\n' || !*text) {
            line[size] = 0;
            int width  = scry__label_width(line);
            most       = width > most ? width : most;
            size       = 0;
            if (!*text) return most;
        } else {
            line[size++] = *text;
        }
    }
}

Test(terminal, table__aligns_wide_characters)
{
    static const scry__table_column columns[] = {
        {"layer", SCRY__ALIGN_RIGHT, false}, {"token", SCRY__ALIGN_LEFT, false}, {"p", SCRY__ALIGN_RIGHT, false}};
    static const char *const cells[] = {"0", " Paris", "0.1", "10", "\xe5\x8c\x97\xe4\xba\xac", "0.99", "2", NULL, "x"};
    scry__table              table   = {3, 3, columns, cells, NULL};
    scry__text               text    = {0};
    cr_assert_eq(scry__terminal_table(&text, &plain, &table), SCRY_OK);
    cr_expect_str_eq(text.data, "layer  token      p\n"
                                "    0   Paris   0.1\n"
                                "   10  \xe5\x8c\x97\xe4\xba\xac    0.99\n"
                                "    2             x\n");
    scry__text_finish(&text);
}

Test(terminal, table__is_cut_to_the_width_and_carries_no_commands)
{
    static const scry__table_column columns[] = {{NULL, SCRY__ALIGN_LEFT, false}, {NULL, SCRY__ALIGN_LEFT, false}};
    static const char *const        cells[]   = {"a cell that is far longer than forty columns can ever hold",
                                                 "ab\x1b[2Jc\nd\xe2\x80\xae"
                                                          "e"};
    scry__table                     table     = {2, 1, columns, cells, NULL};
    scry__text                      text      = {0};
    cr_assert_eq(scry__terminal_table(&text, &plain, &table), SCRY_OK);
    cr_expect_eq(widest_line(text.data), 40, "%s", text.data);
    cr_expect(!strchr(text.data, '\x1b') && !strstr(text.data, "\xe2\x80\xae"));
    cr_expect(strstr(text.data, "\xe2\x80\xa6") && strstr(text.data, "ab\xc2\xb7[2Jc\xe2\x8f\x8e"
                                                                     "d\xc2\xb7"
                                                                     "e"),
              "%s", text.data);
    scry__text_finish(&text);
}

Test(terminal, table__cuts_no_column_that_is_to_stay_whole)
{
    static const scry__table_column columns[] = {{"number", SCRY__ALIGN_RIGHT, true},
                                                 {"token", SCRY__ALIGN_LEFT, false}};
    static const char *const        cells[]   = {"1234567890.123456789012345", "a token of some length"};
    scry__table                     table     = {2, 1, columns, cells, NULL};
    scry__text                      text      = {0};
    cr_assert_eq(scry__terminal_table(&text, &plain, &table), SCRY_OK);
    cr_expect_eq(widest_line(text.data), 40, "%s", text.data);
    cr_expect(strstr(text.data, "1234567890.123456789012345  a token of \xe2\x80\xa6"), "%s", text.data);
    scry__text_finish(&text);
}

Test(terminal, heatmap__is_readable_without_colour)
{
    static const float        values[] = {1, NAN, 0.25f, 0.75f};
    static const char *const  tokens[] = {"The", " cat"};
    const scry__heatmap_panel panel    = {values, "head 3"};
    scry__heatmap             map      = {.rows          = 2,
                                          .columns       = 2,
                                          .row_labels    = tokens,
                                          .column_labels = tokens,
                                          .panel_count   = 1,
                                          .panels        = &panel,
                                          .unit          = "weight",
                                          .maximum       = 1};
    scry__text                text     = {0};
    scry__terminal_heatmap(&text, &plain, &map);
    cr_expect_str_eq(text.data, "       head 3\n"
                                "         The \xe2\x90\xa3"
                                "cat\n"
                                "0 The   1.00\n"
                                "1 \xe2\x90\xa3"
                                "cat  0.25 0.75\n"
                                "0   ..::--==++**##%%@@ 1  weight\n");
    scry__text_finish(&text);
}

Test(terminal, heatmap__keeps_signs_apart)
{
    static const float        values[] = {-0.004f, -0.25f};
    const scry__heatmap_panel panel    = {values, NULL};
    scry__heatmap             map      = {
                         .rows = 1, .columns = 2, .panel_count = 1, .panels = &panel, .unit = "effect", .minimum = -1, .maximum = 1};
    scry__text text = {0};
    scry__terminal_heatmap(&text, &plain, &map);
    cr_expect(strstr(text.data, " 0.00 -0.25") && !strstr(text.data, "-0.00"), "%s", text.data);
    scry__text_finish(&text);
}

Test(terminal, heatmap__fits_any_width)
{
    static float              values[200 * 200];
    const scry__heatmap_panel panels[] = {{values, "one"}, {values, "two"}};
    const char               *labels[200];
    for (int i = 0; i < 200; i++)
        labels[i] = i % 3 ? "\xe5\x8c\x97\xe4\xba\xac\xe5\x8c\x97" : " longer than it should be";
    for (int i = 0; i < 200 * 200; i++) values[i] = (float)(i % 101) / 100;
    static const int sizes[] = {1, 2, 7, 20, 33, 60, 200}, widths[] = {40, 80, 132};
    for (size_t i = 0; i < 7; i++)
        for (size_t k = 0; k < 3; k++)
            for (int colour = 0; colour < 3; colour++) {
                scry__terminal terminal = {widths[k], (scry__terminal_colour)colour};
                scry__heatmap  map      = {.rows          = sizes[i],
                                           .columns       = sizes[i],
                                           .row_labels    = labels,
                                           .column_labels = labels,
                                           .panel_count   = 2,
                                           .panels        = panels,
                                           .causal        = true};
                scry__text     text     = {0};
                scry__terminal_heatmap(&text, &terminal, &map);
                cr_assert_eq(text.status, SCRY_OK);
                int width = widest_line(text.data);
                cr_expect(width > 0 && width <= widths[k], "T %d in %d: %d", sizes[i], widths[k], width);
                cr_expect_eq(strchr(text.data, '\x1b') != NULL, colour != SCRY__TERMINAL_PLAIN);
                scry__text_finish(&text);
            }
}

Test(terminal, heatmap__keeps_the_titles_of_small_panels)
{
    static const float        value    = 1;
    const scry__heatmap_panel panels[] = {{&value, "head 0"}, {&value, "head 10"}};
    scry__heatmap             map      = {.rows = 1, .columns = 1, .panel_count = 2, .panels = panels, .maximum = 1};
    scry__text                text     = {0};
    scry__terminal_heatmap(&text, &plain, &map);
    cr_assert_eq(text.status, SCRY_OK);
    cr_expect(strstr(text.data, "head 0   head 10\n"), "%s", text.data);
    cr_expect(strstr(text.data, "0  @@       @@\n"), "%s", text.data);
    scry__text_finish(&text);
}

Test(terminal, progress__stays_in_one_line)
{
    static const struct {
        int         width;
        int64_t     done;
        double      seconds, left;
        const char *line;
    } cases[] = {
        {60, 12, 3.14, -1, "Reading  [#########.....................]  12/40  3.1 s"},
        {70, 12, 3.14, 7.33, "Reading  [#########.....................]  12/40  3.1 s, 7 s left"},
        {72, 1, 240, 9360, "Reading  [..............................]  1/40  240.0 s, 156 min left"},
        {60, 40, -1, -1, "Reading  [##############################]  40/40"},
        {24, 0, -1, -1, "Reading  [......]  0/40"},
        {16, 5, -1, -1, "Reading  5/40"},
        {12, 5, -1, -1, "Read\xe2\x80\xa6  5/40"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry__terminal terminal = {cases[i].width, SCRY__TERMINAL_PLAIN};
        scry__text     text     = {0};
        scry__terminal_progress(&text, &terminal, "Reading", cases[i].done, 40, cases[i].seconds, cases[i].left);
        cr_expect_str_eq(text.data, cases[i].line, "case %zu", i);
        cr_expect_lt(scry__label_width(text.data), cases[i].width);
        scry__text_finish(&text);
    }
}
