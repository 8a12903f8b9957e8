/* lens: the plan of blocks, parts and scratch, and the launches. kernels_cl/lens.cl says how they work.
 *
 * Positions are taken in batches, as many as the scratch has room for: norm leaves their rows there, the vocabulary is
 * walked in pieces that the device reaches, and the parts' results are merged. The unembedding may lie across the parts
 * of its buffer. What a row's result is does not depend on batches, blocks or pieces. */
#include "shared/lens.h"
#include "opencl.h"

#include <stdio.h>
#include <string.h>

enum {
    LANES         = 16,
    BLOCK_ENTRIES = 12,        /* of a unit, for lens_block */
    BLOCK_BYTES   = 704 << 10, /* of a block's panels, to stay in a core's cache */
    MOST_SLOTS    = 1024,
    MOST_SCRATCH  = 256 << 20,
    GROUP_ENTRIES = 64,
    GROUP_SLOTS   = 64,
    GROUP_STRANDS = 4,
    GROUP_ITEMS   = 256,
    GROUP_LOCAL   = 28 << 10, /* bytes */
    FIELDS        = 6,        /* of a strand's running results */
};

/* A launch is not planned to exceed this many products on a GPU, whose display may wait for it: a quarter of a second
 * at 100 GFLOP/s. */
static const double most_products = 1.25e10;

const char *const scry__cl_lens_kernels[] = {"block", "group", NULL};

/* `lens_plan` of kernels_cl/lens.cl. */
struct plan {
    cl_long  size, vocabulary, layers, tokens;
    cl_long  slots, blocks;
    cl_long  positions, depth, shares;
    cl_long  reference;
    cl_long  unit, parts, strands, top, ranks;
    cl_long  rows, panels, states, top_logits, top_ids, targets, spaces, space;
    cl_float logit_scale, softcap;
};

struct lens {
    struct scry__cl    *cl;
    const scry_lens_op *op;
    bool                is_block;
    int64_t             most_slots; /* of a block */
    struct plan         plan;       /* of a batch */
};

/* --- Plan --- */

static bool has_group(const struct scry__cl *cl)
{
    return cl->most_items >= GROUP_ITEMS && cl->local_bytes >= GROUP_LOCAL;
}

static bool is_block(const struct scry__cl *cl)
{
    const char *asked = cl->front->kernel[SCRY_OP_LENS];
    return asked ? !strcmp(asked, "block") : cl->is_cpu || !has_group(cl);
}

/* Blocks of a batch: dense, or by positions with all of their layers where rows are compared. */
static void choose_blocks(struct lens *lens)
{
    struct plan *plan = &lens->plan;
    int64_t      rows = plan->layers * plan->tokens;
    if (!plan->positions) {
        plan->blocks = (rows + lens->most_slots - 1) / lens->most_slots;
        plan->slots  = plan->blocks ? round_up((rows + plan->blocks - 1) / plan->blocks, LANES) : LANES;
    } else {
        plan->blocks = (plan->tokens + plan->positions - 1) / plan->positions * plan->shares;
        plan->slots  = round_up(plan->positions * (plan->depth + 1), LANES);
    }
    if (!lens->is_block) plan->slots = GROUP_SLOTS;
}

/* Returns how many positions share a block, each with its reference row and as many layers as there is room for. */
static int64_t choose_positions(struct plan *plan, int64_t tokens, int64_t most_slots)
{
    int64_t others  = plan->layers - (plan->reference < plan->layers);
    plan->depth     = least(others, most_slots - 1);
    plan->shares    = plan->depth ? (others + plan->depth - 1) / plan->depth : 1;
    plan->positions = most_slots / (plan->depth + 1);
    /* In whole vectors, a reference's lane is its layers' lane. */
    if (plan->positions > LANES && tokens > LANES) plan->positions -= plan->positions % LANES;
    int64_t groups  = (tokens + plan->positions - 1) / plan->positions;
    plan->positions = most(1, groups ? (tokens + groups - 1) / groups : 1);
    return plan->positions;
}

static int64_t carve(int64_t *used, int64_t elements)
{
    int64_t start = *used;
    *used += round_up(elements, LANES);
    return start;
}

/* Lays out the scratch of a batch of `tokens` positions; returns its bytes. */
static size_t lay_out(struct lens *lens, int64_t tokens)
{
    struct plan *plan = &lens->plan;
    int64_t      used = 0;
    plan->tokens      = tokens;
    choose_blocks(lens);
    int64_t slots = plan->blocks * plan->slots, references = round_up(plan->positions, LANES);
    plan->rows =
        carve(&used, (plan->layers + (plan->positions && plan->reference == plan->layers)) * tokens * plan->size);
    plan->panels     = carve(&used, lens->is_block ? slots * plan->size : 0);
    plan->states     = carve(&used, plan->strands * FIELDS * slots);
    plan->top_logits = carve(&used, plan->parts * slots * plan->top);
    plan->top_ids    = carve(&used, plan->parts * slots * plan->top);
    plan->targets    = carve(&used, 2 * slots);
    plan->space      = round_up(BLOCK_ENTRIES * (plan->size + LANES + 2 * references) + references, LANES);
    plan->spaces     = carve(&used, lens->is_block ? plan->blocks * plan->parts * plan->space : 0);
    return (size_t)used * sizeof(float);
}

