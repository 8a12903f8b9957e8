/* Walking a shape in runs, one for each thread, and loading and storing one: in one access where its elements lie side
 * by side and aligned, which those of whole contiguous rows do. What is computed for an element depends on nothing but
 * the element, so a result is the same whatever the strides and wherever it lies in a row. */
#ifndef SCRY_CUDA_RUNS_CUH
#define SCRY_CUDA_RUNS_CUH

#include "common.cuh"

#include "runs.h"

/* One run: its first element's indices and how many elements it has. */
struct run {
    int64_t at[4];
    int     count;
};

/* Elements of a run, 0 behind its count. */
template <typename element> struct run_elements {
    element x[CUDA_RUN];
};

typedef run_elements<float> run_values;

/* The type that moves them in one access. */
template <typename element> struct whole_run;
template <> struct whole_run<float> {
    typedef float4 type;
};
template <> struct whole_run<uint32_t> {
    typedef uint4 type;
};
template <> struct whole_run<uint16_t> {
    typedef ushort4 type;
};

/* Dividing 64-bit numbers takes a hundred instructions. */
template <typename number> DEVICE run run_at(const cuda_runs &all, number index)
{
    number row = index / (number)all.per_row, plane = row / (number)all.shape[2];
    run    r;
    r.at[3] = (int64_t)(index - row * (number)all.per_row) * CUDA_RUN;
    r.at[2] = row - plane * (number)all.shape[2];
    r.at[0] = plane / (number)all.shape[1];
    r.at[1] = plane - r.at[0] * all.shape[1];
    r.count = (int)(all.shape[3] - r.at[3] < CUDA_RUN ? all.shape[3] - r.at[3] : CUDA_RUN);
    return r;
}

/* Run `index`, counted over all blocks; false behind the last one. */
DEVICE bool take_run(run *r, const cuda_runs &all, int64_t index)
{
    if (index >= all.count) return false;
    *r = all.count <= UINT32_MAX ? run_at(all, (uint32_t)index) : run_at(all, index);
    return true;
}

/* This thread's. */
#define RUN_NUMBER (BLOCK_NUMBER * blockDim.x + threadIdx.x)

/* Where a run begins in a tensor of the shape. */
DEVICE int64_t run_index(const run &r, const cuda_view &x)
{
    return r.at[0] * x.stride[0] + r.at[1] * x.stride[1] + r.at[2] * x.stride[2] + r.at[3] * x.stride[3];
}

/* Whether elements from `first` on can be reached in one access. */
template <typename element> DEVICE bool is_whole(const element *first, int64_t stride, int count)
{
    return count == CUDA_RUN && stride == 1 && reinterpret_cast<uintptr_t>(first) % (CUDA_RUN * sizeof(element)) == 0;
}

template <typename element>
DEVICE run_elements<element> load_elements(const void *x, int64_t index, int64_t stride, int count)
{
    const element        *first = static_cast<const element *>(x) + index;
    run_elements<element> all   = {};
    if (is_whole(first, stride, count)) {
        typename whole_run<element>::type whole = *reinterpret_cast<const typename whole_run<element>::type *>(first);
        return {{whole.x, whole.y, whole.z, whole.w}};
    }
#pragma unroll
    for (int i = 0; i < CUDA_RUN; i++)
        if (i < count) all.x[i] = first[i * stride];
    return all;
}

/* As *to = value, which nvcc takes apart to share its stores with those of single elements. */
template <typename element> DEVICE void store_whole(element *to, element value)
{
#ifdef SCRY_CUDA_EMULATED
    *to = value;
#else
    __stwb(to, value);
#endif
}

template <typename element>
DEVICE void store_elements(void *x, int64_t index, int64_t stride, int count, const run_elements<element> &all)
{
    element *first = static_cast<element *>(x) + index;
    if (is_whole(first, stride, count)) {
        store_whole(reinterpret_cast<typename whole_run<element>::type *>(first),
                    {all.x[0], all.x[1], all.x[2], all.x[3]});
        return;
    }
#pragma unroll
    for (int i = 0; i < CUDA_RUN; i++)
        if (i < count) first[i * stride] = all.x[i];
}

/* `count` elements (at most CUDA_RUN) of a float tensor, from element `index` on, `stride` apart. */
DEVICE run_values load_values(const void *x, int64_t index, int64_t stride, int count, int dtype)
{
    if (dtype == F32) return load_elements<float>(x, index, stride, count);
    run_elements<uint16_t> all = load_elements<uint16_t>(x, index, stride, count);
    run_values             values;
    for (int i = 0; i < CUDA_RUN; i++) values.x[i] = dtype == F16 ? f16_to_f32(all.x[i]) : bf16_to_f32(all.x[i]);
    return values;
}

DEVICE void store_values(void *x, int64_t index, int64_t stride, int count, int dtype, const run_values &values)
{
    if (dtype == F32) return store_elements(x, index, stride, count, values);
    run_elements<uint16_t> all;
    for (int i = 0; i < CUDA_RUN; i++) all.x[i] = dtype == F16 ? f32_to_f16(values.x[i]) : f32_to_bf16(values.x[i]);
    store_elements(x, index, stride, count, all);
}

DEVICE run_values load_run(const run &r, const cuda_view &x)
{
    return load_values(x.data, run_index(r, x), x.stride[3], r.count, x.dtype);
}

DEVICE void store_run(const run &r, const cuda_view &x, const run_values &values)
{
    store_values(x.data, run_index(r, x), x.stride[3], r.count, x.dtype, values);
}

/* For f32 outputs that may accumulate: stores values, or where `adds`, their sums with what is there. */
DEVICE void add_values(void *x, int64_t index, int64_t stride, int count, run_values values, bool adds)
{
    if (adds) {
        run_values old = load_values(x, index, stride, count, F32);
        for (int i = 0; i < CUDA_RUN; i++) values.x[i] += old.x[i];
    }
    store_values(x, index, stride, count, F32, values);
}

DEVICE void add_run(const run &r, const cuda_view &x, const run_values &values, bool adds)
{
    add_values(x.data, run_index(r, x), x.stride[3], r.count, values, adds);
}

#endif
