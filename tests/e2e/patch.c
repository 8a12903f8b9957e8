/* scry patch on the bundled model: where the answer to a question travels, many pairs, and a run that is killed at any
 * moment and goes on. */
#include "program.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char france[] = "The capital of France is", italy[] = "The capital of Italy is";
static const char tower[]     = "The Eiffel Tower is located in";
static const char colosseum[] = "The Colosseum is located in";

TestSuite(patch, .init = make_folder, .fini = remove_folder);

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    cr_assert(json_is_number(value), "%s is missing", key);
    return json_number_value(value);
}

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* A direction's grid of a kind. */
static json_t *grid_of(const json_t *object, size_t direction, const char *kind)
{
    json_t *grids = json_object_get(json_array_get(json_object_get(object, "directions"), direction), "grids"), *grid;
    size_t  index;
    json_array_foreach(grids, index, grid)
    {
        if (!strcmp(text(grid, "kind"), kind)) return grid;
    }
    cr_assert_fail("no grid of %s", kind);
    return NULL;
}

static double cell(const json_t *grid, const char *metric, int layer, int column)
{
    const json_t *array   = json_object_get(grid, metric);
    size_t        columns = (size_t)number(grid, "head_count") * (size_t)number(grid, "position_count");
    return json_number_value(json_array_get(array, (size_t)layer * columns + (size_t)column));
}

static void write_file(const char *path, const char *bytes)
{
    FILE *file = fopen(path, "w");
    cr_assert(file && fputs(bytes, file) >= 0 && !fclose(file));
}

/* --- one pair --- */

/* The country's own position carries the answer until the last two layers, which bring it to the last position, in both
 * directions. */
Test(patch, json__tells_where_the_answer_is)
{
    enum { COUNTRY = 4, LAST = 5, LAYERS = 6 };
    struct outcome outcome = SCRY("patch", france, italy, "--direction", "both", "--json");
    json_t        *object  = outcome_json(&outcome);
    cr_expect_str_eq(text(object, "schema"), "scry.patching/1");
    cr_expect_str_eq(text(json_object_get(json_object_get(object, "clean"), "answer"), "text"), " Paris");
    cr_expect_str_eq(text(json_object_get(json_object_get(object, "corrupt"), "wrong"), "text"), " Rome");
    cr_assert_eq(json_array_size(json_object_get(object, "directions")), 2);
    for (size_t i = 0; i < 2; i++) {
        json_t *direction = json_array_get(json_object_get(object, "directions"), i);
        json_t *stream = grid_of(object, i, "resid_pre"), *cost = json_object_get(direction, "cost");
        cr_expect_str_eq(text(direction, "direction"), i ? "noise" : "denoise");
        cr_expect_eq(number(direction, "first_difference"), COUNTRY);
        cr_expect_eq(json_array_size(json_object_get(direction, "grids")), 9);
        cr_expect_lt(number(cost, "layer_tokens"), number(cost, "naive_layer_tokens") / 3);
        cr_expect_float_eq(cell(stream, "effect", 0, COUNTRY), 1, 1e-4);
        cr_expect_gt(cell(stream, "effect", LAYERS - 3, COUNTRY), 0.9);
        cr_expect_lt(fabs(cell(stream, "effect", LAYERS - 3, LAST)), 0.1);
        cr_expect_lt(cell(stream, "effect", LAYERS - 1, COUNTRY), 0.8);
        cr_expect_gt(cell(stream, "effect", LAYERS - 1, LAST), 0.2);
        cr_expect_eq(cell(stream, "effect", 0, LAST), 0);
        for (int layer = 0; layer < LAYERS; layer++)
            for (int position = 0; position < COUNTRY; position++)
                cr_expect_eq(cell(stream, "effect", layer, position), 0, "layer %d, position %d", layer, position);
    }
    json_decref(object);
    outcome_free(&outcome);
}

/* Values from heads at each position apart: their sum of nothing is nothing, and shapes are as told. */
Test(patch, by_position__gives_heads_a_cell_each)
{
    struct outcome outcome =
        SCRY("patch", france, italy, "--kinds", "z,k", "--by-position", "--json", "--device", "reference");
    json_t *object = outcome_json(&outcome), *z = grid_of(object, 0, "z"), *k = grid_of(object, 0, "k");
    cr_expect_eq(number(z, "head_count"), 8);
    cr_expect_eq(number(k, "head_count"), 4);
    cr_expect_eq(number(z, "position_count"), 6);
    cr_expect_eq(json_array_size(json_object_get(z, "effect")), 6 * 8 * 6);
    cr_expect_eq(cell(z, "effect", 3, 2 * 6 + 3), 0); /* head 2 of layer 3, before the country */
    json_decref(object);
    outcome_free(&outcome);
}

