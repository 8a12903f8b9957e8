/* lens: what the residual streams would predict, by tiles of the vocabulary.
 *
 *     logit[v] = softcap(unembedding[v, :] . row * logit_scale + bias[v])
 *
 * for rows that norm has left in scratch, [layers (and the reference's), tokens, size]. A block of rows stands in
 * slots; entries of the vocabulary are taken in units, unit u by part u mod `parts`, so that a piece of the vocabulary
 * keeps every part busy and results do not depend on where pieces end. Of a unit's logits only running results remain:
 * maximum, sum of exponentials, entropy, divergence, rank, largest entries. lens_merge puts the parts together.
 *
 * This file is in front of lens_block.cl (an item multiplies entries with LANES slots at a time, in vectors) and of
 * lens_group.cl (a group of items multiplies a tile, in local memory). ENTRIES logits of each lane are taken in at
 * once; WEIGHT is the dtype of the unembedding.
 *
 * The chain of fused multiply-adds along `size` is the same for every slot and entry, and for targets: a row's result
 * does not depend on its place, and equal rows have equal bits, and a divergence of 0. Error: gamma(size + 2) of the
 * sum of magnitudes for a logit; a part adds up sums of ENTRIES exponentials, rescaled where the maximum grows. */

#ifdef LANES
typedef float16 floats; /* of LANES slots */
typedef int16   ints;
#define LOAD(from)   vload16(0, from)
#define STORE(x, to) vstore16(x, 0, to)
#define AS_INTS(x)   as_int16(x)
#define AS_FLOATS(x) as_float16(x)
#else
typedef float floats; /* of one */
typedef int   ints;
#define LOAD(from)   (*(from))
#define STORE(x, to) (*(to) = (x))
#define AS_INTS(x)   as_int(x)
#define AS_FLOATS(x) as_float(x)
#endif

/* backends/opencl/lens.c has the same. Places in scratch are counted in elements of 4 bytes. */
typedef struct {
    long size, vocabulary, layers, tokens;
    long slots, blocks;            /* of one block */
    long positions, depth, shares; /* compared with a reference: positions and layers of a block, and blocks that share
                                      the positions; else positions is 0 */
    long  reference;               /* the layer that is the reference; `layers` where none is */
    long  unit, parts, strands;    /* strands: running sums of all parts */
    long  top, ranks;
    long  rows, panels, states, top_logits, top_ids, targets, spaces, space;
    float logit_scale, softcap;
} lens_plan;

/* --- Slots --- */

/* The row in scratch that a slot holds, -1 for none. Compared blocks hold a reference row for each position, then as
 * many of each layer. */
inline long row_in(const lens_plan *plan, long block, long slot)
{
    if (!plan->positions) {
        long row = block * plan->slots + slot;
        return row < plan->layers * plan->tokens ? row : -1;
    }
    long place = slot / plan->positions, position = block / plan->shares * plan->positions + slot % plan->positions;
    if (place > plan->depth || position >= plan->tokens) return -1;
    if (place == 0) return plan->reference * plan->tokens + position;
    long layer = block % plan->shares * plan->depth + place - 1;
    layer += layer >= plan->reference;
    return layer < plan->layers ? layer * plan->tokens + position : -1;
}

/* Whether results of a slot's row are stored: a reference that is no layer has none. */
inline bool is_wanted(const lens_plan *plan, long row)
{
    return row >= 0 && row < plan->layers * plan->tokens;
}

/* The first unit of a part among the entries from `first`, the beginning of a unit, on. */
inline long first_unit(const lens_plan *plan, long part, long first)
{
    long unit = first / plan->unit;
    return unit + (part - unit % plan->parts + plan->parts) % plan->parts;
}

/* --- Running results --- */

enum { MAX, SUM, ENTROPY, DIVERGENCE, THRESHOLD, RANK, FIELDS };

typedef struct {
    floats max, sum, entropy; /* sum of exp(x - max), and of exp(x - max) (max - x) */
    floats divergence;        /* sum of exp(r - max r) (r - x), r the reference's logits */
    floats threshold;         /* the smallest of the largest entries so far */
    ints   rank;
} running;

