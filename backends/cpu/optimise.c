/* adamw and sgd: one step of an optimiser, element by element. */
#include "walk.h"

#include <math.h>

enum { STRETCH = SCRY__CPU_STRETCH, GRADIENT = 0, PARAMETER = 1 };

/* A stretch of operand `i`, which is changed in place: where it lies if it can be, else copied to `space`. */
static float *held(const struct scry__cpu_walk *walk, int i, const int64_t *index, int64_t count, float *space)
{
    scry__cpu_walk_gather(walk, i, index, count, space);
    return scry__cpu_walk_place(walk, i, index, space);
}

/* --- adamw --- */

struct adamw_walk {
    struct scry__cpu_walk       walk;
    struct scry__cpu_adamw_step step;
};

static void adamw_stretch(const struct scry__cpu_walk *walk, const int64_t *index, int64_t count)
{
    const struct adamw_walk *adamw = (const struct adamw_walk *)walk;
    float                    space[4][STRETCH], *state[4];
    const float             *gradient = scry__cpu_walk_gather(walk, GRADIENT, index, count, space[GRADIENT]);
    for (int i = PARAMETER; i < 4; i++) state[i] = held(walk, i, index, count, space[i]);
    walk->cpu->kernels->adamw(state[PARAMETER], gradient, state[2], state[3], count, &adamw->step);
    for (int i = PARAMETER; i < 4; i++) scry__cpu_walk_scatter(walk, i, index, count, state[i]);
}

void scry__cpu_adamw(const struct scry__cpu *cpu, const scry_adamw *op, void *scratch)
{
    (void)scratch;
    double            beta1 = (double)op->beta1, beta2 = (double)op->beta2, step = (double)op->step;
    struct adamw_walk adamw = {
        .walk = {.cpu = cpu, .operand = {op->gradient, op->parameter, op->first, op->second}, .stretch = adamw_stretch},
        .step = {.gradient_factor = op->gradient_factor, .epsilon = op->epsilon}};
    /* What is 1 less something small, and what follows from it, is worked out in f64. */
    adamw.step.keep1   = op->beta1;
    adamw.step.keep2   = op->beta2;
    adamw.step.blend1  = (float)(1 - beta1);
    adamw.step.blend2  = (float)(1 - beta2);
    adamw.step.decay   = (float)((double)op->rate * (double)op->decay);
    adamw.step.step    = (float)((double)op->rate / (1 - pow(beta1, step)));
    adamw.step.factor2 = (float)(1 / sqrt(1 - pow(beta2, step)));
    scry__cpu_walk_run(&adamw.walk);
}

/* --- sgd --- */

struct sgd_walk {
    struct scry__cpu_walk walk;
    const scry_sgd       *op;
};

static void sgd_stretch(const struct scry__cpu_walk *walk, const int64_t *index, int64_t count)
{
    const scry_sgd *op = ((const struct sgd_walk *)walk)->op;
    float           space[3][STRETCH];
    const float    *gradient  = scry__cpu_walk_gather(walk, GRADIENT, index, count, space[GRADIENT]);
    float          *parameter = held(walk, PARAMETER, index, count, space[PARAMETER]);
    float          *velocity  = held(walk, 2, index, count, space[2]);
    walk->cpu->kernels->sgd(parameter, gradient, velocity, count, op);
    scry__cpu_walk_scatter(walk, PARAMETER, index, count, parameter);
    scry__cpu_walk_scatter(walk, 2, index, count, velocity);
}

void scry__cpu_sgd(const struct scry__cpu *cpu, const scry_sgd *op, void *scratch)
{
    (void)scratch;
    struct sgd_walk sgd = {.op = op};
    sgd.walk            = (struct scry__cpu_walk){
                   .cpu = cpu, .operand = {op->gradient, op->parameter, op->velocity}, .stretch = sgd_stretch};
    scry__cpu_walk_run(&sgd.walk);
}

SCRY__CPU_NO_SCRATCH(adamw, scry_adamw)
SCRY__CPU_NO_SCRATCH(sgd, scry_sgd)
