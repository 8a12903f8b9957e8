/* Ops that go element by element: their operands have one shape, and are taken in stretches of the last axis.
 *
 * An operand that is contiguous f32 is used where it lies; others pass through a small buffer. A stretch is read before
 * it is written, so that an output may be an input. */
#ifndef SCRY_CPU_WALK_H
#define SCRY_CPU_WALK_H

#include "operand.h"

enum { SCRY__CPU_STRETCH = 1024, SCRY__CPU_WALKED = 5 };

struct scry__cpu_walk {
    const struct scry__cpu *cpu;
    scry_tensor             operand[SCRY__CPU_WALKED]; /* one at least is present; absent ones have no buffer */
    /* `count` elements, at most SCRY__CPU_STRETCH: those of operand i begin at its index[i]. */
    void (*stretch)(const struct scry__cpu_walk *walk, const int64_t *index, int64_t count);
};

/* Calls `stretch` until every element had its turn, in all threads that are worth it. */
void scry__cpu_walk_run(struct scry__cpu_walk *walk);

/* A stretch of operand `i` as scry__cpu_gather, _place and _scatter have it; gather and place give NULL where it is
 * absent, and scatter does nothing. */
const float *scry__cpu_walk_gather(const struct scry__cpu_walk *walk, int i, const int64_t *index, int64_t count,
                                   float *space);
float       *scry__cpu_walk_place(const struct scry__cpu_walk *walk, int i, const int64_t *index, float *space);
void         scry__cpu_walk_scatter(const struct scry__cpu_walk *walk, int i, const int64_t *index, int64_t count,
                                    const float *values);

#endif
