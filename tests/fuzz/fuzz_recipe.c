/* Bytes as a recipe, and as documents to train on. A recipe that is read can be written, and read again as the same. */
#include "fuzz/fuzz.h"
#include "train/documents.h"
#include "train/recipe.h"

#include <string.h>

enum { LENGTH = 16, TOKENIZER_SIZE = 1920 };

static void check_recipe(const scry_recipe *recipe)
{
    scry_recipe *copy = NULL;
    const char  *name = NULL;
    FUZZ_REQUIRE(!scry__recipe_copy(&copy, recipe) && !scry__recipe_difference(&name, copy, recipe) && !name);
    if (!scry__recipe_complete(copy, TOKENIZER_SIZE)) {
        FUZZ_REQUIRE(copy->length >= 2 && copy->length <= copy->context && copy->vocabulary >= TOKENIZER_SIZE);
        FUZZ_REQUIRE(copy->hidden % copy->heads == 0 && copy->heads % copy->kv_heads == 0 && copy->mlp > 0);
        for (int step = 1; step <= recipe->steps && step <= 4; step++) {
            double rate = scry_recipe_rate(copy, step);
            FUZZ_REQUIRE(rate >= 0 && rate <= copy->rate);
        }
    }
    scry_recipe_destroy(&copy);
}

static void check_documents(const scry__documents *documents)
{
    int32_t ids[LENGTH], targets[LENGTH], begins[LENGTH];
    FUZZ_REQUIRE(documents->count > 0 && documents->row_count > 0 && documents->row_count <= documents->count);
    for (int64_t row = 0; row < documents->row_count; row++) {
        int scored = 0;
        scry__documents_row(documents, row, ids, targets, begins);
        for (int i = 0; i < LENGTH; i++) {
            FUZZ_REQUIRE(ids[i] >= 0 && ids[i] < TOKENIZER_SIZE && targets[i] < TOKENIZER_SIZE);
            FUZZ_REQUIRE(begins[i] >= 0 && begins[i] <= i && begins[begins[i]] == begins[i]);
            scored += targets[i] >= 0;
        }
        FUZZ_REQUIRE(scored > 0);
    }
}

void fuzz_recipe(const uint8_t *data, size_t size)
{
    static scry_tokenizer *tokenizer; /* stays for the next input */
    const char            *path   = fuzz_file("recipe.json", data, size);
    scry_recipe           *recipe = NULL;
    scry__documents        documents;
    scry_status            status = scry_recipe_create(&recipe, path);
    fuzz_require_detail(status);
    if (!status) check_recipe(recipe);
    scry_recipe_destroy(&recipe);
    if (!tokenizer) FUZZ_REQUIRE(!scry_tokenizer_open(&tokenizer, SCRY_SOURCE_DIR "/models/demo"));
    status = scry__documents_open(&documents, path, tokenizer, LENGTH);
    fuzz_require_detail(status);
    if (!status) check_documents(&documents);
    scry__documents_close(&documents);
}
