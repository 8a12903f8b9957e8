// lens "block" for any subgroups: see lens_block.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"
#include "math.glsl"
#include "lens.glsl"
#include "lens_block.glsl"
