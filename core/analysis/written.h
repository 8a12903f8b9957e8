/* What one position of a prompt wrote to the residual stream, and what came of it: the last row of one pass. */
#ifndef SCRY_ANALYSIS_WRITTEN_H
#define SCRY_ANALYSIS_WRITTEN_H

#include "scry/model.h"

typedef struct scry__written {
    float         *values;      /* all that follow lie in it */
    const float   *embedding;   /* [d] */
    const float   *positions;   /* [d]; NULL where they are not learned */
    const float   *z;           /* [layer, H * D] */
    const float   *weights;     /* [layer, H]: the largest attention weight of the row */
    const int32_t *keys;        /* [layer, H]: its key */
    const float   *mlps;        /* [layer, d], behind the norm that a family may have there */
    const float   *stream;      /* [d], behind the last layer */
    const float   *logits;      /* [V] */
    float          denominator; /* of the final norm */
} scry__written;

/* Runs `count` ids and keeps what their last wrote. Released with scry__written_finish, also after a failure. */
scry_status scry__written_run(scry__written *written, scry_model *model, const int32_t *ids, int count);
void        scry__written_finish(scry__written *written);

#endif