/* Field 0 of a strand's slots from `slot` on. */
inline __global float *field_of(__global float *scratch, const lens_plan *plan, long strand, long slot)
{
    return scratch + plan->states + strand * FIELDS * plan->blocks * plan->slots + slot;
}

inline running load_running(__global const float *fields, const lens_plan *plan)
{
    long    stride = plan->blocks * plan->slots;
    running state  = {LOAD(fields + MAX * stride),       LOAD(fields + SUM * stride),
                      LOAD(fields + ENTROPY * stride),   LOAD(fields + DIVERGENCE * stride),
                      LOAD(fields + THRESHOLD * stride), AS_INTS(LOAD(fields + RANK * stride))};
    return state;
}

inline void store_running(__global float *fields, const lens_plan *plan, const running *state)
{
    long stride = plan->blocks * plan->slots;
    STORE(state->max, fields + MAX * stride);
    STORE(state->sum, fields + SUM * stride);
    STORE(state->entropy, fields + ENTROPY * stride);
    STORE(state->divergence, fields + DIVERGENCE * stride);
    STORE(state->threshold, fields + THRESHOLD * stride);
    STORE(AS_FLOATS(state->rank), fields + RANK * stride);
}

inline void begin_sums(__global float *scratch, const lens_plan *plan, long strand, long slot, bool wanted)
{
    __global float *fields = field_of(scratch, plan, strand, slot);
    long            stride = plan->blocks * plan->slots;
    fields[MAX * stride]   = -FLT_MAX; /* finite, so that its difference from -inf is no NaN */
    fields[SUM * stride] = fields[ENTROPY * stride] = fields[DIVERGENCE * stride] = fields[RANK * stride] = 0;
    fields[THRESHOLD * stride] = wanted ? -INFINITY : INFINITY;
}

/* The list of a part's largest entries of a slot, largest first, ties by id. */
inline long top_of(const lens_plan *plan, long part, long slot)
{
    return (part * plan->blocks * plan->slots + slot) * plan->top;
}

inline void begin_top(__global float *scratch, const lens_plan *plan, long part, long slot)
{
    __global float *logits = scratch + plan->top_logits + top_of(plan, part, slot);
    __global int   *ids    = (__global int *)scratch + plan->top_ids + top_of(plan, part, slot);
    for (long t = 0; t < plan->top; t++) {
        logits[t] = -INFINITY;
        ids[t]    = -1;
    }
}

/* Puts an entry that goes before the last one where it belongs. */
inline void insert(__global float *logits, __global int *ids, long top, float logit, int id)
{
    long place = top - 1;
    for (; place > 0; place--) {
        float before = logits[place - 1];
        if (before > logit || (before == logit && ids[place - 1] < id)) break;
        logits[place] = before;
        ids[place]    = ids[place - 1];
    }
    logits[place] = logit;
    ids[place]    = id;
}

/* Adds a unit's logits to the sums; leaves exp(x - max) in `exponentials`. Returns what the sums so far were multiplied
 * with. */
inline floats add_sums(running *state, const floats *logits, floats *exponentials)
{
    floats before = state->max, max = before, sum = 0, entropy = 0;
    for (int i = 0; i < ENTRIES; i++) max = fmax(max, logits[i]);
    for (int i = 0; i < ENTRIES; i++) {
        floats below    = logits[i] - max;
        exponentials[i] = exp(below);
        sum += exponentials[i];
        entropy -= exponentials[i] * fmax(below, (floats)(-104)); /* exp is 0 from here on: no 0 * inf */
    }
    floats rescale = exp(before - max);
    floats shifted = select((max - before) * state->sum, (floats)0, state->sum == 0);
    state->entropy = rescale * (state->entropy + shifted) + entropy;
    state->sum     = rescale * state->sum + sum;
    state->max     = max;
    return rescale;
}

