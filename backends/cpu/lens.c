/* lens: what the residual streams would predict, by tiles of the vocabulary.
 *
 * Rows stand in the lanes: a block of normalised rows is packed into panels that fit the second cache; each part of the
 * device walks through its share of the vocabulary and multiplies a tile of it with the panels. The logits of a tile
 * [TILE, rows] are still in the cache when running maxima, sums, ranks and largest entries take them in, lane by lane,
 * with no sum across lanes. A row's result does not depend on its place, so equal rows have equal bits, and a
 * divergence of 0. */
#include "lens.h"

#include <string.h>

enum { TILE = 48, BLOCK_BYTES = 704 << 10, LINE = 64 };

/* --- plan --- */

static void *carve(char *base, size_t *used, int64_t bytes)
{
    void *start = base ? base + *used : NULL;
    *used += (size_t)round_up(bytes, LINE);
    return start;
}

static size_t lay_out(const struct scry__cpu_lens *plan, struct scry__cpu_lens_space *space, char *base)
{
    size_t  used  = 0;
    int64_t lanes = plan->lanes, rows = plan->block_vectors * lanes;
    space->weights      = carve(base, &used, TILE * (plan->size + SCRY__CPU_LANES) * 4);
    space->rows         = carve(base, &used, 2 * lanes * plan->size * 4);
    space->targets      = carve(base, &used, plan->ranks ? plan->size * lanes * 4 : 0);
    space->logits       = carve(base, &used, TILE * rows * 4);
    space->exponentials = carve(base, &used, plan->compares ? TILE * lanes * 4 : 0);
    space->expanded     = carve(base, &used, plan->compares ? 2 * TILE * lanes * 4 : 0);
    space->bias         = carve(base, &used, TILE * 4);
    space->states       = carve(base, &used, plan->block_vectors * (int64_t)sizeof *space->states);
    space->top_logit    = carve(base, &used, rows * plan->top * 4);
    space->top_id       = carve(base, &used, rows * plan->top * 4);
    return used;
}

/* The layer of x whose memory the reference is, as a final layer's usually is, or -1. */
static int64_t layer_of_reference(const scry_lens_op *op)
{
    const scry_tensor *x = &op->x, *r = &op->reference;
    if (x->buffer != r->buffer || x->stride[1] != r->stride[0] || x->stride[2] != r->stride[1]) return -1;
    for (int64_t layer = 0; layer < x->shape[0]; layer++)
        if (element(x, layer * x->stride[0]) == element(r, 0)) return layer;
    return -1;
}

static struct scry__cpu_lens plan_of(const struct scry__cpu *cpu, const scry_lens_op *op, void *scratch)
{
    struct scry__cpu_lens plan = {.cpu = cpu, .op = op, .scratch = scratch, .lanes = cpu->kernels->lanes};
    int64_t               N = op->x.shape[0], T = op->x.shape[1];
    plan.size = op->x.shape[2], plan.vocabulary = op->unembedding.shape[0];
    plan.compares = present(&op->reference) && present(&op->kl);
    plan.sums     = plan.compares || present(&op->lse) || present(&op->entropy);
    plan.ranks    = present(&op->target) && (present(&op->target_logit) || present(&op->target_rank));
    if (present(&op->top_id)) plan.top = op->top_id.shape[2];
    if (present(&op->top_logit)) plan.top = op->top_logit.shape[2];

    plan.reference_layer = plan.compares ? layer_of_reference(op) : -1;
    plan.layers          = plan.compares ? N - (plan.reference_layer >= 0) : 1;
    plan.rows            = plan.compares ? T : N * T;
    plan.groups          = (plan.rows + plan.lanes - 1) / plan.lanes;
    /* As few groups as the lanes allow, of about the same size. */
    plan.positions = plan.groups ? (plan.rows + plan.groups - 1) / plan.groups : 0;
    if (!plan.compares) plan.positions = plan.lanes;
    plan.groups        = plan.positions ? (plan.rows + plan.positions - 1) / plan.positions : 0;
    plan.group_vectors = plan.compares + (plan.layers * plan.positions + plan.lanes - 1) / plan.lanes;
    int64_t vectors    = most(2, BLOCK_BYTES / most(1, plan.lanes * plan.size * 4));
    plan.block_groups  = most(1, least(plan.groups, vectors / most(1, plan.group_vectors)));
    plan.block_vectors = round_up(plan.block_groups * plan.group_vectors, 2);

