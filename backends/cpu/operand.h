/* Operands as rows of f32: where a row lies, and how its elements reach the kernels whatever their type and stride. */
#ifndef SCRY_CPU_OPERAND_H
#define SCRY_CPU_OPERAND_H

#include "cpu.h"

/* Index of entry `row` when the first `axes` axes are counted through in row-major order, the others at 0. */
int64_t scry__cpu_row_index(const scry_tensor *x, int axes, int64_t row);

/* Number of entries of the first `axes` axes. */
int64_t scry__cpu_row_count(const scry_tensor *x, int axes);

/* True where elements lie in row-major order without gaps. */
bool scry__cpu_is_contiguous(const scry_tensor *x);

/* `count` elements of x from `index` on, `stride` apart, as contiguous f32: in place where they lie so, else in
 * `space`. */
const float *scry__cpu_gather(const struct scry__cpu *cpu, const scry_tensor *x, int64_t index, int64_t stride,
                              int64_t count, float *space);

/* Where contiguous f32 results for such a stretch are made: in place if it lies so, else `space`; scatter then moves
 * them. */
float *scry__cpu_place(const scry_tensor *x, int64_t index, int64_t stride, float *space);
void scry__cpu_scatter(const struct scry__cpu *cpu, const scry_tensor *x, int64_t index, int64_t stride, int64_t count,
                       const float *values);

#endif
