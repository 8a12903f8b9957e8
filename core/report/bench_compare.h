/* Two records of benchmarks side by side: which rows moved beyond the noise. */
#ifndef SCRY_REPORT_BENCH_COMPARE_H
#define SCRY_REPORT_BENCH_COMPARE_H

#include "report/bench_record.h"

/* Medians that differ by less than this share of the smaller never count as moved: one process differs from the next
 * by more than the samples of one show. */
#define SCRY__BENCH_NOISE 0.03

typedef enum scry__bench_move {
    SCRY__BENCH_SAME,
    SCRY__BENCH_FASTER, /* than in the old record */
    SCRY__BENCH_SLOWER,
    SCRY__BENCH_APART, /* one side did not measure it, or does not have it */
} scry__bench_move;

/* One row of either record. `before` or `after` is NULL where that record does not have it. */
typedef struct scry__bench_change {
    const scry__bench_row *before, *after;
    scry__bench_move       move;
    double                 ratio; /* old time / new time: above 1 is faster now; 0 where apart */
    double                 noise; /* the combined spread of both sides, as a share of the smaller median */
} scry__bench_change;

typedef struct scry__bench_comparison {
    const scry__bench_record *before, *after;
    int                       count, faster, slower, apart;
    scry__bench_change       *changes; /* in the new record's order, then what only the old one has */
} scry__bench_comparison;

/* Rows are the same where device and name are. A row moved where the medians differ by more than the combined spread
 * (the root of the sum of squares of both 10-90 % ranges) and by more than SCRY__BENCH_NOISE. Both records must outlive
 * the comparison. */
scry_status scry__bench_compare(scry__bench_comparison **out, const scry__bench_record *before,
                                const scry__bench_record *after);
void        scry__bench_comparison_destroy(scry__bench_comparison **comparison);

const char *scry__bench_move_text(scry__bench_move move);

/* {"before": {...}, "after": {...}, "rows": [...]} for the JSON result. */
json_t *scry__bench_comparison_json(scry__json_builder *builder, const scry__bench_comparison *comparison);

#endif
