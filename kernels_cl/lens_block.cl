/* lens "block": an item takes its part of the vocabulary for one block of rows, ENTRIES entries at a time with 2 x
 * LANES slots, their dot products in registers. The rows lie in panels [vector, size, LANES], made by lens_pack, of a
 * size to stay in a core's cache; entries are read in place where they are f32 rows. Built behind lens.cl with
 * -DLANES=16 -DENTRIES=12; launched over parts x blocks items in groups of one. */

/* Rows by slots and lanes, for lens_block: an item takes one vector. */
__kernel void lens_pack(__global float *scratch, long start, lens_plan plan)
{
    long vector = get_global_id(0), block = vector * LANES / plan.slots;
    if (block >= plan.blocks) return;
    __global float       *panel = scratch + start + plan.panels + vector * LANES * plan.size;
    __global const float *rows  = scratch + start + plan.rows;
    for (int lane = 0; lane < LANES; lane++) {
        long row = row_in(&plan, block, vector * LANES % plan.slots + lane);
        for (long k = 0; k < plan.size; k++) panel[k * LANES + lane] = row < 0 ? 0 : rows[row * plan.size + k];
    }
}

/* What an item works in: a unit's entries as f32 [ENTRIES, size + LANES], and the reference rows' logits and
 * exponentials [ENTRIES, references] and rescaling [references]. */
typedef struct {
    __global float *weights, *logits, *exponentials, *rescale;
    long            references; /* slots, in whole vectors */
} workspace;

inline workspace workspace_of(__global float *scratch, const lens_plan *plan, long part, long block)
{
    workspace space;
    space.weights      = scratch + plan->spaces + (block * plan->parts + part) * plan->space;
    space.references   = (plan->positions + LANES - 1) / LANES * LANES;
    space.logits       = space.weights + ENTRIES * (plan->size + LANES);
    space.exponentials = space.logits + ENTRIES * space.references;
    space.rescale      = space.exponentials + ENTRIES * space.references;
    return space;
}

/* `rows` entries as f32, and zeros up to ENTRIES: in place where they can stay, unless their distance would crowd them
 * into few sets of the cache. */
inline __global const float *weights_of(__global const void *unembedding, view x, long first, long rows,
                                        const lens_plan *plan, workspace space, long *stride)
{
    if (WEIGHT == F32 && x.stride[1] == 1 && x.stride[0] % 1024 && rows == ENTRIES) {
        *stride = x.stride[0];
        return (__global const float *)unembedding + x.offset + first * x.stride[0];
    }
    *stride = plan->size + LANES;
    for (long i = 0; i < ENTRIES; i++) {
        __global float *to   = space.weights + i * *stride;
        long            from = x.offset + (first + i) * x.stride[0], k = 0;
        if (i >= rows) {
            for (; k < plan->size; k++) to[k] = 0;
            continue;
        }
        for (; k < plan->size; k += LANES)
            vstore16(load_lanes(unembedding, from + k * x.stride[1], x.stride[1], (int)min(plan->size - k, (long)LANES),
                                WEIGHT),
                     0, to + k);
    }
    return space.weights;
}

/* Dot products of ENTRIES entries with the slots of one or two vectors, whose panels lie one behind the other. */
inline void multiply_one(float16 *dots, __global const float *weights, long stride, __global const float *panel,
                         long size)
{
    float16 sums[ENTRIES];
#pragma unroll
    for (int i = 0; i < ENTRIES; i++) sums[i] = 0;
    for (long k = 0; k < size; k++) {
        float16 x = vload16(k, panel);
#pragma unroll
        for (int i = 0; i < ENTRIES; i++) sums[i] = fma((float16)(weights[i * stride + k]), x, sums[i]);
    }
#pragma unroll
    for (int i = 0; i < ENTRIES; i++) dots[i] = sums[i];
}

inline void multiply_two(float16 *dots, __global const float *weights, long stride, __global const float *panel,
                         long size)
{
    float16 sums[2 * ENTRIES];
#pragma unroll
    for (int i = 0; i < 2 * ENTRIES; i++) sums[i] = 0;
    for (long k = 0; k < size; k++) {
        float16 x = vload16(k, panel), y = vload16(k + size, panel);
#pragma unroll
        for (int i = 0; i < ENTRIES; i++) {
            float16 weight    = weights[i * stride + k];
            sums[i]           = fma(weight, x, sums[i]);
            sums[ENTRIES + i] = fma(weight, y, sums[ENTRIES + i]);
        }
    }
#pragma unroll
    for (int i = 0; i < 2 * ENTRIES; i++) dots[i] = sums[i];
}

/* The values that a vector's lanes are compared with, each its position's. */
inline float16 gather(__global const float *from, const lens_plan *plan, long vector)
{
    float found[LANES];
    long  slot = vector * LANES % plan->positions;
    if (plan->positions % LANES == 0) return vload16(0, from + slot);
    for (int lane = 0; lane < LANES; lane++) {
        found[lane] = from[slot];
        slot        = slot + 1 == plan->positions ? 0 : slot + 1;
    }
    return vload16(0, found);
}

