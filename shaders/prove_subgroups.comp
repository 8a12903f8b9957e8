// The self-test of subgroups: what their operations give for numbers whose sums are exact, for the host to check
// (backends/vulkan/prove.c). Lanes may be any items: each item says where it is.
//
// x[groups * ITEMS]; out[groups * ITEMS, 12]: lane, subgroup, subgroups; sum, sum of the lanes up to its own, largest,
// least key of the subgroup; item of the lane beside it; lanes below its own with x > 0; sum, largest, least key of the
// group, as kernels with reduce.glsl have them. The key is the item's number, backwards.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_shuffle : require
#define SUBGROUPS
#include "common.glsl"
#include "reduce.glsl"

layout(std430, set = 0, binding = 1) readonly buffer x_block { float x[]; };
layout(std430, set = 0, binding = 2) writeonly buffer out_block { uint out_[]; };

void main()
{
    const uint  index = group_number() * ITEMS + ITEM;
    const float value = x[index];
    const int   key   = int(ITEMS - ITEM);
    uint        row[12];
    row[0]  = gl_SubgroupInvocationID;
    row[1]  = gl_SubgroupID;
    row[2]  = gl_NumSubgroups;
    row[3]  = floatBitsToUint(subgroupAdd(value));
    row[4]  = floatBitsToUint(subgroupInclusiveAdd(value));
    row[5]  = floatBitsToUint(subgroupMax(value));
    row[6]  = uint(subgroupMin(key));
    row[7]  = subgroupShuffleXor(ITEM, 1u);
    row[8]  = subgroupBallotExclusiveBitCount(subgroupBallot(value > 0.0));
    row[9]  = floatBitsToUint(reduce_sum(value));
    row[10] = floatBitsToUint(reduce_max(value));
    row[11] = uint(reduce_least(key));
    for (uint i = 0; i < 12; i++) out_[index * 12 + i] = row[i];
}
