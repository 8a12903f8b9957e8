/* scry attn: its views as JSON, in the terminal, as pictures and arrays. */
#include "program.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char capital[] = "The capital of France is";

TestSuite(attn, .init = make_folder, .fini = remove_folder);

/* The demo model has 6 layers of 8 heads, the prompt 6 tokens. */
Test(attn, views__have_their_tiles)
{
    static const struct {
        const char *view, *name;
        size_t      tiles, rows, columns; /* 0 rows: a line of what is received */
        bool        layer, head;
    } cases[] = {
        {"heads", "heads", 8, 6, 6, true, true},    {"mean", "mean", 1, 6, 6, false, false},
        {"layers", "layers", 6, 6, 6, true, false}, {"from:4", "from", 48, 1, 6, true, true},
        {"to:4", "to", 48, 6, 1, true, true},       {"sinks", "sinks", 48, 0, 6, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome outcome = SCRY("attn", capital, "--view", cases[i].view, "--json");
        json_t        *attn = outcome_json(&outcome), *heads = json_object_get(attn, "heads");
        json_t        *first = json_array_get(heads, 0), *pattern = json_object_get(first, "pattern");
        json_t        *line = cases[i].rows ? json_array_get(pattern, 0) : json_object_get(first, "received");
        cr_expect_str_eq(json_string_value(json_object_get(attn, "view")), cases[i].name);
        cr_expect_eq(json_array_size(heads), cases[i].tiles, "%s", cases[i].view);
        cr_expect_eq(json_array_size(pattern), cases[i].rows, "%s", cases[i].view);
        cr_expect_eq(json_array_size(line), cases[i].columns, "%s", cases[i].view);
        cr_expect_eq(json_is_integer(json_object_get(first, "layer")), cases[i].layer, "%s", cases[i].view);
        cr_expect_eq(json_is_integer(json_object_get(first, "head")), cases[i].head, "%s", cases[i].view);
        json_decref(attn);
        outcome_free(&outcome);
    }
}

Test(attn, views__are_drawn_and_written)
{
    static const struct {
        const char *view, *says, *array;
    } cases[] = {
        {"heads", "layer 5 head 7", "blocks.5.attn.hook_pattern.npy"},
        {"mean", "mean attention weight", "pattern_mean.npy"},
        {"layers", "layer 0", "pattern_mean.npy"},
        {"from:4", "Attention from position 4", "blocks.0.attn.hook_pattern.npy"},
        {"to:4", "Attention to position 4", "blocks.0.attn.hook_pattern.npy"},
        {"sinks", "that of uniform attention", "received_ratio.npy"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char    *svg = in_folder("a.svg"), *npz = in_folder("a.npz");
        struct outcome screen  = SCRY("attn", capital, "--view", cases[i].view);
        struct outcome picture = SCRY("attn", capital, "--view", cases[i].view, "-o", svg);
        struct outcome arrays  = SCRY("attn", capital, "--view", cases[i].view, "-o", npz);
        size_t         size;
        cr_expect_eq(screen.exit_code, 0, "%s: %s", cases[i].view, screen.err);
        cr_expect_eq(picture.exit_code, 0, "%s: %s", cases[i].view, picture.err);
        cr_expect_eq(arrays.exit_code, 0, "%s: %s", cases[i].view, arrays.err);
        cr_expect(strstr(screen.out, cases[i].says), "%s: %s", cases[i].view, screen.out);
        char *bytes = read_file(svg, &size);
        cr_expect(strstr(bytes, "<svg"), "%s", cases[i].view);
        free(bytes);
        bytes = read_file(npz, &size);
        cr_expect(memmem(bytes, size, cases[i].array, strlen(cases[i].array)), "%s", cases[i].view);
        free(bytes);
        outcome_free(&screen);
        outcome_free(&picture);
        outcome_free(&arrays);
    }
}

Test(attn, wrong_views__are_named)
{
    static const struct {
        const char *view, *option, *value, *says;
    } cases[] = {
        {"from", "--layers", "0", "--view \"from\": expected heads, mean, layers, from:POSITION"},
        {"from:", "--layers", "0", "--view \"from:\""},
        {"from:x", "--layers", "0", "--view \"from:x\""},
        {"to:-1", "--layers", "0", "--view \"to:-1\""},
        {"mean:3", "--layers", "0", "--view \"mean:3\""},
        {"head", "--layers", "0", "--view \"head\""},
        {"from:6", "--layers", "0", "position 6: expected 0 to 5"},
        {"from:2", "--queries", "0:1", "--queries: the view \"from:2\" has rows of its own"},
        {"to:2", "--keys", "0:1", "--keys: the view \"to:2\" has columns of its own"},
        {"sinks", "--keys", "0:1", "--keys: the view \"sinks\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome outcome = SCRY("attn", capital, "--view", cases[i].view, cases[i].option, cases[i].value);
        cr_expect_eq(outcome.exit_code, 2, "%s", cases[i].view);
        cr_expect(strstr(outcome.err, cases[i].says), "%s: %s", cases[i].view, outcome.err);
        outcome_free(&outcome);
    }
}
