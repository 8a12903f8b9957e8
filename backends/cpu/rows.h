/* Rows of scores on their way to probabilities: masks, statistics and largest keys. Shared by softmax_capture and
 * attention, as they share the definitions.
 *
 * A row is held as scores of the keys [begin, begin + width); keys outside are masked. Its buffer has room for whole
 * vectors. */
#ifndef SCRY_CPU_ROWS_H
#define SCRY_CPU_ROWS_H

#include "cpu.h"

/* The keys that a query may see: up to two stretches, in ascending order, without overlap; an empty one has
 * begin == end. */
struct scry__cpu_view {
    int64_t begin[2], end[2];
};

struct scry__cpu_view scry__cpu_view_of(const scry_mask *mask, int64_t batch, int64_t query, int64_t keys);

/* First key of a view, and the one past its last; both 0 where it is empty. */
int64_t scry__cpu_view_first(const struct scry__cpu_view *view);
int64_t scry__cpu_view_last(const struct scry__cpu_view *view);

struct scry__cpu_scores {
    int64_t               batch, head, query;
    struct scry__cpu_view view;
    float                *values; /* times scale: scores; then exponentials */
    float                 scale;  /* > 0 */
    int64_t               begin;  /* key of values[0] */
    int64_t               width;  /* a multiple of `lanes`; covers the view */
};

/* Masked scores become -inf, the mask's additive part is added. */
void scry__cpu_scores_mask(const scry_mask *mask, struct scry__cpu_scores *row);

/* The `count` largest scores above -inf, as indices into values, ties to the lower; -1 where they run out. */
void scry__cpu_scores_top(const struct scry__cpu *cpu, const struct scry__cpu_scores *row, int64_t count,
                          int64_t *indices);

/* Scores become exponentials, and the wanted statistics are stored. Returns what makes probabilities of them: 1 / sum,
 * 0 for a row without any key. */
float scry__cpu_scores_softmax(const struct scry__cpu *cpu, const scry_mask *mask,
                               const scry_row_statistics *statistics, struct scry__cpu_scores *row);

/* Stores keys [key, key + count) of a row of values, `outside` for those that it does not hold, each times factor. */
void scry__cpu_scores_store(const struct scry__cpu *cpu, const struct scry__cpu_scores *row, const scry_tensor *out,
                            int64_t index, int64_t stride, int64_t key, int64_t count, float factor, float outside);

#endif
