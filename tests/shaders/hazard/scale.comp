// A planted fault: writes its input, which the host takes for read only.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(std430, set = 0, binding = 0) readonly buffer parameters_block { view x_view, out_view; };
layout(std430, set = 0, binding = 1) writeonly buffer x_block { float x[]; };
layout(std430, set = 0, binding = 2) writeonly buffer out_block { float out_[]; };

void main()
{
    x[x_view.offset + ITEM]      = 1.0;
    out_[out_view.offset + ITEM] = 1.0;
}
