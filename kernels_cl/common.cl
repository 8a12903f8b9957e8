/* In front of every program: how kernels see tensors. OpenCL C 1.2, no extension needed.
 *
 * Host side: backends/opencl/launch.c passes these structs; the layouts must agree. */

#pragma OPENCL FP_CONTRACT ON

/* Vectors that pass through a call would pass through memory. */
#define INLINE inline __attribute__((always_inline))

enum { F32, F16, BF16, I32 }; /* scry_dtype */

/* A tensor: element (i0, i1, ..) is at offset + i0*stride[0] + .. of its buffer, in elements; axes beyond the rank have
 * stride 0. */
typedef struct {
    long offset;
    long stride[4];
    int  dtype;
    int  unused;
} view;

/* A product of matrices, as matmul's kernels take it (matmul.c): every tensor of rank 4, axes that are not there of
 * size 1 and stride 0. */
typedef struct {
    long  m, n, k, batches;
    long  inner; /* batches of axis 1; batch i is (i / inner, i % inner) */
    float alpha, beta;
} product;

#define PRODUCT_PARAMETERS                                                                                             \
    __global const float *a, view a_view, __global const void *b, view b_view, __global const void *bias,              \
        view bias_view, __global float *c, view c_view, product p

/* The first element of a batch's matrix. */
inline long matrix_of(view x, product p, long batch)
{
    return x.offset + batch / p.inner * x.stride[0] + batch % p.inner * x.stride[1];
}

inline float bf16_to_f32(ushort bits)
{
    return as_float((uint)bits << 16);
}

/* Element `index` (counted from the buffer's start) of a float tensor of any dtype. */
inline float load_as(__global const void *x, long index, int dtype)
{
    if (dtype == F32) return ((__global const float *)x)[index];
    if (dtype == F16) return vload_half(index, (__global const half *)x);
    return bf16_to_f32(((__global const ushort *)x)[index]);
}

inline ushort f32_to_bf16(float x)
{
    const uint bits = as_uint(x);
    if (isnan(x)) return (ushort)(bits >> 16 | 0x40);
    return (ushort)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline void store_as(__global void *x, long index, int dtype, float value)
{
    if (dtype == F32)
        ((__global float *)x)[index] = value;
    else if (dtype == F16)
        vstore_half_rte(value, index, (__global half *)x);
    else
        ((__global ushort *)x)[index] = f32_to_bf16(value);
}

/* For programs built with -DLANES=4 or 16: rows of elements, LANES at a time. What one lane computes depends on nothing
 * but its own element, so a result is the same whatever the strides and wherever it lies in a row. */
#ifdef LANES

#define JOIN_TEXT(a, b) a##b
#define JOIN(a, b)      JOIN_TEXT(a, b)

typedef JOIN(float, LANES) lanes;
typedef JOIN(int, LANES) lane_bits;

__constant int lane_index[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* The first `count` lanes of x, 0 in the others. */
inline lanes first_lanes(lanes x, int count)
{
    return select((lanes)0, x, JOIN(vload, LANES)(0, lane_index) < count);
}

/* `count` elements (at most LANES) from element `index` on, `stride` apart; 0 in the lanes behind them. */
inline lanes load_lanes(__global const void *x, long index, long stride, int count, int dtype)
{
    if (count == LANES && stride == 1) {
        if (dtype == F32) return JOIN(vload, LANES)(0, (__global const float *)x + index);
        if (dtype == F16) return JOIN(vload_half, LANES)(0, (__global const half *)x + index);
        return JOIN(as_float,
                    LANES)(JOIN(convert_uint, LANES)(JOIN(vload, LANES)(0, (__global const ushort *)x + index)) << 16);
    }
    float value[LANES] = {0};
    for (int i = 0; i < count; i++) value[i] = load_as(x, index + i * stride, dtype);
    return JOIN(vload, LANES)(0, value);
}

inline void store_lanes(__global float *x, long index, long stride, int count, lanes value)
{
    if (count == LANES && stride == 1) {
        JOIN(vstore, LANES)(value, 0, x + index);
        return;
    }
    float one[LANES];
    JOIN(vstore, LANES)(value, 0, one);
    for (int i = 0; i < count; i++) x[index + i * stride] = one[i];
}

/* The elements of a shape in row-major order, in runs: LANES elements of a row, or what the row's end leaves of them.
 * An item takes `each` runs, one after another. Host side: backends/opencl/runs.c. */
typedef struct {
    long shape[4];
    long each;
} runs;

/* One of them: its first element's indices and how many elements it has. */
typedef struct {
    long at[4];
    long left; /* runs that this item still has to take, this one among them */
    int  count;
} run;

inline void count_run(run *r, const runs *all)
{
    long rest = all->shape[3] - r->at[3];
    r->count  = rest < LANES ? (int)rest : LANES;
}

/* This item's first run; `left` is 0 where it has none. */
inline run first_run(const runs *all)
{
    run  r       = {{0}, 0, 0};
    long per_row = (all->shape[3] + LANES - 1) / LANES, total = all->shape[0] * all->shape[1] * all->shape[2] * per_row;
    long begin = get_global_id(0) * all->each;
    if (begin >= total) return r;
    r.left   = min(total - begin, all->each);
    r.at[3]  = begin % per_row * LANES;
    long row = begin / per_row;
    r.at[2]  = row % all->shape[2];
    row /= all->shape[2];
    r.at[1] = row % all->shape[1];
    r.at[0] = row / all->shape[1];
    count_run(&r, all);
    return r;
}

inline void next_run(run *r, const runs *all)
{
    r->left--;
    r->at[3] += LANES;
    if (r->at[3] >= all->shape[3]) {
        r->at[3] = 0;
        if (++r->at[2] == all->shape[2]) {
            r->at[2] = 0;
            if (++r->at[1] == all->shape[1]) {
                r->at[1] = 0;
                r->at[0]++;
            }
        }
    }
    count_run(r, all);
}

/* Where a run begins in a tensor of the shape. */
inline long run_index(const run *r, const view *x)
{
    return x->offset + r->at[0] * x->stride[0] + r->at[1] * x->stride[1] + r->at[2] * x->stride[2] +
           r->at[3] * x->stride[3];
}

inline lanes load_run(const run *r, __global const void *x, const view *v, int dtype)
{
    return load_lanes(x, run_index(r, v), v->stride[3], r->count, dtype);
}

inline void store_run(const run *r, __global float *x, const view *v, lanes value)
{
    store_lanes(x, run_index(r, v), v->stride[3], r->count, value);
}
#endif
