/* Opening a tokenizer.json. See tokenizer.h for what comes out; each part of the file has its own loader. */
#include "model/tokenizer.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

#include <string.h>
#include <sys/stat.h>

/* Real files have up to 40 MB. */
static const size_t file_limit = (size_t)1 << 28;

/* The bytes of every id: what the decoders make of each token alone. */
static scry_status speak(scry_tokenizer *tokenizer)
{
    const scry__bpe *bpe    = &tokenizer->bpe;
    scry__pieces    *spoken = &tokenizer->spoken;
    scry__text_add(&spoken->text, bpe->bytes.data, bpe->bytes.size);
    for (int32_t id = 0; id < bpe->count; id++) {
        const scry__token *token = &bpe->tokens[id];
        scry__pieces_add(spoken, (scry__piece){token->begin, token->size, -1, false, token->added});
    }
    scry_status status = scry__pieces_status(spoken);
    return status ? status : scry__stages_decode(&tokenizer->decoders, spoken, true);
}

/* Without a decoder, stand-ins of bytes are still turned back: nobody wants to read them. */
static scry_status load_decoders(scry_tokenizer *tokenizer, const json_t *value)
{
    scry_status status = scry__decoders_load(&tokenizer->decoders, value);
    if (status || (value && !json_is_null(value))) {
        tokenizer->has_decoder = true;
        return status;
    }
    for (int i = 0; i < tokenizer->pre_tokenizers.count; i++) {
        if (tokenizer->pre_tokenizers.items[i].kind != SCRY__STAGE_BYTES) continue;
        tokenizer->decoders.items = scry__alloc(1, sizeof *tokenizer->decoders.items);
        if (!tokenizer->decoders.items) return SCRY_OUT_OF_MEMORY;
        tokenizer->decoders.items[0].kind = SCRY__STAGE_UNBYTES;
        tokenizer->decoders.count         = 1;
        tokenizer->has_decoder            = true;
        break;
    }
    return SCRY_OK;
}

static scry_status load(scry_tokenizer *tokenizer, const json_t *root)
{
    const json_t *model;
    scry__json_at at     = {root, "the file"};
    scry_status   status = SCRY_OK;
    if (!json_is_object(root)) return scry__fail(SCRY_BAD_INPUT, "expected an object");
    /* truncation and padding are about batches: one text is taken whole. */
    status =
        scry__json_only(at, "version truncation padding added_tokens normalizer pre_tokenizer post_processor decoder "
                            "model");
    if (!status) status = scry__json_object(at, "model", true, &model);
    if (!status) status = scry__bpe_load(&tokenizer->bpe, model);
    if (!status) status = scry__normalizers_load(&tokenizer->normalizers, json_object_get(root, "normalizer"));
    if (!status) status = scry__pre_tokenizers_load(&tokenizer->pre_tokenizers, json_object_get(root, "pre_tokenizer"));
    if (!status) status = load_decoders(tokenizer, json_object_get(root, "decoder"));
    if (!status) status = scry__added_load(tokenizer, json_object_get(root, "added_tokens"));
    if (!status)
        status = scry__template_load(&tokenizer->template, json_object_get(root, "post_processor"), &tokenizer->bpe);
    return status ? status : speak(tokenizer);
}

/* path itself, or tokenizer.json in the directory that it names. */
static char *find_file(const char *path)
{
    struct stat info;
    if (!stat(path, &info) && S_ISDIR(info.st_mode)) return scry__path_join(path, "tokenizer.json");
    return scry__strdup(path);
}

scry_status scry_tokenizer_open(scry_tokenizer **out, const char *path)
{
    scry_tokenizer *tokenizer = NULL;
    json_t         *root      = NULL;
    scry_status     status    = SCRY_OUT_OF_MEMORY;
    if (!out || !path)
        return scry__fail(SCRY_BAD_ARGUMENT, "scry_tokenizer_open: expected an out-parameter and a path");
    *out       = NULL;
    char *file = find_file(path);
    if (!file) goto fail;
    status = scry__json_load(&root, file, file_limit);
    if (status) goto fail;
    tokenizer = scry__alloc(1, sizeof *tokenizer);
    if (!tokenizer) {
        status = SCRY_OUT_OF_MEMORY;
        goto fail;
    }
    status = load(tokenizer, root);
    if (status) {
        scry__fail_prefix(status, "%s", file);
        goto fail;
    }
    json_decref(root);
    scry__free(file);
    *out = tokenizer;
    return SCRY_OK;
fail:
    json_decref(root);
    scry__free(file);
    scry_tokenizer_destroy(&tokenizer);
    return status;
}

void scry_tokenizer_destroy(scry_tokenizer **tokenizer)
{
    if (!tokenizer || !*tokenizer) return;
    scry_tokenizer *t = *tokenizer;
    scry__pieces_finish(&t->spoken);
    scry__template_finish(&t->template);
    scry__stages_finish(&t->decoders);
    scry__stages_finish(&t->pre_tokenizers);
    scry__stages_finish(&t->normalizers);
    scry__added_finish(&t->normalized);
    scry__added_finish(&t->raw);
    scry__bpe_finish(&t->bpe);
    scry__free(t);
    *tokenizer = NULL;
}
