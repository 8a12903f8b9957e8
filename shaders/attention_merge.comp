// attention: the parts of the distances, added up in their order.
//
// parts [B, H, parts, count], distance [B, H, count]. An item takes a distance of a head.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    uint total, heads, parts, count;
    view distance_view;
};
layout(std430, set = 0, binding = 1) readonly buffer sums_block { float sums[]; };
layout(std430, set = 0, binding = 2) writeonly buffer distance_block { float distances[]; };

void main()
{
    const uint item = group_number() * ITEMS + ITEM, all = parts;
    if (item >= total) return;
    const uint head = item / count, n = item - head * count;
    float      sum = 0.0;
    for (uint part = 0; part < all; part++) sum = sum + sums[(head * parts + part) * count + n];
    distances[distance_view.offset + head / heads * distance_view.stride[0] + head % heads * distance_view.stride[1] +
              n * distance_view.stride[2]] = sum;
}
