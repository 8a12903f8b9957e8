// add: out = a + b, element by element.
//
// a f32, b f32, f16 or bf16, out f32 (may be a or b), all of the shape that is walked; a stride of 0 repeats an input.
// Launch: items with `each` runs. Error: one rounding, u |a + b|.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "runs.glsl"

layout(constant_id = 3) const uint B = 0; // dtype

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    view a_view, b_view, out_view;
    walk all;
};
INPUT(1, a)
INPUT(2, b)
OUTPUT(3, out_)

void main()
{
    for (run r = first_run(all); r.left > 0; r = next_run(r, all)) {
        LOAD_RUN(x, a, a_view, r, F32)
        LOAD_RUN(y, b, b_view, r, B)
        STORE_RUN(out_, out_view, r, (x + y))
    }
}
