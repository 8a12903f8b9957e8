/* A tokenizer.json with other names for some ids, beside links to the demo model's files. See hostile_model.h. */
#include "browser/hostile_model.h"

#include "e2e/program.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEMO SCRY_SOURCE_DIR "/models/demo/"

const struct hostile_token hostile_tokens[HOSTILE_COUNT] = {
    {"The", "</script><script>window.hacked=1</script>", "</script><script>window.hacked=1</script>"},
    {"\xc4\xa0"
     "capital",
     "<img src=x onerror=window.hacked=2>", "<img\u2423src=x\u2423onerror=window.hacked=2>"},
    {"\xc4\xa0"
     "of",
     "\"'><b onclick='window.hacked=3'>&lt;", "\"'><b\u2423onclick='window.hacked=3'>&lt;"},
    {"\xc4\xa0"
     "France",
     "\u202egnp.\u2066a\u200b", "\u00b7gnp.\u00b7a\u00b7"},
    {"\xc4\xa0"
     "is",
     "\x01\x1b[31m\x7f\t\n\r", "<0x01><0x1B>[31m<0x7F>\\t\\n\\r"},
    /* What the model is likely to say next, so that they stand in the lens and among the candidates. */
    {"\xc4\xa0"
     "Paris",
     "</SCRIPT ><svg onload=window.hacked=4>", "</SCRIPT\u2423><svg\u2423onload=window.hacked=4>"},
    {"\xc4\xa0"
     "Athens",
     "__proto__", "__proto__"},
    {"\xc4\xa0"
     "Riyadh",
     "constructor", "constructor"},
    {"\xc4\xa0"
     "Berlin",
     "`${window.hacked=5}`", "`${window.hacked=5}`"},
    {"\xc4\xa0"
     "city",
     "{{data}}", "{{data}}"},
    {"\xc4\xa0"
     "the",
     "<!--<script>", "<!--<script>"},
    {"\xc4\xa0"
     "Kenya",
     "=1+1,\"a\";\r\n", "=1+1,\"a\";\\r\\n"},
    {"\xc4\xa0"
     "called",
     "\u0645\u0631\u062d\u0628\u0627", "\u0645\u0631\u062d\u0628\u0627"},
    {"\xc4\xa0"
     "they",
     "e\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301", "e\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301"},
    {"\xc4\xa0"
     "country",
     "]]>&#0;", "]]>&#0;"},
    {"\xc4\xa0"
     "favourite",
     "\u2028\u2029\ufeff", "\u00b7\u00b7\u00b7"},
};

/* "a b" or ["a", "b"]: does a merge take this token as a part, or make it? */
static bool merge_has(json_t *merge, const char *token)
{
    char        whole[256] = "";
    const char *left       = json_string_value(json_array_get(merge, 0));
    const char *right      = json_string_value(json_array_get(merge, 1));
    cr_assert(left && right, "the demo model's merges are pairs");
    snprintf(whole, sizeof whole, "%s%s", left, right);
    return !strcmp(left, token) || !strcmp(right, token) || !strcmp(whole, token);
}

static void rename_token(json_t *tokenizer, const struct hostile_token *token)
{
    json_t *model = json_object_get(tokenizer, "model"), *vocabulary = json_object_get(model, "vocab");
    json_t *merges = json_object_get(model, "merges"), *id = json_object_get(vocabulary, token->was);
    cr_assert_not_null(id, "the demo model has no token %s", token->was);
    json_array_append_new(json_object_get(tokenizer, "added_tokens"),
                          json_pack("{s:O, s:s, s:b, s:b, s:b, s:b, s:b}", "id", id, "content", token->text,
                                    "single_word", false, "lstrip", false, "rstrip", false, "normalized", false,
                                    "special", false));
    json_object_set(vocabulary, token->text, id);
    json_object_del(vocabulary, token->was);
    for (size_t i = json_array_size(merges); i-- > 0;)
        if (merge_has(json_array_get(merges, i), token->was)) json_array_remove(merges, i);
}

const char *hostile_prompt(bool reverse)
{
    static char prompts[2][512];
    char       *prompt = prompts[reverse];
    *prompt            = 0;
    for (int i = 0; i < HOSTILE_PROMPT; i++) strcat(prompt, hostile_tokens[reverse ? HOSTILE_PROMPT - 1 - i : i].text);
    return prompt;
}

const char *hostile_model(void)
{
    static char              path[256];
    static const char *const files[] = {"config.json", "model.safetensors"};
    char                     file[300], target[300];
    snprintf(path, sizeof path, "%s", in_folder("hostile"));
    cr_assert_eq(mkdir(path, 0700), 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(file, sizeof file, "%s/%s", path, files[i]);
        snprintf(target, sizeof target, DEMO "%s", files[i]);
        cr_assert_eq(symlink(target, file), 0);
    }
    json_t *tokenizer = json_load_file(DEMO "tokenizer.json", 0, NULL);
    cr_assert_not_null(tokenizer);
    for (int i = 0; i < HOSTILE_COUNT; i++) rename_token(tokenizer, &hostile_tokens[i]);
    snprintf(file, sizeof file, "%s/tokenizer.json", path);
    cr_assert_eq(json_dump_file(tokenizer, file, 0), 0);
    json_decref(tokenizer);
    return path;
}
