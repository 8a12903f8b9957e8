// matmul "half": in f16, for ops that allow it.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "common.glsl"
#define HALVES
#include "matmul_tile.glsl"
