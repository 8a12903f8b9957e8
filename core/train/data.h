/* What a recipe trains and is evaluated on. Each batch follows from the recipe and its number alone, so that who
 * resumes needs no state of a generator. */
#ifndef SCRY_TRAIN_DATA_H
#define SCRY_TRAIN_DATA_H

#include "scry/model.h"
#include "scry/train.h"
#include "train/documents.h"

#include <stdint.h>

typedef struct scry__data {
    const scry_recipe *recipe;          /* the caller's */
    uint64_t           train, evaluate; /* streams of noise */
    double             bound;           /* mean loss that no predictor can beat, in nats; NaN: not known */
    int32_t           *ids;             /* of data text */
    scry__documents    documents;       /* of data documents */
    int64_t            count, trained;  /* the text's tokens, the documents' rows; the first `trained` are trained on */
    char               digest[SCRY__SHA256_TEXT]; /* of what is read from files; "" for other data */
} scry__data;

/* Reads what the recipe names, and completes the recipe, which has to stay. */
scry_status scry__data_open(scry__data *data, scry_recipe *recipe);
void        scry__data_close(scry__data *data);

/* The tokens of a UTF-8 file; release *ids with scry_free. */
scry_status scry__data_read(int32_t **ids, int *count, const scry_tokenizer *tokenizer, const char *path);

/* Opens `count` tokens as data text, which the data takes over; `name` is what errors call them. Of the recipe seed,
 * batch, length and held_out are read, where 1 is all of it: nothing is trained on then. */
scry_status scry__data_take(scry__data *data, const scry_recipe *recipe, const char *name, int32_t *ids, int count);

/* A batch, the caller's: ids [batch, length], and for each the token that follows it, -1 where none does. */
typedef struct scry__batch {
    int32_t *ids, *targets;
    int32_t *begins; /* where each one's document begins in its row; of data documents only, else untouched */
} scry__batch;

/* The batch of a step, from 1. */
void scry__data_batch(const scry__data *data, int64_t step, const scry__batch *batch);

/* A batch that is not trained on, from 0. Where the best predictor is known, *best is its mean loss on these very rows,
 * else NaN. */
void scry__data_evaluation(const scry__data *data, int64_t number, const scry__batch *batch, double *best);

/* Rows that such batches have before they begin again, where they come from a file. */
int64_t scry__data_evaluation_rows(const scry__data *data);

#endif
