// lens: what the residual streams would predict, by tiles of the vocabulary.
//
//     logit[v] = softcap(unembedding[v, :] . row * logit_scale + bias[v])
//
// for rows that norm has left in scratch, [layers (and the reference's), tokens, pitch]. Rows stand in slots, the slots
// in blocks; entries of the vocabulary are taken in units, unit u by part u mod `parts`, so that a piece of the
// vocabulary keeps every part busy and results do not depend on where pieces end. Of a unit's logits only running
// results remain (lens_running.glsl): maximum, sum of exponentials, entropy, divergence, rank, largest entries.
//
//     lens_targets    the logits of the targets, which ranks compare with
//     lens_block      the running results; for processors: an item multiplies entries with the rows of its slots
//                     (lens_block_shuffle: with subgroups)
//     lens_group      the same for GPUs: a group of items multiplies a tile, in shared memory
//     lens_merge      puts the parts together
//
// The chain of fused multiply-adds along `size` is the same for every slot and entry, and for targets: a row's result
// does not depend on its place, and equal rows have equal bits, and a divergence of 0. Error: gamma(size + 2) of the
// sum of magnitudes for a logit; a part adds up sums of a unit's exponentials, rescaled where the maximum grows.

// backends/vulkan/lens.c has the same.
struct lens_plan {
    uint  size, vocabulary, layers, tokens;
    uint  pitch;                    // floats from a row in scratch to the next
    uint  slots, blocks;            // slots of one block
    uint  positions, depth, shares; // compared with a reference: positions and layers of a block, and blocks that share
                                    // the positions; else positions is 0
    uint  reference;                // the layer that is the reference; `layers` where none is
    uint  unit, parts, strands;     // strands: running sums of all parts
    uint  top, ranks;
    float logit_scale, softcap;
};

// The one that kernels are given is copied to this one at first. Read from memory at each use, it would be looked at by
// validation as often, and that takes minutes to compile.
lens_plan plan;

const int NO_ROW = -1;

// The row in scratch that a slot holds. Compared blocks hold a reference row for each position, then as many of each
// layer.
int row_in(uint block, uint slot)
{
    if (plan.positions == 0u) {
        const uint row = block * plan.slots + slot;
        return row < plan.layers * plan.tokens ? int(row) : NO_ROW;
    }
    const uint place    = slot / plan.positions;
    const uint position = block / plan.shares * plan.positions + slot % plan.positions;
    if (place > plan.depth || position >= plan.tokens) return NO_ROW;
    if (place == 0u) return int(plan.reference * plan.tokens + position);
    uint layer = block % plan.shares * plan.depth + place - 1u;
    layer += layer >= plan.reference ? 1u : 0u;
    return layer < plan.layers ? int(layer * plan.tokens + position) : NO_ROW;
}

// Whether results of a slot's row are stored: a reference that is no layer has none.
bool is_wanted(int row)
{
    return row >= 0 && row < int(plan.layers * plan.tokens);
}

uint all_slots()
{
    return plan.blocks * plan.slots;
}

// The first unit of a part among the entries from `first`, the beginning of a unit, on.
uint first_unit(uint part, uint first)
{
    const uint unit = first / plan.unit;
    return unit + (part + plan.parts - unit % plan.parts) % plan.parts;
}

// A dot product's logit.
float logit_of(float dot, float bias)
{
    const float logit = fma(dot, plan.logit_scale, bias);
    return plan.softcap > 0.0 ? plan.softcap * tanh_of(logit / plan.softcap) : logit;
}

// --- What parts leave in scratch ---

// A strand's running results of a slot are FIELDS words, all_slots apart.
const uint MAXIMUM = 0, SUM = 1, ENTROPY = 2, DIVERGENCE = 3, THRESHOLD = 4, RANK = 5, FIELDS = 6;

// The maximum of nothing: finite, so that its difference from -inf is no NaN.
const float LOWEST = -3.40282347e38;

uint field_of(uint strand, uint slot, uint field)
{
    return (strand * FIELDS + field) * all_slots() + slot;
}

// A part's largest entries of a slot, largest first, ties by id: logits, all_slots apart, and ids_from behind them ids.
uint top_of(uint part, uint slot)
{
    return part * plan.top * all_slots() + slot;
}

uint ids_from()
{
    return plan.parts * plan.top * all_slots();
}
