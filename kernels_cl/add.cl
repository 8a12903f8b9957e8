/* add: out = a + b, element by element.
 *
 * a f32, b f32, f16 or bf16, out f32 (may be a or b), all of the shape that is walked; a stride of 0 repeats an input.
 * Launch: one dimension of items, each with `each` runs of LANES elements of a row. Error: one rounding, u |a + b|. */
__kernel void add(__global const float *a, view a_view, __global const void *b, view b_view, __global float *out,
                  view out_view, runs all)
{
    for (run r = first_run(&all); r.left > 0; next_run(&r, &all))
        store_run(&r, out, &out_view, load_run(&r, a, &a_view, F32) + load_run(&r, b, &b_view, b_view.dtype));
}
