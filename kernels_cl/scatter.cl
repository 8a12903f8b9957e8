/* The elements of a tensor that lies across two parts of its buffer, from where it was staged to where it belongs.
 * Option: ELEMENT, ushort or uint. See backends/opencl/stage.c.
 *
 * staged is walked (see common.cl), its first element at 0. The element that lies `e` behind it goes to low[low_at + e]
 * where e < split, else to high[e - split]. Moves bits: exact. */
__kernel void scatter(__global const ELEMENT *staged, __global ELEMENT *low, __global ELEMENT *high, view staged_view,
                      long low_at, long split, WALK_PARAMETERS)
{
    if (WALK_OUTSIDE) return;
    const long staged_at = row_of(staged_view, walked, WALK_ROW);
    WALK(i)
    {
        const long e = staged_at + i * staged_view.stride[3];
        if (e < split)
            low[low_at + e] = staged[e];
        else
            high[e - split] = staged[e];
    }
}
