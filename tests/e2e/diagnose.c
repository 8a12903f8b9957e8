/* scry diagnose as a user runs it. */
#include "program.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char capital[] = "The capital of France is"; /* six tokens */
static const char places[]  = "Anna put the key in the box. Bob put the coin in the drawer. The key is in the";

TestSuite(diagnose, .init = make_folder, .fini = remove_folder);

/* A mask over the capital's tokens as NumPy stores booleans: query i sees keys up to i + ahead. */
static const char *write_mask(const char *name, int count, int ahead)
{
    char        head[129] = "";
    const char *path      = in_folder(name);
    FILE       *file      = fopen(path, "wb");
    cr_assert(file);
    snprintf(head, sizeof head, "{'descr': '|b1', 'fortran_order': False, 'shape': (%d, %d), }", count, count);
    fwrite("\x93NUMPY\1\0\x76\0", 1, 10, file);
    fprintf(file, "%-117s\n", head);
    for (int i = 0; i < count * count; i++) fputc(i % count <= i / count + ahead, file);
    fclose(file);
    return path;
}

static json_t *first_finding(json_t *result)
{
    return json_array_get(json_object_get(result, "findings"), 0);
}

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

Test(diagnose, healthy_model__passes_strictly)
{
    struct outcome outcome = SCRY("diagnose", capital, "--strict");
    cr_expect_eq(outcome.exit_code, 0, "%s", outcome.err);
    cr_expect(strstr(outcome.out, "0 findings") && strstr(outcome.out, "masked-row"), "%s", outcome.out);
    outcome_free(&outcome);
}

Test(diagnose, finding__is_told_with_evidence_and_fails_a_strict_run)
{
    const char    *context[] = {"diagnose", places, "--context", "Bob put the coin in the drawer.", NULL, NULL};
    struct outcome plain     = run_scry(context);
    context[4]               = "--strict";
    struct outcome strict    = run_scry(context);
    context[4]               = "--json";
    struct outcome as_json   = run_scry(context);
    json_t        *result = outcome_json(&as_json), *finding = first_finding(result), *evidence;
    cr_expect_eq(plain.exit_code, 0, "%s", plain.err);
    cr_expect(strstr(plain.out, "distracted") && strstr(plain.out, "Try: ") && strstr(plain.out, "threshold"), "%s",
              plain.out);
    cr_expect_eq(strict.exit_code, 1, "%s", strict.err);
    cr_expect_str_eq(strict.out, plain.out);
    cr_expect_str_eq(text_of(result, "schema"), "scry.diagnosis/1");
    cr_expect_str_eq(text_of(finding, "kind"), "context");
    cr_expect_str_eq(text_of(finding, "severity"), "warning");
    evidence = json_array_get(json_object_get(finding, "evidence"), 0);
    cr_expect_lt(json_number_value(json_object_get(evidence, "value")),
                 json_number_value(json_object_get(evidence, "threshold")));
    cr_expect_eq(json_integer_value(json_object_get(json_object_get(result, "context"), "begin")), 9);
    cr_expect_eq(json_array_size(json_object_get(result, "checks")), 9);
    json_decref(result);
    outcome_free(&plain);
    outcome_free(&strict);
    outcome_free(&as_json);
}

Test(diagnose, mask__is_read_from_a_file)
{
    static const struct {
        const char *name;
        int         count, ahead, exit_code;
        const char *says;
    } masks[] = {
        {"causal.npy", 6, 0, 0, "0 findings"},
        {"ahead.npy", 6, 1, 1, "queries see the key after their own"},
        {"strict.npy", 6, -1, 1, "queries do not see their own key"},
        {"other.npy", 5, 0, 2, "mask of 5 tokens: expected 6"},
    };
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        const char    *path    = write_mask(masks[i].name, masks[i].count, masks[i].ahead);
        struct outcome outcome = SCRY("diagnose", capital, "--strict", "--mask", path);
        cr_expect_eq(outcome.exit_code, masks[i].exit_code, "%s: %s", masks[i].name, outcome.err);
        cr_expect(strstr(outcome.exit_code == 2 ? outcome.err : outcome.out, masks[i].says), "%s: %s%s", masks[i].name,
                  outcome.out, outcome.err);
        outcome_free(&outcome);
    }
}

Test(diagnose, attention__is_read_from_a_file_without_a_model)
{
    const char    *path = in_folder("a.npz"), *tile = in_folder("b.npz");
    struct outcome whole = SCRY("attn", places, "--layers", "all", "-o", path);
    struct outcome part  = SCRY("attn", places, "--queries", "4:9", "-o", tile);
    struct outcome good = SCRY("diagnose", "--attention", path, "--json"), bad = SCRY("diagnose", "--attention", tile);
    struct outcome both   = SCRY("diagnose", "--attention", path, capital);
    json_t        *result = outcome_json(&good);
    cr_expect_eq(whole.exit_code + part.exit_code, 0, "%s%s", whole.err, part.err);
    cr_expect_eq(json_array_size(json_object_get(result, "findings")), 0);
    cr_expect_eq(json_array_size(json_object_get(result, "tokens")), 22);
    cr_expect(json_is_null(json_object_get(result, "model")));
    cr_expect_eq(bad.exit_code, 3, "%s", bad.err);
    cr_expect(strstr(bad.err, "expected whole ones, of 22 tokens"), "%s", bad.err);
    cr_expect_eq(both.exit_code, 2, "%s", both.err);
    json_decref(result);
    outcome_free(&whole);
    outcome_free(&part);
    outcome_free(&good);
    outcome_free(&bad);
    outcome_free(&both);
}

Test(diagnose, bad_arguments__are_named)
{
    static const char *const cases[][4] = {
        {"--context", "Berlin", capital, "context \"Berlin\": expected a part of the prompt"},
        {"--mask", "nowhere.npy", capital, "nowhere.npy"},
        {"--attention", "nowhere.npz", NULL, "nowhere.npz"},
        {"--tokens", "0", capital, "--tokens"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome outcome = SCRY("diagnose", cases[i][0], cases[i][1], cases[i][2]);
        cr_expect(outcome.exit_code == 2 || outcome.exit_code == 3, "%s: %d", cases[i][0], outcome.exit_code);
        cr_expect(strstr(outcome.err, cases[i][3]), "%s: %s", cases[i][0], outcome.err);
        outcome_free(&outcome);
    }
}