    struct scry__cpu_lens_space measure;
    size_t                      panels = (size_t)(plan.block_vectors * plan.lanes * plan.size) * 4;
    plan.shared_bytes                  = panels + (size_t)round_up(2 * plan.size * 4, LINE);
    plan.part_bytes                    = lay_out(&plan, &measure, NULL);
    if (!scratch) return plan;
    plan.panels = scratch;
    plan.norm   = scry__cpu_norm_of(cpu, &op->norm, plan.size, (float *)((char *)scratch + panels));
    return plan;
}

size_t scry__cpu_lens_scratch(const struct scry__cpu *cpu, const scry_lens_op *op)
{
    struct scry__cpu_lens plan = plan_of(cpu, op, NULL);
    return plan.shared_bytes + plan.part_bytes * (size_t)cpu->threads;
}

struct scry__cpu_lens_space scry__cpu_lens_space(const struct scry__cpu_lens *plan, int part)
{
    struct scry__cpu_lens_space space;
    lay_out(plan, &space, plan->scratch + plan->shared_bytes + (size_t)part * plan->part_bytes);
    return space;
}

/* Positions of a group: the last may have fewer. */
static int64_t group_positions(const struct scry__cpu_lens *plan, int64_t group)
{
    return least(plan->positions, plan->rows - group * plan->positions);
}

bool scry__cpu_lens_row(const struct scry__cpu_lens *plan, int64_t vector, int lane, struct scry__cpu_lens_row *row)
{
    int64_t group = plan->first_group + vector / plan->group_vectors, in_group = vector % plan->group_vectors;
    if (group >= plan->last_group) return false;
    int64_t first = group * plan->positions, positions = group_positions(plan, group);
    int64_t index         = (in_group - plan->compares) * plan->lanes + lane;
    row->reference_vector = vector - in_group;
    row->reference_lane   = index < 0 ? lane : index % positions;
    row->layer            = index < 0 ? plan->reference_layer : index / positions;
    row->position         = first + row->reference_lane;
    if (row->reference_lane >= positions || (index >= 0 && row->layer >= plan->layers)) return false;
    if (index >= 0 && plan->reference_layer >= 0 && row->layer >= plan->reference_layer) row->layer++;
    if (!plan->compares) {
        row->layer    = row->position / plan->op->x.shape[1];
        row->position = row->position % plan->op->x.shape[1];
    }
    return true;
}

/* --- packing a block --- */

static void normalise_lane(const struct scry__cpu_lens *plan, const struct scry__cpu_lens_row *row, float *out)
{
    const scry_tensor *x     = row->layer < 0 ? &plan->op->reference : &plan->op->x;
    int                axis  = row->layer < 0 ? 0 : 1;
    int64_t            index = row->position * x->stride[axis] + (axis ? row->layer * x->stride[0] : 0);
    const float       *from  = scry__cpu_gather(plan->cpu, x, index, x->stride[axis + 1], plan->size, out);
    scry__cpu_norm_row(&plan->norm, from, out);
}

/* The logits of a vector's targets, by the same chain of multiply-adds as in a tile. */
static void target_logits(const struct scry__cpu_lens *plan, struct scry__cpu_lens_space *space, int64_t vector,
                          const float *panel, struct scry__cpu_lens_lanes *state)
{
    const scry_lens_op *op    = plan->op;
    int64_t             lanes = plan->lanes, size = plan->size;
    for (int lane = 0; lane < lanes; lane++) {
        struct scry__cpu_lens_row row;
        int64_t id    = scry__cpu_lens_row(plan, vector, lane, &row) ? index_at(&op->target, row.position) : -1;
        bool    known = id >= 0 && id < plan->vocabulary;
        state->target_id[lane] = known ? (int32_t)id : -1;
        if (!known) id = 0;
        const float *weights = scry__cpu_gather(plan->cpu, &op->unembedding, id * op->unembedding.stride[0],
                                                op->unembedding.stride[1], size, space->weights);
        for (int64_t i = 0; i < size; i++) space->targets[i * lanes + lane] = weights[i];
        space->bias[lane] = 0;
        if (present(&op->bias))
            space->bias[lane] =
                *scry__cpu_gather(plan->cpu, &op->bias, id * op->bias.stride[0], 1, 1, &space->bias[lane]);
    }
    plan->cpu->kernels->lens_dot(state->target, panel, space->targets, size);
    for (int lane = 0; lane < lanes; lane++) {
        float one[SCRY__CPU_LANES] = {state->target[lane]};
        plan->cpu->kernels->lens_logits(one, lanes, 1, op->logit_scale != 0 ? op->logit_scale : 1, op->softcap,
                                        &space->bias[lane]);
        state->target[lane] = one[0];
    }
}

