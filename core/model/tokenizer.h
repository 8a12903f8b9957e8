/* The tokenizer's inner shape, shared by core/model/tokenizer*.c.
 *
 * Text takes this way: added tokens are cut out of it (tokenizer_added.c); what is left goes through the normalizers,
 * loses the added tokens that match normalized text, and goes through the pre-tokenizers (tokenizer_stage.c); each
 * piece becomes ids (tokenizer_merge.c); the post-processor puts ids around them (tokenizer.c). */
#ifndef SCRY_MODEL_TOKENIZER_H
#define SCRY_MODEL_TOKENIZER_H

#include "model/tokenizer_bpe.h"
#include "model/tokenizer_stage.h"
#include "scry/model.h"

/* An added token as it is looked for in text. */
typedef struct scry__added {
    char   *content; /* normalized, where the file says so */
    size_t  size;
    int32_t id;
    bool    single_word;    /* only where no word character stands beside it */
    bool    lstrip, rstrip; /* takes the white space before or behind it */
    bool    normalized;
} scry__added;

/* Added tokens sorted by content, so that a common prefix is a range. */
typedef struct scry__added_list {
    scry__added *items;
    size_t       count;
    bool         starts[256]; /* bytes that some content starts with */
} scry__added_list;

/* Ids that the post-processor puts around a text. */
typedef struct scry__template {
    scry__ids before, after;
} scry__template;

struct scry_tokenizer {
    scry__bpe        bpe;
    scry__added_list raw, normalized; /* looked for before and after the normalizers */
    scry__stages     normalizers, pre_tokenizers, decoders;
    bool             has_decoder; /* without one, tokens are joined by spaces */
    scry__template template;
    scry__pieces spoken; /* item i: the bytes that id i stands for */
};

/* "added_tokens": gives their ids a place in bpe and fills both lists; needs normalizers and bpe. */
scry_status scry__added_load(scry_tokenizer *tokenizer, const json_t *array);
void        scry__added_finish(scry__added_list *list);

/* Cuts the added tokens out of all pieces that are still text; empty pieces are dropped. */
scry_status scry__added_split(const scry__added_list *list, scry__pieces *pieces);

/* "post_processor". Errors name the object but not the file. */
scry_status scry__template_load(scry__template *template, const json_t *value, const scry__bpe *bpe);
void        scry__template_finish(scry__template *template);

#endif
