// lens "block", for devices whose items are lanes of a processor's vectors: no barriers, no shared memory. An item
// takes PLACES slots, ENTRIES entries at a time, their dot products in registers. Launched over parts x blocks groups
// of 8 items; a block has 8 x PLACES slots, and where rows are compared the reference is in the item's place 0.
//
// Memory is read by one address for each item and 4 elements, which costs such devices far more than to compute with
// them, also where all items read the same: so of each 8 entries an item loads one, and the others get it from there by
// shuffles where SHUFFLED is defined.

layout(constant_id = 1) const uint WEIGHT = F32;
layout(constant_id = 2) const uint PLACES = 2;
layout(constant_id = 3) const bool IN_QUADS = true; // entries are rows of quads of elements

#ifdef SHUFFLED
#define LANE gl_SubgroupInvocationID
#else
#define LANE ITEM
#endif

const uint LANES = 8, ENTRIES = 16;

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

// Dot products of the `entries` entries that begin at element `first_entry` with the item's rows, whose first quads are
// those of `row`.
void multiply(out float dots[PLACES][ENTRIES], uint first_entry, uint entries, uint row[PLACES])
{
    const uint size = plan.size, apart = unembedding_view.stride[0];
    [[unroll]] for (uint i = 0; i < ENTRIES; i++)
        [[unroll]] for (uint place = 0; place < PLACES; place++) dots[place][i] = 0.0;
    for (uint k = 0; k < size; k += 4) {
        vec4 x[PLACES];
        [[unroll]] for (uint place = 0; place < PLACES; place++) x[place] = rows[row[place] + k / 4];
        [[unroll]] for (uint begin = 0; begin < ENTRIES; begin += LANES) {
#ifdef SHUFFLED
            const vec4 mine = weights_at(first_entry + min(begin + LANE, entries - 1) * apart, k);
#endif
            [[unroll]] for (uint i = 0; i < LANES; i++) {
#ifdef SHUFFLED
                const vec4 weights = vec4(subgroupShuffle(mine.x, i), subgroupShuffle(mine.y, i),
                                          subgroupShuffle(mine.z, i), subgroupShuffle(mine.w, i));
#else
                const vec4 weights = weights_at(first_entry + min(begin + i, entries - 1) * apart, k);
#endif
                [[unroll]] for (uint j = 0; j < 4; j++)
                    [[unroll]] for (uint place = 0; place < PLACES; place++)
                        dots[place][begin + i] = fma(weights[j], x[place][j], dots[place][begin + i]);
            }
        }
    }
}

// What is added to the logits of the `entries` entries from `entry` on.
void load_biases(out float biases[ENTRIES], uint entry, uint entries)
{
    const uint first_bias = bias_view.offset + entry * bias_view.stride[0], apart = bias_view.stride[0];
    const uint dtype = bias_view.dtype, present = bias_view.present;
#ifdef SHUFFLED
    for (uint begin = 0; begin < ENTRIES; begin += LANES) {
        float mine = 0.0;
        if (present != 0) mine = LOAD_AS(bias, first_bias + min(begin + LANE, entries - 1) * apart, dtype);
        for (uint i = 0; i < LANES; i++) biases[begin + i] = subgroupShuffle(mine, i);
    }
#else
    for (uint i = 0; i < ENTRIES; i++) {
        biases[i] = 0.0;
        if (present != 0) biases[i] = LOAD_AS(bias, first_bias + min(i, entries - 1) * apart, dtype);
    }
#endif
}

// The logits of a slot from its dot products; those of entries past the last are -inf, which changes nothing.
void finish_logits(inout float logits[ENTRIES], float biases[ENTRIES], uint entries)
{
    for (uint i = 0; i < ENTRIES; i++) logits[i] = i < entries ? logit_of(logits[i], biases[i]) : -INFINITE;
}

// Candidates among logits of ids from `id` on into the slot's list.
void keep_top(inout running state, float logits[ENTRIES], uint part, uint slot, uint id)
{
    uint candidates = 0u;
    [[unroll]] for (uint i = 0; i < ENTRIES; i++) candidates |= logits[i] > state.threshold ? 1u << i : 0u;
    while (candidates != 0u) {
        const uint which = findLSB(candidates);
        float      logit = 0.0;
        [[unroll]] for (uint i = 0; i < ENTRIES; i++) logit = which == i ? logits[i] : logit;
        if (logit > state.threshold) insert(state, part, slot, logit, id + which);
        candidates &= candidates - 1u;
    }
}

// The first quad of the row that the item takes in a place. Rows of a place lie one behind the other; what is behind
// the last of them is read and not used.
uint quad_of(uint block, uint place)
{
    const int row = row_in(block, place * LANES);
    return row < 0 ? 0u : (uint(row) + LANE) * (plan.pitch / 4u);
}

void main()
{
    plan = given;
    const uint part = group_number() / plan.blocks, block = group_number() % plan.blocks;
    running    state[PLACES];
    uint       row[PLACES];
    float      target[PLACES];
    int        target_id[PLACES];
    [[unroll]] for (uint place = 0; place < PLACES; place++) {
        const uint slot  = block * plan.slots + place * LANES + LANE;
        state[place]     = load_running(part, slot, is_wanted(row_in(block, place * LANES + LANE)));
        row[place]       = quad_of(block, place);
        target[place]    = plan.ranks != 0u ? uintBitsToFloat(targets[slot]) : 0.0;
        target_id[place] = plan.ranks != 0u ? int(targets[all_slots() + slot]) : 0;
        if (first == 0u) begin_top(part, slot);
    }
    const uint end = first + count, size = plan.unit, step = plan.parts * size;
    for (uint id = first_unit(part, first) * size; id < end; id += step) {
        const uint entry = id - first, entries = min(size, end - id);
        float      dots[PLACES][ENTRIES], biases[ENTRIES], exponentials[ENTRIES], reference[ENTRIES];
        float      rescale;
        multiply(dots, unembedding_view.offset + entry * unembedding_view.stride[0], entries, row);
        load_biases(biases, entry, entries);
        [[unroll]] for (uint place = 0; place < PLACES; place++) {
            float logits[ENTRIES] = dots[place], own[ENTRIES];
            finish_logits(logits, biases, entries);
            const float own_rescale = add_sums(state[place], logits, own);
            if (place == 0u) {
                reference    = logits;
                exponentials = own;
                rescale      = own_rescale;
            }
            if (plan.positions != 0u) add_divergence(state[place], logits, reference, exponentials, rescale);
            if (plan.ranks != 0u) add_ranks(state[place], logits, target[place], target_id[place], int(id));
            if (plan.top != 0u)
                keep_top(state[place], logits, part, block * plan.slots + place * LANES + LANE, id);
        }
    }
    [[unroll]] for (uint place = 0; place < PLACES; place++)
        store_running(state[place], part, block * plan.slots + place * LANES + LANE);
}
