/* Batches of a recipe's data. See data.h. */
#include "train/data.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/noise.h"
#include "train/copy.h"
#include "train/recipe.h"

#include <math.h>
#include <string.h>

static const size_t max_text = (size_t)1 << 30;

/* --- text --- */

scry_status scry__data_read(int32_t **ids, int *count, const scry_tokenizer *tokenizer, const char *path)
{
    char       *text = NULL;
    size_t      size;
    scry_status status = scry__file_read(&text, &size, path, max_text);
    if (!status) status = scry_tokenizer_encode(tokenizer, text, size, false, ids, count);
    if (status == SCRY_BAD_ARGUMENT) status = scry__fail_prefix(SCRY_BAD_INPUT, "%s", path);
    scry__free(text);
    return status;
}

/* The end is held out. */
static void split(scry__data *data)
{
    data->trained = data->count - (int64_t)((double)data->count * data->recipe->held_out);
}

/* Both parts have to hold a row, and the token behind it. */
static scry_status split_text(scry__data *data, const char *name)
{
    const scry_recipe *recipe = data->recipe;
    scry__sha256       hash;
    bool               trains = recipe->held_out < 1;
    split(data);
    if ((trains && data->trained <= recipe->length) || data->count - data->trained <= recipe->length)
        return scry__fail(SCRY_BAD_INPUT,
                          "%s: %lld tokens, of which %lld are held out: expected more than a row's %d in each part",
                          name, (long long)data->count, (long long)(data->count - data->trained), recipe->length);
    scry__sha256_begin(&hash);
    scry__sha256_add(&hash, data->ids, (size_t)data->count * sizeof *data->ids);
    scry__sha256_end(&hash, data->digest);
    return SCRY_OK;
}

static scry_status open_text(scry__data *data, const scry_tokenizer *tokenizer)
{
    int         count  = 0;
    scry_status status = scry__data_read(&data->ids, &count, tokenizer, data->recipe->text);
    data->count        = count;
    return status ? status : split_text(data, data->recipe->text);
}

/* `length` tokens from `at` on, and those behind each. */
static void put_text(const scry__data *data, int64_t at, const scry__batch *row)
{
    size_t bytes = (size_t)data->recipe->length * sizeof *row->ids;
    memcpy(row->ids, data->ids + at, bytes);
    memcpy(row->targets, data->ids + at + 1, bytes);
}

/* --- documents --- */

static scry_status open_documents(scry__data *data, const scry_tokenizer *tokenizer)
{
    const scry_recipe *recipe = data->recipe;
    scry_status        status = scry__documents_open(&data->documents, recipe->documents, tokenizer, recipe->length);
    if (status) return status;
    data->count = data->documents.row_count;
    split(data);
    memcpy(data->digest, data->documents.digest, sizeof data->digest);
    if (data->trained < 1 || data->trained == data->count)
        return scry__fail(SCRY_BAD_INPUT,
                          "%s: %lld rows, of which %lld are held out: expected one or more in each part",
                          recipe->documents, (long long)data->count, (long long)(data->count - data->trained));
    return SCRY_OK;
}

/* --- copying --- */

static scry_status open_copy(scry__data *data)
{
    const scry_recipe *recipe = data->recipe;
    double            *losses = scry__alloc((size_t)recipe->length, sizeof *losses);
    if (!losses) return SCRY_OUT_OF_MEMORY;
    data->bound = scry__copy_bound(losses, recipe->length, recipe->vocabulary);
    scry__free(losses);
    return SCRY_OK;
}

static void put_copy(const scry__data *data, uint64_t stream, int64_t number, const scry__batch *row)
{
    int length = data->recipe->length;
    scry__copy_row(row->ids, length, data->recipe->vocabulary, stream, (uint64_t)number);
    memcpy(row->targets, row->ids + 1, (size_t)(length - 1) * sizeof *row->ids);
    row->targets[length - 1] = -1;
}

/* --- any --- */

