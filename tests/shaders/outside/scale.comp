// A planted fault: writes far behind its output.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(std430, set = 0, binding = 0) readonly buffer parameters_block { view x_view, out_view; };
layout(std430, set = 0, binding = 1) readonly buffer x_block { float x[]; };
layout(std430, set = 0, binding = 2) writeonly buffer out_block { float out_[]; };

void main()
{
    out_[out_view.offset + 1000000u + ITEM] = x[x_view.offset];
}