inline void add_divergence(running *state, const floats *logits, const floats *reference, const floats *exponentials,
                           floats rescale)
{
    floats sum = 0;
    for (int i = 0; i < ENTRIES; i++) /* of two infinite logits the difference is NaN */
        sum += select(exponentials[i] * (reference[i] - logits[i]), (floats)0, exponentials[i] == 0);
    state->divergence = rescale * state->divergence + sum;
}

inline void add_ranks(running *state, const floats *logits, floats target, ints target_id, int first)
{
    for (int i = 0; i < ENTRIES; i++) {
        ints id    = first + i;
        ints above = (logits[i] > target) | ((logits[i] == target) & (target_id > id));
        state->rank += select((ints)0, (ints)1, above & (target_id != id));
    }
}

/* The logits of dot products. */
inline floats logits_of(floats dot, floats bias, const lens_plan *plan)
{
    floats x = fma(dot, (floats)(plan->logit_scale), bias);
    if (plan->softcap > 0) x = plan->softcap * tanh(x / plan->softcap);
    return x;
}

/* --- Targets --- */

/* The logits of the targets among entries [first, first + count), whose rows `unembedding` begins with, by the same
 * arithmetic as in a unit. An item takes a slot. */
__kernel void lens_targets(__global const void *unembedding, view unembedding_view, __global const void *bias,
                           view bias_view, __global const int *target, view target_view, __global float *scratch,
                           long start, lens_plan plan, long first, long count)
{
    long slot = get_global_id(0), slots = plan.blocks * plan.slots;
    if (slot >= slots) return;
    scratch += start;
    __global float *logit = scratch + plan.targets;
    __global int   *kept  = (__global int *)logit + slots;
    long            row   = row_in(&plan, slot / plan.slots, slot % plan.slots);
    long            id    = row < 0 ? -1 : target[target_view.offset + row % plan.tokens * target_view.stride[0]];
    if (first == 0) {
        logit[slot] = NAN;
        kept[slot]  = id >= 0 && id < plan.vocabulary ? (int)id : -1;
    }
    if (id < first || id >= first + count) return;
    long                  entry = unembedding_view.offset + (id - first) * unembedding_view.stride[0];
    __global const float *x     = scratch + plan.rows + row * plan.size;
    float                 dot = 0, added = 0;
    for (long k = 0; k < plan.size; k++)
        dot = fma(load_as(unembedding, entry + k * unembedding_view.stride[1], WEIGHT), x[k], dot);
    if (bias) added = load_as(bias, bias_view.offset + (id - first) * bias_view.stride[0], bias_view.dtype);
    floats result[1] = {logits_of((floats)dot, (floats)added, &plan)};
    logit[slot]      = *(float *)result;
}

/* --- Merging --- */

/* Results of a slot over the whole vocabulary. */
typedef struct {
    float max, sum, entropy;
    int   rank;
} totals;

inline float shrink(float from, float to)
{
    return from == to ? 1 : exp(from - to);
}

inline totals merge_sums(__global float *scratch, const lens_plan *plan, long slot)
{
    totals total  = {-FLT_MAX, 0, 0, 0};
    long   stride = plan->blocks * plan->slots;
    for (long strand = 0; strand < plan->strands; strand++) {
        __global const float *fields = field_of(scratch, plan, strand, slot);
        total.max                    = fmax(total.max, fields[MAX * stride]);
        total.rank += as_int(fields[RANK * stride]);
    }
    for (long strand = 0; strand < plan->strands; strand++) {
        __global const float *fields = field_of(scratch, plan, strand, slot);
        float                 by = shrink(fields[MAX * stride], total.max), sum = fields[SUM * stride];
        total.sum += by * sum;
        if (by != 0 && sum != 0)
            total.entropy += by * (fields[ENTROPY * stride] + (total.max - fields[MAX * stride]) * sum);
    }
    return total;
}

/* sum p (r - x) - (lse r - lse x), p the reference's probabilities and r its logits; rounding never makes it negative.
 */