inline void diverge(running *state, const float16 *logits, const lens_plan *plan, workspace space, long vector)
{
    float16 reference[ENTRIES], exponentials[ENTRIES];
    for (int i = 0; i < ENTRIES; i++) {
        reference[i]    = gather(space.logits + i * space.references, plan, vector);
        exponentials[i] = gather(space.exponentials + i * space.references, plan, vector);
    }
    add_divergence(state, logits, reference, exponentials, gather(space.rescale, plan, vector));
}

/* Candidates among a unit's logits into the lists of a vector's slots. */
inline void keep_top(running *state, const float16 *logits, __global float *scratch, const lens_plan *plan, long part,
                     long slot, int first)
{
    float16 largest = logits[0];
    for (int i = 1; i < ENTRIES; i++) largest = fmax(largest, logits[i]);
    if (!any(largest > state->threshold)) return;
    const float *logit     = (const float *)logits;
    float       *threshold = (float *)&state->threshold;
    for (int lane = 0; lane < LANES; lane++) {
        __global float *kept = scratch + plan->top_logits + top_of(plan, part, slot + lane);
        __global int   *ids  = (__global int *)scratch + plan->top_ids + top_of(plan, part, slot + lane);
        for (int i = 0; i < ENTRIES; i++) {
            if (!(logit[i * LANES + lane] > threshold[lane])) continue;
            insert(kept, ids, plan->top, logit[i * LANES + lane], first + i);
            threshold[lane] = kept[plan->top - 1];
        }
    }
}

/* A vector's logits into its running results. */
inline void take(const float16 *logits, __global float *scratch, const lens_plan *plan, workspace space, long part,
                 long block, long vector, int first)
{
    long            slot   = block * plan->slots + vector * LANES;
    __global float *fields = field_of(scratch, plan, part, slot), *target = scratch + plan->targets + slot;
    running         state = load_running(fields, plan);
    float16         exponentials[ENTRIES], rescale = add_sums(&state, logits, exponentials);
    if (vector * LANES < space.references) {
        for (int i = 0; i < ENTRIES; i++) {
            vstore16(logits[i], vector, space.logits + i * space.references);
            vstore16(exponentials[i], vector, space.exponentials + i * space.references);
        }
        vstore16(rescale, vector, space.rescale);
    }
    /* The last of the references' vectors may hold layers too, and all references are there by then. */
    if (plan->positions && (vector + 1) * LANES > plan->positions) diverge(&state, logits, plan, space, vector);
    if (plan->ranks)
        add_ranks(&state, logits, vload16(0, target), as_int16(vload16(0, target + plan->blocks * plan->slots)), first);
    if (plan->top) keep_top(&state, logits, scratch, plan, part, slot, first);
    store_running(fields, plan, &state);
}

/* Dot products in, logits out; those past `rows` are -inf, which changes nothing. */
inline void finish_logits(float16 *logits, __global const void *bias, view bias_view, long first, long rows,
                          const lens_plan *plan)
{
    for (int i = 0; i < ENTRIES; i++) {
        float added = 0;
        if (bias && i < rows)
            added = load_as(bias, bias_view.offset + (first + i) * bias_view.stride[0], bias_view.dtype);
        logits[i] = i < rows ? logits_of(logits[i], (float16)added, plan) : (float16)(-INFINITY);
    }
}

/* Entries [first, first + count), whose rows `unembedding` begins with. */
__kernel void lens_block(__global const void *unembedding, view unembedding_view, __global const void *bias,
                         view bias_view, __global float *scratch, long start, lens_plan plan, long first, long count)
{
    long part = get_global_id(0), block = get_global_id(1), vectors = plan.slots / LANES;
    scratch += start;
    workspace             space  = workspace_of(scratch, &plan, part, block);
    __global const float *panels = scratch + plan.panels + block * plan.slots * plan.size;
    for (long slot = 0; first == 0 && slot < plan.slots; slot++) {
        begin_sums(scratch, &plan, part, block * plan.slots + slot, is_wanted(&plan, row_in(&plan, block, slot)));
        begin_top(scratch, &plan, part, block * plan.slots + slot);
    }
    for (long unit = first_unit(&plan, part, first); unit * plan.unit < first + count; unit += plan.parts) {
        long                  id = unit * plan.unit, rows = min(plan.unit, first + count - id), stride;
        __global const float *weights =
            weights_of(unembedding, unembedding_view, id - first, rows, &plan, space, &stride);
        for (long vector = 0; vector < vectors; vector += 2) {
            float16               logits[2 * ENTRIES];
            __global const float *panel = panels + vector * LANES * plan.size;
            int                   wide  = vector + 1 < vectors ? 2 : 1;
            if (wide == 2)
                multiply_two(logits, weights, stride, panel, plan.size);
            else
                multiply_one(logits, weights, stride, panel, plan.size);
            for (int i = 0; i < wide; i++) {
                finish_logits(logits + i * ENTRIES, bias, bias_view, id - first, rows, &plan);
                take(logits + i * ENTRIES, scratch, &plan, space, part, block, vector + i, (int)id);
            }
        }
    }
}
