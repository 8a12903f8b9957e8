/* What html_attention.c keeps of attention patterns, for html_data.c to write. */
#ifndef SCRY_REPORT_HTML_ATTENTION_H
#define SCRY_REPORT_HTML_ATTENTION_H

#include "report/html.h"

/* Means over a head's rows; rows that have no such key are left out, as in docs/definitions.md. NaN: no row has. */
struct scry__head_scores {
    double previous; /* A[i, i-1], i >= 1 */
    double self;     /* A[i, i] */
    double first;    /* A[i, 0], i >= 1 */
    double entropy;  /* entropy of row i over ln(i + 1), i >= 1 */
};

struct scry__report_attention {
    int                       layer_count, head_count, token_count;
    int                       block;  /* positions on a side that one code stands for */
    int                       grid;   /* codes on a side: ceil(token_count / block) */
    int                       levels; /* 255 or 65,535: the code of weight 1 */
    size_t                    head_codes, layer_bytes;
    uint8_t                  *codes; /* [layer_count][head_count][grid * (grid + 1) / 2], 1 or 2 bytes each */
    bool                     *present;
    struct scry__head_scores *scores; /* [layer_count, head_count] */
};

/* The same means for a head that spreads evenly over all earlier positions: what no pattern at all would give. */
struct scry__head_scores scry__head_scores_null(int token_count);

#endif