/* Parts share the panels of the block; each also works out its panels' target logits, kept with part 0's states. */
static void pack_part(const void *job, int part, int parts)
{
    const struct scry__cpu_lens *plan  = job;
    struct scry__cpu_lens_space  space = scry__cpu_lens_space(plan, part), first = scry__cpu_lens_space(plan, 0);
    int64_t                      begin, end, size = plan->size, width = 2 * plan->lanes;
    scry__cpu_share(plan->block_vectors / 2, 1, part, parts, &begin, &end);
    for (; begin < end; begin++) {
        float *panel = plan->panels + begin * width * size;
        for (int64_t lane = 0; lane < width; lane++) {
            struct scry__cpu_lens_row row;
            int64_t                   vector = 2 * begin + lane / plan->lanes;
            if (scry__cpu_lens_row(plan, vector, (int)(lane % plan->lanes), &row))
                normalise_lane(plan, &row, space.rows + lane * size);
            else
                memset(space.rows + lane * size, 0, (size_t)size * sizeof(float));
        }
        plan->cpu->kernels->pack(panel, space.rows, SCRY_F32, size, width, 1, size);
        for (int i = 0; plan->ranks && i < 2; i++)
            target_logits(plan, &space, 2 * begin + i, panel + i * plan->lanes, &first.states[2 * begin + i]);
    }
}

/* --- tiles --- */

/* Vocabulary rows as f32, contiguous: in place, unless their distance would crowd them into few sets of the cache. */
static const float *weights_of(const struct scry__cpu_lens *plan, struct scry__cpu_lens_space *space, int64_t id,
                               int64_t rows, int64_t *stride)
{
    const scry_tensor *weights = &plan->op->unembedding;
    *stride                    = weights->stride[0];
    if (weights->dtype == SCRY_F32 && weights->stride[1] == 1 && *stride % 1024) return element(weights, id * *stride);
    int64_t row_stride = plan->size + SCRY__CPU_LANES;
    for (int64_t i = 0; i < rows; i++) {
        float       *to = space->weights + i * row_stride;
        const float *from =
            scry__cpu_gather(plan->cpu, weights, (id + i) * *stride, weights->stride[1], plan->size, to);
        if (from != to) memcpy(to, from, (size_t)plan->size * sizeof *to);
    }
    *stride = row_stride;
    return space->weights;
}

/* The reference's values in the order of a vector's lanes. */
static void expand(const struct scry__cpu_lens *plan, int64_t vector, const float *from, int64_t ldf, int64_t rows,
                   float *to, int64_t ldt)
{
    int lane_of[SCRY__CPU_LANES];
    for (int lane = 0; lane < plan->lanes; lane++) {
        struct scry__cpu_lens_row row;
        lane_of[lane] = scry__cpu_lens_row(plan, vector, lane, &row) ? (int)row.reference_lane : 0;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int lane = 0; lane < plan->lanes; lane++) to[i * ldt + lane] = from[i * ldf + lane_of[lane]];
}

static void diverge(const struct scry__cpu_lens *plan, struct scry__cpu_lens_space *space, int64_t vector,
                    const float *logits, int64_t ldt, int64_t rows)
{
    int64_t                            lanes = plan->lanes, reference = vector - vector % plan->group_vectors;
    struct scry__cpu_lens_lanes       *state    = &space->states[vector];
    const struct scry__cpu_lens_lanes *compared = &space->states[reference];
    const float                       *theirs   = space->logits + reference * lanes;
    /* Where a group's positions fill the lanes, every vector has them in the reference's order. */
    if (group_positions(plan, plan->first_group + vector / plan->group_vectors) == lanes) {
        plan->cpu->kernels->lens_divergence(state, logits, ldt, rows, compared->rescale, theirs, ldt,
                                            space->exponentials);
        return;
    }
    float rescale[SCRY__CPU_LANES], *logit = space->expanded, *exponential = logit + TILE * lanes;
    expand(plan, vector, compared->rescale, lanes, 1, rescale, lanes);
    expand(plan, vector, theirs, ldt, rows, logit, lanes);
    expand(plan, vector, space->exponentials, lanes, rows, exponential, lanes);
    plan->cpu->kernels->lens_divergence(state, logits, ldt, rows, rescale, logit, lanes, exponential);
}

