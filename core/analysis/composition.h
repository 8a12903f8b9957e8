/* Which heads a head's keys are made of, from the weights alone.
 *
 * A writing head moves its input x to x V O, a reading head's scores are y Q (x K)^T, each with the weights and the
 * centring of the norm in front (and of norms behind the writer, and on keys and queries) folded in. K-composition is
 *
 *     |V O K Q^T| / (|V O| |K Q^T|),   | | the Frobenius norm:
 *
 * how much of what the writer writes the reader's keys take up. Rotation of keys and queries is left out. Elhage et
 * al., A mathematical framework for transformer circuits, 2021. */
#ifndef SCRY_ANALYSIS_COMPOSITION_H
#define SCRY_ANALYSIS_COMPOSITION_H

#include "scry/model.h"

typedef struct scry__head_place {
    int layer, head;
} scry__head_place;

/* out [reader_count, layer_count, head_count]: each head's K-composition into each reader; NaN where the head does not
 * stand in an earlier layer, or has no weights but 0. Reads each layer's weights once, and needs device memory for one
 * layer of them in f32. */
scry_status scry__k_composition(float *out, scry_model *model, const scry__head_place *readers, int reader_count);

/* The root mean square over all rotations of one head's residual stream against the other's: what two heads give that
 * know nothing of each other. 1 / sqrt(d), d the directions that the norm leaves. */
double scry__k_composition_null(const scry_model *model);

#endif
