/* out = value, with any strides. Options: TO, the dtype; i32 takes `whole`, the others `value`.
 *
 * out is walked (see common.cl). */
__kernel void fill(__global void *out, view out_view, float value, int whole, WALK_PARAMETERS)
{
    if (WALK_OUTSIDE) return;
    const long out_at = row_of(out_view, walked, WALK_ROW);
    WALK(i)
    {
        if (TO == I32)
            ((__global int *)out)[out_at + i * out_view.stride[3]] = whole;
        else
            store_as(out, out_at + i * out_view.stride[3], TO, value);
    }
}
