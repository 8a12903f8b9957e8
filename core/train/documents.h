/* Documents to train on: a JSON Lines file, laid whole into rows of tokens in the file's order. */
#ifndef SCRY_TRAIN_DOCUMENTS_H
#define SCRY_TRAIN_DOCUMENTS_H

#include "base/sha256.h"
#include "scry/model.h"

#include <stdint.h>

/* A document's tokens; those from `unscored` on are to be predicted, where that is at least 1: nothing predicts the
 * first. */
typedef struct scry__document {
    int64_t begin; /* in the documents' ids */
    int32_t size, unscored;
} scry__document;

typedef struct scry__documents {
    int             length; /* tokens of a row */
    int32_t        *ids;
    scry__document *items;
    int64_t        *rows; /* the first document of each; [row_count] is `count` */
    int64_t         id_count, count, row_count;
    int64_t         id_space, space, row_space; /* allocated */
    int64_t         shortened;                  /* documents that were longer than a row */
    char            digest[SCRY__SHA256_TEXT];  /* of ids, sizes and what is scored */
} scry__documents;

/* Each line is {"text": T} (encoded as prompts are, special tokens in front), or {"ids": [..]}, either with
 * "unscored": N, so many tokens at the start that are not to be predicted. A document that does not fit behind the
 * others of a row begins the next one; one that is longer than a row is cut. Lines that leave nothing to predict are
 * SCRY_BAD_INPUT. */
scry_status scry__documents_open(scry__documents *documents, const char *path, const scry_tokenizer *tokenizer,
                                 int length);
void        scry__documents_close(scry__documents *documents);

/* A row: ids [length], the token to predict behind each, -1 for none, and where each one's document begins. What the
 * documents leave free of it is filled with id 0, each a document of its own. */
void scry__documents_row(const scry__documents *documents, int64_t row, int32_t *ids, int32_t *targets,
                         int32_t *begins);

#endif
