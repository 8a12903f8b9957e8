/* What the kernels of matmul share: reading the matrices by blocks of 4 x 4, and writing C. lens multiplies with it
 * too.
 *
 * A line is a row of A or a column of B; steps go along k. */
#ifndef SCRY_CUDA_MATMUL_CUH
#define SCRY_CUDA_MATMUL_CUH

#include "common.cuh"

#include "matmul.h"

/* Some lines of a matrix, from one of its steps on. Outside of it is 0. */
struct matmul_source {
    const void *data;
    int64_t     line, step;   /* strides, in elements */
    int64_t     lines, steps; /* how many there are */
    int         dtype;
    bool        along_k; /* 4 elements side by side are steps, not lines */
    bool        in_runs; /* and lie at multiples of 4 elements */
};

DEVICE int64_t element_bytes(int dtype)
{
    return dtype == F32 ? 4 : 2;
}

DEVICE const void *element_at(const void *data, int64_t index, int dtype)
{
    return static_cast<const char *>(data) + index * element_bytes(dtype);
}

/* The lines from `line` and the steps from `step` on of one matrix. */
DEVICE matmul_source source_of(const void *matrix, int dtype, int64_t line_stride, int64_t step_stride, int64_t lines,
                               int64_t steps, int64_t line, int64_t step)
{
    matmul_source x;
    x.data    = element_at(matrix, line * line_stride + step * step_stride, dtype);
    x.line    = line_stride;
    x.step    = step_stride;
    x.lines   = lines - line;
    x.steps   = steps - step;
    x.dtype   = dtype;
    x.along_k = step_stride == 1;
    /* Whoever reads begins at multiples of 4. */
    int64_t other        = x.along_k ? line_stride : step_stride;
    bool    side_by_side = x.along_k || line_stride == 1;
    x.in_runs = side_by_side && other % 4 == 0 && reinterpret_cast<uintptr_t>(x.data) % (4 * element_bytes(dtype)) == 0;
    return x;
}

DEVICE void skip_steps(matmul_source *x, int64_t steps)
{
    x->data = element_at(x->data, steps * x->step, x->dtype);
    x->steps -= steps;
}

/* Four elements that lie side by side, in one access. */
DEVICE void load_run(float run[4], const void *data, int64_t index, int dtype)
{
    if (dtype == F32) {
        const float4 x = *static_cast<const float4 *>(element_at(data, index, F32));
        run[0] = x.x, run[1] = x.y, run[2] = x.z, run[3] = x.w;
    } else {
        const uint2    x       = *static_cast<const uint2 *>(element_at(data, index, dtype));
        const uint16_t bits[4] = {(uint16_t)x.x, (uint16_t)(x.x >> 16), (uint16_t)x.y, (uint16_t)(x.y >> 16)};
        for (int i = 0; i < 4; i++) run[i] = dtype == F16 ? f16_to_f32(bits[i]) : bf16_to_f32(bits[i]);
    }
}

/* Steps `step` and the next three of a line. */
DEVICE void load_line(float run[4], const matmul_source *x, int line, int step)
{
    const int64_t first = line * x->line + step * x->step;
    if (x->along_k && x->in_runs && line < x->lines && step + 4 <= x->steps) {
        load_run(run, x->data, first, x->dtype);
        return;
    }
#pragma unroll
    for (int j = 0; j < 4; j++)
        run[j] = line < x->lines && step + j < x->steps ? load_as(x->data, first + j * x->step, x->dtype) : 0;
}

/* block[i][j]: line `line` + i, step `step` + j. */
DEVICE void load_block(float block[4][4], const matmul_source *x, int line, int step)
{
    const int64_t first  = line * x->line + step * x->step;
    const bool    inside = line + 4 <= x->lines && step + 4 <= x->steps;
    if (inside && x->in_runs && x->along_k) {
#pragma unroll
        for (int i = 0; i < 4; i++) load_run(block[i], x->data, first + i * x->line, x->dtype);
        return;
    }
    if (inside && x->in_runs) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            float run[4];
            load_run(run, x->data, first + j * x->step, x->dtype);
#pragma unroll
            for (int i = 0; i < 4; i++) block[i][j] = run[i];
        }
        return;
    }
    /* Line by line through the last one: as rare as this is, it must not take registers. */