static scry__data empty(const scry_recipe *recipe)
{
    return (scry__data){.recipe   = recipe,
                        .bound    = NAN,
                        .train    = scry__noise_stream(recipe->seed, "train"),
                        .evaluate = scry__noise_stream(recipe->seed, "evaluate")};
}

scry_status scry__data_open(scry__data *data, scry_recipe *recipe)
{
    scry_tokenizer *tokenizer = NULL;
    scry_status     status    = SCRY_OK;
    *data                     = empty(recipe);
    if (recipe->tokenizer) status = scry_tokenizer_open(&tokenizer, recipe->tokenizer);
    if (!status) status = scry__recipe_complete(recipe, tokenizer ? scry_tokenizer_vocabulary(tokenizer) : 0);
    if (!status) {
        switch (recipe->data) {
        case SCRY_TRAIN_DATA_TEXT:
            status = open_text(data, tokenizer);
            break;
        case SCRY_TRAIN_DATA_DOCUMENTS:
            status = open_documents(data, tokenizer);
            break;
        default:
            status = open_copy(data);
        }
    }
    scry_tokenizer_destroy(&tokenizer);
    if (status) scry__data_close(data);
    return status;
}

scry_status scry__data_take(scry__data *data, const scry_recipe *recipe, const char *name, int32_t *ids, int count)
{
    *data              = empty(recipe);
    data->ids          = ids;
    data->count        = count;
    scry_status status = split_text(data, name);
    if (status) scry__data_close(data);
    return status;
}

void scry__data_close(scry__data *data)
{
    scry_free(data->ids);
    scry__documents_close(&data->documents);
    *data = (scry__data){0};
}

/* The next row of a batch. */
static void advance(const scry__data *data, scry__batch *row)
{
    row->ids += data->recipe->length;
    row->targets += data->recipe->length;
    if (row->begins) row->begins += data->recipe->length;
}

/* Text begins anywhere; documents come in their order, and from the start again when all have come. */
void scry__data_batch(const scry__data *data, int64_t step, const scry__batch *batch)
{
    const scry_recipe *recipe = data->recipe;
    scry__batch        row    = *batch;
    for (int64_t i = 0; i < recipe->batch; i++, advance(data, &row)) {
        int64_t number = (step - 1) * recipe->batch + i;
        if (recipe->data == SCRY_TRAIN_DATA_COPY) {
            put_copy(data, data->train, number, &row);
        } else if (recipe->data == SCRY_TRAIN_DATA_DOCUMENTS) {
            scry__documents_row(&data->documents, number % data->trained, row.ids, row.targets, row.begins);
        } else {
            uint64_t places = (uint64_t)(data->trained - recipe->length);
            put_text(data, (int64_t)(scry__noise_bits(data->train, (uint64_t)number) % places), &row);
        }
    }
}

int64_t scry__data_evaluation_rows(const scry__data *data)
{
    int64_t held = data->count - data->trained;
    return data->recipe->data == SCRY_TRAIN_DATA_DOCUMENTS ? held : (held - 1) / data->recipe->length;
}

/* What is held out comes row by row, and from the start again where it is too short. */
void scry__data_evaluation(const scry__data *data, int64_t number, const scry__batch *batch, double *best)
{
    const scry_recipe *recipe = data->recipe;
    scry__batch        row    = *batch;
    double             sum    = 0;
    for (int64_t i = 0; i < recipe->batch; i++, advance(data, &row)) {
        int64_t which = number * recipe->batch + i;
        if (recipe->data == SCRY_TRAIN_DATA_COPY) {
            put_copy(data, data->evaluate, which, &row);
            sum += scry__copy_best(row.ids, recipe->length, recipe->vocabulary);
            continue;
        }
        which %= scry__data_evaluation_rows(data);
        if (recipe->data == SCRY_TRAIN_DATA_DOCUMENTS)
            scry__documents_row(&data->documents, data->trained + which, row.ids, row.targets, row.begins);
        else
            put_text(data, data->trained + which * recipe->length, &row);
    }
    *best = recipe->data == SCRY_TRAIN_DATA_COPY ? sum / recipe->batch : NAN;
}
