/* The program's main job on the bundled model, command by command. */
#include "program.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char capital[] = "The capital of France is";

TestSuite(commands, .init = make_folder, .fini = remove_folder);

/* The last layer's cell of a lens result, at the last position. */
static json_t *last_cell(json_t *lens)
{
    json_t *layers = json_object_get(lens, "layers");
    cr_assert_gt(json_array_size(layers), 0);
    json_t *cells = json_object_get(json_array_get(layers, json_array_size(layers) - 1), "positions");
    cr_assert_gt(json_array_size(cells), 0);
    return json_array_get(cells, json_array_size(cells) - 1);
}

static const char *top_text(json_t *cell)
{
    return json_string_value(json_object_get(json_array_get(json_object_get(cell, "top"), 0), "text"));
}

Test(commands, lens__knows_the_capital_of_france_and_ends_with_kl_zero)
{
    static const char *const devices[] = {"cpu", "reference"};
    for (int i = 0; i < 2; i++) {
        struct outcome outcome =
            SCRY("lens", "--model", "models/demo", capital, "--target", " Paris", "--json", "--device", devices[i]);
        json_t *lens = outcome_json(&outcome);
        json_t *cell = last_cell(lens);
        cr_expect_str_eq(json_string_value(json_object_get(lens, "schema")), "scry.lens/1");
        cr_expect_str_eq(top_text(cell), " Paris", "on %s", devices[i]);
        cr_expect_eq(json_number_value(json_object_get(cell, "kl")), 0.0, "on %s", devices[i]);
        cr_expect_eq(json_integer_value(json_object_get(json_object_get(cell, "target"), "rank")), 0);
        json_decref(lens);
        outcome_free(&outcome);
    }
}

Test(commands, lens__takes_ids_instead_of_text)
{
    struct outcome by_text  = SCRY("lens", capital, "--json"), by_ids;
    json_t        *first    = outcome_json(&by_text), *second, *token;
    char           ids[256] = "";
    size_t         index;
    json_array_foreach(json_object_get(first, "tokens"), index, token)
    {
        char number[16];
        snprintf(number, sizeof number, "%s%d", index ? "," : "",
                 (int)json_integer_value(json_object_get(token, "id")));
        strcat(ids, number);
    }
    by_ids = SCRY("lens", "--ids", ids, "--json");
    second = outcome_json(&by_ids);
    cr_expect(json_equal(json_object_get(first, "layers"), json_object_get(second, "layers")));
    json_decref(first);
    json_decref(second);
    outcome_free(&by_text);
    outcome_free(&by_ids);
}

Test(commands, lens__prints_a_table_for_people)
{
    struct outcome outcome = SCRY("lens", capital, "--target", " Paris");
    cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
    cr_expect(strstr(outcome.out, "Paris") && strstr(outcome.out, "embed") && strstr(outcome.out, "entropy"), "%s",
              outcome.out);
    outcome_free(&outcome);
}

Test(commands, lens__shows_what_fits_of_a_long_prompt)
{
    char prompt[2048] = "The end.";
    for (int i = 0; i < 20; i++) strcat(prompt, " Anna put the key in the box. Bob put the coin in the drawer.");
    struct outcome last = SCRY("lens", prompt);
    struct outcome part = SCRY("lens", prompt, "--positions", "1:30", "-p", "0");
    cr_expect_eq(last.exit_code, 0, "%s", last.err);
    cr_expect(strstr(last.out, "--positions A:B") && !strstr(last.out, "<|bos|>"), "%s", last.out);
    for (char *line = strtok(last.out, "\n"); line; line = strtok(NULL, "\n")) /* 160 columns of up to 3 bytes */
        cr_expect_leq(strlen(line), 3 * 160);
    cr_expect(strstr(part.out, "Positions 1 to ") && strstr(part.out, " to 29 of 0 to "), "%s", part.out);
    cr_expect(strstr(part.out, "At position 0,"), "%s", part.out);
    outcome_free(&last);
    outcome_free(&part);
}