/* What does not depend on batches and blocks. */
static void choose_parts(struct lens *lens, const struct scry__cl *cl)
{
    const scry_lens_op *op   = lens->op;
    struct plan        *plan = &lens->plan;
    plan->layers             = op->x.shape[0];
    plan->size               = op->x.shape[2];
    plan->vocabulary         = op->unembedding.shape[0];
    plan->logit_scale        = op->logit_scale != 0 ? op->logit_scale : 1;
    plan->softcap            = op->softcap;
    plan->ranks              = scry__lens_ranks(op);
    plan->reference          = scry__lens_reference(op);
    plan->top                = scry__lens_top(op);
    /* A unit across two parts of its buffer is staged, so it fits. */
    int64_t row_bytes = most(1, plan->size) * (int64_t)scry__element_bytes(op->unembedding.dtype);
    plan->unit    = least(lens->is_block ? BLOCK_ENTRIES : GROUP_ENTRIES, most(1, SCRY_REACHABLE_BYTES / row_bytes));
    plan->parts   = most(1, least((plan->vocabulary + plan->unit - 1) / plan->unit, 4 * (int64_t)cl->compute_units));
    plan->strands = lens->is_block ? plan->parts : GROUP_STRANDS * plan->parts;
}

/* Makes batches, and then blocks, smaller until the scratch is no more than half of what the device allocates at once.
 * Returns its bytes. */
static size_t prepare(struct lens *lens, const struct scry__cl *cl, const scry_lens_op *op)
{
    bool    compares = scry__lens_compares(op);
    int64_t panel    = LANES * (int64_t)sizeof(float) * most(1, op->x.shape[2]);
    size_t  bytes = 0, most_bytes = cl->most_allocated / 2;
    if (most_bytes > MOST_SCRATCH) most_bytes = MOST_SCRATCH;
    *lens = (struct lens){.op = op, .is_block = is_block(cl), .most_slots = GROUP_SLOTS};
    choose_parts(lens, cl);
    if (lens->is_block) lens->most_slots = least(MOST_SLOTS, LANES * most(2, BLOCK_BYTES / panel));
    for (;;) {
        int64_t tokens = op->x.shape[1], step = 1;
        if (compares) step = choose_positions(&lens->plan, tokens, lens->most_slots);
        bytes = lay_out(lens, tokens);
        while (bytes > most_bytes && tokens > step) bytes = lay_out(lens, tokens = round_up(tokens / 2, step));
        if (bytes <= most_bytes || !lens->is_block || lens->most_slots < 4 * LANES) break;
        lens->most_slots /= 2;
    }
    return bytes;
}

/* --- Pieces of the vocabulary --- */

/* Entries from `first` on that one launch takes: whole units, but for the last. */
static int64_t piece(const struct lens *lens, int64_t first)
{
    const struct plan *plan     = &lens->plan;
    double             products = (double)(plan->blocks * plan->slots * most(1, plan->size) * plan->unit);
    int64_t            units    = lens->cl->is_cpu ? INT64_MAX : 1 + (int64_t)(most_products / products);
    return scry__lens_piece(lens->op, scry__cl_reaches, first, plan->unit, units);
}

void scry__cl_lens_query(const struct scry__cl *cl, const scry_lens_op *op, scry_precision allowed, scry_op_info *info)
{
    (void)allowed;
    struct lens lens;
    info->scratch_bytes = prepare(&lens, cl, op);
    snprintf(info->kernel, sizeof info->kernel, "%s", lens.is_block ? "block" : "group");
    if (!lens.is_block && !has_group(cl))
        scry__op_refuse(info, "its kernel \"group\" needs groups of %d items and %d bytes of local memory", GROUP_ITEMS,
                        GROUP_LOCAL);
    scry__lens_check_units(op, scry__cl_reaches, lens.plan.unit, info);
}

/* --- Launches --- */

static struct scry__cl_call begin_call(const struct lens *lens, const char *name)
{
    char options[64];
    snprintf(options, sizeof options, "-DWEIGHT=%d %s", (int)lens->op->unembedding.dtype,
             lens->is_block ? "-DLANES=16 -DENTRIES=12" : "-DENTRIES=16");
    return scry__cl_call(lens->cl, lens->is_block ? "lens+lens_block" : "lens+lens_group", name, options);
}

/* The last parameters of every kernel. */
static void pass_plan(struct scry__cl_call *call, const struct lens *lens)
{
    scry__cl_scratch(call, 0);
    scry__cl_bytes(call, &lens->plan, sizeof lens->plan);
}

