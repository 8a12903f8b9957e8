// Elements of 2 bytes, each half of a word whose other half may be another item's or nobody's: see scatter.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "scatter.glsl"

layout(std430, set = 0, binding = 1) readonly buffer staged_block { uint staged[]; };
layout(std430, set = 0, binding = 2) buffer low_block { uint low[]; };
layout(std430, set = 0, binding = 3) buffer high_block { uint high[]; };

void main()
{
    uint place;
    if (!find_element(place)) return;
    const uint value = staged[place >> 1] >> (place & 1u) * 16u & 0xffffu;
    const bool is_low = place < low_count;
    const uint index = is_low ? low_begin + place : place - low_count;
    const uint shift = (index & 1u) * 16u;
    if (is_low) {
        atomicAnd(low[index >> 1], ~(0xffffu << shift));
        atomicOr(low[index >> 1], value << shift);
    } else {
        atomicAnd(high[index >> 1], ~(0xffffu << shift));
        atomicOr(high[index >> 1], value << shift);
    }
}
