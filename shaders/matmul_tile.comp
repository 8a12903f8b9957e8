// matmul "row", "tile32", "tile64", "tile128" and "split": in f32.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "matmul_tile.glsl"
