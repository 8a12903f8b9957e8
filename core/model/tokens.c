/* Prompts as ids with display texts. See scry/model.h. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "model/model.h"

#include <stdio.h>
#include <string.h>

/* Makes bytes fit to be shown: control characters as escapes, bytes that are no UTF-8 as <0xE2>. */
static void add_printable(scry__text *text, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size;) {
        uint32_t code_point;
        int      length = scry__utf8_decode(bytes + i, size - i, &code_point);
        if (!length)
            scry__text_addf(text, "<0x%02X>", (unsigned char)bytes[i++]);
        else if (code_point == '\n')
            scry__text_adds(text, "\\n");
        else if (code_point == '\t')
            scry__text_adds(text, "\\t");
        else if (code_point == '\r')
            scry__text_adds(text, "\\r");
        else if (code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0))
            scry__text_addf(text, "<0x%02X>", (unsigned)code_point);
        else
            scry__text_add(text, bytes + i, (size_t)length);
        i += (size_t)length;
    }
}

scry_status scry_token_text(scry_model *model, int32_t id, char **text)
{
    scry__text            out       = {0};
    size_t                size      = 0;
    const scry_tokenizer *tokenizer = NULL;
    scry_status           status    = scry__model_find_tokenizer(model, &tokenizer);
    if (status) return status;
    const char *bytes = tokenizer ? scry_tokenizer_bytes(tokenizer, id, &size) : NULL;
    if (bytes)
        add_printable(&out, bytes, size);
    else
        scry__text_addf(&out, "%d", (int)id);
    return scry__text_take(&out, text, NULL);
}

static scry_status encode(scry_tokens *tokens, scry_model *model, const char *text)
{
    const scry_tokenizer *tokenizer;
    scry_status           status = scry__model_need_tokenizer(model, &tokenizer);
    if (status) return status;
    return scry_tokenizer_encode(tokenizer, text, strlen(text), true, &tokens->ids, &tokens->count);
}

static scry_status take_ids(scry_tokens *tokens, const int32_t *ids, int count)
{
    if (!ids || count < 1) return SCRY_OK;
    tokens->ids = scry__alloc((size_t)count, sizeof *ids);
    if (!tokens->ids) return SCRY_OUT_OF_MEMORY;
    memcpy(tokens->ids, ids, (size_t)count * sizeof *ids);
    tokens->count = count;
    return SCRY_OK;
}

static scry_status check(const scry_tokens *tokens, const scry_model_info *info)
{
    if (tokens->count < 1) return scry__fail(SCRY_BAD_ARGUMENT, "the prompt is empty: expected at least one token");
    if (tokens->count > info->context)
        return scry__fail(SCRY_BAD_ARGUMENT, "the prompt has %d tokens: expected at most %d, the model's context",
                          tokens->count, info->context);
    for (int i = 0; i < tokens->count; i++)
        if (tokens->ids[i] < 0 || tokens->ids[i] >= info->vocabulary)
            return scry__fail(SCRY_BAD_ARGUMENT, "token %d of the prompt: id %d: expected 0 to %d", i, tokens->ids[i],
                              info->vocabulary - 1);
    return SCRY_OK;
}

scry_status scry_tokens_create(scry_tokens **out, scry_model *model, const char *text, const int32_t *ids, int id_count)
{
    scry_tokens *tokens = scry__alloc(1, sizeof *tokens);
    if (!tokens) return SCRY_OUT_OF_MEMORY;
    scry_status status = text ? encode(tokens, model, text) : take_ids(tokens, ids, id_count);
    if (!status) status = check(tokens, scry_model_get_info(model));
    if (status) goto fail;
    tokens->texts = scry__alloc((size_t)tokens->count, sizeof *tokens->texts);
    if (!tokens->texts) {
        status = SCRY_OUT_OF_MEMORY;
        goto fail;
    }
    for (int i = 0; i < tokens->count && !status; i++)
        status = scry_token_text(model, tokens->ids[i], &tokens->texts[i]);
    if (status) goto fail;
    *out = tokens;
    return SCRY_OK;
fail:
    scry_tokens_destroy(&tokens);
    return status;
}

void scry_tokens_destroy(scry_tokens **tokens)
{
    scry_tokens *self = tokens ? *tokens : NULL;
    if (!self) return;
    for (int i = 0; self->texts && i < self->count; i++) scry__free(self->texts[i]);
    scry__free(self->texts);
    scry_free(self->ids);
    scry__free(self);
    *tokens = NULL;
}

static scry_status target_of_text(int32_t *out, scry_model *model, const char *text)
{
    const scry_tokenizer *tokenizer;
    int32_t              *ids    = NULL;
    int                   count  = 0;
    scry_status           status = scry__model_need_tokenizer(model, &tokenizer);
    if (!status) status = scry_tokenizer_encode(tokenizer, text, strlen(text), false, &ids, &count);
    if (status) return status;
    if (count == 1)
        *out = ids[0];
    else
        status = scry__fail(SCRY_BAD_ARGUMENT, "target \"%s\": expected one token, found %d%s", text, count,
                            text[0] == ' ' ? "" : " (within a sentence, words begin with a space: try \" ...\")");
    scry_free(ids);
    return status;
}

bool scry__is_chosen(const scry_token_choice *choice)
{
    return choice->text || choice->has_id;
}

scry_status scry__model_target(int32_t *out, scry_model *model, const scry_token_choice *choice)
{
    int         vocabulary = scry_model_get_info(model)->vocabulary;
    int32_t     id         = choice->id;
    scry_status status     = choice->text ? target_of_text(&id, model, choice->text) : SCRY_OK;
    if (status) return status;
    if (id < 0 || id >= vocabulary)
        return scry__fail(SCRY_BAD_ARGUMENT, "target id %d: expected 0 to %d", id, vocabulary - 1);
    *out = id;
    return SCRY_OK;
}
