// softmax_capture, reduced through shared memory.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "softmax_rows.glsl"