/* Normalised rows [.., size] at `place` of the scratch. */
static scry_status norm_rows(const struct lens *lens, const scry_tensor *x, int64_t place)
{
    scry_norm op  = {.x = *x, .out = *x, .parameters = lens->op->norm};
    op.out.buffer = lens->cl->front->scratch;
    op.out.offset = (size_t)place * sizeof(float);
    for (int64_t axis = x->rank - 1, stride = 1; axis >= 0; stride *= x->shape[axis--]) op.out.stride[axis] = stride;
    return lens->plan.size ? scry__cl_norm(lens->cl, &op, SCRY_STRICT_F32) : SCRY_OK;
}

/* Positions from `begin` on: their rows, and panels of them. */
static scry_status place_rows(const struct lens *lens, int64_t begin)
{
    const struct plan *plan = &lens->plan;
    scry_tensor        x    = scry__slice(lens->op->x, 1, begin, plan->tokens),
                reference   = scry__slice(lens->op->reference, 0, begin, plan->tokens);
    scry_status status      = norm_rows(lens, &x, plan->rows);
    if (!status && plan->positions && plan->reference == plan->layers)
        status = norm_rows(lens, &reference, plan->rows + plan->layers * plan->tokens * plan->size);
    if (status || !lens->is_block) return status;
    struct scry__cl_call call = begin_call(lens, "lens_pack");
    pass_plan(&call, lens);
    return scry__cl_launch(&call, 1, &(size_t){(size_t)(plan->blocks * plan->slots / LANES)}, &(size_t){1});
}

/* A kernel over the entries [first, first + count) of the vocabulary; `target` where it has such a parameter. */
static scry_status launch_entries(const struct lens *lens, const char *name, const scry_tensor *target, int64_t first,
                                  int64_t count, int dimensions, const size_t *global, const size_t *local)
{
    struct scry__cl_call call        = begin_call(lens, name);
    scry_tensor          unembedding = scry__slice(lens->op->unembedding, 0, first, count),
                bias                 = scry__slice(lens->op->bias, 0, first, count);
    scry__cl_tensor(&call, &unembedding, SCRY__CL_READ);
    scry__cl_tensor(&call, &bias, SCRY__CL_READ);
    if (target) scry__cl_tensor(&call, target, SCRY__CL_READ);
    pass_plan(&call, lens);
    scry__cl_long(&call, first);
    scry__cl_long(&call, count);
    return scry__cl_launch(&call, dimensions, global, local);
}

static scry_status walk_vocabulary(const struct lens *lens, int64_t begin)
{
    const struct plan *plan   = &lens->plan;
    scry_tensor        target = scry__slice(lens->op->target, 0, begin, plan->tokens);
    scry_status        status = SCRY_OK;
    size_t             slots = (size_t)(plan->blocks * plan->slots), items = lens->is_block ? 1 : GROUP_ITEMS;
    size_t             grid[2] = {(size_t)plan->parts * items, (size_t)plan->blocks}, group[2] = {items, 1};
    for (int64_t first = 0, count; plan->ranks && !status && (!first || first < plan->vocabulary);
         first += most(1, count)) {
        count  = piece(lens, first);
        status = launch_entries(lens, "lens_targets", &target, first, count, 1, &slots, &(size_t){LANES});
    }
    for (int64_t first = 0, count; !status && (!first || first < plan->vocabulary); first += most(1, count)) {
        count  = piece(lens, first);
        status = launch_entries(lens, lens->is_block ? "lens_block" : "lens_group", NULL, first, count, 2, grid, group);
    }
    return status;
}

static scry_status merge(const struct lens *lens, int64_t begin)
{
    const scry_lens_op  *op        = lens->op;
    const scry_tensor   *outputs[] = {&op->top_id,       &op->top_logit,   &op->lse, &op->entropy,
                                      &op->target_logit, &op->target_rank, &op->kl};
    struct scry__cl_call call      = begin_call(lens, "lens_merge");
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        scry_tensor output = scry__slice(*outputs[i], 1, begin, lens->plan.tokens);
        scry__cl_tensor(&call, &output, SCRY__CL_WRITE);
    }
    pass_plan(&call, lens);
    return scry__cl_launch(&call, 1, &(size_t){(size_t)(lens->plan.blocks * lens->plan.slots)}, &(size_t){LANES});
}

scry_status scry__cl_lens(struct scry__cl *cl, const scry_lens_op *op, scry_precision allowed)
{
    (void)allowed;
    struct lens lens;
    scry_status status = SCRY_OK;
    prepare(&lens, cl, op);
    lens.cl = cl;
    for (int64_t begin = 0; !status && begin < op->x.shape[1]; begin += lens.plan.tokens) {
        struct lens batch = lens;
        if (begin + lens.plan.tokens > op->x.shape[1]) lay_out(&batch, op->x.shape[1] - begin);
        status = place_rows(&batch, begin);
        if (!status) status = walk_vocabulary(&batch, begin);
        if (!status) status = merge(&batch, begin);
    }
    return status;
}