Test(commands, run__goes_on_from_the_prompt_and_repeats_with_its_seed)
{
    struct outcome first  = SCRY("run", capital, "-n", "4", "--json", "--temperature", "1", "--seed", "7");
    struct outcome second = SCRY("run", capital, "-n", "4", "--json", "--temperature", "1", "--seed", "7");
    struct outcome greedy = SCRY("run", capital, "-n", "1");
    cr_expect_eq(first.exit_code, 0, "%s", first.err);
    cr_expect_str_eq(first.out, second.out);
    cr_expect(strstr(greedy.out, "Paris"), "%s", greedy.out);
    outcome_free(&first);
    outcome_free(&second);
    outcome_free(&greedy);
}

Test(commands, run__shows_temperatures_side_by_side)
{
    struct outcome screen = SCRY("run", capital, "-n", "1", "-k", "2", "--temperatures", "0.5,1,4");
    struct outcome plain  = SCRY("run", capital, "-n", "1", "-k", "2");
    struct outcome wrong  = SCRY("run", capital, "--temperatures", "1,0");
    struct outcome result = SCRY("run", capital, "-n", "1", "-k", "2", "--temperatures", "0.5,1,4", "--json");
    json_t        *run = outcome_json(&result), *step = json_array_get(json_object_get(run, "steps"), 0);
    json_t        *temperatures = json_object_get(step, "temperatures"), *at;
    double         last         = 2;
    size_t         index;
    cr_expect_str_eq(json_string_value(json_object_get(step, "flag")), "too sure");
    cr_assert_eq(json_array_size(temperatures), 3);
    json_array_foreach(temperatures, index, at)
    {
        double first = json_number_value(json_array_get(json_object_get(at, "probabilities"), 0));
        cr_expect(first > 0 && first < last, "temperature %zu", index);
        last = first;
    }
    cr_expect(strstr(screen.out, "at 0.5") && strstr(screen.out, "at 4") && strstr(screen.out, "too sure"), "%s",
              screen.out);
    cr_expect(strstr(plain.out, "Paris 1.000 ("), "%s", plain.out);
    cr_expect_eq(wrong.exit_code, 2);
    cr_expect(strstr(wrong.err, "wrong at \"0\""), "%s", wrong.err);
    json_decref(run);
    outcome_free(&screen);
    outcome_free(&plain);
    outcome_free(&wrong);
    outcome_free(&result);
}

Test(commands, trace__writes_the_arrays_that_it_lists)
{
    const char    *path    = in_folder("t.npz");
    struct outcome outcome = SCRY("trace", capital, "--hooks", "blocks.*.hook_resid_post,logits", "-o", path, "--json");
    json_t        *trace   = outcome_json(&outcome);
    size_t         size;
    char          *bytes = read_file(path, &size);
    cr_expect_eq(json_array_size(json_object_get(trace, "captures")), 7);
    cr_expect(size > 4 && !memcmp(bytes, "PK\3\4", 4));
    free(bytes);
    json_decref(trace);
    outcome_free(&outcome);
}

Test(commands, trace__an_unknown_hook_lists_what_there_is)
{
    struct outcome outcome = SCRY("trace", capital, "--hooks", "blocks.*.attn.hook_patern", "-o", in_folder("t.npz"));
    cr_expect_eq(outcome.exit_code, 2);
    cr_expect(strstr(outcome.err, "attn.hook_pattern"), "%s", outcome.err);
    outcome_free(&outcome);
}

/* The demo model's answer goes where its last layers' branches do; the result says which edits were made. */
Test(commands, edit__takes_effect_in_every_command_that_has_it)
{
    static const char        wipe[] = "blocks.*.hook_mlp_out[pos=1:4]=zero", halve[] = "hook_embed=scale:0.5";
    static const char *const commands[] = {"lens", "run", "attn", "trace"};
    for (int i = 0; i < 4; i++) {
        const char *const plain[]  = {commands[i], capital, "--json",           "--hooks",
                                      "logits",    "-o",    in_folder("a.npz"), NULL};
        const char *const edited[] = {commands[i], capital,  "--json", "--edit",           wipe, "--edit", halve,
                                      "--hooks",   "logits", "-o",     in_folder("b.npz"), NULL};
        bool              traces   = i == 3;
        const char       *short_plain[4], *short_edited[8];
        memcpy(short_plain, plain, 3 * sizeof *plain);
        memcpy(short_edited, edited, 7 * sizeof *edited);
        short_plain[3] = short_edited[7] = NULL;
        struct outcome before            = run_scry(traces ? plain : short_plain),
                       after             = run_scry(traces ? edited : short_edited);
        json_t *first = outcome_json(&before), *second = outcome_json(&after);
        json_t *edits = json_object_get(second, "edits");
        cr_expect_eq(json_array_size(json_object_get(first, "edits")), 0u, "%s", commands[i]);
        cr_expect_eq(json_array_size(edits), 2u, "%s", commands[i]);
        cr_expect_str_eq(json_string_value(json_array_get(edits, 0)), wipe);
        cr_expect_str_eq(json_string_value(json_array_get(edits, 1)), halve);
        json_object_del(first, "edits");
        json_object_del(second, "edits");
        cr_expect(traces || !json_equal(first, second), "%s: the edits changed nothing", commands[i]);
        json_decref(first);
        json_decref(second);
        outcome_free(&before);
        outcome_free(&after);
    }
}

