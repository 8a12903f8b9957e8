/* Scores of one head, and their nulls. See score.h. */
#include "analysis/score.h"

#include "analysis/received.h"

#include <math.h>

static const struct {
    const char *name, *about;
    bool        higher;
} kinds[] = {
#define KIND(id, name, about, higher, names) {name, about, higher},
    SCRY_HEAD_SCORE_LIST(KIND)
#undef KIND
};

const char *scry_head_score_name(scry_head_score_kind kind)
{
    return (unsigned)kind < SCRY_HEAD_SCORE_COUNT ? kinds[kind].name : "?";
}

const char *scry_head_score_about(scry_head_score_kind kind)
{
    return (unsigned)kind < SCRY_HEAD_SCORE_COUNT ? kinds[kind].about : "?";
}

bool scry_head_score_is_higher_more(scry_head_score_kind kind)
{
    return (unsigned)kind < SCRY_HEAD_SCORE_COUNT && kinds[kind].higher;
}

/* Keys that row i sees. */
static int visible(int row, int64_t window)
{
    return window > 0 && row >= window ? (int)window : row + 1;
}

int scry__sink_keys(int count)
{
    return count < SCRY__SINK_ROWS ? 0 : count - SCRY__SINK_ROWS + 1;
}

/* At a distance of half the tokens, half of the rows still have such a key. */
int scry__offset_end(int count, int64_t window)
{
    int end = count / 2 + 1;
    return window > 0 && end > window ? (int)window : end;
}

static double mean_from(const float *values, int begin, int end)
{
    double sum = 0;
    for (int i = begin; i < end; i++) sum += (double)values[i];
    return begin < end ? sum / (end - begin) : NAN;
}

/* Entropies over their maximum; rows with a single key have no choice and are left out. */
static double normalised_entropy(const scry__head_rows *rows)
{
    double sum  = 0;
    int    used = 0;
    for (int i = 1; i < rows->count; i++) {
        int keys = visible(i, rows->window);
        if (keys < 2) continue;
        sum += (double)rows->entropy[i] / log(keys);
        used++;
    }
    return used ? sum / used : NAN;
}

enum { SPARSE_BEGIN = 2 }; /* rows 0 and 1 are sparse too easily */
static const float sparse_above = 0.95F;

static double sparse_share(const scry__head_rows *rows)
{
    int count = 0;
    for (int i = SPARSE_BEGIN; i < rows->count; i++) {
        if (isnan(rows->max[i])) return NAN;
        count += rows->max[i] > sparse_above;
    }
    return rows->count > SPARSE_BEGIN ? (double)count / (rows->count - SPARSE_BEGIN) : NAN;
}

/* Keeps the larger, the earlier one where they are equal; NaN is kept at once and for good. */
static void keep_largest(scry__score *best, double value, int at)
{
    if (best->at >= 0 && (isnan(best->value) || value <= best->value)) return;
    *best = (scry__score){value, at};
}

static scry__score best_offset(const scry__head_rows *rows)
{
    scry__score best = {NAN, -1};
    for (int n = 2; n < scry__offset_end(rows->count, rows->window); n++)
        keep_largest(&best, (double)rows->distance[n] / (rows->count - n), n);
    return best;
}

/* The key with the most mass above its null. (By the ratio alone, the last keys would win: each token's attention to
 * itself is far above what so few rows give.) */
static scry__score best_sink(const scry__head_rows *rows, const double *received_null)
{
    scry__score best = {NAN, -1};
    for (int key = 0; key < scry__sink_keys(rows->count); key++)
        keep_largest(&best, (double)rows->received[key] - received_null[key], key);
    if (best.at >= 0) best.value = (double)rows->received[best.at] / received_null[best.at];
    return best;
}

static double mean_distance(const scry__head_rows *rows)
{
    double sum = 0, mass = 0;
    for (int n = 0; n < rows->count; n++) {
        sum += n * (double)rows->distance[n];
        mass += (double)rows->distance[n];
    }
    return sum / mass;
}

