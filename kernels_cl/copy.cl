/* out = x, element by element, with any strides; f32, f16 and bf16 into each other, rounded to nearest even, and i32
 * into i32. Options: FROM and TO, the dtypes.
 *
 * x and out of one shape, walked (see common.cl). Exact but for the rounding into the narrower format. */
__kernel void copy(__global const void *x, view x_view, __global void *out, view out_view, WALK_PARAMETERS)
{
    if (WALK_OUTSIDE) return;
    const long x_at = row_of(x_view, walked, WALK_ROW), out_at = row_of(out_view, walked, WALK_ROW);
#if FROM == 3 /* I32 */
    __global const int *in                      = x;
    __global int       *to                      = out;
    WALK(i) to[out_at + i * out_view.stride[3]] = in[x_at + i * x_view.stride[3]];
#else
    WALK(i)
    {
        store_as(out, out_at + i * out_view.stride[3], TO, load_as(x, x_at + i * x_view.stride[3], FROM));
    }
#endif
}