/* A table or picture of an edited run does not pass for the model's own. */
Test(commands, edit__is_named_in_tables_and_pictures)
{
    static const char        wipe[] = "blocks.*.hook_mlp_out[pos=1:4]=zero", halve[] = "hook_embed=scale:0.5";
    static const char        says[]     = "with edits: blocks.*.hook_mlp_out[pos=1:4]=zero; hook_embed=scale:0.5\n";
    static const char *const rows[][10] = {
        {"lens"},
        {"run", "-n", "2"},
        {"attn"},
        {"attn", "--view", "sinks"},
        {"trace", "--hooks", "logits", "-o", "@a.npz"},
        {"steer", "-n", "2", "--plus", capital, "--minus", "Paris"},
        {"lens", "-o", "@l.svg"},
        {"attn", "-o", "@a.svg"},
        {"steer", "-n", "2", "--plus", capital, "--minus", "Paris", "-o", "@s.svg"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *arguments[16], *path = NULL;
        int         count = 0;
        for (; count < 10 && rows[i][count]; count++) {
            arguments[count] = *rows[i][count] == '@' ? in_folder(rows[i][count] + 1) : rows[i][count];
            if (strstr(arguments[count], ".svg")) path = arguments[count];
        }
        const char *const rest[] = {capital, "--edit", wipe, "--edit", halve, NULL};
        for (int edited = 0; edited < 2; edited++) {
            memcpy(arguments + count, rest, sizeof rest);
            if (!edited) arguments[count + 1] = NULL;
            struct outcome outcome = run_scry(arguments);
            char          *drawn   = path ? read_file(path, NULL) : NULL;
            const char    *shown = drawn ? drawn : outcome.out, *found = strstr(shown, says);
            cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
            cr_expect_eq(found != NULL, edited, "row %zu: %.300s", i, shown);
            cr_expect(!found || !strstr(found + 1, "with edits"), "row %zu: once", i);
            free(drawn);
            outcome_free(&outcome);
        }
    }
}

/* Of many edits the first eight are named. */
Test(commands, edit__is_counted_where_there_are_many)
{
    const char *arguments[2 + 2 * 10 + 1] = {"lens", capital};
    for (int i = 0; i < 10; i++) {
        arguments[2 + 2 * i] = "--edit";
        arguments[3 + 2 * i] = i < 8 ? "hook_embed=scale:1" : "hook_embed=scale:2";
    }
    struct outcome outcome = run_scry(arguments);
    cr_expect(strstr(outcome.out, "; hook_embed=scale:1; and 2 more\n") && !strstr(outcome.out, "scale:2"), "%s",
              outcome.out);
    outcome_free(&outcome);
}

Test(commands, edit__wrong_text_is_refused_by_its_place)
{
    struct outcome outcome = SCRY("lens", capital, "--edit", "blocks.0.attn.hook_z[heads=1]=zero");
    cr_expect_eq(outcome.exit_code, 2);
    cr_expect(strstr(outcome.err, "edit \"blocks.0.attn.hook_z[heads=1]=zero\": at \"heads=1]=zero\": expected head="),
              "%s", outcome.err);
    outcome_free(&outcome);
}

Test(commands, attn__draws_pictures_and_a_terminal_map)
{
    const char    *svg = in_folder("a.svg"), *png = in_folder("a.png");
    struct outcome first  = SCRY("attn", capital, "--layers", "0,2", "--heads", "1-3", "-o", svg);
    struct outcome second = SCRY("attn", capital, "-o", png);
    struct outcome screen = SCRY("attn", capital, "--heads", "0");
    size_t         size;
    cr_expect_eq(first.exit_code, 0, "%s", first.err);
    cr_expect_eq(second.exit_code, 0, "%s", second.err);
    char *picture = read_file(png, &size);
    cr_expect(size > 1000 && !memcmp(picture, "\x89PNG\r\n\x1a\n", 8));
    cr_expect(strstr(screen.out, "head 0") && strstr(screen.out, "France"), "%s", screen.out);
    free(picture);
    picture = read_file(svg, &size);
    cr_expect(strstr(picture, "<svg"));
    free(picture);
    outcome_free(&first);
    outcome_free(&second);
    outcome_free(&screen);
}

Test(commands, heads__finds_the_demo_models_induction_heads)
{
    static const char prompt[] = "Anna put the key in the box. Bob put the coin in the drawer. The key is in the box.";
    const char       *svg      = in_folder("h.svg");
    struct outcome    screen = SCRY("heads", prompt), as_json = SCRY("heads", prompt, "--json");
    struct outcome    picture = SCRY("heads", prompt, "-o", svg), wrong = SCRY("heads", prompt, "--sort", "inductive");
    json_t           *object = outcome_json(&as_json), *head, *kind, *induction;
    size_t            index;
    int               strong = 0;
    json_array_foreach(json_object_get(object, "heads"), index, head)
    {
        const char *name = json_string_value(json_object_get(head, "kind"));
        induction        = json_object_get(json_object_get(head, "scores"), "induction");
        strong += name && !strcmp(name, "induction") &&
                  !strcmp(json_string_value(json_object_get(induction, "certainty")), "strong") &&
                  json_number_value(json_object_get(induction, "value")) > 0.6;
    }
    json_array_foreach(json_object_get(object, "kinds"), index, kind)
        cr_expect(json_is_number(json_object_get(kind, "random_largest")));
    cr_expect_eq(index, 11);
    cr_expect_geq(strong, 4);
    cr_expect(strstr(screen.out, "induction  strong") && strstr(screen.out, "48 heads"), "%s", screen.out);
    cr_expect_eq(picture.exit_code, 0, "%s", picture.err);
    char *drawn = read_file(svg, NULL);
    cr_expect(strstr(drawn, "<svg"));
    cr_expect_eq(wrong.exit_code, 2);
    cr_expect(strstr(wrong.err, "expected one of previous, self"), "%s", wrong.err);
    free(drawn);
    json_decref(object);
    outcome_free(&screen);
    outcome_free(&as_json);
    outcome_free(&picture);
    outcome_free(&wrong);
}

Test(commands, induction__finds_the_head_that_feeds_the_demo_models)
{
    struct outcome screen = SCRY("induction", "--seeds", "2"), as_json = SCRY("induction", "--seeds", "2", "--json");
    struct outcome wrong  = SCRY("induction", "--length", "300");
    json_t        *object = outcome_json(&as_json), *feeder, *loss = json_object_get(object, "loss");
    size_t         index;
    int            fed = 0;
    json_array_foreach(json_object_get(object, "feeders"), index, feeder)
    {
        double found = json_number_value(json_object_get(feeder, "k_composition"));
        fed += found > 2 * json_number_value(json_object_get(feeder, "null")) &&
               json_number_value(json_object_get(feeder, "previous")) > 0.8;
    }
    cr_expect_geq(fed, 7, "heads that look at the token before feed the induction heads");
    cr_expect_gt(json_number_value(json_object_get(loss, "first")), 7);
    cr_expect_lt(json_number_value(json_object_get(loss, "second")), 0.5);
    cr_expect_eq(json_array_size(json_object_get(loss, "by_position")), 101);
    cr_expect(strstr(screen.out, "K-composition"), "%s", screen.out);
    cr_expect_eq(wrong.exit_code, 2);
    cr_expect(strstr(wrong.err, "room for 255"), "%s", wrong.err);
    json_decref(object);
    outcome_free(&screen);
    outcome_free(&as_json);
    outcome_free(&wrong);
}

Test(commands, report__is_one_file_that_refers_to_nothing_outside)
{
    const char    *path = in_folder("r.html");
    struct outcome outcome =
        SCRY("report", "The Eiffel Tower is located in", "--model", "models/demo", "-o", path, "--verbose");
    const char *twin = strstr(outcome.err, "random twin of");
    cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
    cr_expect(twin && !strstr(twin + 1, "random twin of"), "two analyses, one twin: %s", outcome.err);
    cr_expect(strstr(outcome.out, "Paris"), "%s", outcome.out);
    char *page = read_file(path, NULL);
    cr_expect(strstr(page, "Content-Security-Policy") && strstr(page, "default-src &#39;none&#39;"));
    cr_expect(strstr(page, "Eiffel"));
    cr_expect(!strstr(page, "src=\"http") && !strstr(page, "href=\"http") && !strstr(page, "url(http"));
    free(page);
    outcome_free(&outcome);
}

Test(commands, devices__lists_the_built_in_backends)
{
    struct outcome outcome = SCRY("devices", "--json");
    json_t        *devices = outcome_json(&outcome);
    char          *text    = json_dumps(devices, 0);
    cr_expect(strstr(text, "\"cpu:0\"") && strstr(text, "\"reference:0\"") && strstr(text, "vulkan"), "%s", text);
    size_t  index;
    json_t *entry;
    json_array_foreach(json_object_get(devices, "devices"), index, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        const char *type = json_string_value(json_object_get(entry, "type"));
        cr_expect_eq(strchr(name, ':') != NULL, type != NULL, "%s: a backend without a device has no type", name);
    }
    free(text);
    json_decref(devices);
    outcome_free(&outcome);
}

Test(commands, allow_cpu__runs_what_the_device_cannot_and_counts_it)
{
    static const char model[] = SCRY_SOURCE_DIR "/tests/fixtures/models/llama";
    setenv("SCRY_TEST_PLUGINS", SCRY_BUILD_DIR "/tests/plugins", 1);
    setenv("SCRY_FAKE_REFUSE", "norm", 1);
    struct outcome strict  = SCRY("lens", "-m", model, "--ids", "1,2", "-d", "fake", "--json");
    struct outcome allowed = SCRY("lens", "-m", model, "--ids", "1,2", "-d", "fake", "--json", "--allow-cpu");
    cr_expect_eq(strict.exit_code, 4);
    cr_expect(strstr(strict.err, "norm on fake:0"), "%s", strict.err);
    json_t *lens = outcome_json(&allowed), *device = json_object_get(lens, "device");
    cr_expect_eq(json_integer_value(json_object_get(device, "fallbacks")), 4, "two norms in each of two blocks");
    cr_expect(strstr(json_string_value(json_object_get(device, "last_fallback")), "norm ran on cpu"));
    json_decref(lens);
    outcome_free(&strict);
    outcome_free(&allowed);
}

Test(commands, kernels__are_taken_by_name_and_listed)
{
    setenv("SCRY_TEST_PLUGINS", SCRY_BUILD_DIR "/tests/plugins", 1);
    setenv("SCRY_FAKE_KERNELS", "1", 1);
    struct outcome listed = SCRY("devices", "-v"), as_json = SCRY("devices", "--json");
    struct outcome asked  = SCRY("lens", capital, "-d", "fake", "--kernels", "matmul=second");
    struct outcome wrong  = SCRY("lens", capital, "-d", "fake", "--kernels", "matmul=seconds");
    json_t        *object = outcome_json(&as_json), *entry;
    size_t         index;
    cr_expect(strstr(listed.out, "kernels          matmul = first, second\n"), "%s", listed.out);
    json_array_foreach(json_object_get(object, "devices"), index, entry)
    {
        bool fake = !strcmp(json_string_value(json_object_get(entry, "name")), "fake:0");
        if (fake) cr_expect_eq(json_array_size(json_object_get(json_object_get(entry, "kernels"), "matmul")), 2);
    }
    cr_expect_eq(asked.exit_code, 0, "%s", asked.err);
    cr_expect_eq(wrong.exit_code, 2);
    cr_expect(strstr(wrong.err, "expected one of first, second for matmul"), "%s", wrong.err);
    json_decref(object);
    outcome_free(&listed);
    outcome_free(&as_json);
    outcome_free(&asked);
    outcome_free(&wrong);
}

Test(commands, random_init__is_another_model_by_seed_and_says_so)
{
    struct outcome first = SCRY("lens", capital, "--random-init", "3", "--json");
    struct outcome again = SCRY("lens", capital, "--random-init", "3", "--json");
    struct outcome other = SCRY("lens", capital, "--random-init", "4", "--json");
    json_t        *lens  = outcome_json(&first);
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(lens, "model"), "random_seed")), "3");
    cr_expect_str_eq(first.out, again.out);
    cr_expect_str_neq(first.out, other.out);
    json_decref(lens);
    outcome_free(&first);
    outcome_free(&again);
    outcome_free(&other);
}

