/* out = x, element by element, with any strides: elements of 2 or 4 bytes moved as they are, or f32, f16 and bf16 made
 * into each other, rounded to nearest even.
 *
 * x and out of the shape that is walked. Launch: one dimension of items, each with `each` runs of LANES elements of a
 * row. Exact but for the rounding into the narrower format. */
#define COPY(name, element)                                                                                            \
    __kernel void name(__global const element *x, view x_view, __global element *out, view out_view, runs all)         \
    {                                                                                                                  \
        for (run r = first_run(&all); r.left > 0; next_run(&r, &all)) {                                                \
            const long from = run_index(&r, &x_view), to = run_index(&r, &out_view);                                   \
            for (int i = 0; i < r.count; i++) out[to + i * out_view.stride[3]] = x[from + i * x_view.stride[3]];       \
        }                                                                                                              \
    }
COPY(copy_2, ushort)
COPY(copy_4, uint)

__kernel void convert(__global const void *x, view x_view, __global void *out, view out_view, runs all)
{
    for (run r = first_run(&all); r.left > 0; next_run(&r, &all)) {
        const long from = run_index(&r, &x_view), to = run_index(&r, &out_view);
        for (int i = 0; i < r.count; i++)
            store_as(out, to + i * out_view.stride[3], out_view.dtype,
                     load_as(x, from + i * x_view.stride[3], x_view.dtype));
    }
}
