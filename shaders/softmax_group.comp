// softmax_capture, reduced through shared memory.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "softmax_rows.glsl"