Test(commands, diff__against_the_random_twin_shows_what_was_learned)
{
    struct outcome screen = SCRY("diff", "--text", capital), as_json = SCRY("diff", "--text", capital, "--json");
    json_t        *diff = outcome_json(&as_json), *loss = json_object_get(diff, "loss");
    cr_expect(strstr(screen.out, "random weights (seed 0)") && strstr(screen.out, "Weights that differ most"), "%s",
              screen.out);
    cr_expect_str_eq(json_string_value(json_object_get(diff, "schema")), "scry.diff/1");
    cr_expect_eq(json_array_size(json_object_get(diff, "heads")), 48);
    cr_expect_eq(json_array_size(json_object_get(diff, "lens")), 7);
    cr_expect_gt(json_number_value(json_object_get(loss, "b")), json_number_value(json_object_get(loss, "a")) + 3);
    cr_expect(json_is_null(json_object_get(diff, "series")));
    json_decref(diff);
    outcome_free(&screen);
    outcome_free(&as_json);
}

/* A file of a prompt's attention against another's, and the prompts themselves: the same differences. */
Test(commands, diff__of_files_is_that_of_what_made_them)
{
    static const char other[] = "The capital of Germany is";
    const char       *first = in_folder("first.npz"), *second = in_folder("second.npz"), *svg = in_folder("d.svg");
    struct outcome    made[] = {SCRY("attn", capital, "--layers", "all", "-o", first),
                                SCRY("attn", other, "--layers", "all", "-o", second)};
    struct outcome    files = SCRY("diff", first, second, "--json"), drawn = SCRY("diff", first, second, "-o", svg);
    struct outcome    prompts  = SCRY("diff", "--prompts", capital, other, "--json", "--no-lens");
    json_t           *of_files = outcome_json(&files), *of_prompts = outcome_json(&prompts);
    cr_expect(json_equal(json_object_get(of_files, "heads"), json_object_get(of_prompts, "heads")));
    cr_expect(json_equal(json_object_get(of_files, "tokens"), json_object_get(of_prompts, "tokens")));
    cr_expect_eq(json_array_size(json_object_get(of_prompts, "b_tokens")), 6);
    cr_expect(json_is_null(json_object_get(of_files, "model")));
    cr_expect_eq(json_array_size(json_object_get(of_prompts, "lens")), 0);
    cr_expect_eq(drawn.exit_code, 0, "%s", drawn.err);
    char *picture = read_file(svg, NULL);
    cr_expect(strstr(picture, "<svg"));
    free(picture);
    json_decref(of_files);
    json_decref(of_prompts);
    for (size_t i = 0; i < 2; i++) outcome_free(&made[i]);
    outcome_free(&files);
    outcome_free(&prompts);
    outcome_free(&drawn);
}

