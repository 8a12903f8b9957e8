/* lens "group": a group of 256 items takes its part of the vocabulary for one block of 64 rows, a tile of 64 entries at
 * a time. An item computes 4 x 4 dot products from local memory; the tile's logits go through local memory to the items
 * that keep the running results: item i those of slot i mod 64 over a quarter of each tile's entries, its strand. Built
 * behind lens.cl with -DENTRIES=16; launched over parts x blocks groups. 25 KiB of local memory. */

enum { TILE = 64, DEPTH = 16, STRANDS = TILE / ENTRIES, ITEMS = TILE * STRANDS, PITCH = TILE + 4 };

/* Dot products of TILE entries with the block's slots: an item computes 4 x 4 of them, entries by `across`, slots by
 * `down`. Rows past the end are zeros. */
inline void multiply_tile(float dots[4][4], __local float (*entries)[PITCH], __local float (*slots)[PITCH],
                          __global const void *unembedding, view x, long first, long rows,
                          __global const float *residual, const lens_plan *plan, long block)
{
    int  item = get_local_id(0), across = item % 16, down = item / 16, loaded = item / 4, part = item % 4 * 4;
    long row = row_in(plan, block, loaded), entry = x.offset + (first + loaded) * x.stride[0];
    for (int i = 0; i < 16; i++) dots[i / 4][i % 4] = 0;
    for (long begin = 0; begin < plan->size; begin += DEPTH) {
        for (int i = part; i < part + 4; i++) {
            bool inside      = begin + i < plan->size;
            slots[i][loaded] = inside && row >= 0 ? residual[row * plan->size + begin + i] : 0;
            entries[i][loaded] =
                inside && loaded < rows ? load_as(unembedding, entry + (begin + i) * x.stride[1], WEIGHT) : 0;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < DEPTH; k++) {
            float4 a = vload4(across, entries[k]), b = vload4(down, slots[k]);
            float  weight[4] = {a.x, a.y, a.z, a.w}, value[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
            for (int i = 0; i < 16; i++) dots[i / 4][i % 4] = fma(weight[i / 4], value[i % 4], dots[i / 4][i % 4]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}

/* Candidates among the tile's logits of one slot into its list, by the one item that keeps it. */
inline void keep_top(running *state, __local float (*logits)[TILE], __global float *scratch, const lens_plan *plan,
                     long part, long slot, int first)
{
    __global float *kept = scratch + plan->top_logits + top_of(plan, part, slot);
    __global int   *ids  = (__global int *)scratch + plan->top_ids + top_of(plan, part, slot);
    for (int i = 0; i < TILE; i++) {
        float logit = logits[i][slot % TILE];
        if (!(logit > state->threshold)) continue;
        insert(kept, ids, plan->top, logit, first + i);
        state->threshold = kept[plan->top - 1];
    }
}

/* The logits of a tile, by entries and slots; those past `rows` are -inf, which changes nothing. */
inline void store_logits(__local float (*logits)[TILE], float dots[4][4], __global const void *bias, view bias_view,
                         long first, long rows, const lens_plan *plan)
{
    int item = get_local_id(0), across = item % 16 * 4, down = item / 16 * 4;
    for (int i = 0; i < 4; i++) {
        bool  inside = across + i < rows;
        float added  = 0;
        if (bias && inside)
            added = load_as(bias, bias_view.offset + (first + across + i) * bias_view.stride[0], bias_view.dtype);
        for (int j = 0; j < 4; j++)
            logits[across + i][down + j] = inside ? logits_of(dots[i][j], added, plan) : -INFINITY;
    }
}

/* Entries [first, first + count), whose rows `unembedding` begins with. */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
lens_group(__global const void *unembedding, view unembedding_view, __global const void *bias, view bias_view,
           __global float *scratch, long start, lens_plan plan, long first, long count)
{
    __local float entries[DEPTH][PITCH], slots[DEPTH][PITCH], logits[TILE][TILE], maximum[ITEMS], rescaled[ITEMS];
    int           item = get_local_id(0), lane = item % TILE, strand = item / TILE;
    long          part = get_group_id(0), block = get_group_id(1), slot = block * TILE + lane;
    scratch += start;
    __global float *fields    = field_of(scratch, &plan, part * STRANDS + strand, slot);
    bool            keeps_top = plan.top && strand == 0;
    if (first == 0)
        begin_sums(scratch, &plan, part * STRANDS + strand, slot, is_wanted(&plan, row_in(&plan, block, lane)));
    if (first == 0 && keeps_top) begin_top(scratch, &plan, part, slot);
    running state     = load_running(fields, &plan);
    float   target    = plan.ranks ? scratch[plan.targets + slot] : 0;
    int     target_id = plan.ranks ? ((__global int *)scratch)[plan.targets + plan.blocks * TILE + slot] : 0;
    int     reference = strand * TILE + (plan.positions ? lane % (int)plan.positions : 0); /* the item that keeps it */
    for (long unit = first_unit(&plan, part, first); unit * plan.unit < first + count; unit += plan.parts) {
        long  id = unit * plan.unit, rows = min(plan.unit, first + count - id);
        float dots[4][4], own[ENTRIES], others[ENTRIES], exponentials[ENTRIES];
        multiply_tile(dots, entries, slots, unembedding, unembedding_view, id - first, rows, scratch + plan.rows, &plan,
                      block);
        store_logits(logits, dots, bias, bias_view, id - first, rows, &plan);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int i = 0; i < ENTRIES; i++) own[i] = logits[strand * ENTRIES + i][lane];
        rescaled[item] = add_sums(&state, own, exponentials);
        maximum[item]  = state.max;
        barrier(CLK_LOCAL_MEM_FENCE);
        if (plan.positions) {
            for (int i = 0; i < ENTRIES; i++) {
                others[i]       = logits[strand * ENTRIES + i][reference % TILE];
                exponentials[i] = exp(others[i] - maximum[reference]);
            }
            add_divergence(&state, own, others, exponentials, rescaled[reference]);
        }
        if (plan.ranks) add_ranks(&state, own, target, target_id, (int)id + strand * ENTRIES);
        if (keeps_top) keep_top(&state, logits, scratch, &plan, part, slot, (int)id);
        barrier(CLK_LOCAL_MEM_FENCE); /* before the next tile's logits */
    }
    store_running(fields, &plan, &state);
}
