// out = value, with any strides; f16 and bf16 are rounded to nearest even.
//
// out of the shape that is walked. An item takes a run of RUN elements of a row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "half.glsl"

layout(constant_id = 1) const uint TO = 0; // dtype

const uint RUN = 4;

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    view  out_view;
    uint  word; // the value's bits: of an int where out is i32, else of a float
    uint  shape[4];
    uint  runs;
};
layout(std430, set = 0, binding = 1) buffer out_block { uint out_[]; };

void main()
{
    const uint run = group_number() * ITEMS + ITEM;
    if (run >= runs) return;
    const uint in_row = (shape[3] + RUN - 1) / RUN, row = run / in_row, begin = (run - row * in_row) * RUN;
    const uint i0 = row / (shape[1] * shape[2]), i1 = row / shape[2] % shape[1], i2 = row % shape[2];
    const uint count = min(RUN, shape[3] - begin);
    const bool is_short = TO == F16 || TO == BF16;
    const uint bits = is_short ? short_of_float(uintBitsToFloat(word), TO) : word;
    uint to = out_view.offset + i0 * out_view.stride[0] + i1 * out_view.stride[1] + i2 * out_view.stride[2] +
              begin * out_view.stride[3];
    for (uint i = 0; i < count; i++, to += out_view.stride[3]) {
        if (!is_short) {
            out_[to] = bits;
        } else if (out_view.stride[3] == 1 && (to & 1u) == 0u && i + 1 < count) {
            out_[to >> 1] = bits | bits << 16;
            i++, to++;
        } else {
            STORE_SHORT(out_, to, bits)
        }
    }
}