Test(commands, diff__of_more_than_two_is_a_series)
{
    static const char model[] = SCRY_SOURCE_DIR "/tests/fixtures/models/llama";
    struct outcome    outcome = SCRY("diff", model, model, model, "--ids", "1,2,3,4", "--json");
    json_t           *diff = outcome_json(&outcome), *series = json_object_get(diff, "series");
    cr_expect_eq(json_array_size(series), 3);
    json_t *scores = json_object_get(json_array_get(series, 1), "scores");
    cr_expect(json_is_real(json_object_get(json_object_get(scores, "induction"), "best")));
    json_decref(diff);
    outcome_free(&outcome);
}

/* The page holds the object that --json prints, and attention of every side. */
Test(commands, diff__writes_a_page)
{
    static const char model[] = SCRY_SOURCE_DIR "/tests/fixtures/models/llama";
    const char       *path    = in_folder("d.html");
    struct outcome    outcome = SCRY("diff", model, model, model, "--ids", "1,2,3,4", "-o", path, "--json");
    json_t           *printed = outcome_json(&outcome);
    char             *page = read_file(path, NULL), *begin = strstr(page, "id=\"data\">");
    cr_assert(begin && strstr(begin, "</script>"));
    begin += strlen("id=\"data\">");
    json_t *data       = json_loadb(begin, (size_t)(strstr(begin, "</script>") - begin), 0, NULL);
    json_t *comparison = json_object_get(data, "comparison");
    cr_expect(json_equal(json_object_get(comparison, "diff"), printed));
    cr_expect_eq(json_array_size(json_object_get(comparison, "names")), 3);
    cr_expect_eq(json_array_size(json_object_get(comparison, "attention")), 3);
    cr_expect(json_is_null(json_array_get(json_object_get(comparison, "attention"), 0)), "the page's own");
    cr_expect(
        json_equal(json_array_get(json_object_get(comparison, "attention"), 1), json_object_get(data, "attention")));
    json_decref(data);
    json_decref(printed);
    free(page);
    outcome_free(&outcome);
}

