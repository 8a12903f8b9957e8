// fill: out = value, with any strides; f16 and bf16 are rounded to nearest even.
//
// out of the shape that is walked. Launch: items with `each` runs.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "half.glsl"
#include "runs.glsl"

layout(constant_id = 3) const uint TO = 0; // dtype

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    view out_view;
    uint word; // the value's bits: of an int where out is i32, else of a float
    walk all;
};
#define OUT_BINDING 1

uint bits_at(run r, uint i)
{
    return is_short(TO) ? short_of_float(uintBitsToFloat(word), TO) : word;
}

#include "store.glsl"
