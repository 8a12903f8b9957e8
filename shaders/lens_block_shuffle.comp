// lens "block" for groups that are one subgroup: see lens_block.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "common.glsl"
#include "math.glsl"
#include "lens.glsl"
#define SHUFFLED
#include "lens_block.glsl"
