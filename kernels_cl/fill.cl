/* out = value, with any strides; `whole` where out is i32.
 *
 * out of the shape that is walked. Launch: one dimension of items, each with `each` runs of LANES elements of a row. */
__kernel void fill(__global void *out, view out_view, float value, int whole, runs all)
{
    for (run r = first_run(&all); r.left > 0; next_run(&r, &all)) {
        const long to = run_index(&r, &out_view);
        for (int i = 0; i < r.count; i++) {
            if (out_view.dtype == I32)
                ((__global int *)out)[to + i * out_view.stride[3]] = whole;
            else
                store_as(out, to + i * out_view.stride[3], out_view.dtype, value);
        }
    }
}
