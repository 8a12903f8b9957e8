/* What an optimiser's step is made of, worked out once for all elements. */
#ifndef SCRY_SHARED_OPTIMISE_H
#define SCRY_SHARED_OPTIMISE_H

#include "scry/op.h"

/* With g = gradient_factor * gradient: first = keep1 first + blend1 g; second = keep2 second + blend2 g^2; parameter -=
 * decay * parameter + step * first / (factor2 sqrt(second) + epsilon). */
struct scry__adamw_step {
    float gradient_factor, keep1, blend1, keep2, blend2, factor2, epsilon, step, decay;
};

struct scry__adamw_step scry__adamw_step(const scry_adamw *op);

#endif
