/* The normalisation of one row: the norm op's work, and the lens' first step. */
#ifndef SCRY_CPU_NORM_H
#define SCRY_CPU_NORM_H

#include "operand.h"

/* A normalisation's parameters as f32. */
struct scry__cpu_norm {
    const struct scry__cpu     *cpu;
    const scry_norm_parameters *parameters;
    const float                *weight, *bias; /* NULL where absent */
    int64_t                     size;
};

/* Widened parameters, where they are not f32 already, take 2 * size floats of `space`. */
struct scry__cpu_norm scry__cpu_norm_of(const struct scry__cpu *cpu, const scry_norm_parameters *parameters,
                                        int64_t size, float *space);

/* The denominator of x [size]; *centre is what is subtracted. */
double scry__cpu_norm_denominator(const struct scry__cpu_norm *norm, const float *x, float *centre);

/* out [size] = the normalised x [size]; in place allowed. Returns the denominator. */
float scry__cpu_norm_row(const struct scry__cpu_norm *norm, const float *x, float *out);

#endif
