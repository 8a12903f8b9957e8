/* out = x, element by element, with any strides: elements of 2 or 4 bytes moved as they are, or f32, f16 and bf16 made
 * into each other, rounded to nearest even.
 *
 * x and out of the shape that is walked. Launch: one dimension of items, each with `each` runs of LANES elements of a
 * row. Exact but for the rounding into the narrower format. */
#define COPY(name, element)                                                                                            \
    __kernel void name(__global const element *x, view x_view, __global element *out, view out_view, runs all)         \
    {                                                                                                                  \
        const bool dense = x_view.stride[3] == 1 && out_view.stride[3] == 1;                                           \
        for (run r = first_run(&all); r.left > 0; next_run(&r, &all)) {                                                \
            const long from = run_index(&r, &x_view), to = run_index(&r, &out_view);                                   \
            if (dense && r.count == LANES)                                                                             \
                JOIN(vstore, LANES)(JOIN(vload, LANES)(0, x + from), 0, out + to);                                     \
            else                                                                                                       \
                for (int i = 0; i < r.count; i++) out[to + i * out_view.stride[3]] = x[from + i * x_view.stride[3]];   \
        }                                                                                                              \
    }
COPY(copy_2, ushort)
COPY(copy_4, uint)

/* As store_as, LANES at once. */
inline void store_all_as(__global void *x, long index, int dtype, lanes value)
{
    if (dtype == F32)
        JOIN(vstore, LANES)(value, 0, (__global float *)x + index);
    else if (dtype == F16)
        JOIN(JOIN(vstore_half, LANES), _rte)(value, 0, (__global half *)x + index);
    else
        for (int i = 0; i < LANES; i++) store_as(x, index + i, BF16, ((const float *)&value)[i]);
}

__kernel void convert(__global const void *x, view x_view, __global void *out, view out_view, runs all)
{
    for (run r = first_run(&all); r.left > 0; next_run(&r, &all)) {
        const long from = run_index(&r, &x_view), to = run_index(&r, &out_view);
        if (out_view.stride[3] == 1 && r.count == LANES)
            store_all_as(out, to, out_view.dtype, load_run(&r, x, &x_view, x_view.dtype));
        else
            for (int i = 0; i < r.count; i++)
                store_as(out, to + i * out_view.stride[3], out_view.dtype,
                         load_as(x, from + i * x_view.stride[3], x_view.dtype));
    }
}
