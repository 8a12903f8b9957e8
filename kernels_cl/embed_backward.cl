/* embed_backward: d_table[v] = scale * the sum of d_out[t] over the t with ids[t] = v, in ascending t (+ d_table[v]).
 *
 * ids i32 [T], d_out f32 [T, d], d_table f32 [V, d], of which a launch may have rows first .. first + count - 1 alone.
 * embed_chain leaves for each t the next t of the same id in scratch, T where there is none, and behind all of these
 * whether t is its id's first. Then the first t of each id follows its chain, so that each row has one item for each
 * run; rows without any are left alone. Launch: T items; one dimension of items, each with `each` runs of LANES
 * elements of a row of d_out. Error: gamma(n + 2) of the magnitudes of n rows, none for one row with scale 1. */

__kernel void embed_chain(__global const int *ids, view ids_view, __global int *scratch, long start, long tokens)
{
    long t = get_global_id(0), earlier = t - 1, later = t + 1;
    if (t >= tokens) return;
    ids += ids_view.offset;
    int id = ids[t * ids_view.stride[0]];
    while (earlier >= 0 && ids[earlier * ids_view.stride[0]] != id) earlier--;
    while (later < tokens && ids[later * ids_view.stride[0]] != id) later++;
    scratch[start + t]          = (int)later;
    scratch[start + tokens + t] = earlier < 0;
}

__kernel void embed_backward(__global const int *ids, view ids_view, __global const float *d_out, view d_out_view,
                             __global float *d_table, view d_table_view, __global const int *scratch, long start,
                             long first, long count, float scale, int accumulate, runs all)
{
    long tokens = all.shape[2];
    for (run r = first_run(&all); r.left > 0; next_run(&r, &all)) {
        long  id  = ids[ids_view.offset + r.at[2] * ids_view.stride[0]] - first;
        lanes sum = 0;
        if (id < 0 || id >= count || !scratch[start + tokens + r.at[2]]) continue;
        for (long t = r.at[2]; t < tokens; t = scratch[start + t])
            sum += load_lanes(d_out, d_out_view.offset + t * d_out_view.stride[2] + r.at[3] * d_out_view.stride[3],
                              d_out_view.stride[3], r.count, F32);
        long place = d_table_view.offset + id * d_table_view.stride[0] + r.at[3] * d_table_view.stride[1];
        sum *= scale;
        if (accumulate) sum += load_lanes(d_table, place, d_table_view.stride[1], r.count, F32);
        store_lanes(d_table, place, d_table_view.stride[1], r.count, sum);
    }
}
