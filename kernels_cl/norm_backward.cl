/* norm_backward: the gradients of norm. With r = 1 / sqrt(.. + epsilon), n = (x - mean) r and g = d_out * (weight +
 * weight_offset): layer: d_x = r (g - mean(g) - n mean(g n)); rms: without mean(g); none: d_x = d_out. d_weight = sum
 * over the rows of d_out n, d_bias = sum of d_out. Where accumulate, d_x is added to.
 *
 * x, d_out, d_x f32 [i, j, k, d], weight f32, f16 or bf16 [d] or absent; d_x may be absent. Behind norm.cl in its
 * program, whose sums of rows these are.
 *
 * norm_backward: an item takes `each` whole rows and leaves each one's mean and r in scratch, [rows, 2].
 * norm_backward_sums: an item leaves the sums of LANES columns over a block of rows behind these, [2, blocks, d];
 * sum_merge adds them up. Launch: rows / each items; runs of columns x blocks. Errors: those of norm for n and r, the
 * means gamma(d + 4) of their terms, d_x 6 u more; gamma(rows + 4) for the sums. */

/* Entries i .. of g. */
inline lanes weighed(__global const float *d_out, long stride, __global const void *weight, const view *weight_view,
                     const norm_of *norm, long i, int count)
{
    lanes g = load_lanes(d_out, i * stride, stride, count, F32);
    if (weight && norm->kind != NONE)
        g *= load_lanes(weight, weight_view->offset + i * weight_view->stride[0], weight_view->stride[0], count,
                        weight_view->dtype) +
             norm->weight_offset;
    return g;
}

__kernel void norm_backward(__global const float *x, view x_view, __global const float *d_out, view d_out_view,
                            __global const void *weight, view weight_view, __global float *d_x, view d_x_view,
                            __global float *scratch, long start, norm_of norm, int accumulate)
{
    long d = norm.shape[3], begin = get_global_id(0) * norm.each;
    long end = min(begin + norm.each, norm.shape[0] * norm.shape[1] * norm.shape[2]);
    for (long index = begin; index < end; index++) {
        norm_row              row    = {x + row_index(index, &norm, &x_view), 0, 0, 0, x_view.stride[3], 0};
        __global const float *given  = d_out + row_index(index, &norm, &d_out_view);
        float                 centre = 0, factor = 1, mean = 0, with = 0;
        lanes                 sum = 0, products = 0;
        if (norm.kind == LAYER) centre = sum_of_row(&row, d, 0, LANES, 0, false) * norm.per_entry;
        if (norm.kind != NONE) factor = rsqrt(squared_denominator(sum_of_row(&row, d, 0, LANES, centre, true), &norm));
        scratch[start + 2 * index]     = centre;
        scratch[start + 2 * index + 1] = factor;
        if (!d_x) continue;
        for (long i = 0; i < d && norm.kind != NONE; i += LANES) {
            int   count = (int)min(d - i, (long)LANES);
            lanes g     = weighed(given, d_out_view.stride[3], weight, &weight_view, &norm, i, count);
            lanes n     = (load_lanes(row.x, i * row.stride, row.stride, count, F32) - centre) * factor;
            sum += count < LANES ? first_lanes(g, count) : g;
            products += count < LANES ? first_lanes(g * n, count) : g * n;
        }
        if (norm.kind == LAYER) mean = sum_of_lanes(sum) * norm.per_entry;
        if (norm.kind != NONE) with = sum_of_lanes(products) * norm.per_entry;
        long place = row_index(index, &norm, &d_x_view), stride = d_x_view.stride[3];
        for (long i = 0; i < d; i += LANES) {
            int   count = (int)min(d - i, (long)LANES);
            lanes made  = weighed(given, d_out_view.stride[3], weight, &weight_view, &norm, i, count);
            lanes n     = (load_lanes(row.x, i * row.stride, row.stride, count, F32) - centre) * factor;
            if (norm.kind != NONE) made = factor * (made - mean - n * with);
            if (accumulate) made += load_lanes(d_x, place + i * stride, stride, count, F32);
            store_lanes(d_x, place + i * stride, stride, count, made);
        }
    }
}

__kernel void norm_backward_sums(__global const float *x, view x_view, __global const float *d_out, view d_out_view,
                                 __global float *scratch, long start, norm_of norm)
{
    long  column = get_global_id(0) * LANES, block = get_global_id(1), d = norm.shape[3];
    long  rows   = norm.shape[0] * norm.shape[1] * norm.shape[2];
    int   count  = (int)min(d - column, (long)LANES);
    lanes weight = 0, bias = 0;
    for (long index = block * norm.each; index < min((block + 1) * norm.each, rows); index++) {
        lanes given = load_lanes(d_out, row_index(index, &norm, &d_out_view) + column * d_out_view.stride[3],
                                 d_out_view.stride[3], count, F32);
        lanes value =
            load_lanes(x, row_index(index, &norm, &x_view) + column * x_view.stride[3], x_view.stride[3], count, F32);
        weight += given * ((value - scratch[start + 2 * index]) * scratch[start + 2 * index + 1]);
        bias += given;
    }
    long place = start + 2 * rows + block * d + column;
    store_lanes(scratch, place, 1, count, weight);
    store_lanes(scratch, place + get_global_size(1) * d, 1, count, bias);
}
