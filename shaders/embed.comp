// embed: out [T, d] = scale * table[ids[t]] (+ out).
//
// ids i32 [T], table [V, d] f32, f16 or bf16, out f32 [T, d]. Where one binding does not reach the whole table, `table`
// holds its rows first .. first + rows - 1, and rows of other ids are left to other launches; ids outside all
// `vocabulary` rows give NaN, in the launch whose `first` is 0. The shape that is walked is [1, 1, T, d]. Launch: items
// with `each` runs. Error: none with scale 1 and nothing added, else gamma(2) (|scale x| + |out|).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "runs.glsl"

layout(constant_id = 3) const uint TABLE      = 0; // dtype
layout(constant_id = 4) const bool ACCUMULATE = false;

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    view  table_view, out_view, old_view, ids_view;
    uint  first, rows, vocabulary;
    float scale;
    walk  all;
};
INPUT(1, table)
OUTPUT(2, out_)
INPUT(3, old) // out, where it is added to
layout(std430, set = 0, binding = 4) readonly buffer ids_block { int ids[]; };

void main()
{
    for (run r = first_run(all); r.left > 0; r = next_run(r, all)) {
        // Negative ids are large numbers.
        const uint id = uint(ids[ids_view.offset + r.i2 * ids_view.stride[0]]), row = id - first;
        const bool outside = id >= vocabulary;
        if (outside ? first > 0 : row >= rows) continue;
        vec4 value = vec4(uintBitsToFloat(0x7fc00000u));
        if (!outside) {
            const uint from = table_view.offset + row * table_view.stride[0] + r.i3 * table_view.stride[1];
            LOAD_FOUR(entries, table, from, table_view.stride[1], r.count, TABLE)
            value = scale * entries;
        }
        if (ACCUMULATE) {
            LOAD_RUN(before, old, old_view, r, F32)
            value += before;
        }
        STORE_RUN(out_, out_view, r, value)
    }
}