void scry__scores_of_rows(scry__score scores[SCRY_HEAD_SCORE_COUNT], const scry__head_rows *rows,
                          const double *received_null)
{
    int count                  = rows->count;
    scores[SCRY_HEAD_PREVIOUS] = (scry__score){mean_from(rows->previous, 1, count), -1};
    scores[SCRY_HEAD_SELF]     = (scry__score){mean_from(rows->self, 0, count), -1};
    /* Under a window, rows that no longer see the first token are left out. */
    scores[SCRY_HEAD_FIRST] = (scry__score){mean_from(rows->first, 1, scry__received_rows(count, rows->window, 0)), -1};
    scores[SCRY_HEAD_OFFSET]    = best_offset(rows);
    scores[SCRY_HEAD_INDUCTION] = (scry__score){NAN, -1};
    scores[SCRY_HEAD_DUPLICATE] = (scry__score){NAN, -1};
    scores[SCRY_HEAD_SINK]      = best_sink(rows, received_null);
    scores[SCRY_HEAD_UNIFORM]   = (scry__score){normalised_entropy(rows), -1};
    scores[SCRY_HEAD_SPARSE]    = (scry__score){sparse_share(rows), -1};
    scores[SCRY_HEAD_MAX]       = (scry__score){mean_from(rows->max, 1, count), -1};
    scores[SCRY_HEAD_DISTANCE]  = (scry__score){mean_distance(rows), -1};
}

double scry__uniform_mean(int begin, int end, int64_t window)
{
    double sum = 0;
    for (int i = begin; i < end; i++) sum += 1.0 / visible(i, window);
    return begin < end ? sum / (end - begin) : NAN;
}

void scry__scores_uniform(scry__score scores[SCRY_HEAD_SCORE_COUNT], int count, int64_t window)
{
    bool   has_offset = scry__offset_end(count, window) > 2;
    double distance   = 0;
    for (int i = 0; i < count; i++) distance += (visible(i, window) - 1) / 2.0;
    for (int kind = 0; kind < SCRY_HEAD_SCORE_COUNT; kind++) scores[kind] = (scry__score){NAN, -1};
    scores[SCRY_HEAD_PREVIOUS].value = scry__uniform_mean(1, count, window);
    scores[SCRY_HEAD_SELF].value     = scry__uniform_mean(0, count, window);
    scores[SCRY_HEAD_FIRST].value    = scry__uniform_mean(1, scry__received_rows(count, window, 0), window);
    /* The shortest distance has the most, for its rows begin earliest. */
    if (has_offset) scores[SCRY_HEAD_OFFSET] = (scry__score){scry__uniform_mean(2, count, window), 2};
    if (scry__sink_keys(count)) scores[SCRY_HEAD_SINK] = (scry__score){1, 0};
    if (count > 1) scores[SCRY_HEAD_UNIFORM].value = 1;
    if (count > SPARSE_BEGIN) scores[SCRY_HEAD_SPARSE].value = 0;
    scores[SCRY_HEAD_MAX].value      = scores[SCRY_HEAD_PREVIOUS].value;
    scores[SCRY_HEAD_DISTANCE].value = distance / count;
}

void scry__score_extent(double *rows, double *ceiling, scry_head_score_kind kind, int at, int count, int64_t window)
{
    *ceiling = 1;
    switch (kind) {
    case SCRY_HEAD_SELF:
        *rows = count;
        break;
    case SCRY_HEAD_FIRST:
        *rows = scry__received_rows(count, window, 0) - 1;
        break;
    case SCRY_HEAD_OFFSET:
        *rows = count - at;
        break;
    case SCRY_HEAD_SINK:
        *rows    = scry__received_rows(count, window, at);
        *ceiling = 1 / scry__uniform_mean(at, at + (int)*rows, window);
        break;
    case SCRY_HEAD_SPARSE:
        *rows = count - SPARSE_BEGIN;
        break;
    default:
        *rows = count - 1;
    }
}
