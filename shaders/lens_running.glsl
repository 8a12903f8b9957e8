// The running results of a slot over a part of the vocabulary, for lens_block and lens_group. Included behind what both
// declare: ENTRIES (how many logits are taken in at once), `plan`, `first`, and the bindings `states` and `tops`.

struct running {
    float maximum, sum, entropy; // sum of exp(x - maximum), and of exp(x - maximum) (maximum - x)
    float divergence;            // sum of exp(r - max r) (r - x), r the reference's logits
    float threshold;             // the smallest of the largest entries so far
    uint  rank;
};

// Those of a strand so far: none at the beginning of the vocabulary. An unwanted slot keeps no entries.
running load_running(uint strand, uint slot, bool wanted)
{
    if (first == 0u) return running(LOWEST, 0.0, 0.0, 0.0, wanted ? -INFINITE : INFINITE, 0u);
    return running(uintBitsToFloat(states[field_of(strand, slot, MAXIMUM)]),
                   uintBitsToFloat(states[field_of(strand, slot, SUM)]),
                   uintBitsToFloat(states[field_of(strand, slot, ENTROPY)]),
                   uintBitsToFloat(states[field_of(strand, slot, DIVERGENCE)]),
                   uintBitsToFloat(states[field_of(strand, slot, THRESHOLD)]),
                   states[field_of(strand, slot, RANK)]);
}

void store_running(running state, uint strand, uint slot)
{
    states[field_of(strand, slot, MAXIMUM)]    = floatBitsToUint(state.maximum);
    states[field_of(strand, slot, SUM)]        = floatBitsToUint(state.sum);
    states[field_of(strand, slot, ENTROPY)]    = floatBitsToUint(state.entropy);
    states[field_of(strand, slot, DIVERGENCE)] = floatBitsToUint(state.divergence);
    states[field_of(strand, slot, THRESHOLD)]  = floatBitsToUint(state.threshold);
    states[field_of(strand, slot, RANK)]       = state.rank;
}

// Adds logits to the sums; leaves exp(x - maximum) in `exponentials`. Returns what the sums so far were multiplied
// with. Precise: a row that equals the reference has the same sums, whatever they stand beside.
float add_sums(inout running state, float logits[ENTRIES], out float exponentials[ENTRIES])
{
    const float   before  = state.maximum;
    float         maximum = before;
    precise float sum = 0.0, entropy = 0.0;
    [[unroll]] for (uint i = 0; i < ENTRIES; i++) maximum = logits[i] > maximum ? logits[i] : maximum; // never NaN
    [[unroll]] for (uint i = 0; i < ENTRIES; i++) {
        float below;
        exponentials[i] = exp_bounded(logits[i] - maximum, below);
        sum += exponentials[i];
        entropy -= exponentials[i] * below;
    }
    const float   rescale = exp_negative(before - maximum);
    precise float shifted = state.sum == 0.0 ? 0.0 : (maximum - before) * state.sum;
    shifted               = rescale * (state.entropy + shifted) + entropy;
    sum                   = rescale * state.sum + sum;
    state.entropy         = shifted;
    state.sum             = sum;
    state.maximum         = maximum;
    return rescale;
}

// exponentials and rescale: the reference's.
void add_divergence(inout running state, float logits[ENTRIES], float reference[ENTRIES], float exponentials[ENTRIES],
                    float rescale)
{
    float sum = 0.0;
    [[unroll]] for (uint i = 0; i < ENTRIES; i++) // of two infinite logits the difference is NaN
        sum += exponentials[i] == 0.0 ? 0.0 : exponentials[i] * (reference[i] - logits[i]);
    state.divergence = rescale * state.divergence + sum;
}

// Ids from `id` on.
void add_ranks(inout running state, float logits[ENTRIES], float target, int target_id, int id)
{
    [[unroll]] for (uint i = 0; i < ENTRIES; i++) {
        const int  other = id + int(i);
        const bool above = logits[i] > target || (logits[i] == target && other < target_id);
        state.rank += above && other != target_id ? 1u : 0u;
    }
}

void begin_top(uint part, uint slot)
{
    const uint top = plan.top, step = all_slots(), ids = ids_from();
    uint       list = top_of(part, slot);
    for (uint t = 0; t < top; t++, list += step) {
        tops[list]       = floatBitsToUint(-INFINITE);
        tops[list + ids] = uint(NO_ROW);
    }
}

// Puts an entry above the threshold, whose id is larger than those of the list, where it belongs.
void insert(inout running state, uint part, uint slot, float logit, uint id)
{
    const uint step = all_slots(), ids = ids_from(), list = top_of(part, slot);
    uint       place = plan.top - 1u;
    for (; place > 0u; place--) {
        const uint before = list + (place - 1u) * step, bits = tops[before];
        if (uintBitsToFloat(bits) >= logit) break;
        tops[before + step]       = bits;
        tops[before + step + ids] = tops[before + ids];
    }
    tops[list + place * step]       = floatBitsToUint(logit);
    tops[list + place * step + ids] = id;
    state.threshold                 = uintBitsToFloat(tops[list + (plan.top - 1u) * step]);
}
