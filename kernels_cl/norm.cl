/* norm: layer: (x - mean) / sqrt(var + epsilon) * (weight + weight_offset) + bias; rms: without the mean.
 *
 * x, out f32 [i, j, k, d] (may be the same), weight, bias f32, f16 or bf16 [d] or absent, scale f32 [i, j, k] or
 * absent: the denominator. Kind none copies x; its denominator is 1.
 *
 * Each row is read three times: for the mean, for the squares about it (no cancellation between large numbers), and for
 * the result. Lane l of a sum adds entries l, l + LANES, ...; the lanes' sums, and those of a group's items, are added
 * in a fixed tree. Errors: mean gamma(d) sum |x| / d, denominator half that of the mean square and 8 u, result 4 u more
 * (tests/cases/norm.c).
 *
 * Two kernels: in norm_block an item takes `each` whole rows; in norm_group a group of items (a power of two of them)
 * shares a row, its item i taking runs i, i + items, ... of LANES entries. */

enum { LAYER, RMS, NONE }; /* scry_norm_kind */

typedef struct {
    long  shape[4];
    long  each;
    int   kind;
    float epsilon, weight_offset, per_entry; /* 1 / d */
} norm_of;

/* The operands of one row. */
typedef struct {
    __global const float *x;
    __global const void  *weight, *bias;
    __global float       *out;
    long                  stride, out_stride;
} norm_row;

inline float sum_of_lanes(lanes x)
{
#if LANES == 16
    float8 eight = x.lo + x.hi;
    float4 four  = eight.lo + eight.hi;
#else
    float4 four = x;
#endif
    float2 two = four.lo + four.hi;
    return two.lo + two.hi;
}

/* Of x - centre, or its square, over the runs of a row from `first` on, `step` entries apart. */
inline float sum_of_row(const norm_row *row, long d, long first, long step, float centre, bool squares)
{
    lanes sum = 0;
    for (long i = first; i < d; i += step) {
        int   count = (int)min(d - i, (long)LANES);
        lanes value = load_lanes(row->x, i * row->stride, row->stride, count, F32) - centre;
        if (count < LANES) value = first_lanes(value, count);
        sum += squares ? value * value : value;
    }
    return sum_of_lanes(sum);
}

inline float squared_denominator(float squares, const norm_of *norm)
{
    return squares * norm->per_entry + norm->epsilon;
}

inline void write_row(const norm_row *row, const norm_of *norm, long first, long step, float centre, float factor,
                      const view *weight_view, const view *bias_view)
{
    for (long i = first; i < norm->shape[3]; i += step) {
        int   count = (int)min(norm->shape[3] - i, (long)LANES);
        lanes value = load_lanes(row->x, i * row->stride, row->stride, count, F32);
        if (norm->kind != NONE) {
            value = (value - centre) * factor;
            if (row->weight)
                value *= load_lanes(row->weight, weight_view->offset + i * weight_view->stride[0],
                                    weight_view->stride[0], count, weight_view->dtype) +
                         norm->weight_offset;
            if (row->bias)
                value += load_lanes(row->bias, bias_view->offset + i * bias_view->stride[0], bias_view->stride[0],
                                    count, bias_view->dtype);
        }
        store_lanes(row->out, i * row->out_stride, row->out_stride, count, value);
    }
}

/* Where row `index` of all, in row-major order, begins in a tensor of the shape. */
inline long row_index(long index, const norm_of *norm, const view *x)
{
    long k = index % norm->shape[2], j = index / norm->shape[2] % norm->shape[1];
    return x->offset + index / norm->shape[2] / norm->shape[1] * x->stride[0] + j * x->stride[1] + k * x->stride[2];
}

#define NORM_PARAMETERS                                                                                                \
    __global const float *x, view x_view, __global const void *weight, view weight_view, __global const void *bias,    \
        view bias_view, __global float *out, view out_view, __global float *scale, view scale_view, norm_of norm

#define NORM_ROW(index)                                                                                                \
    {                                                                                                                  \
        x + row_index(index, &norm, &x_view), weight, bias, out + row_index(index, &norm, &out_view),                  \
            x_view.stride[3], out_view.stride[3]                                                                       \
    }

__kernel void norm_block(NORM_PARAMETERS)
{
    long begin = get_global_id(0) * norm.each;
    long end   = min(begin + norm.each, norm.shape[0] * norm.shape[1] * norm.shape[2]);
    for (long index = begin; index < end; index++) {
        norm_row row    = NORM_ROW(index);
        float    centre = 0, square = 1;
        if (norm.kind == LAYER) centre = sum_of_row(&row, norm.shape[3], 0, LANES, 0, false) * norm.per_entry;
        if (norm.kind != NONE)
            square = squared_denominator(sum_of_row(&row, norm.shape[3], 0, LANES, centre, true), &norm);
        write_row(&row, &norm, 0, LANES, centre, rsqrt(square), &weight_view, &bias_view);
        if (scale) scale[row_index(index, &norm, &scale_view)] = sqrt(square);
    }
}

/* The sum over the group of what each item has, in every item. partial holds one float for each. */
inline float sum_of_group(float mine, __local float *partial)
{
    int item      = get_local_id(0);
    partial[item] = mine;
    for (int near = get_local_size(0) / 2; near > 0; near /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (item < near) partial[item] += partial[item + near];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    float sum = partial[0];
    barrier(CLK_LOCAL_MEM_FENCE); /* the next sum overwrites it */
    return sum;
}

__kernel void norm_group(NORM_PARAMETERS, __local float *partial)
{
    long     index = get_group_id(0), d = norm.shape[3];
    long     first = get_local_id(0) * LANES, step = get_local_size(0) * LANES;
    norm_row row    = NORM_ROW(index);
    float    centre = 0, square = 1;
    if (norm.kind == LAYER) centre = sum_of_group(sum_of_row(&row, d, first, step, 0, false), partial) * norm.per_entry;
    if (norm.kind != NONE)
        square = squared_denominator(sum_of_group(sum_of_row(&row, d, first, step, centre, true), partial), &norm);
    write_row(&row, &norm, first, step, centre, rsqrt(square), &weight_view, &bias_view);
    if (scale && get_local_id(0) == 0) scale[row_index(index, &norm, &scale_view)] = sqrt(square);
}
