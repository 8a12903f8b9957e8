/* Bytes as a tokenizer.json, then some texts through it; and bytes as text, through the fixtures' tokenizers. */
#include "base/text.h"
#include "fuzz/fuzz.h"
#include "scry/model.h"

#include <stdio.h>
#include <string.h>

/* Every id must be one that exists, and must have bytes. */
static void check_ids(const scry_tokenizer *tokenizer, const int32_t *ids, int count)
{
    for (int i = 0; i < count; i++) {
        size_t      size;
        const char *bytes = scry_tokenizer_bytes(tokenizer, ids[i], &size);
        FUZZ_REQUIRE(ids[i] >= 0 && ids[i] < scry_tokenizer_vocabulary(tokenizer) && bytes);
        FUZZ_REQUIRE(size < (size_t)1 << 30);
    }
}

/* Encodes, decodes and checks; *text is what came back, or NULL where the tokenizer refused. */
static void round_trip(const scry_tokenizer *tokenizer, const char *bytes, size_t size, char **text, size_t *length)
{
    int32_t    *ids    = NULL;
    int         count  = 0;
    scry_status status = scry_tokenizer_encode(tokenizer, bytes, size, false, &ids, &count);
    *text              = NULL;
    fuzz_require_detail(status);
    if (status) return;
    check_ids(tokenizer, ids, count);
    status = scry_tokenizer_decode(tokenizer, ids, count, true, text, length);
    fuzz_require_detail(status);
    if (!status) FUZZ_REQUIRE(scry__utf8_valid(*text, *length, NULL) && !(*text)[*length]);
    scry_free(ids);
}

void fuzz_tokenizer(const uint8_t *data, size_t size)
{
    static const char *const texts[]   = {"", "ab  cab\n12 <x>x\t",
                                          "\xc3\xa9\xe2\x96\x81 e\xcc\x81\xf0\x9f\x98\x80 it's"};
    scry_tokenizer          *tokenizer = NULL;
    scry_status              status    = scry_tokenizer_open(&tokenizer, fuzz_file("tokenizer.json", data, size));
    fuzz_require_detail(status);
    FUZZ_REQUIRE(!status == (tokenizer != NULL));
    for (size_t i = 0; !status && i < sizeof texts / sizeof *texts; i++) {
        char  *back;
        size_t length;
        round_trip(tokenizer, texts[i], strlen(texts[i]), &back, &length);
        scry_free(back);
    }
    scry_tokenizer_destroy(&tokenizer);
}

/* The first byte chooses the tokenizer, the rest is the text. */
void fuzz_text(const uint8_t *data, size_t size)
{
    static const struct {
        const char *name;
        bool        exact; /* gives back every text as it was */
    } fixtures[] = {{"gpt2", true},    {"llama3", true},        {"qwen2", false},         {"byte_level_flags", false},
                    {"llama2", false}, {"llama2_flags", false}, {"metaspace_unk", false}, {"gemma", false}};
    enum { COUNT = sizeof fixtures / sizeof *fixtures };
    static scry_tokenizer *tokenizers[COUNT]; /* opened once; reachable until the process ends */
    if (!size) return;
    int         which = data[0] % COUNT;
    const char *text  = (const char *)data + 1;
    char       *back;
    size_t      length = 0;
    if (!tokenizers[which]) {
        char path[256];
        snprintf(path, sizeof path, SCRY_SOURCE_DIR "/tests/fixtures/tokenizers/%s", fixtures[which].name);
        FUZZ_REQUIRE(scry_tokenizer_open(&tokenizers[which], path) == SCRY_OK);
    }
    round_trip(tokenizers[which], text, size - 1, &back, &length);
    FUZZ_REQUIRE(scry__utf8_valid(text, size - 1, NULL) == (back != NULL));
    if (back && fixtures[which].exact) FUZZ_REQUIRE(length == size - 1 && !memcmp(back, text, length));
    scry_free(back);
}
