/* sum: out [n] = the sum over t of x [T, n], or of x^2 (+ out).
 *
 * x f32 [T, n], out f32 [n]. Rows are taken in blocks whose number follows from the sizes alone; an item leaves a
 * block's sums of LANES columns in scratch, [blocks, n], and sum_merge adds the blocks up in their order. A single
 * column is taken as a row, of which an item has a stretch: lane l adds entries l, l + LANES, ... Launch: runs of
 * columns x blocks; stretches; columns. Error: gamma(T + 2) of the magnitudes. */

__kernel void sum_rows(__global const float *x, view x_view, __global float *scratch, long start, long rows,
                       long columns, long each, int squares)
{
    long  column = get_global_id(0) * LANES, row = get_global_id(1) * each, end = min(row + each, rows);
    int   count = (int)min(columns - column, (long)LANES);
    lanes sum   = 0;
    for (; row < end; row++) {
        lanes value = load_lanes(x, x_view.offset + row * x_view.stride[0] + column * x_view.stride[1],
                                 x_view.stride[1], count, F32);
        sum += squares ? value * value : value;
    }
    store_lanes(scratch, start + get_global_id(1) * columns + column, 1, count, sum);
}

__kernel void sum_column(__global const float *x, view x_view, __global float *scratch, long start, long rows,
                         long each, int squares)
{
    long  stretch = get_global_id(0), row = stretch * each, end = min(row + each, rows);
    lanes sums = 0;
    float sum  = 0, one[LANES];
    for (; row < end; row += LANES) {
        lanes value = load_lanes(x, x_view.offset + row * x_view.stride[0], x_view.stride[0],
                                 (int)min(end - row, (long)LANES), F32);
        sums += squares ? value * value : value;
    }
    JOIN(vstore, LANES)(sums, 0, one);
    for (int i = 0; i < LANES; i++) sum += one[i];
    scratch[start + stretch] = sum;
}

/* The sums of `blocks` rows of scratch. */
__kernel void sum_merge(__global const float *scratch, long start, long blocks, long columns, __global float *out,
                        view out_view, int accumulate)
{
    long  column = get_global_id(0), place = out_view.offset + column * out_view.stride[0];
    float sum = 0;
    if (column >= columns) return;
    for (long block = 0; block < blocks; block++) sum += scratch[start + block * columns + column];
    out[place] = accumulate ? out[place] + sum : sum;
}