Test(patch, naive__gives_the_same_bits_on_the_reference)
{
    struct outcome outcomes[2] = {
        SCRY("patch", france, italy, "--kinds", "attn_out,v,pattern", "--json", "--device", "reference"),
        SCRY("patch", france, italy, "--kinds", "attn_out,v,pattern", "--json", "--device", "reference", "--naive")};
    json_t *objects[2];
    for (int i = 0; i < 2; i++) {
        objects[i] = outcome_json(&outcomes[i]);
        json_object_del(json_array_get(json_object_get(objects[i], "directions"), 0), "cost");
        outcome_free(&outcomes[i]);
    }
    cr_expect(json_equal(objects[0], objects[1]));
    json_decref(objects[0]);
    json_decref(objects[1]);
}

/* The estimate knows where the answer is without a patch, and says beside the sweep how far off it is. */
Test(patch, estimate__stands_beside_what_it_estimates)
{
    struct outcome alone  = SCRY("patch", france, italy, "--method", "estimate", "--json");
    struct outcome table  = SCRY("patch", france, italy, "--method", "both", "--kinds", "resid_pre,pattern");
    const char    *svg    = in_folder("p.svg");
    struct outcome drawn  = SCRY("patch", france, italy, "--method", "both", "--kinds", "z,q", "-o", svg);
    json_t        *object = outcome_json(&alone), *direction = json_array_get(json_object_get(object, "directions"), 0);
    json_t        *stream = grid_of(object, 0, "resid_pre");
    cr_expect_str_eq(text(direction, "method"), "estimate");
    cr_expect_eq(json_array_size(json_object_get(direction, "grids")), 8);
    cr_expect(!json_object_get(stream, "effect") && !json_object_get(stream, "agreement"));
    cr_expect_eq(number(json_object_get(direction, "cost"), "patches"), 0);
    cr_expect_eq(cell(stream, "estimate", 2, 3), 0, "before the country");
    cr_expect_gt(cell(stream, "estimate", 1, 4), cell(stream, "estimate", 1, 5));
    cr_expect_gt(cell(stream, "estimate", 5, 5), cell(stream, "estimate", 4, 5) + 0.1);
    cr_expect(strstr(table.out, "resid_pre, estimate") && strstr(table.out, "How far estimates are from the effects") &&
                  !strstr(table.out, "pattern, estimate"),
              "%s", table.out);
    cr_assert_eq(drawn.exit_code, 0, "%s", drawn.err);
    cr_expect(strstr(drawn.err, "1 maps in"), "%s", drawn.err);
    json_decref(object);
    outcome_free(&drawn);
    outcome_free(&table);
    outcome_free(&alone);
}

Test(patch, tables__show_both_prompts)
{
    struct outcome equal = SCRY("patch", france, italy, "--kinds", "resid_pre");
    struct outcome other = SCRY("patch", tower, colosseum, "--align", "--direction", "noise", "--kinds", "mlp_out");
    cr_expect_eq(equal.exit_code, 0, "%s", equal.err);
    cr_expect(strstr(equal.out, "France|") && strstr(equal.out, "Italy") && strstr(equal.out, "Denoise: values of"),
              "%s", equal.out);
    cr_expect(strstr(equal.out, "layer-tokens instead of"), "%s", equal.out);
    cr_expect(strstr(other.out, "Eiffel|(none)") && strstr(other.out, "     -     -"), "%s", other.out);
    cr_expect(!strstr(other.out, "pattern"));
    outcome_free(&equal);
    outcome_free(&other);
}

Test(patch, picture__has_a_map_for_each_shape)
{
    const char    *svg     = in_folder("p.svg");
    struct outcome outcome = SCRY("patch", france, italy, "--metric", "kl", "-o", svg);
    size_t         size;
    cr_assert_eq(outcome.exit_code, 0, "%s", outcome.err);
    cr_expect(strstr(outcome.err, "3 maps in"), "%s", outcome.err);
    char *bytes = read_file(svg, &size);
    cr_expect(strstr(bytes, "<svg") && strstr(bytes, "Denoise: values of the clean run") && strstr(bytes, "KL(source"));
    free(bytes);
    outcome_free(&outcome);
}

