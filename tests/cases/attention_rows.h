/* The rows of attention's cases, as attention.c builds them. */
#ifndef TESTS_CASES_ATTENTION_ROWS_H
#define TESTS_CASES_ATTENTION_ROWS_H

#include "cases/attention_data.h"
#include "cases/masks.h"

/* What is captured besides the output. */
enum { TILE = 1, SCORES = 2, ROWS = 4, RECEIVED = 8, DISTANCE = 16, TOP = 32, ALL = 63, LSE = 64 };

struct scry__attention_row {
    const char          *name;
    int64_t              size[7]; /* B, Q, K, H, G, D, Dv (0: as D) */
    scry__mask_row       mask;
    int                  capture;
    scry__attention_data data;
    float                scale, softcap; /* scale 0: 1 / sqrt(D) */
    int64_t              tile[4];        /* query_begin, queries, key_begin, keys; all 0: everything */
    uint64_t             heads[2];       /* selected heads, first words */
    int64_t              top, distances, key;
    unsigned             layout;
    scry_precision       precision;
    scry__tier           tier;
    bool                 benchmark;
};

extern const struct scry__attention_row scry__attention_rows[];

/* Of the row of that index (attention.c). */
scry__case scry__attention_describe(int row);
void       scry__attention_build(scry__plan *plan, int row);

#endif
