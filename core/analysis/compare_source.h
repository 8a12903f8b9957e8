/* Where a comparison's attention patterns come from: a model's forward pass, or a file. */
#ifndef SCRY_ANALYSIS_COMPARE_SOURCE_H
#define SCRY_ANALYSIS_COMPARE_SOURCE_H

#include "scry/compare.h"
#include "trace/attention_file.h"

typedef struct scry__pattern_source {
    const scry_compare_side *side;
    scry_tokens             *tokens; /* NULL: a file without them */
    scry__attention_file    *file;   /* NULL: a model */
    int                      layer_count, head_count, query_count, key_count;
} scry__pattern_source;

scry_status scry__pattern_source_open(scry__pattern_source *source, const scry_compare_side *side);
void        scry__pattern_source_close(scry__pattern_source *source);

/* The number of the source's index-th layer. */
int scry__pattern_source_layer(const scry__pattern_source *source, int index);

/* Takes one layer's pattern, [heads, queries, keys], valid during the call. */
typedef scry_status (*scry__pattern_sink)(void *user, int layer, const float *pattern);

/* Hands over the patterns of these layers (ascending numbers that the source has), cut to the first `queries` and
 * `keys`. */
scry_status scry__pattern_source_read(const scry__pattern_source *source, const int *layers, int count, int queries,
                                      int keys, scry__pattern_sink sink, void *user);

#endif
