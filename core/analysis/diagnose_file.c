/* A diagnosis of attention patterns alone, read from a file layer by layer: what their weights show of masks, NaN,
 * uniform and collapsed heads. See scry/diagnose.h. */
#include "analysis/diagnose.h"
#include "base/alloc.h"
#include "base/error.h"
#include "model/arch.h"
#include "trace/attention_file.h"

#include <math.h>
#include <string.h>

/* A row whose sum is below this lost weight behind the softmax; f16 rounds to three digits. */
#define LEAST_SUM 0.98

struct reading {
    scry__diagnosing      diagnosing;
    scry__attention_file *file;
    int                   offset;  /* of the first query among the keys */
    float                *weights; /* [H, Q, K] of a layer */
    float                *most;    /* [Q, K]: the largest weight of all heads and layers */
    int64_t               bad_rows, short_rows;
    scry_place            first_bad, first_short;
    double                least_sum;
};

/* One row's part of its head's measures. */
struct sums {
    double entropy, rows, single, saturated, choices;
};

static void take_row(struct reading *reading, const float *row, scry_place place, struct sums *sums)
{
    scry__watched *watched = &reading->diagnosing.watched;
    double         sum = 0, entropy = 0, largest = 0, ahead = 0;
    int            best = 0;
    for (int key = 0; key < watched->token_count; key++) {
        double weight = (double)row[key];
        sum += weight;
        ahead += key > place.query ? weight : 0;
        if (weight > 0) entropy -= weight * log(weight);
        if (weight > largest) best = key;
        largest = fmax(largest, weight);
    }
    if (isnan(sum) && !reading->bad_rows++) reading->first_bad = place;
    if (sum == 0) scry__watched_empty(watched, place, false);
    if (sum > 0 && sum < LEAST_SUM && !reading->short_rows++) reading->first_short = place;
    if (sum > 0) reading->least_sum = fmin(reading->least_sum, sum);
    watched->heads[place.layer * watched->head_count + place.head].future += ahead;
    if (place.query >= 1) {
        sums->entropy += entropy / log(place.query + 1.0);
        sums->rows++;
    }
    if (place.query < 2) return;
    sums->choices++;
    sums->single += largest > SCRY__SATURATED;
    sums->saturated += largest > SCRY__SATURATED && best > 0;
}

static void take_layer(struct reading *reading, int layer)
{
    scry__watched *watched = &reading->diagnosing.watched;
    int            queries = reading->file->query_count, keys = watched->token_count;
    for (int head = 0; head < watched->head_count; head++) {
        scry__watched_head *out  = &watched->heads[layer * watched->head_count + head];
        struct sums         sums = {0};
        for (int i = 0; i < queries; i++) {
            const float *row = reading->weights + ((int64_t)head * queries + i) * keys;
            take_row(reading, row, (scry_place){layer, head, reading->offset + i, -1}, &sums);
            for (int key = 0; key < keys; key++)
                if (row[key] > reading->most[(int64_t)i * keys + key])
                    reading->most[(int64_t)i * keys + key] = row[key];
        }
        out->entropy   = sums.rows > 0 ? sums.entropy / sums.rows : NAN;
        out->single    = sums.choices > 0 ? sums.single / sums.choices : NAN;
        out->saturated = sums.choices > 0 ? sums.saturated / sums.choices : NAN;
    }
}

/* Nobody sees what no head looks at: weights become scores, of which 0 gives -inf. */
static void count_sight(struct reading *reading)
{
    scry__watched *watched = &reading->diagnosing.watched;
    int            keys    = watched->token_count;
    for (int i = 0; i < reading->file->query_count; i++) {
        float *row   = reading->most + (int64_t)i * keys;
        int    query = reading->offset + i;
        for (int key = 0; key < keys; key++) row[key] = logf(row[key]);
        scry__watched_count(watched, row, query + 1, (scry_place){-1, -1, query, -1});
    }
}

static scry_status settle_finite(struct reading *reading)
{
    const scry_place at        = reading->first_bad;
    scry_finding     finding   = {.kind     = SCRY_DIAGNOSIS_NOT_FINITE,
                                  .severity = SCRY_SEVERITY_ERROR,
                                  .place    = at,
                                  .advice   = "A softmax over keys that are all masked by -inf gives NaN: look at padded "
                                                    "queries first, then at the size of the scores before it.",
                                  .evidence = {{"rows with NaN", (double)reading->bad_rows, 0}}};
    reading->diagnosing.finite = !reading->bad_rows;
    if (reading->bad_rows)
        return scry__diagnose_add(&reading->diagnosing, finding,
                                  "the weights of query %d in layer %d, head %d are NaN (%lld such rows)", at.query,
                                  at.layer, at.head, (long long)reading->bad_rows);
    return scry__diagnose_settle(&reading->diagnosing, SCRY_DIAGNOSIS_NOT_FINITE, SCRY_OUTCOME_CLEAR,
                                 "no weight is NaN");
}

