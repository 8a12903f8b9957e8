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

/* The end of the text is held out. Both parts have to hold a row, and the token behind it. */
static scry_status split_text(scry__data *data, const char *name)
{
    const scry_recipe *recipe = data->recipe;
    scry__sha256       hash;
    data->trained = data->count - (int64_t)((double)data->count * recipe->held_out);
    bool trains   = recipe->held_out < 1;
    if ((trains && data->trained <= recipe->length) || data->count - data->trained <= recipe->length)
        return scry__fail(SCRY_BAD_INPUT,
                          "%s: %lld tokens, of which %lld are held out: expected more than a row's %d in each part",
                          name, (long long)data->count, (long long)(data->count - data->trained), recipe->length);
    scry__sha256_begin(&hash);
    scry__sha256_add(&hash, data->ids, (size_t)data->count * sizeof *data->ids);
    scry__sha256_end(&hash, data->digest);
    return SCRY_OK;
}

static scry_status open_text(scry__data *data, scry_recipe *recipe)
{
    scry_tokenizer *tokenizer = NULL;
    int             count     = 0;
    scry_status     status    = scry_tokenizer_open(&tokenizer, recipe->tokenizer);
    if (!status) status = scry__recipe_complete(recipe, scry_tokenizer_vocabulary(tokenizer));
    if (!status) status = scry__data_read(&data->ids, &count, tokenizer, recipe->text);
    data->count = count;
    if (!status) status = split_text(data, recipe->text);
    scry_tokenizer_destroy(&tokenizer);
    return status;
}

/* `length` tokens from `at` on, and those behind each. */
static void put_text(const scry__data *data, int64_t at, int32_t *ids, int32_t *targets)
{
    size_t bytes = (size_t)data->recipe->length * sizeof *ids;
    memcpy(ids, data->ids + at, bytes);
    memcpy(targets, data->ids + at + 1, bytes);
}

/* --- copying --- */

static scry_status open_copy(scry__data *data, scry_recipe *recipe)
{
    scry_status status = scry__recipe_complete(recipe, 0);
    if (status) return status;
    double *losses = scry__alloc((size_t)recipe->length, sizeof *losses);
    if (!losses) return SCRY_OUT_OF_MEMORY;
    data->bound = scry__copy_bound(losses, recipe->length, recipe->vocabulary);
    scry__free(losses);
    return SCRY_OK;
}

static void put_copy(const scry__data *data, uint64_t stream, int64_t number, int32_t *ids, int32_t *targets)
{
    int length = data->recipe->length;
    scry__copy_row(ids, length, data->recipe->vocabulary, stream, (uint64_t)number);
    memcpy(targets, ids + 1, (size_t)(length - 1) * sizeof *ids);
    targets[length - 1] = -1;
}

/* --- either --- */

static scry__data empty(const scry_recipe *recipe)
{
    return (scry__data){.recipe   = recipe,
                        .bound    = NAN,
                        .train    = scry__noise_stream(recipe->seed, "train"),
                        .evaluate = scry__noise_stream(recipe->seed, "evaluate")};
}

scry_status scry__data_open(scry__data *data, scry_recipe *recipe)
{
    bool copy          = recipe->data == SCRY_TRAIN_DATA_COPY;
    *data              = empty(recipe);
    bool        ready  = copy || (recipe->text && recipe->tokenizer);
    scry_status status = !ready ? scry__recipe_complete(recipe, 0) /* which says what is missing */
                         : copy ? open_copy(data, recipe)
                                : open_text(data, recipe);
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
    *data = (scry__data){0};
}

void scry__data_batch(const scry__data *data, int64_t step, int32_t *ids, int32_t *targets)
{
    const scry_recipe *recipe = data->recipe;
    for (int64_t row = 0; row < recipe->batch; row++, ids += recipe->length, targets += recipe->length) {
        int64_t number = (step - 1) * recipe->batch + row;
        if (recipe->data == SCRY_TRAIN_DATA_COPY) {
            put_copy(data, data->train, number, ids, targets);
        } else {
            uint64_t places = (uint64_t)(data->trained - recipe->length);
            put_text(data, (int64_t)(scry__noise_bits(data->train, (uint64_t)number) % places), ids, targets);
        }
    }
}

int64_t scry__data_evaluation_rows(const scry__data *data)
{
    return (data->count - data->trained - 1) / data->recipe->length;
}

void scry__data_evaluation(const scry__data *data, int64_t number, int32_t *ids, int32_t *targets, double *best)
{
    const scry_recipe *recipe = data->recipe;
    bool               copy   = recipe->data == SCRY_TRAIN_DATA_COPY;
    double             sum    = 0;
    for (int64_t row = 0; row < recipe->batch; row++, ids += recipe->length, targets += recipe->length) {
        int64_t which = number * recipe->batch + row;
        if (copy) {
            put_copy(data, data->evaluate, which, ids, targets);
            sum += scry__copy_best(ids, recipe->length, recipe->vocabulary);
        } else { /* one behind the other, and from the start again where the part is too short */
            put_text(data, data->trained + which % scry__data_evaluation_rows(data) * recipe->length, ids, targets);
        }
    }
    *best = copy ? sum / recipe->batch : NAN;
}
