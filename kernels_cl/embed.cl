/* embed: out [T, d] = scale * table[ids[t]] (+ out).
 *
 * ids i32 [T], table [V, d] f32, f16 or bf16, out f32 [T, d]. Where the device cannot reach the whole table at once,
 * `table` holds its rows first .. first + count - 1, and rows of other ids are left to other launches; ids outside all
 * `vocabulary` rows give NaN, in the launch whose `first` is 0. The shape that is walked is [1, 1, T, d]. Launch: one
 * dimension of items, each with `each` runs of LANES entries of a row. Error: none with scale 1 and nothing added, else
 * gamma(2) (|scale x| + |out|). */
__kernel void embed(__global const int *ids, view ids_view, __global const void *table, view table_view,
                    __global float *out, view out_view, long first, long count, long vocabulary, float scale,
                    int accumulate, runs all)
{
    for (run r = first_run(&all); r.left > 0; next_run(&r, &all)) {
        long  id      = ids[ids_view.offset + r.at[2] * ids_view.stride[0]];
        bool  outside = id < 0 || id >= vocabulary;
        lanes value   = NAN;
        if (outside ? first > 0 : id < first || id >= first + count) continue;
        if (!outside)
            value = scale *
                    load_lanes(table,
                               table_view.offset + (id - first) * table_view.stride[0] + r.at[3] * table_view.stride[1],
                               table_view.stride[1], r.count, table_view.dtype);
        if (accumulate) value += load_run(&r, out, &out_view, F32);
        store_run(&r, out, &out_view, value);
    }
}
