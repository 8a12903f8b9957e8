// The self-test of arithmetic in f16, for the host to check (backends/vulkan/prove.c).
//
// Item i: out[i, 5]: the f16 with bits i as f32; then, with small whole numbers a and b of i that f16 holds,
// a * b + a in each half of a vector, and the dot product of (a, b) with (b, a); then what has to be rounded, in pairs:
// two numbers between the f16 and the next, and its product and sum with 1.25.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "common.glsl"

layout(std430, set = 0, binding = 1) writeonly buffer out_block { uint out_[]; };

// What is that much larger than an f16 lies 1/4 to 3/2 of the way to the next.
const vec2 BESIDE = vec2(1.000244140625, 1.000732421875);

void main()
{
    const float16_t some = float16_t(1.25);
    const uint    index = group_number() * ITEMS + ITEM;
    const f16vec2 pair  = unpackFloat2x16(index);
    const f16vec2 ab    = f16vec2(float(index % 37u) - 18.0, float(index / 37u % 29u) - 14.0);
    out_[index * 5]     = floatBitsToUint(float(pair.x));
    out_[index * 5 + 1] = packFloat2x16(ab * ab.yx + ab.xx);
    out_[index * 5 + 2] = floatBitsToUint(float(dot(ab, ab.yx)));
    out_[index * 5 + 3] = packFloat2x16(f16vec2(float(pair.x) * vec2(BESIDE)));
    out_[index * 5 + 4] = packFloat2x16(f16vec2(pair.x * some, pair.x + some));
}