#pragma unroll 1
    for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const bool there = line + i < x->lines && step + j < x->steps;
            block[0][j]      = block[1][j];
            block[1][j]      = block[2][j];
            block[2][j]      = block[3][j];
            block[3][j]      = there ? load_as(x->data, first + i * x->line + j * x->step, x->dtype) : 0;
        }
    }
}

/* --- Batches, parts and C --- */

/* Where the matrix of a batch begins, in elements. */
DEVICE int64_t matrix_of(const cuda_view &x, const cuda_product &p, int64_t batch)
{
    return batch / p.inner * x.stride[0] + batch % p.inner * x.stride[1];
}

/* One part of one product: what a block of threads works for. */
struct matmul_work {
    int64_t part, batch, row, column; /* of the block's tile */
    int64_t step, steps;              /* its first of k, and the one behind its last */
};

/* Tiles go down the rows first: neighbours share the columns of B, which is the larger matrix where it matters. */
DEVICE matmul_work work_of(const cuda_product &p, int64_t block, int height, int width)
{
    const int64_t down = (p.m + height - 1) / height, across = (p.n + width - 1) / width;
    matmul_work   work;
    work.row    = block % down * height;
    work.column = block / down % across * width;
    work.batch  = block / down / across % p.batches;
    work.part   = block / down / across / p.batches;
    work.step   = work.part * p.part_steps;
    work.steps  = work.step + p.part_steps < p.k ? work.step + p.part_steps : p.k;
    return work;
}

DEVICE matmul_source rows_of_a(const cuda_product &p, const matmul_work &work)
{
    const void *a = element_at(p.a.data, matrix_of(p.a, p, work.batch), p.a.dtype);
    return source_of(a, p.a.dtype, p.a.stride[2], p.a.stride[3], p.m, work.steps, work.row, work.step);
}

DEVICE matmul_source columns_of_b(const cuda_product &p, const matmul_work &work)
{
    const void *b = element_at(p.b.data, matrix_of(p.b, p, work.batch), p.b.dtype);
    return source_of(b, p.b.dtype, p.b.stride[3], p.b.stride[2], p.n, work.steps, work.column, work.step);
}

/* Where an element of C, or a part's sum of it, goes. */
DEVICE float *place_of(const cuda_product &p, const matmul_work &work, int64_t row, int64_t column)
{
    if (p.sums) return p.sums + ((work.part * p.batches + work.batch) * p.m + row) * p.n + column;
    return static_cast<float *>(p.c.data) + matrix_of(p.c, p, work.batch) + row * p.c.stride[2] + column;
}

/* An element of C from the sum over all of k. */
DEVICE float finished(const cuda_product &p, const float *c, int64_t column, float sum)
{
    float value = p.alpha * sum;
    if (p.beta != 0) value = multiply_add(p.beta, *c, value);
    if (p.bias.data) value += load_as(p.bias.data, column * p.bias.stride[0], p.bias.dtype);
    return value;
}

/* COUNT elements of a row, from `column` on, of which some may lie outside of C. */
template <int COUNT>
DEVICE void leave(const cuda_product &p, const matmul_work &work, int64_t row, int64_t column, const float *sums)
{
    if (row >= p.m || column >= p.n) return;
    float    *to    = place_of(p, work, row, column);
    const int count = p.n - column < COUNT ? (int)(p.n - column) : COUNT;
    float     values[COUNT];
#pragma unroll
    for (int i = 0; i < COUNT; i++)
        values[i] = p.sums || i >= count ? sums[i] : finished(p, to + i, column + i, sums[i]);
    const bool in_run = count == COUNT && reinterpret_cast<uintptr_t>(to) % (COUNT * sizeof(float)) == 0;
    if (COUNT == 4 && in_run) {
        *reinterpret_cast<float4 *>(to) =
            make_float4(values[0], values[1 % COUNT], values[2 % COUNT], values[3 % COUNT]);
        return;
    }
    if (COUNT == 2 && in_run) {
        *reinterpret_cast<float2 *>(to) = make_float2(values[0], values[1 % COUNT]);
        return;
    }
#pragma unroll
    for (int i = 0; i < COUNT; i++)
        if (i < count) to[i] = values[i];
}

#endif
