/* Attention patterns from a file: scry's own .npz, a TransformerLens cache saved with numpy.savez (an array
 * `blocks.L.attn.hook_pattern` [H, Q, K] or [1, H, Q, K] for each layer), or one plain array [L, H, Q, K],
 * [L, 1, H, Q, K], [H, Q, K] or [Q, K] in an .npy or .npz. */
#ifndef SCRY_TRACE_ATTENTION_FILE_H
#define SCRY_TRACE_ATTENTION_FILE_H

#include "base/array_file.h"

/* A layer, and the array that holds it. */
typedef struct scry__attention_layer {
    int                layer;
    const scry__array *array;
} scry__attention_layer;

typedef struct scry__attention_file {
    scry__array_file      *arrays;
    int                    layer_count, head_count, query_count, key_count;
    scry__attention_layer *layers;      /* by number, ascending */
    float                 *stacked;     /* all layers, where one array holds them; else NULL */
    int                    token_count; /* of the prompt, where the file has it; else 0 */
    int32_t               *ids;         /* NULL: none */
    char                 **texts;       /* NULL: none */
} scry__attention_file;

/* Finds the patterns and checks their shapes; what holds none is SCRY_BAD_INPUT that says what is there. */
scry_status scry__attention_file_open(scry__attention_file **out, const char *path);
void        scry__attention_file_close(scry__attention_file **file);

/* Reads the pattern of layers[index] into `out`, [H, Q, K]. Weights outside [0, 1] and rows whose sum is above 1 are
 * SCRY_BAD_INPUT: scores, perhaps. NaN passes. */
scry_status scry__attention_file_read(const scry__attention_file *file, int index, float *out);

#endif
