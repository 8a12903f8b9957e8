/* Attention patterns compared. See compare_attention.h.
 *
 * One side's patterns are kept for as many layers as the options' memory holds, then the other side's are compared as
 * they come; where not all layers fit, models run again for the next ones. */
#include "analysis/compare_attention.h"

#include "analysis/progress.h"
#include "base/alloc.h"

#include <math.h>
#include <string.h>

static const uint64_t usual_memory = (uint64_t)1 << 30;

/* Layers under way: group[0 .. group_count) of compare->layers, from `first` on. */
struct comparison {
    scry_compare               *compare;
    const scry_compare_options *options;
    int                         place_capacity, first, group_count;
    size_t                      layer_size; /* weights of one layer */
    float                      *kept;       /* [group_count, layer_size]: side a */
    double                     *positions;  /* [queries]: sums over heads */
    scry__progress              progress;
};

/* x ln(x / mean of x and y); 0 where x is. */
static double half_divergence(double x, double y)
{
    return x > 0 ? x * log(2 * x / (x + y)) : x;
}

double scry__row_divergence(const float *a, const float *b, int count)
{
    double sum = 0;
    for (int key = 0; key < count; key++)
        if (a[key] != b[key]) sum += half_divergence(a[key], b[key]) + half_divergence(b[key], a[key]);
    return sum / 2;
}

/* Keeps the place where it is among the largest; earlier ones come first among equals. */
static void note_place(struct comparison *comparison, scry_compare_place place)
{
    scry_compare *compare = comparison->compare;
    float         size    = fabsf(place.b - place.a);
    int           at      = compare->place_count;
    while (at > 0 && fabsf(compare->places[at - 1].b - compare->places[at - 1].a) < size) at--;
    if (at == comparison->place_capacity) return;
    if (compare->place_count < comparison->place_capacity) compare->place_count++;
    memmove(&compare->places[at + 1], &compare->places[at],
            (size_t)(compare->place_count - 1 - at) * sizeof *compare->places);
    compare->places[at] = place;
}

/* What a new place has to exceed. */
static float place_limit(const struct comparison *comparison)
{
    const scry_compare *compare = comparison->compare;
    if (compare->place_count < comparison->place_capacity) return 0;
    const scry_compare_place *last = &compare->places[compare->place_count - 1];
    return fabsf(last->b - last->a);
}

static void compare_head(struct comparison *comparison, scry_compare_head *head, const float *a, const float *b)
{
    int     queries = comparison->compare->query_count, keys = comparison->compare->key_count;
    double  sum = 0, divergence = 0;
    int64_t cells = 0;
    for (int query = 0; query < queries; query++, a += keys, b += keys) {
        for (int key = 0; key < keys; key++) {
            float size = fabsf(b[key] - a[key]);
            sum += (double)size;
            cells += a[key] != 0 || b[key] != 0;
            if (size > head->largest) {
                head->largest = size;
                head->query   = query;
                head->key     = key;
            }
            if (size > place_limit(comparison))
                note_place(comparison, (scry_compare_place){head->layer, head->head, query, key, a[key], b[key]});
        }
        double row = scry__row_divergence(a, b, keys);
        divergence += row;
        comparison->positions[query] += row;
    }
    if (isnan(sum)) head->largest = NAN;
    head->mean  = cells ? (float)(sum / (double)cells) : 0;
    head->moved = (float)(sum / 2 / queries);
    head->js    = (float)(divergence / queries);
}

static int place_in_group(const struct comparison *comparison, int layer)
{
    int index = comparison->first;
    while (comparison->compare->layers[index] != layer) index++;
    return index - comparison->first;
}

static scry_status keep_layer(void *user, int layer, const float *pattern)
{
    struct comparison *comparison = user;
    float             *to = comparison->kept + (size_t)place_in_group(comparison, layer) * comparison->layer_size;
    memcpy(to, pattern, comparison->layer_size * sizeof *to);
    return scry__progress_step(&comparison->progress);
}

static scry_status compare_layer(void *user, int layer, const float *pattern)
{
    struct comparison *comparison = user;
    scry_compare      *compare    = comparison->compare;
    int                index      = place_in_group(comparison, layer);
    const float       *kept       = comparison->kept + (size_t)index * comparison->layer_size;
    size_t             head_size  = (size_t)compare->query_count * (size_t)compare->key_count;
    for (int head = 0; head < compare->head_count; head++) {
        scry_compare_head *result = &compare->heads[(comparison->first + index) * compare->head_count + head];
        *result                   = (scry_compare_head){.layer = layer, .head = head};
        compare_head(comparison, result, kept + (size_t)head * head_size, pattern + (size_t)head * head_size);
    }
    const scry_compare_options *options = comparison->options;
    scry_status status = options->sink ? options->sink(options->sink_user, compare, layer, kept, pattern) : SCRY_OK;
    return status ? status : scry__progress_step(&comparison->progress);
}

scry_status scry__compare_attention(scry_compare *compare, const scry__pattern_source sources[2],
                                    const scry_compare_options *options)
{
    int               queries = compare->query_count, keys = compare->key_count;
    uint64_t          memory     = options->most_memory ? options->most_memory : usual_memory;
    struct comparison comparison = {
        .compare        = compare,
        .options        = options,
        .place_capacity = options->places ? options->places : 20,
        .progress       = {options->progress, options->progress_user, 0, 2 * compare->layer_count},
        .layer_size     = (size_t)compare->head_count * (size_t)queries * (size_t)keys};
    uint64_t    fitting = memory / (comparison.layer_size * sizeof *comparison.kept);
    int         most    = fitting < (uint64_t)compare->layer_count ? (int)fitting : compare->layer_count;
    scry_status status  = SCRY_OK;
    if (most < 1) most = 1;
    compare->heads  = scry__alloc((size_t)compare->layer_count * (size_t)compare->head_count, sizeof *compare->heads);
    compare->places = scry__alloc((size_t)comparison.place_capacity, sizeof *compare->places);
    comparison.kept = scry__alloc((size_t)most, comparison.layer_size * sizeof *comparison.kept);
    compare->positions   = scry__alloc((size_t)queries, sizeof *compare->positions);
    comparison.positions = scry__alloc((size_t)queries, sizeof *comparison.positions);
    if (!compare->heads || !compare->places || !compare->positions || !comparison.kept || !comparison.positions)
        status = SCRY_OUT_OF_MEMORY;
    for (; comparison.first < compare->layer_count && !status; comparison.first += comparison.group_count) {
        const int *group       = compare->layers + comparison.first;
        int        left        = compare->layer_count - comparison.first;
        comparison.group_count = left < most ? left : most;
        status = scry__pattern_source_read(&sources[0], group, comparison.group_count, queries, keys, keep_layer,
                                           &comparison);
        if (!status)
            status = scry__pattern_source_read(&sources[1], group, comparison.group_count, queries, keys, compare_layer,
                                               &comparison);
    }
    for (int query = 0; query < queries && !status; query++)
        compare->positions[query] = (float)(comparison.positions[query] / compare->layer_count / compare->head_count);
    scry__free(comparison.positions);
    scry__free(comparison.kept);
    return status;
}
