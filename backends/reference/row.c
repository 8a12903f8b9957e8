/* Which keys a query sees; the softmax of one row of scores; its statistics. Shared by softmax_capture and attention,
 * as they share the definitions. */
#include "reference.h"

bool scry__reference_visible(const scry_mask *mask, int64_t batch, int64_t query, int64_t key)
{
    int64_t position = mask->query_offset + query;
    if (present(&mask->key_begin) && key < load(&mask->key_begin, at1(&mask->key_begin, batch))) return false;
    if (present(&mask->key_end) && key >= load(&mask->key_end, at1(&mask->key_end, batch))) return false;
    if (key < mask->prefix) return true;
    if (mask->causal && key > position) return false;
    if (mask->window > 0 && position - key >= mask->window) return false;
    return true;
}

double scry__reference_masked(const scry_mask *mask, int64_t batch, int64_t head, int64_t query, int64_t key,
                              double score)
{
    if (!present(&mask->additive)) return score;
    double additive = load(&mask->additive, at4(&mask->additive, batch, head, query, key));
    return additive == -INFINITY ? -INFINITY : score + additive;
}

void scry__reference_softmax(struct softmax_row *row)
{
    const double *scores = row->scores;
    row->best            = scry__reference_next_largest(scores, row->count, -1);

    /* Relative to the largest score, so that exp neither overflows nor loses the row. NaN reaches the total. */
    double     largest = row->best < 0 ? 0 : scores[row->best];
    bool       empty   = true;
    struct sum total   = {0};
    for (int64_t j = 0; j < row->count; j++) {
        bool visible          = scores[j] != -INFINITY;
        row->probabilities[j] = visible ? exp(scores[j] - largest) : 0;
        empty                 = empty && !visible;
        sum_add(&total, row->probabilities[j]);
    }
    double log_total = log(sum_value(&total));
    row->lse         = empty ? -INFINITY : largest + log_total;
    row->entropy     = 0;
    if (empty) return;

    /* -ln p is the log of the total plus the distance from the largest score: lse - score would lose the log where
     * scores are large. */
    struct sum entropy = {0};
    for (int64_t j = 0; j < row->count; j++) {
        if (scores[j] == -INFINITY) continue;
        row->probabilities[j] /= sum_value(&total);
        if (row->probabilities[j] != 0) sum_add(&entropy, row->probabilities[j] * (log_total + (largest - scores[j])));
    }
    row->entropy = sum_value(&entropy);
}

/* The probability of a key that may lie outside the row. */
static double mass_of(const struct softmax_row *row, int64_t key)
{
    return key >= 0 && key < row->count ? row->probabilities[key] : 0;
}

static void put(const scry_tensor *x, int64_t batch, int64_t head, int64_t query, double value)
{
    if (present(x)) store(x, at3(x, batch, head, query), value);
}

void scry__reference_row_statistics(const scry_row_statistics *statistics, const scry_mask *mask,
                                    const struct softmax_row *row, int64_t batch, int64_t head, int64_t query)
{
    int64_t position = mask->query_offset + query;
    int64_t first    = present(&mask->key_begin) ? (int64_t)load(&mask->key_begin, at1(&mask->key_begin, batch)) : 0;
    if (first < 0) first = 0; /* nothing is padding: the first is key 0 */
    /* Without a best key the row is empty or nothing but NaN. */
    double largest = row->best >= 0 ? row->probabilities[row->best] : row->lse == -INFINITY ? 0 : (double)NAN;
    put(&statistics->lse, batch, head, query, row->lse);
    put(&statistics->entropy, batch, head, query, row->entropy);
    put(&statistics->max, batch, head, query, largest);
    put(&statistics->argmax, batch, head, query, (double)row->best);
    put(&statistics->previous, batch, head, query, mass_of(row, position - 1));
    put(&statistics->self, batch, head, query, mass_of(row, position));
    put(&statistics->first, batch, head, query, mass_of(row, first));
    put(&statistics->key_mass, batch, head, query, mass_of(row, statistics->key));
}

int64_t scry__reference_next_largest(const double *values, int64_t count, int64_t previous)
{
    int64_t best = -1;
    for (int64_t i = 0; i < count; i++) {
        if (!(values[i] > -INFINITY)) continue;
        bool used = previous >= 0 && (values[i] > values[previous] || (values[i] == values[previous] && i <= previous));
        if (!used && (best < 0 || values[i] > values[best])) best = i;
    }
    return best;
}
