// scale: out = factor * x + offset, element by element.
//
// x and out f32 (may be the same), of the shape that is walked. Launch: items with `each` runs. Error: two roundings,
// gamma(2) (|factor x| + |offset|).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "runs.glsl"

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    view  x_view, out_view;
    float factor, offset;
    walk  all;
};
INPUT(1, x)
OUTPUT(2, out_)

void main()
{
    for (run r = first_run(all); r.left > 0; r = next_run(r, all)) {
        LOAD_RUN(value, x, x_view, r, F32)
        STORE_RUN(out_, out_view, r, (factor * value + offset))
    }
}
