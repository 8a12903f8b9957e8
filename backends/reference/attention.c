/* attention: out = softmax(cap(scale q k^T) + mask) v and its captures, one query row of one head at a time. */
#include "reference.h"

/* Where one row's work is kept: scores and probabilities [K], and the sums over rows of one head, by key [K] and by
 * distance [N]. */
struct workspace {
    double     *scores, *probabilities;
    struct sum *received, *distance;
};

static int64_t distance_count(const scry_attention *op)
{
    return present(&op->capture.distance) ? op->capture.distance.shape[2] : 0;
}

size_t scry__reference_attention_scratch(const scry_attention *op)
{
    size_t keys = (size_t)op->k.shape[1], distances = (size_t)distance_count(op);
    return 4 * keys + 2 * distances;
}

static struct workspace workspace_of(const scry_attention *op, double *scratch)
{
    int64_t          keys = op->k.shape[1];
    struct workspace work = {.scores = scratch, .probabilities = scratch + keys};
    work.received         = (struct sum *)(scratch + 2 * keys);
    work.distance         = work.received + keys;
    return work;
}

double scry__reference_score(const scry_tensor *q, const scry_tensor *k, double scale, int64_t b, int64_t h, int64_t i,
                             int64_t j)
{
    int64_t    group = h / (q->shape[2] / k->shape[2]);
    struct sum dot   = {0};
    for (int64_t d = 0; d < q->shape[3]; d++)
        sum_add(&dot, load(q, at4(q, b, i, h, d)) * load(k, at4(k, b, j, group, d)));
    return scale * sum_value(&dot);
}

static void fill_scores(const scry_attention *op, int64_t b, int64_t h, int64_t i, double *scores)
{
    for (int64_t j = 0; j < op->k.shape[1]; j++) {
        scores[j] = -INFINITY;
        if (!scry__reference_visible(&op->mask, b, i, j)) continue;
        double score = scry__reference_score(&op->q, &op->k, op->scale, b, h, i, j);
        if (op->softcap > 0) score = op->softcap * tanh(score / op->softcap);
        scores[j] = scry__reference_masked(&op->mask, b, h, i, j, score);
    }
}

/* out row = sum of probability times value over the keys that are seen. */
static void mix_values(const scry_attention *op, const struct softmax_row *row, int64_t b, int64_t h, int64_t i)
{
    int64_t group = h / (op->q.shape[2] / op->k.shape[2]);
    for (int64_t d = 0; d < op->v.shape[3]; d++) {
        struct sum mixed = {0};
        for (int64_t j = 0; j < row->count; j++)
            if (row->scores[j] != -INFINITY)
                sum_add(&mixed, row->probabilities[j] * load(&op->v, at4(&op->v, b, j, group, d)));
        store(&op->out, at4(&op->out, b, i, h, d), sum_value(&mixed));
    }
}

static bool any_selected(const scry_attention_capture *capture)
{
    uint64_t any = 0;
    for (int word = 0; word < SCRY_MAX_HEADS / 64; word++) any |= capture->heads[word];
    return any != 0;
}

/* The slot of head h among the selected ones, or -1. */
static int64_t slot_of(const scry_attention_capture *capture, int64_t h)
{
    if (!any_selected(capture)) return h;
    int64_t slot = 0;
    for (int64_t other = 0; other < h; other++) slot += capture->heads[other / 64] >> other % 64 & 1;
    return capture->heads[h / 64] >> h % 64 & 1 ? slot : -1;
}

/* The part of the row that lies in a captured tile. */
static void capture_tile(const scry_attention_capture *capture, const scry_tensor *tile, const double *values,
                         int64_t b, int64_t h, int64_t i)
{
    int64_t slot = slot_of(capture, h), row = i - capture->query_begin;
    if (!present(tile) || slot < 0 || row < 0 || row >= tile->shape[2]) return;
    for (int64_t j = 0; j < tile->shape[3]; j++)
        store(tile, at4(tile, b, slot, row, j), values[capture->key_begin + j]);
}

/* Whether key `a` comes before key `b`: by their probabilities as they are stored. */
static bool precedes(const struct softmax_row *row, int64_t a, int64_t b)
{
    float more = (float)row->probabilities[a], less = (float)row->probabilities[b];
    return more > less || (more == less && a < b);
}

/* The keys of the largest scores, which differ also where probabilities do not; among themselves in the order of these.
 */
static void capture_top(const scry_attention_capture *capture, const struct softmax_row *row, int64_t b, int64_t h,
                        int64_t i)
{
    const scry_tensor *probability = &capture->top_probability, *key = &capture->top_key;
    int64_t            count = present(key) ? key->shape[3] : present(probability) ? probability->shape[3] : 0;
    int64_t            keys[SCRY_MAX_TOP], next = row->best;
    for (int64_t t = 0; t < count; t++) {
        int64_t place = t;
        for (; next >= 0 && place > 0 && precedes(row, next, keys[place - 1]); place--) keys[place] = keys[place - 1];
        keys[place] = next;
        if (next >= 0) next = scry__reference_next_largest(row->scores, row->count, next);
    }
    for (int64_t t = 0; t < count; t++) {
        if (present(key)) store(key, at4(key, b, h, i, t), (double)keys[t]);
        if (present(probability))
            store(probability, at4(probability, b, h, i, t), keys[t] < 0 ? 0 : row->probabilities[keys[t]]);
    }
}

static void add_to_sums(const scry_attention *op, const struct softmax_row *row, struct workspace *work, int64_t i)
{
    int64_t position = op->mask.query_offset + i, farthest = distance_count(op);
    for (int64_t j = 0; j < row->count; j++) {
        sum_add(&work->received[j], row->probabilities[j]);
        if (j <= position && position - j < farthest) sum_add(&work->distance[position - j], row->probabilities[j]);
    }
}

static void store_sums(const scry_tensor *x, const struct sum *sums, int64_t b, int64_t h)
{
    if (!present(x)) return;
    for (int64_t n = 0; n < x->shape[2]; n++) store(x, at3(x, b, h, n), sum_value(&sums[n]));
}

static void run_head(const scry_attention *op, struct workspace *work, int64_t b, int64_t h)
{
    const scry_attention_capture *capture = &op->capture;
    int64_t                       keys    = op->k.shape[1];
    for (int64_t j = 0; j < keys; j++) work->received[j] = (struct sum){0};
    for (int64_t n = 0; n < distance_count(op); n++) work->distance[n] = (struct sum){0};
    for (int64_t i = 0; i < op->q.shape[1]; i++) {
        struct softmax_row row = {.scores = work->scores, .probabilities = work->probabilities, .count = keys};
        fill_scores(op, b, h, i, work->scores);
        scry__reference_softmax(&row);
        mix_values(op, &row, b, h, i);
        capture_tile(capture, &capture->probabilities, row.probabilities, b, h, i);
        capture_tile(capture, &capture->scores, row.scores, b, h, i);
        scry__reference_row_statistics(&capture->rows, &op->mask, &row, b, h, i);
        capture_top(capture, &row, b, h, i);
        add_to_sums(op, &row, work, i);
    }
    store_sums(&capture->received, work->received, b, h);
    store_sums(&capture->distance, work->distance, b, h);
}

void scry__reference_attention(const scry_attention *op, double *scratch)
{
    struct workspace work = workspace_of(op, scratch);
    for (int64_t b = 0; b < op->q.shape[0]; b++)
        for (int64_t h = 0; h < op->q.shape[2]; h++) run_head(op, &work, b, h);
}
