// lens: the logits of the targets among entries [first, first + count), which `unembedding` and `bias` begin with, by
// the same arithmetic as in a unit. They are left in `targets` [2, slots] for ranks to compare with: logits, NaN where
// there is no target, and ids, -1 there. An item takes a slot.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "lens.glsl"

layout(constant_id = 1) const uint WEIGHT = F32;

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    view      unembedding_view, bias_view, target_view;
    lens_plan given;
    uint      first, count;
};
layout(std430, set = 0, binding = 1) readonly buffer unembedding_block { uint unembedding[]; };
layout(std430, set = 0, binding = 2) readonly buffer bias_block { uint bias[]; };
layout(std430, set = 0, binding = 3) readonly buffer target_block { int target[]; };
layout(std430, set = 0, binding = 4) readonly buffer rows_block { float rows[]; };
layout(std430, set = 0, binding = 5) writeonly buffer targets_block { uint targets[]; };

void main()
{
    plan = given;
    const uint slot = group_number() * ITEMS + ITEM, slots = all_slots();
    if (slot >= slots) return;
    const int row = row_in(slot / plan.slots, slot % plan.slots);
    int       id  = NO_ROW;
    if (row >= 0) id = target[target_view.offset + uint(row) % plan.tokens * target_view.stride[0]];
    if (first == 0u) {
        targets[slot]         = 0x7fc00000u;
        targets[slots + slot] = id >= 0 && id < int(plan.vocabulary) ? uint(id) : uint(NO_ROW);
    }
    if (id < int(first) || id >= int(first + count)) return;
    const uint here = uint(id) - first, x = uint(row) * plan.pitch, size = plan.size;
    const uint along = unembedding_view.stride[1];
    uint       entry = unembedding_view.offset + here * unembedding_view.stride[0];
    float      dot = 0.0, added = 0.0;
    for (uint k = 0; k < size; k++, entry += along)
        dot = fma(LOAD_AS(unembedding, entry, WEIGHT), rows[x + k], dot);
    if (bias_view.present != 0u)
        added = LOAD_AS(bias, bias_view.offset + here * bias_view.stride[0], bias_view.dtype);
    targets[slot] = floatBitsToUint(logit_of(dot, added));
}
