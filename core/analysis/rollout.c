/* Attention rollout of one position. See rollout.h. */
#include "analysis/rollout.h"

#include "base/alloc.h"

#include <string.h>

size_t scry__triangle_row(int row)
{
    return (size_t)row * ((size_t)row + 1) / 2;
}

/* below = above Â, both [count]. */
static void step_down(double *below, const double *above, const float *mean, int count)
{
    memset(below, 0, (size_t)count * sizeof *below);
    for (int i = 0; i < count; i++) {
        const float *weights = mean + scry__triangle_row(i);
        double       sum     = 1;
        for (int j = 0; j <= i; j++) sum += (double)weights[j];
        for (int j = 0; j <= i; j++) below[j] += above[i] * (double)weights[j] / sum;
        below[i] += above[i] / sum;
    }
}

scry_status scry__rollout(float *row, const float *means, int layers, int count)
{
    double *work = scry__alloc(2 * (size_t)count, sizeof *work), *above = work, *below = work + count;
    if (!work) return SCRY_OUT_OF_MEMORY;
    above[count - 1] = 1; /* the row of the identity; from here one matrix after the other, the last layer's first */
    for (int layer = layers - 1; layer >= 0; layer--) {
        step_down(below, above, means + (size_t)layer * scry__triangle_row(count), count);
        double *done = above;
        above        = below;
        below        = done;
    }
    for (int j = 0; j < count; j++) row[j] = (float)above[j];
    scry__free(work);
    return SCRY_OK;
}
