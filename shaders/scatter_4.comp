// Elements of 4 bytes: see scatter.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "scatter.glsl"

layout(std430, set = 0, binding = 1) readonly buffer staged_block { uint staged[]; };
layout(std430, set = 0, binding = 2) writeonly buffer low_block { uint low[]; };
layout(std430, set = 0, binding = 3) writeonly buffer high_block { uint high[]; };

void main()
{
    uint place;
    if (!find_element(place)) return;
    if (place < low_count)
        low[low_begin + place] = staged[place];
    else
        high[place - low_count] = staged[place];
}