/* Takes a tile of logits into the states. */
static void take(const struct scry__cpu_lens *plan, struct scry__cpu_lens_space *space, int64_t id, int64_t rows,
                 const float *bias)
{
    const struct scry__cpu_kernels *kernels = plan->cpu->kernels;
    const scry_lens_op             *op      = plan->op;
    int64_t                         stride  = plan->block_vectors * plan->lanes;
    bool                            changes = bias || op->softcap > 0 || (op->logit_scale != 0 && op->logit_scale != 1);
    for (int64_t vector = 0; vector < plan->block_vectors; vector++) {
        if (plan->first_group + vector / plan->group_vectors >= plan->last_group) break; /* padding */
        struct scry__cpu_lens_lanes *state        = &space->states[vector];
        float                       *logits       = space->logits + vector * plan->lanes;
        bool                         is_reference = plan->compares && vector % plan->group_vectors == 0;
        if (changes)
            kernels->lens_logits(logits, stride, rows, op->logit_scale != 0 ? op->logit_scale : 1, op->softcap, bias);
        if (plan->sums) kernels->lens_sums(state, logits, stride, rows, is_reference ? space->exponentials : NULL);
        if (plan->compares && !is_reference) diverge(plan, space, vector, logits, stride, rows);
        if (plan->ranks) kernels->lens_rank(state, logits, stride, rows, id);
        if (plan->top) scry__cpu_lens_keep(plan, space, vector, logits, stride, rows, id);
    }
}

/* Logits of a few vocabulary rows for the whole block; of a last panel whose second vector is padding, half. */
static void multiply_block(const struct scry__cpu_lens *plan, struct scry__cpu_lens_space *space, const float *weights,
                           int64_t stride, int64_t row, int64_t rows)
{
    const struct scry__cpu_kernels *kernels = plan->cpu->kernels;
    int64_t                         vectors = (plan->last_group - plan->first_group) * plan->group_vectors,
            ldt                             = plan->block_vectors * plan->lanes;
    for (int64_t vector = 0; vector < vectors; vector += 2) {
        float       *logits = space->logits + row * ldt + vector * plan->lanes;
        const float *panel  = plan->panels + vector * plan->lanes * plan->size;
        if (vector + 1 < vectors)
            kernels->multiply(logits, ldt, weights, stride, panel, rows, plan->size, false, NULL);
        else
            kernels->multiply_half(logits, ldt, weights, stride, panel, rows, plan->size);
    }
}

static void vocabulary_part(const void *job, int part, int parts)
{
    const struct scry__cpu_lens *plan  = job;
    struct scry__cpu_lens_space  space = scry__cpu_lens_space(plan, part);
    const scry_tensor           *bias  = &plan->op->bias;
    int64_t                      begin, end, stride, height = plan->cpu->kernels->tile_rows;
    scry__cpu_lens_begin(plan, &space);
    scry__cpu_share(plan->vocabulary, plan->cpu->kernels->tile_rows, part, parts, &begin, &end);
    for (; begin < end; begin += TILE) {
        int64_t      rows    = least(TILE, end - begin);
        const float *weights = weights_of(plan, &space, begin, rows, &stride);
        const float *biases  = NULL;
        if (present(bias))
            biases = scry__cpu_gather(plan->cpu, bias, begin * bias->stride[0], bias->stride[0], rows, space.bias);
        for (int64_t row = 0; row < rows; row += height)
            multiply_block(plan, &space, weights + row * stride, stride, row, least(height, rows - row));
        take(plan, &space, begin, rows, biases);
    }
}

void scry__cpu_lens(const struct scry__cpu *cpu, const scry_lens_op *op, void *scratch)
{
    struct scry__cpu_lens plan = plan_of(cpu, op, scratch);
    double                work = (double)(op->x.shape[0] * op->x.shape[1]) * (double)(plan.size * plan.vocabulary) / 32;
    int                   parts = scry__cpu_parts(cpu->threads, work);
    for (; plan.first_group < plan.groups; plan.first_group += plan.block_groups) {
        plan.last_group = least(plan.groups, plan.first_group + plan.block_groups);
        scry__cpu_parallel(cpu->pool, parts, pack_part, &plan);
        scry__cpu_parallel(cpu->pool, parts, vocabulary_part, &plan);
        scry__cpu_lens_store(&plan, parts);
    }
}