inline float divergence(__global float *scratch, const lens_plan *plan, long slot, long reference_slot,
                        const totals *total)
{
    totals reference = merge_sums(scratch, plan, reference_slot);
    float  sum       = 0;
    for (long strand = 0; strand < plan->strands; strand++) {
        float max = field_of(scratch, plan, strand, reference_slot)[MAX * plan->blocks * plan->slots];
        sum +=
            shrink(max, reference.max) * field_of(scratch, plan, strand, slot)[DIVERGENCE * plan->blocks * plan->slots];
    }
    float kl = sum / reference.sum - ((reference.max - total->max) + (log(reference.sum) - log(total->sum)));
    return kl < 0 ? 0 : kl;
}

/* Leaves the largest of all parts' entries with part 0. */
inline void merge_top(__global float *scratch, const lens_plan *plan, long slot)
{
    __global float *logits = scratch + plan->top_logits + top_of(plan, 0, slot);
    __global int   *ids    = (__global int *)scratch + plan->top_ids + top_of(plan, 0, slot);
    long            last   = plan->top - 1;
    for (long part = 1; part < plan->parts; part++) {
        __global float *others    = scratch + plan->top_logits + top_of(plan, part, slot);
        __global int   *other_ids = (__global int *)scratch + plan->top_ids + top_of(plan, part, slot);
        for (long t = 0; t < plan->top; t++) {
            if (others[t] < logits[last] || (others[t] == logits[last] && other_ids[t] >= ids[last])) break;
            insert(logits, ids, plan->top, others[t], other_ids[t]);
        }
    }
}

inline long at(view x, long layer, long position)
{
    return x.offset + layer * x.stride[0] + position * x.stride[1];
}

/* Puts the parts together; an item takes a slot. */
__kernel void lens_merge(__global int *top_id, view top_id_view, __global float *top_logit, view top_logit_view,
                         __global float *lse, view lse_view, __global float *entropy, view entropy_view,
                         __global float *target_logit, view target_logit_view, __global int *target_rank,
                         view target_rank_view, __global float *kl, view kl_view, __global float *scratch, long start,
                         lens_plan plan)
{
    long slot = get_global_id(0), slots = plan.blocks * plan.slots, block = slot / plan.slots;
    if (slot >= slots) return;
    long row = row_in(&plan, block, slot % plan.slots);
    /* A reference that is a layer stands in each block that shares the positions. */
    bool repeated = plan.positions && slot % plan.slots < plan.positions && block % plan.shares;
    if (!is_wanted(&plan, row) || repeated) return;
    scratch += start;
    long   layer = row / plan.tokens, position = row % plan.tokens;
    totals total = merge_sums(scratch, &plan, slot);
    if (lse) lse[at(lse_view, layer, position)] = total.sum == 0 ? -INFINITY : total.max + log(total.sum);
    if (entropy)
        entropy[at(entropy_view, layer, position)] = total.sum == 0 ? 0 : log(total.sum) + total.entropy / total.sum;
    if (kl && plan.positions) {
        long reference                   = block * plan.slots + slot % plan.slots % plan.positions;
        kl[at(kl_view, layer, position)] = divergence(scratch, &plan, slot, reference, &total);
    }
    if (plan.ranks) {
        int id = ((__global int *)scratch)[plan.targets + slots + slot];
        if (target_logit) target_logit[at(target_logit_view, layer, position)] = scratch[plan.targets + slot];
        if (target_rank) target_rank[at(target_rank_view, layer, position)] = id < 0 ? -1 : total.rank;
    }
    if (!plan.top) return;
    merge_top(scratch, &plan, slot);
    __global const float *logits = scratch + plan.top_logits + top_of(&plan, 0, slot);
    __global const int   *ids    = (__global const int *)scratch + plan.top_ids + top_of(&plan, 0, slot);
    for (long t = 0; t < plan.top; t++) {
        if (top_logit) top_logit[at(top_logit_view, layer, position) + t * top_logit_view.stride[2]] = logits[t];
        if (top_id) top_id[at(top_id_view, layer, position) + t * top_id_view.stride[2]] = ids[t];
    }
}
