// softmax_capture, reduced by the device's subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#define SUBGROUPS
#include "softmax_rows.glsl"
