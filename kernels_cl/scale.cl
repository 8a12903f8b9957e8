/* scale: out = factor * x + offset, element by element.
 *
 * x and out f32 (may be the same), of the shape that is walked. Launch: one dimension of items, each with `each` runs
 * of LANES elements of a row. Error: two roundings, gamma(2) (|factor x| + |offset|). */
__kernel void scale(__global const float *x, view x_view, __global float *out, view out_view, float factor,
                    float offset, runs all)
{
    for (run r = first_run(&all); r.left > 0; next_run(&r, &all))
        store_run(&r, out, &out_view, factor * load_run(&r, x, &x_view, F32) + offset);
}
