// lens: puts the parts together, in a fixed order. A group takes a slot, and has an item for each part at least.
// Parts' lists are never NaN, and their ids are ascending where logits are equal.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#define REDUCE_CONSTANT 1
#include "reduce.glsl"
#include "lens.glsl"

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    view      top_id_view, top_logit_view, lse_view, entropy_view, target_logit_view, target_rank_view, kl_view;
    lens_plan given;
};
layout(std430, set = 0, binding = 1) writeonly buffer top_id_block { int top_id[]; };
layout(std430, set = 0, binding = 2) writeonly buffer top_logit_block { float top_logit[]; };
layout(std430, set = 0, binding = 3) writeonly buffer lse_block { float lse[]; };
layout(std430, set = 0, binding = 4) writeonly buffer entropy_block { float entropy[]; };
layout(std430, set = 0, binding = 5) writeonly buffer target_logit_block { float target_logit[]; };
layout(std430, set = 0, binding = 6) writeonly buffer target_rank_block { int target_rank[]; };
layout(std430, set = 0, binding = 7) writeonly buffer kl_block { float kl[]; };
layout(std430, set = 0, binding = 8) readonly buffer states_block { uint states[]; };
layout(std430, set = 0, binding = 9) readonly buffer tops_block { uint tops[]; };
layout(std430, set = 0, binding = 10) readonly buffer targets_block { uint targets[]; };

// Results of a slot over the whole vocabulary, the same in every item.
struct totals {
    float maximum, sum, entropy;
};

float float_field(uint strand, uint slot, uint field)
{
    return uintBitsToFloat(states[field_of(strand, slot, field)]);
}

// What sums relative to one maximum are multiplied with to be relative to a larger one.
float shrink(float from, float to)
{
    return from == to ? 1.0 : exp_negative(from - to);
}

totals merge_sums(uint slot)
{
    float         maximum = LOWEST;
    precise float sum = 0.0, entropy = 0.0;
    const uint    strands = plan.strands;
    for (uint strand = ITEM; strand < strands; strand += ITEMS)
        maximum = max(maximum, float_field(strand, slot, MAXIMUM));
    maximum = reduce_max(maximum);
    for (uint strand = ITEM; strand < strands; strand += ITEMS) {
        const float own = float_field(strand, slot, MAXIMUM), own_sum = float_field(strand, slot, SUM);
        const float by = shrink(own, maximum);
        sum += by * own_sum;
        if (by != 0.0 && own_sum != 0.0)
            entropy += by * (float_field(strand, slot, ENTROPY) + (maximum - own) * own_sum);
    }
    return totals(maximum, reduce_sum(sum), reduce_sum(entropy));
}

// sum p (r - x) - (lse r - lse x), p the reference's probabilities and r its logits; rounding never makes it negative.
float divergence(uint slot, uint reference_slot, totals total)
{
    const totals reference = merge_sums(reference_slot);
    const uint   strands   = plan.strands;
    float        sum       = 0.0;
    for (uint strand = ITEM; strand < strands; strand += ITEMS)
        sum += shrink(float_field(strand, reference_slot, MAXIMUM), reference.maximum) *
               float_field(strand, slot, DIVERGENCE);
    sum = reduce_sum(sum);
    const float lse_apart =
        (reference.maximum - total.maximum) + (log_positive(reference.sum) - log_positive(total.sum));
    const float result = sum / reference.sum - lse_apart;
    return result < 0.0 ? 0.0 : result;
}

int merge_rank(uint slot)
{
    const uint strands = plan.strands;
    int        rank    = 0;
    for (uint strand = ITEM; strand < strands; strand += ITEMS)
        rank += int(states[field_of(strand, slot, RANK)]);
    return reduce_count(rank);
}

uint at(view x, uint layer, uint position)
{
    return x.offset + layer * x.stride[0] + position * x.stride[1];
}

// The largest of all parts' entries, one after another: each item has the best of what its own part has left.
void merge_top(uint slot, uint layer, uint position)
{
    const uint step = all_slots(), ids = ids_from(), top = plan.top;
    uint       from = top_of(ITEM, slot), taken = ITEM < plan.parts ? 0 : top;
    for (uint t = 0; t < top; t++) {
        const float own    = taken < top ? uintBitsToFloat(tops[from]) : -INFINITE;
        const int   own_id = taken < top ? int(tops[from + ids]) : NO_ROW;
        int         id     = own_id < 0 ? 0x7fffffff : own_id;
        const float logit  = reduce_best(own, id);
        if (id == own_id) {
            from += step;
            taken++;
        }
        if (ITEM != 0) continue;
        if (top_id_view.present != 0)
            top_id[at(top_id_view, layer, position) + t * top_id_view.stride[2]] = id == 0x7fffffff ? NO_ROW : id;
        if (top_logit_view.present != 0)
            top_logit[at(top_logit_view, layer, position) + t * top_logit_view.stride[2]] = logit;
    }
}

void main()
{
    plan = given;
    const uint slot = group_number(), in_block = slot % plan.slots, block = slot / plan.slots;
    const int  row  = row_in(block, in_block);
    // A reference that is a layer stands in each block that shares the positions.
    const bool compares    = plan.positions != 0;
    const bool is_repeated = compares && in_block < plan.positions && block % plan.shares != 0;
    if (!is_wanted(row) || is_repeated) return; // the whole group
    const uint   layer = uint(row) / plan.tokens, position = uint(row) % plan.tokens;
    const bool   writes = ITEM == 0;
    const totals total  = merge_sums(slot);
    if (writes && lse_view.present != 0)
        lse[at(lse_view, layer, position)] = total.sum == 0.0 ? -INFINITE : total.maximum + log_positive(total.sum);
    if (writes && entropy_view.present != 0)
        entropy[at(entropy_view, layer, position)] =
            total.sum == 0.0 ? 0.0 : log_positive(total.sum) + total.entropy / total.sum;
    if (compares) {
        const float apart = divergence(slot, block * plan.slots + in_block % plan.positions, total);
        if (writes) kl[at(kl_view, layer, position)] = apart;
    }
    if (plan.ranks != 0) {
        const int  rank       = merge_rank(slot);
        const bool has_target = int(targets[all_slots() + slot]) >= 0;
        if (writes && target_logit_view.present != 0)
            target_logit[at(target_logit_view, layer, position)] = uintBitsToFloat(targets[slot]);
        if (writes && target_rank_view.present != 0)
            target_rank[at(target_rank_view, layer, position)] = has_target ? rank : NO_ROW;
    }
    if (plan.top != 0) merge_top(slot, layer, position);
}
