// activation: out = f(x), or f(x) * gated, element by element.
//
// x, gated and out f32, of the shape that is walked; out may be x or gated. Launch: items with `each` runs.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "runs.glsl"
#include "activation.glsl"

layout(constant_id = 4) const bool GATED = false;

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    view x_view, gated_view, out_view;
    walk all;
};
INPUT(1, x)
INPUT(2, gated)
OUTPUT(3, out_)

void main()
{
    for (run r = first_run(all); r.left > 0; r = next_run(r, all)) {
        LOAD_RUN(value, x, x_view, r, F32)
        value = vec4(activate(value.x), activate(value.y), activate(value.z), activate(value.w));
        if (GATED) {
            LOAD_RUN(factor, gated, gated_view, r, F32)
            value *= factor;
        }
        STORE_RUN(out_, out_view, r, value)
    }
}
