// lens "group", for GPUs: a group of 256 items takes its part of the vocabulary for one block of 64 rows, a tile of 64
// entries at a time. An item computes 4 x 4 dot products from shared memory; the tile's logits go through the same
// memory to the items that keep the running results: item i those of slot i mod 64 over a quarter of each tile's
// entries, its strand. Launched over parts x blocks groups. 18 KiB of shared memory.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"
#include "math.glsl"
#include "lens.glsl"

layout(constant_id = 1) const uint WEIGHT = F32;
layout(constant_id = 2) const bool IN_QUADS = true; // entries are rows of quads of elements

const uint TILE = 64, DEPTH = 16, ENTRIES = 16, STRANDS = TILE / ENTRIES, ALL = TILE * STRANDS, PITCH = TILE + 4;

layout(std430, set = 0, binding = 0) readonly buffer parameters_block {
    view      unembedding_view, bias_view;
    lens_plan given;
    uint      first, count; // entries; `unembedding` and `bias` begin with them
};
layout(std430, set = 0, binding = 1) readonly buffer unembedding_block { uint unembedding[]; };
layout(std430, set = 0, binding = 1) readonly buffer unembedding_pairs_block { uvec2 unembedding_pairs[]; };
layout(std430, set = 0, binding = 1) readonly buffer unembedding_quads_block { uvec4 unembedding_quads[]; };
layout(std430, set = 0, binding = 2) readonly buffer bias_block { uint bias[]; };
layout(std430, set = 0, binding = 3) readonly buffer rows_block { vec4 rows[]; };
layout(std430, set = 0, binding = 4) readonly buffer targets_block { uint targets[]; };
layout(std430, set = 0, binding = 5) buffer states_block { uint states[]; };
layout(std430, set = 0, binding = 6) buffer tops_block { uint tops[]; };

#include "lens_running.glsl"
#include "lens_weights.glsl"

// First the operands of a tile, entries [DEPTH, PITCH] and slots [DEPTH, PITCH], then its logits [TILE, TILE], by
// entries.
shared float tile[TILE * TILE];
shared float maxima[ALL], rescaled[ALL];

const uint SLOTS_FROM = DEPTH * PITCH;

// Dot products of the tile's entries, which begin at element `entry`, with the block's slots: an item computes 4 x 4 of
// them, entries by ITEM % 16, slots by ITEM / 16. It loads 4 elements of entry ITEM / 4, and of the row of that slot,
// whose first quad is `quad`; rows that are none are zeros.
void multiply(out vec4 dots[4], uint entry, uint entries, bool has_row, uint quad)
{
    const uint across = ITEM % 16 * 4, down = ITEM / 16 * 4, loaded = ITEM / 4, part = ITEM % 4 * 4, size = plan.size;
    const bool has_entry = loaded < entries;
    const uint own       = entry + loaded * unembedding_view.stride[0];
    vec4       weights = vec4(0.0), x = vec4(0.0);
    [[unroll]] for (uint i = 0; i < 4; i++) dots[i] = vec4(0.0);
    if (has_entry && part < size) weights = weights_at(own, part);
    if (has_row && part < size) x = rows[quad + part / 4];
    for (uint begin = 0; begin < size; begin += DEPTH) {
        [[unroll]] for (uint i = 0; i < 4; i++) {
            tile[(part + i) * PITCH + loaded]              = weights[i];
            tile[SLOTS_FROM + (part + i) * PITCH + loaded] = x[i];
        }
        barrier();
        const uint next = begin + DEPTH + part; // on its way while the products are made
        weights = x = vec4(0.0);
        if (has_entry && next < size) weights = weights_at(own, next);
        if (has_row && next < size) x = rows[quad + next / 4];
        [[unroll]] for (uint k = 0; k < DEPTH; k++) {
            vec4 slots;
            [[unroll]] for (uint j = 0; j < 4; j++) slots[j] = tile[SLOTS_FROM + k * PITCH + down + j];
            [[unroll]] for (uint i = 0; i < 4; i++) dots[i] = fma(vec4(tile[k * PITCH + across + i]), slots, dots[i]);
        }
        barrier();
    }
}

// The tile's logits; those of entries past the last are -inf, which changes nothing.
void store_logits(vec4 dots[4], uint entry, uint entries)
{
    const uint across = ITEM % 16 * 4, down = ITEM / 16 * 4;
    const view added_view = bias_view;
    for (uint i = 0; i < 4; i++) {
        const bool is_inside = across + i < entries;
        float      added     = 0.0;
        if (added_view.present != 0 && is_inside)
            added = LOAD_AS(bias, added_view.offset + (entry + across + i) * added_view.stride[0], added_view.dtype);
        [[unroll]] for (uint j = 0; j < 4; j++)
            tile[(across + i) * TILE + down + j] = is_inside ? logit_of(dots[i][j], added) : -INFINITE;
    }
}

// Candidates among the tile's logits of one slot into its list, by the one item that keeps it.
void keep_top(inout running state, uint part, uint slot, uint id)
{
    for (uint i = 0; i < TILE; i++) {
        const float logit = tile[i * TILE + slot % TILE];
        if (logit > state.threshold) insert(state, part, slot, logit, id + i);
    }
}

void main()
{
    plan = given;
    const uint part = group_number() / plan.blocks, block = group_number() % plan.blocks;
    const uint lane = ITEM % TILE, strand = ITEM / TILE, slot = block * TILE + lane;
    const int  own_row = row_in(block, lane), loaded_row = row_in(block, ITEM / 4);
    const uint quad = loaded_row < 0 ? 0 : uint(loaded_row) * (plan.pitch / 4);
    // The item that keeps the slot's reference in the same strand.
    const uint  reference = strand * TILE + (plan.positions != 0 ? lane % plan.positions : 0);
    const bool  keeps_top = plan.top != 0 && strand == 0;
    const float target    = plan.ranks != 0 ? uintBitsToFloat(targets[slot]) : 0.0;
    const int   target_id = plan.ranks != 0 ? int(targets[all_slots() + slot]) : 0;
    running     state     = load_running(part * STRANDS + strand, slot, is_wanted(own_row));
    if (first == 0 && keeps_top) begin_top(part, slot);
    const uint end = first + count, size = plan.unit, step = plan.parts * size;
    for (uint id = first_unit(part, first) * size; id < end; id += step) {
        const uint entry = id - first, entries = min(size, end - id);
        vec4       dots[4];
        float      own[ENTRIES], others[ENTRIES], exponentials[ENTRIES];
        multiply(dots, unembedding_view.offset + entry * unembedding_view.stride[0], entries, loaded_row >= 0, quad);
        store_logits(dots, entry, entries);
        barrier();
        [[unroll]] for (uint i = 0; i < ENTRIES; i++) own[i] = tile[(strand * ENTRIES + i) * TILE + lane];
        rescaled[ITEM] = add_sums(state, own, exponentials);
        maxima[ITEM]   = state.maximum;
        barrier();
        if (plan.positions != 0) {
            [[unroll]] for (uint i = 0; i < ENTRIES; i++) {
                others[i]       = tile[(strand * ENTRIES + i) * TILE + reference % TILE];
                exponentials[i] = exp_negative(others[i] - maxima[reference]);
            }
            add_divergence(state, own, others, exponentials, rescaled[reference]);
        }
        if (plan.ranks != 0) add_ranks(state, own, target, target_id, int(id + strand * ENTRIES));
        if (keeps_top) keep_top(state, part, slot, id);
        barrier(); // before the next tile
    }
    store_running(state, part * STRANDS + strand, slot);
}