Test(patch, output__holds_what_json_prints)
{
    const char    *path    = in_folder("p.json");
    struct outcome outcome = SCRY("patch", "--clean-ids", "0,5,7,9", "--corrupt-ids", "0,6,7,9", "--answer-id", "5",
                                  "--wrong-id", "6", "--json", "-o", path);
    json_t        *printed = outcome_json(&outcome), *written = json_load_file(path, 0, NULL);
    cr_expect(written && json_equal(printed, written));
    cr_expect_eq(number(json_object_get(json_object_get(written, "clean"), "answer"), "id"), 5);
    json_decref(written);
    json_decref(printed);
    outcome_free(&outcome);
}

Test(patch, wrong_arguments__are_named)
{
    static const struct {
        const char *arguments[6], *says;
        int         exit_code;
    } cases[] = {
        {{tower, colosseum}, "the clean prompt has 7 tokens, the corrupt one 6; they differ from position 2", 2},
        {{tower, colosseum}, "--align", 2},
        {{france, france}, "the prompts do not differ", 2},
        {{france}, "1 texts and 0 lists of ids: expected CLEAN and CORRUPT", 2},
        {{france, "--corrupt-ids", "1,2"}, "1 texts and 1 lists", 2},
        {{"--clean-ids", "1,x", "--corrupt-ids", "1,2"}, "--clean-ids \"1,x\": expected numbers", 2},
        {{france, italy, "--kinds", "z,resid"}, "--kinds \"resid\": expected some of resid_pre, resid_mid", 2},
        {{france, italy, "--direction", "up"}, "--direction \"up\": expected denoise, noise or both", 2},
        {{france, italy, "--metric", "logit"}, "--metric \"logit\": expected one of effect, logit_difference", 2},
        {{france, italy, "--metric", "estimate"}, "--metric \"estimate\": expected one of effect", 2},
        {{france, italy, "--metric", "kl", "--method", "estimate"}, "--metric \"kl\": expected one of estimate", 2},
        {{france, italy, "--method", "guess"}, "--method \"guess\": expected exact, estimate or both", 2},
        {{france, italy, "--method", "estimate", "--kinds", "z,pattern"}, "pattern: an estimate takes gradients", 2},
        {{france, italy, "--answer", "Paris in spring"}, "the answer: target \"Paris in spring\"", 2},
        {{france, italy, "--answer", " Rome"}, "both token", 2},
        {{france, italy, "-o", "a.npz"}, "expected a name that ends in one of .html .htm .json .png .svg .pdf", 2},
        {{france, italy, "--pairs", "x.jsonl"}, "--pairs: prompts and answers are in the file", 2},
        {{"--pairs", "no/such.jsonl"}, "no/such.jsonl: No such file", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *arguments[8] = {"patch"};
        for (int j = 0; j < 6 && cases[i].arguments[j]; j++) arguments[j + 1] = cases[i].arguments[j];
        struct outcome outcome = run_scry(arguments);
        cr_expect_eq(outcome.exit_code, cases[i].exit_code, "case %zu: %d", i, outcome.exit_code);
        cr_expect(strstr(outcome.err, cases[i].says), "case %zu: %s", i, outcome.err);
        outcome_free(&outcome);
    }
}

/* --- many pairs --- */

static const char *const capitals[][2] = {{"France", " Paris"}, {"Italy", " Rome"}, {"Spain", " Madrid"},
                                          {"Japan", " Tokyo"},  {"Peru", " Lima"},  {"Kenya", " Nairobi"}};
enum { CAPITALS = sizeof capitals / sizeof *capitals, PAIRS = CAPITALS * (CAPITALS - 1) };

/* Every country against every other one, a pair a line; the first `count` of them. */
static void write_pairs(const char *path, int count)
{
    char bytes[PAIRS * 192], *at = bytes;
    for (int pair = 0; pair < count; pair++) {
        int a = pair / (CAPITALS - 1), b = pair % (CAPITALS - 1);
        b += b >= a;
        at +=
            sprintf(at,
                    "{\"clean\": \"The capital of %s is\", \"corrupt\": \"The capital of %s is\", \"answer\": \"%s\", "
                    "\"wrong\": \"%s\"}\n",
                    capitals[a][0], capitals[b][0], capitals[a][1], capitals[b][1]);
    }
    write_file(path, bytes);
}

/* The mean and the spread over three pairs are those of three runs. */
Test(patch, pairs__are_averaged)
{
    enum { COUNT = 3, LAYER = 1, POSITION = 4 };
    const char *path = in_folder("pairs.jsonl");
    double      sum = 0, squares = 0;
    write_pairs(path, COUNT);
    for (int i = 1; i <= COUNT; i++) {
        char clean[64], corrupt[64];
        snprintf(clean, sizeof clean, "The capital of %s is", capitals[0][0]);
        snprintf(corrupt, sizeof corrupt, "The capital of %s is", capitals[i][0]);
        struct outcome outcome =
            SCRY("patch", clean, corrupt, "-a", capitals[0][1], "-w", capitals[i][1], "--kinds", "resid_pre", "--json");
        json_t *object = outcome_json(&outcome);
        double  effect = cell(grid_of(object, 0, "resid_pre"), "effect", LAYER, POSITION);
        sum += effect;
        squares += effect * effect;
        json_decref(object);
        outcome_free(&outcome);
    }
    struct outcome outcome = SCRY("patch", "--pairs", path, "--kinds", "resid_pre,z", "--json");
    json_t        *object = outcome_json(&outcome), *grid = json_array_get(json_object_get(object, "grids"), 0);
    json_t        *spread = json_object_get(grid, "effect");
    size_t         at     = LAYER * 6 + POSITION;
    cr_expect_str_eq(text(object, "schema"), "scry.patching-pairs/1");
    cr_expect_eq(number(object, "pair_count"), COUNT);
    cr_expect_eq(number(object, "defined_count"), COUNT);
    cr_expect_eq(number(grid, "pair_count"), COUNT);
    cr_expect_float_eq(json_number_value(json_array_get(json_object_get(spread, "mean"), at)), sum / COUNT, 1e-6);
    cr_expect_float_eq(json_number_value(json_array_get(json_object_get(spread, "deviation"), at)),
                       sqrt((squares - sum * sum / COUNT) / (COUNT - 1)), 1e-5);
    cr_expect_eq(json_integer_value(json_array_get(json_object_get(spread, "count"), at)), COUNT);
    cr_expect_str_eq(json_string_value(json_array_get(json_object_get(grid, "labels"), 1)), "The");
    cr_expect(json_is_null(json_array_get(json_object_get(grid, "labels"), POSITION)));
    json_decref(object);
    outcome_free(&outcome);
}

/* What pairs are averaged from is in the journal, which knows the method. */
Test(patch, pairs__have_estimates_where_asked)
{
    const char *pairs = in_folder("pairs.jsonl");
    write_pairs(pairs, 2);
    struct outcome outcome = SCRY("patch", "--pairs", pairs, "--kinds", "z", "--method", "estimate", "--json");
    struct outcome table   = SCRY("patch", "--pairs", pairs, "--kinds", "z", "--method", "both");
    json_t        *object = outcome_json(&outcome), *grid = json_array_get(json_object_get(object, "grids"), 0);
    json_t        *means = json_object_get(json_object_get(grid, "estimate"), "mean");
    cr_expect_str_eq(text(grid, "method"), "estimate");
    cr_expect(json_array_size(means) == 6 * 8 && json_is_number(json_array_get(means, 0)));
    cr_expect(!json_object_get(grid, "effect"));
    cr_expect(strstr(table.out, "z, estimate"), "%s%s", table.out, table.err);
    json_decref(object);
    outcome_free(&table);
    outcome_free(&outcome);
}

Test(patch, pairs__become_a_page)
{
    const char *pairs = in_folder("pairs.jsonl"), *output = in_folder("mean.html");
    write_pairs(pairs, 2);
    struct outcome outcome = SCRY("patch", "--pairs", pairs, "--kinds", "z", "-o", output);
    cr_assert_eq(outcome.exit_code, 0, "%s", outcome.err);
    cr_expect_str_eq(outcome.out, "");
    char *page = read_file(output, NULL);
    cr_expect(strstr(page, "<h1><bdi>2 pairs of pairs.jsonl</bdi></h1>") && strstr(page, "scry.patching-pairs/1"));
    cr_expect(access(in_folder("mean.html.partial"), F_OK));
    free(page);
    outcome_free(&outcome);
}

Test(patch, pairs__are_checked_before_the_first_runs)
{
    static const char first[] = "{\"clean\": \"The capital of France is\", \"corrupt\": \"The capital of Italy is\"}\n";
    static const struct {
        const char *line, *says;
        int         exit_code;
    } cases[] = {
        {"{\"clean\": \"a\"", "line 3, column", 3},
        {"[1]", "line 3: expected an object", 3},
        {"{\"clean\": \"a\"}", "line 3: no key \"corrupt\"", 3},
        {"{\"clean\": \"a\", \"corrupt\": 5}", "line 3: key \"corrupt\": expected a string", 3},
        {"{\"clean\": \"a\", \"corrupt\": \"b\", \"anser\": \"c\"}", "line 3: key \"anser\"", 3},
        {"{\"clean\": \"The capital of France is\", \"corrupt\": \"Paris\"}", "line 3: the clean prompt has", 2},
        {"{\"clean\": \" Paris\", \"corrupt\": \" Rome\", \"answer\": 7777}", "line 3: the answer: target id 7777", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char        bytes[512];
        const char *path = in_folder("bad.jsonl"), *output = in_folder("out.json");
        snprintf(bytes, sizeof bytes, "%s\n%s\n", first, cases[i].line);
        write_file(path, bytes);
        struct outcome outcome = SCRY("patch", "--pairs", path, "-o", output);
        cr_expect_eq(outcome.exit_code, cases[i].exit_code, "case %zu: %d", i, outcome.exit_code);
        cr_expect(strstr(outcome.err, cases[i].says), "case %zu: %s", i, outcome.err);
        cr_expect(access(output, F_OK), "case %zu", i);
        outcome_free(&outcome);
    }
}

/* --- stopped, and started again --- */

/* Started and killed at random moments until it is through, and again from the start: each time the output has the
 * bytes of a run that was left alone, and nothing else is left. */
Test(patch, pairs__go_on_after_a_kill_at_any_moment, .timeout = 110)
{
    enum { RUNS = 12 };
    const char *pairs = in_folder("pairs.jsonl"), *whole = in_folder("whole.json"), *output = in_folder("out.json");
    const char *partial = in_folder("out.json.partial");
    unsigned    seed = (unsigned)time(NULL), first = seed;
    int         kills = 0, resumed = 0;
    write_pairs(pairs, 10);
    const char *const once[]  = {"patch", "--pairs", pairs, "--kinds", "resid_pre,v", "-o", whole, NULL};
    const char *const again[] = {"patch", "--pairs", pairs, "--kinds", "resid_pre,v", "-o", output, NULL};
    double            started = seconds_now();
    struct outcome    outcome = run_scry(once);
    double            seconds = seconds_now() - started;
    cr_assert_eq(outcome.exit_code, 0, "%s", outcome.err);
    outcome_free(&outcome);
    for (int run = 0; run < RUNS || access(output, F_OK) || !access(partial, F_OK); run++) {
        double moment = run < RUNS ? seconds * rand_r(&seed) / (double)RAND_MAX : 100;
        if (!access(output, F_OK)) {
            cr_expect(same_file(whole, output), "seed %u, run %d", first, run);
            unlink(output);
        }
        outcome = run_scry_for(moment, again);
        kills += outcome.exit_code == 137;
        resumed += strstr(outcome.err, " pairs are in ") != NULL;
        cr_assert(outcome.exit_code == 137 || !outcome.exit_code, "seed %u, run %d: %s", first, run, outcome.err);
        cr_assert(outcome.exit_code || (!access(output, F_OK) && access(partial, F_OK)), "seed %u, run %d", first, run);
        outcome_free(&outcome);
    }
    cr_expect(same_file(whole, output), "seed %u", first);
    cr_expect(kills > 0 && resumed > 0, "seed %u: %d kills, %d runs that went on", first, kills, resumed);
}

/* Leaves the journal of three finished pairs: the output cannot be put in place. */
static void leave_journal(const char *pairs, const char *output)
{
    write_pairs(pairs, 3);
    cr_assert_eq(mkdir(output, 0777), 0);
    struct outcome outcome = SCRY("patch", "--pairs", pairs, "--kinds", "z", "-o", output);
    cr_assert_eq(outcome.exit_code, 6, "%s", outcome.err);
    cr_assert_eq(rmdir(output), 0);
    outcome_free(&outcome);
}

Test(patch, journal__drops_what_was_torn)
{
    const char    *pairs = in_folder("pairs.jsonl"), *output = in_folder("out.json"), *whole = in_folder("whole.json");
    const char    *partial = in_folder("out.json.partial");
    struct stat    info;
    struct outcome outcome;
    leave_journal(pairs, output);
    outcome = SCRY("patch", "--pairs", pairs, "--kinds", "z", "-o", whole);
    cr_assert_eq(outcome.exit_code, 0, "%s", outcome.err);
    outcome_free(&outcome);
    cr_assert(!stat(partial, &info) && !truncate(partial, info.st_size - 5));
    outcome = SCRY("patch", "--pairs", pairs, "--kinds", "z", "-o", output);
    cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
    cr_expect(strstr(outcome.err, "2 of 3 pairs are in"), "%s", outcome.err);
    cr_expect(same_file(whole, output) && access(partial, F_OK));
    outcome_free(&outcome);
}

/* A copy of the demo model, one number of whose weights is another. */
static void copy_model(const char *path, bool changed)
{
    char  command[600];
    char  weights[300];
    FILE *file;
    snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s/models/demo' '%s'", path, SCRY_SOURCE_DIR, path);
    cr_assert_eq(system(command), 0);
    snprintf(weights, sizeof weights, "%s/model.safetensors", path);
    file = fopen(weights, "r+");
    cr_assert(file && !fseek(file, -2000, SEEK_END) && (!changed || fputs("\x3e\x3f", file) >= 0) && !fclose(file));
}

Test(patch, journal__knows_the_weights)
{
    const char *pairs = in_folder("pairs.jsonl"), *output = in_folder("out.json"), *model = in_folder("model");
    write_pairs(pairs, 2);
    for (int changed = 0; changed < 2; changed++) {
        copy_model(model, false);
        cr_assert_eq(mkdir(output, 0777), 0);
        struct outcome first = SCRY("patch", "--pairs", pairs, "--kinds", "z", "-o", output, "--model", model);
        cr_assert_eq(first.exit_code, 6, "%s", first.err);
        cr_assert_eq(rmdir(output), 0);
        copy_model(model, changed);
        struct outcome second = SCRY("patch", "--pairs", pairs, "--kinds", "z", "-o", output, "--model", model);
        cr_expect_eq(second.exit_code, changed ? 3 : 0, "%s", second.err);
        cr_expect(!changed || strstr(second.err, "begun with another model"), "%s", second.err);
        outcome_free(&first);
        outcome_free(&second);
        if (!changed) unlink(output);
    }
}

/* Results of something else are never mixed in. */
Test(patch, journal__is_refused_where_something_else_is_asked)
{
    static const struct {
        int         pairs; /* in the file now */
        const char *kinds, *append, *says;
    } cases[] = {
        {3, "z,k", "", "out.json.partial: begun with another model, device or options"},
        {2, "z", "", "out.json.partial: line 4: more pairs than"},
        {0, "z", "", "out.json.partial: line 3: another pair than line 2 of"},
        {4, "z", "{\"pair\": 1}\n", "out.json.partial: line 5: another pair than line 4 of"},
        {4, "z", "torn {\n", "out.json.partial: line 5: line 1, column"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *pairs = in_folder("pairs.jsonl"), *output = in_folder("out.json");
        const char *partial = in_folder("out.json.partial");
        unlink(partial);
        leave_journal(pairs, output);
        if (cases[i].pairs)
            write_pairs(pairs, cases[i].pairs);
        else
            write_file(pairs, "{\"clean\": \"The capital of France is\", \"corrupt\": \"The capital of Italy is\", "
                              "\"answer\": \" Paris\", \"wrong\": \" Rome\"}\n"
                              "{\"clean\": \"The capital of Peru is\", \"corrupt\": \"The capital of Italy is\"}\n");
        FILE *file = fopen(partial, "a");
        cr_assert(file && fputs(cases[i].append, file) >= 0 && !fclose(file));
        struct outcome outcome = SCRY("patch", "--pairs", pairs, "--kinds", cases[i].kinds, "-o", output);
        cr_expect_eq(outcome.exit_code, 3, "case %zu: %d", i, outcome.exit_code);
        cr_expect(strstr(outcome.err, cases[i].says) && !strstr(outcome.err, "remove the file") == (i == 4),
                  "case %zu: %s", i, outcome.err);
        cr_expect(access(output, F_OK) && !access(partial, F_OK), "case %zu", i);
        outcome_free(&outcome);
    }
}
