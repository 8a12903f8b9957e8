/* What an optimiser's step is made of. See optimise.h. */
#include "optimise.h"

#include <math.h>

struct scry__adamw_step scry__adamw_step(const scry_adamw *op)
{
    /* What is 1 less something small, and what follows from it, is worked out in f64. */
    double beta1 = (double)op->beta1, beta2 = (double)op->beta2, step = (double)op->step;
    return (struct scry__adamw_step){
        .gradient_factor = op->gradient_factor,
        .keep1           = op->beta1,
        .blend1          = (float)(1 - beta1),
        .keep2           = op->beta2,
        .blend2          = (float)(1 - beta2),
        .factor2         = (float)(1 / sqrt(1 - pow(beta2, step))),
        .epsilon         = op->epsilon,
        .step            = (float)((double)op->rate / (1 - pow(beta1, step))),
        .decay           = (float)((double)op->rate * (double)op->decay),
    };
}
