/* Queries and keys for the report, as attention reads them: after norms and rotation.
 *
 * A trace's captures are taken as they come, layer by layer. All heads are kept where they fit into a few MB; of more,
 * each layer keeps those that look hardest from the last token, so that what the page shows first is there. */
#ifndef SCRY_REPORT_HTML_NEURONS_H
#define SCRY_REPORT_HTML_NEURONS_H

#include "report/html.h"
#include "scry/trace.h"

/* One head's vectors as codes: value = code * its vector's step. */
struct scry__vectors {
    int      head;
    float   *steps; /* [token_count] */
    int16_t *codes; /* [token_count, size] */
};

struct scry__query_head {
    struct scry__vectors vectors;
    int                  key_head;
    float               *lse; /* [token_count]: log of the row's sum of exp(score) */
};

struct scry__neuron_layer {
    double                   scale; /* score = cap(scale * q.k) */
    int                      query_count, key_count;
    struct scry__query_head *queries; /* [kept], ascending heads */
    struct scry__vectors    *keys;    /* those that the queries need */
};

struct scry__report_neurons {
    int                        layer_count, head_count, kv_head_count, size, token_count;
    int                        kept; /* heads of each layer */
    double                     softcap;
    float                     *q, *k; /* of the layer at hand: [T, H, D], [T, G, D] */
    struct scry__neuron_layer *layers;
};

#endif
