/* adamw, sgd: one step of an optimiser, one element at a time. */
#include "reference.h"

void scry__reference_adamw(const scry_adamw *op)
{
    double first_share = 1 - pow(op->beta1, (double)op->step), second_share = 1 - pow(op->beta2, (double)op->step);
    for (int64_t i = 0; i < op->parameter.shape[0]; i++) {
        double g         = (double)op->gradient_factor * load(&op->gradient, at1(&op->gradient, i));
        double parameter = load(&op->parameter, at1(&op->parameter, i));
        double first     = op->beta1 * load(&op->first, at1(&op->first, i)) + (1 - (double)op->beta1) * g;
        double second    = op->beta2 * load(&op->second, at1(&op->second, i)) + (1 - (double)op->beta2) * g * g;
        double step      = first / first_share / (sqrt(second / second_share) + op->epsilon);
        store(&op->first, at1(&op->first, i), first);
        store(&op->second, at1(&op->second, i), second);
        store(&op->parameter, at1(&op->parameter, i), parameter - op->rate * (op->decay * parameter + step));
    }
}

void scry__reference_sgd(const scry_sgd *op)
{
    for (int64_t i = 0; i < op->parameter.shape[0]; i++) {
        double parameter = load(&op->parameter, at1(&op->parameter, i));
        double g = op->gradient_factor * load(&op->gradient, at1(&op->gradient, i)) + op->decay * parameter, step = g;
        if (present(&op->velocity)) {
            double velocity = op->momentum * load(&op->velocity, at1(&op->velocity, i)) + g;
            step            = op->nesterov ? g + op->momentum * velocity : velocity;
            store(&op->velocity, at1(&op->velocity, i), velocity);
        }
        store(&op->parameter, at1(&op->parameter, i), parameter - op->rate * step);
    }
}