Test(commands, diff__says_which_arguments_do_not_go_together)
{
    static const struct {
        const char *arguments[8];
        const char *detail;
    } rows[] = {
        {{"diff"}, "--text TEXT or --ids"},
        {{"diff", "--prompts", "one"}, "--prompts: expected two arguments"},
        {{"diff", "--prompts", "one", "two", "--text", "three"}, "neither --text nor --ids"},
        {{"diff", "models/demo", "README.md", "models/demo", "--text", "one"}, "some of which are files"},
        {{"diff", "a", "b", "--random-init", "1", "--text", "one"}, "--random-init"},
        {{"diff", "-m", "models/demo", "models/demo", "--text", "one"}, "--model and models/demo"},
        {{"diff", "README.md", "README.md"}, "README.md"},
        {{"diff", "--text", "one", "-o", "d.npz"}, "one of .html .htm .png .svg .pdf"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct outcome outcome = run_scry(rows[i].arguments);
        cr_expect(outcome.exit_code == 2 || outcome.exit_code == 3, "row %zu: %d", i, outcome.exit_code);
        cr_expect(strstr(outcome.err, rows[i].detail), "row %zu: %s", i, outcome.err);
        outcome_free(&outcome);
    }
}

Test(commands, json__says_what_failed)
{
    struct outcome outcome = SCRY("lens", "--model", "models/nowhere", capital, "--json");
    cr_expect_eq(outcome.exit_code, 3);
    json_t *object = json_loadb(outcome.out, outcome.out_size, 0, NULL);
    cr_expect_str_eq(json_string_value(json_object_get(object, "schema")), "scry.error/1");
    cr_expect_eq(json_integer_value(json_object_get(object, "exit_code")), 3);
    cr_expect(strstr(json_string_value(json_object_get(object, "detail")), "models/nowhere"));
    json_decref(object);
    outcome_free(&outcome);
    outcome = SCRY("lens", "--nonesuch", capital, "--json");
    object  = json_loadb(outcome.out, outcome.out_size, 0, NULL);
    cr_expect_eq(json_integer_value(json_object_get(object, "exit_code")), 2);
    cr_expect(strstr(json_string_value(json_object_get(object, "detail")), "--nonesuch"));
    json_decref(object);
    outcome_free(&outcome);
}

Test(commands, help__is_there_for_every_command)
{
    static const char *const names[] = {"report",    "lens",      "attn",  "heads",    "induction",
                                        "influence", "attribute", "patch", "diagnose", "diff",
                                        "trace",     "run",       "bench", "devices",  "tune-lens"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct outcome outcome = SCRY(names[i], "--help");
        cr_expect_eq(outcome.exit_code, 0);
        cr_expect(strstr(outcome.out, "Usage: scry ") && strstr(outcome.out, "--json"), "%s", names[i]);
        outcome_free(&outcome);
    }
}