static scry_status check_sums(struct reading *reading)
{
    const scry_place at      = reading->first_short;
    scry_finding     finding = {.kind     = SCRY_DIAGNOSIS_MASK,
                                .severity = SCRY_SEVERITY_ERROR,
                                .place    = at,
                                .advice = "Mask scores before the softmax, so that what is left sums to 1; for maps of "
                                              "training, switch dropout off.",
                                .evidence = {{"rows whose weights sum to less than 1", (double)reading->short_rows, 0},
                                             {"least sum of a row", reading->least_sum, LEAST_SUM}}};
    if (!reading->short_rows) return SCRY_OK;
    return scry__diagnose_add(
        &reading->diagnosing, finding,
        "the weights of query %d in layer %d, head %d sum to less than 1 (%lld such rows): something "
        "was masked or dropped after the softmax",
        at.query, at.layer, at.head, (long long)reading->short_rows);
}

static scry_status run_checks(struct reading *reading)
{
    scry__diagnosing *diagnosing = &reading->diagnosing;
    scry_status       status     = settle_finite(reading);
    if (!status) status = check_sums(reading);
    if (!status) status = scry__diagnose_rows(diagnosing);
    if (!status && diagnosing->finite) status = scry__diagnose_heads(diagnosing);
    if (status) return status;
    return scry__diagnose_settle_rest(diagnosing, diagnosing->finite
                                                      ? "attention alone does not show it: it takes the model"
                                                      : "weights are not finite");
}

/* The file's prompt, if it has one. */
static scry_status take_tokens(scry_diagnosis *result, scry__attention_file *file)
{
    int count = file->token_count;
    if (!file->texts) return SCRY_OK;
    result->tokens = scry__alloc(1, sizeof *result->tokens);
    if (!result->tokens) return SCRY_OUT_OF_MEMORY;
    result->tokens->ids   = scry__alloc((size_t)count, sizeof *result->tokens->ids);
    result->tokens->texts = scry__alloc((size_t)count, sizeof *result->tokens->texts);
    if (!result->tokens->ids || !result->tokens->texts) return SCRY_OUT_OF_MEMORY;
    memcpy(result->tokens->ids, file->ids, (size_t)count * sizeof *file->ids);
    result->tokens->count = count;
    for (int i = 0; i < count; i++) {
        result->tokens->texts[i] = scry__strdup(file->texts[i]);
        if (!result->tokens->texts[i]) return SCRY_OUT_OF_MEMORY;
    }
    return SCRY_OK;
}

/* Layers that the file leaves out have measures that are NaN, which no threshold is held to. */
static scry_status watch_layers(struct reading *reading, const char *path)
{
    const scry__attention_file *file    = reading->file;
    scry__watched              *watched = &reading->diagnosing.watched;
    int                         layers  = file->layers[file->layer_count - 1].layer + 1;
    if (layers > SCRY__MAX_LAYERS)
        return scry__fail(SCRY_BAD_INPUT, "%s: layer %d: expected at most %d", path, layers - 1, SCRY__MAX_LAYERS - 1);
    watched->from_file = true;
    scry_status status = scry__watched_create(watched, layers, file->head_count, file->key_count);
    watched->sampled   = file->query_count;
    for (int i = 0; !status && i < layers * file->head_count; i++)
        watched->heads[i] = (scry__watched_head){NAN, NAN, NAN, NAN, 0, 0, NAN, NAN, NAN, NAN};
    return status;
}

static scry_status open_file(struct reading *reading, const char *path)
{
    scry_status           status = scry__attention_file_open(&reading->file, path);
    scry__attention_file *file   = reading->file;
    if (status) return status;
    int tokens = file->token_count ? file->token_count : file->key_count;
    if (file->query_count > file->key_count || file->key_count != tokens ||
        (file->token_count && file->query_count != tokens))
        return scry__fail(SCRY_BAD_INPUT, "%s: patterns of %d queries and %d keys: expected whole ones, of %d tokens",
                          path, file->query_count, file->key_count, tokens);
    size_t pairs     = (size_t)file->query_count * (size_t)file->key_count;
    reading->offset  = file->key_count - file->query_count;
    reading->weights = scry__alloc((size_t)file->head_count, pairs * sizeof *reading->weights);
    reading->most    = scry__alloc(pairs, sizeof *reading->most);
    if (!reading->weights || !reading->most) return SCRY_OUT_OF_MEMORY;
    status = take_tokens(reading->diagnosing.result, file);
    return status ? status : watch_layers(reading, path);
}

scry_status scry_diagnose_attention(scry_diagnosis **out, const char *path)
{
    struct reading reading    = {.least_sum = INFINITY};
    *out                      = NULL;
    reading.diagnosing.result = scry__alloc(1, sizeof *reading.diagnosing.result);
    if (!reading.diagnosing.result) return SCRY_OUT_OF_MEMORY;
    scry_status status = open_file(&reading, path);
    for (int i = 0; !status && i < reading.file->layer_count; i++) {
        status = scry__attention_file_read(reading.file, i, reading.weights);
        if (!status) take_layer(&reading, reading.file->layers[i].layer);
    }
    if (!status) {
        count_sight(&reading);
        status = run_checks(&reading);
    }
    scry__watched_finish(&reading.diagnosing.watched);
    scry__attention_file_close(&reading.file);
    scry__free(reading.most);
    scry__free(reading.weights);
    if (status)
        scry_diagnosis_destroy(&reading.diagnosing.result);
    else
        *out = reading.diagnosing.result;
    return status;
}
