// The self-test of arithmetic in f16, for the host to check (backends/vulkan/prove.c).
//
// Item i: out[i, 3]: the f16 with bits i as f32; then, with small whole numbers a and b of i that f16 holds,
// a * b + a in each half of a vector, and the dot product of (a, b) with (b, a).
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "common.glsl"

layout(std430, set = 0, binding = 1) writeonly buffer out_block { uint out_[]; };

void main()
{
    const uint    index = group_number() * ITEMS + ITEM;
    const f16vec2 pair  = unpackFloat2x16(index);
    const f16vec2 ab    = f16vec2(float(index % 37u) - 18.0, float(index / 37u % 29u) - 14.0);
    out_[index * 3]     = floatBitsToUint(float(pair.x));
    out_[index * 3 + 1] = packFloat2x16(ab * ab.yx + ab.xx);
    out_[index * 3 + 2] = floatBitsToUint(float(dot(ab, ab.yx)));
}
