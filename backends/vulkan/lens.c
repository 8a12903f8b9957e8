/* lens: the plan of blocks, parts and scratch, and the launches. shaders/lens.glsl says how they work.
 *
 * Positions are taken in batches, as many as the scratch has room for: norm leaves their rows there, the vocabulary is
 * walked in pieces that the device reaches, and the parts' results are merged. What a row's result is does not depend
 * on batches, blocks or pieces. */
#include "shared/lens.h"
#include "validation.h"

#include <stdio.h>
#include <string.h>

enum {
    BLOCK_ITEMS   = 8,  /* of lens_block's groups */
    BLOCK_ENTRIES = 16, /* of its units */
    BLOCK_PLACES  = 4,  /* most slots of an item */
    FEW_PLACES    = 2,  /* the same where validation instruments every access, which each slot has of its own */
    BLOCK_PARTS   = 8,
    PART_UNITS    = 32, /* below so many, there are half as many parts */
    GROUP_ITEMS   = 256,
    GROUP_ENTRIES = 64,
    GROUP_SLOTS   = 64,
    GROUP_DEPTH   = 16,
    GROUP_STRANDS = 4,
    GROUP_PARTS   = 256,
    GROUP_SHARED  = 20 << 10, /* bytes */
    TARGET_ITEMS  = 64,       /* of lens_targets */
    MOST_TURNS    = 60000,    /* of loops, before lavapipe leaves them (shaders/common.glsl) */
    FIELDS        = 6,        /* words of a strand's running results */
    QUAD          = 4,
    MOST_SCRATCH  = 256 << 20,
};

/* Products of one group in one launch, so that no single group takes long. */
static const double most_products = 5e8;

const char *const scry__vk_lens_kernels[] = {"block", "group", NULL};

/* `lens_plan` of shaders/lens.glsl. */
struct plan {
    uint32_t size, vocabulary, layers, tokens;
    uint32_t pitch;
    uint32_t slots, blocks;
    uint32_t positions, depth, shares;
    uint32_t reference;
    uint32_t unit, parts, strands;
    uint32_t top, ranks;
    float    logit_scale, softcap;
};

/* Bytes of the scratch, from `at` on. */
struct room {
    size_t at, bytes;
};

struct lens {
    struct scry__vk    *vk;
    const scry_lens_op *op;
    bool                is_block, compares;
    int64_t             tokens;        /* of a batch */
    struct plan         plan;          /* of a batch */
    struct room         rows;          /* f32 [layers (and the reference's), tokens, pitch], and rows to read past */
    struct room         states;        /* [strands, FIELDS, all slots] */
    struct room         tops;          /* [2, parts, top, all slots]: logits, ids */
    struct room         targets;       /* [2, all slots]: logits, ids */
    size_t              bytes, widest; /* of all of them, and of the largest */
};

/* --- Plan --- */

static bool has_group(const struct scry__vk *vk)
{
    return vk->limits.most_items >= GROUP_ITEMS && vk->limits.shared_bytes >= GROUP_SHARED;
}

static bool is_block(const struct scry__vk *vk)
{
    const char *asked = vk->front->kernel[SCRY_OP_LENS];
    return asked ? !strcmp(asked, "block") : vk->limits.is_cpu || !has_group(vk);
}

/* What does not depend on the batch, but for how rows share blocks. */
static void choose_parts(struct lens *lens)
{
    const scry_lens_op *op        = lens->op;
    int64_t             row_bytes = most(1, op->x.shape[2]) * (int64_t)scry__element_bytes(op->unembedding.dtype);
    /* A unit across two parts of its buffer is staged, so it fits. */
    int64_t unit  = least(lens->is_block ? BLOCK_ENTRIES : GROUP_ENTRIES, most(1, SCRY_REACHABLE_BYTES / row_bytes));
    int64_t units = most(1, units_of(op->unembedding.shape[0], unit)), parts = GROUP_PARTS;
    /* Each part finds largest entries of its own: fewer parts of few units find fewer. */
    if (lens->is_block) parts = units < BLOCK_PARTS * PART_UNITS ? BLOCK_PARTS / 2 : BLOCK_PARTS;
    struct plan *plan = &lens->plan;
    parts             = least(parts, units);
    *plan             = (struct plan){
                    .layers      = (uint32_t)op->x.shape[0],
                    .size        = (uint32_t)op->x.shape[2],
                    .pitch       = (uint32_t)round_up(op->x.shape[2], QUAD),
                    .vocabulary  = (uint32_t)op->unembedding.shape[0],
                    .unit        = (uint32_t)unit,
                    .parts       = (uint32_t)parts,
                    .strands     = (uint32_t)(lens->is_block ? parts : GROUP_STRANDS * parts),
                    .logit_scale = op->logit_scale != 0 ? op->logit_scale : 1,
                    .softcap     = op->softcap,
                    .ranks       = scry__lens_ranks(op),
                    .reference   = (uint32_t)scry__lens_reference(op),
                    .top         = (uint32_t)scry__lens_top(op),
    };
}

/* Blocks of a batch of `tokens` positions: dense, or by positions with as many of their layers as there is room for. */
static void choose_blocks(struct lens *lens, int64_t tokens)
{
    struct plan *plan = &lens->plan;
    int64_t      rows = plan->layers * tokens, others = plan->layers - (plan->reference < plan->layers);
    int64_t      most_places = scry__vk_is_instrumented(lens->vk) ? FEW_PLACES : BLOCK_PLACES;
    int64_t      places = lens->is_block ? most_places : GROUP_SLOTS, slots = GROUP_SLOTS, blocks;
    if (!lens->compares) {
        if (lens->is_block) slots = BLOCK_ITEMS * most(1, least(places, units_of(rows, BLOCK_ITEMS)));
        blocks = units_of(rows, slots);
    } else {
        plan->shares    = (uint32_t)most(1, units_of(others, places - 1));
        plan->depth     = (uint32_t)units_of(others, plan->shares);
        plan->positions = lens->is_block ? BLOCK_ITEMS : GROUP_SLOTS / (plan->depth + 1);
        if (lens->is_block) slots = BLOCK_ITEMS * (plan->depth + 1);
        blocks = units_of(tokens, plan->positions) * plan->shares;
    }
    plan->tokens = (uint32_t)tokens;
    plan->slots  = (uint32_t)slots;
    plan->blocks = (uint32_t)blocks;
}

static void carve(struct lens *lens, struct room *room, int64_t words)
{
    room->at    = lens->bytes;
    room->bytes = (size_t)words * 4;
    lens->bytes += (size_t)round_up((int64_t)room->bytes, SCRY__VK_UNIT);
    if (room->bytes > lens->widest) lens->widest = room->bytes;
}

/* Lays out the scratch of a batch of `tokens` positions. */
static void lay_out(struct lens *lens, int64_t tokens)
{
    const struct plan *plan = &lens->plan;
    choose_blocks(lens, tokens);
    int64_t slots = (int64_t)plan->blocks * plan->slots;
    int64_t rows  = (plan->layers + (lens->compares && plan->reference == plan->layers)) * tokens + BLOCK_ITEMS;
    lens->bytes = lens->widest = 0;
    carve(lens, &lens->rows, rows * plan->pitch);
    carve(lens, &lens->states, plan->strands * FIELDS * slots);
    carve(lens, &lens->tops, 2 * (int64_t)plan->parts * plan->top * slots);
    carve(lens, &lens->targets, plan->ranks ? 2 * slots : 0);
}

static bool fits(const struct lens *lens)
{
    return lens->bytes <= MOST_SCRATCH && lens->bytes <= lens->vk->limits.most_allocated &&
           lens->widest <= lens->vk->limits.most_bound;
}

/* The largest batch whose scratch fits, or a single position's. */
static void prepare(struct lens *lens, const struct scry__vk *vk, const scry_lens_op *op)
{
    *lens          = (struct lens){.vk = (struct scry__vk *)vk, .op = op, .is_block = is_block(vk)};
    lens->compares = scry__lens_compares(op);
    lens->tokens   = op->x.shape[1];
    choose_parts(lens);
    lay_out(lens, lens->tokens);
    while (!fits(lens) && lens->tokens > 1) lay_out(lens, lens->tokens = (lens->tokens + 1) / 2);
}

/* --- Pieces of the vocabulary --- */

/* Units that each part may take in one launch: so many that no single group takes long, and that the turns of its loops
 * are counted where they have to be. */
static int64_t most_units(const struct lens *lens)
{
    const struct plan *plan     = &lens->plan;
    double             products = (double)plan->slots * most(1, plan->size) * plan->unit;
    int64_t            by_time  = 1 + (int64_t)(most_products / products);
    int64_t            lists    = lens->is_block ? plan->slots / BLOCK_ITEMS : 1;
    int64_t            turns    = 1 + units_of(plan->size, lens->is_block ? QUAD : GROUP_DEPTH);
    turns += lists * (1 + (int64_t)plan->unit * (1 + plan->top)); /* at worst every entry goes through the whole list */
    return lens->vk->limits.is_cpu ? least(by_time, most(1, MOST_TURNS / turns)) : by_time;
}

/* Entries from `first` on that one launch takes: whole units, but for the last. */
static int64_t piece(const struct lens *lens, int64_t first)
{
    const struct plan *plan = &lens->plan;
    return scry__lens_piece(lens->op, scry__vk_reaches, first, plan->unit, plan->parts * most_units(lens));
}

void scry__vk_lens_query(const struct scry__vk *vk, const scry_lens_op *op, scry_precision allowed, scry_op_info *info)
{
    (void)allowed;
    struct lens lens;
    int64_t     rows = op->x.shape[0] * op->x.shape[1];
    prepare(&lens, vk, op);
    info->scratch_bytes = lens.bytes;
    snprintf(info->kernel, sizeof info->kernel, "%s", scry__vk_lens_kernels[!lens.is_block]);
    if (!lens.is_block && !has_group(vk))
        scry__op_refuse(info, "its kernel \"group\" needs groups of %d items and %d bytes of shared memory",
                        GROUP_ITEMS, GROUP_SHARED);
    scry__lens_check_units(op, scry__vk_reaches, lens.plan.unit, info);
    if (!fits(&lens))
        scry__op_refuse(info, "it takes %zu bytes of scratch for one position, more than the device binds", lens.bytes);
    if (rows > INT32_MAX / 2 || op->unembedding.shape[0] > INT32_MAX / 2)
        scry__op_refuse(info, "more than 2^30 rows, or entries of the vocabulary");
}

/* --- Launches --- */

static void bind_room(struct scry__vk_call *call, const struct room *room, unsigned access)
{
    scry__vk_scratch(call, room->at, room->bytes, access);
}

/* Rows [.., size] of the scratch, dense but for their pitch, from row `first` on; columns [begin, end) of them. */
static scry_tensor rows_of(const struct lens *lens, const scry_tensor *like, int64_t first, int64_t begin, int64_t end)
{
    scry_tensor rows = *like;
    rows.buffer      = lens->vk->front->scratch;
    rows.offset      = lens->rows.at + (size_t)(first * lens->plan.pitch + begin) * sizeof(float);
    for (int64_t axis = rows.rank - 2, stride = lens->plan.pitch; axis >= 0; stride *= rows.shape[axis--])
        rows.stride[axis] = stride;
    rows.stride[rows.rank - 1] = 1;
    rows.shape[rows.rank - 1]  = end - begin;
    return rows;
}

/* Rows of x, normalised, and zeros behind each up to its pitch. */
static scry_status norm_rows(const struct lens *lens, const scry_tensor *x, int64_t first)
{
    const struct plan *plan   = &lens->plan;
    scry_norm          norm   = {.x = *x, .out = rows_of(lens, x, first, 0, plan->size), .parameters = lens->op->norm};
    scry_fill          zeros  = {.out = rows_of(lens, x, first, plan->size, plan->pitch)};
    scry_status        status = plan->size ? scry__vk_norm(lens->vk, &norm, SCRY_STRICT_F32) : SCRY_OK;
    return status || plan->size == plan->pitch ? status : scry__vk_fill(lens->vk, &zeros, SCRY_STRICT_F32);
}

/* The rows of positions from `begin` on. */
static scry_status place_rows(const struct lens *lens, int64_t begin)
{
    const struct plan *plan = &lens->plan;
    scry_tensor        x    = scry__slice(lens->op->x, 1, begin, plan->tokens),
                reference   = scry__slice(lens->op->reference, 0, begin, plan->tokens);
    scry_status status      = norm_rows(lens, &x, 0);
    if (status || !lens->compares || plan->reference < plan->layers) return status;
    return norm_rows(lens, &reference, plan->layers * (int64_t)plan->tokens);
}

/* What kernels over the entries [first, first + count) take first. */
static void bind_entries(struct scry__vk_call *call, const struct lens *lens, int64_t first, int64_t count)
{
    scry_tensor unembedding = scry__slice(lens->op->unembedding, 0, first, count),
                bias        = scry__slice(lens->op->bias, 0, first, count);
    scry__vk_tensor(call, &unembedding, SCRY__VK_READ);
    scry__vk_tensor(call, &bias, SCRY__VK_READ);
}

static void pass_plan(struct scry__vk_call *call, const struct lens *lens)
{
    scry__vk_bytes(call, &lens->plan, sizeof lens->plan);
}

static scry_status find_targets(const struct lens *lens, int64_t begin, int64_t first, int64_t count)
{
    const struct plan   *plan   = &lens->plan;
    scry_tensor          target = scry__slice(lens->op->target, 0, begin, plan->tokens);
    int64_t              slots  = (int64_t)plan->blocks * plan->slots;
    uint32_t             items  = lens->is_block ? BLOCK_ITEMS : TARGET_ITEMS;
    struct scry__vk_call call   = scry__vk_call(lens->vk, "lens_targets", items);
    scry__vk_constant(&call, lens->op->unembedding.dtype);
    bind_entries(&call, lens, first, count);
    scry__vk_tensor(&call, &target, SCRY__VK_READ);
    bind_room(&call, &lens->rows, SCRY__VK_READ);
    bind_room(&call, &lens->targets, SCRY__VK_WRITE);
    pass_plan(&call, lens);
    scry__vk_int(&call, first);
    scry__vk_int(&call, count);
    return scry__vk_launch(&call, units_of(slots, items), 2.0 * (double)slots * plan->size);
}

/* Whether entries are rows whose quads of elements lie where quads may. */
static bool in_quads(const scry_tensor *unembedding)
{
    size_t offset = unembedding->offset + scry__vk_place(unembedding->buffer, 0).offset;
    return unembedding->stride[1] == 1 && unembedding->shape[1] % QUAD == 0 && unembedding->stride[0] % QUAD == 0 &&
           offset % (QUAD * scry__element_bytes(unembedding->dtype)) == 0;
}

static const char *kernel_of(const struct lens *lens)
{
    const struct scry__vk *vk = lens->vk;
    if (!lens->is_block) return "lens_group";
    bool shuffles = vk->path[SCRY__VK_SUBGROUPS].usable && vk->limits.subgroup_size == BLOCK_ITEMS;
    return shuffles ? "lens_block_shuffle" : "lens_block";
}

static scry_status take_entries(const struct lens *lens, int64_t first, int64_t count)
{
    const struct plan   *plan = &lens->plan;
    struct scry__vk_call call = scry__vk_call(lens->vk, kernel_of(lens), lens->is_block ? BLOCK_ITEMS : GROUP_ITEMS);
    scry__vk_constant(&call, lens->op->unembedding.dtype);
    if (lens->is_block) scry__vk_constant(&call, plan->slots / BLOCK_ITEMS);
    scry__vk_constant(&call, in_quads(&lens->op->unembedding));
    bind_entries(&call, lens, first, count);
    bind_room(&call, &lens->rows, SCRY__VK_READ);
    bind_room(&call, &lens->targets, SCRY__VK_READ);
    bind_room(&call, &lens->states, SCRY__VK_READ | SCRY__VK_WRITE);
    bind_room(&call, &lens->tops, SCRY__VK_READ | SCRY__VK_WRITE);
    pass_plan(&call, lens);
    scry__vk_int(&call, first);
    scry__vk_int(&call, count);
    return scry__vk_launch(&call, (int64_t)plan->parts * plan->blocks,
                           2.0 * plan->blocks * plan->slots * ((double)count + plan->unit) * plan->size);
}

static scry_status walk_vocabulary(const struct lens *lens, int64_t begin)
{
    const struct plan *plan   = &lens->plan;
    scry_status        status = SCRY_OK;
    for (int64_t first = 0, count; plan->ranks && !status && (!first || first < plan->vocabulary);
         first += most(1, count)) {
        count  = piece(lens, first);
        status = find_targets(lens, begin, first, count);
    }
    for (int64_t first = 0, count; !status && (!first || first < plan->vocabulary); first += most(1, count)) {
        count  = piece(lens, first);
        status = take_entries(lens, first, count);
    }
    return status;
}

static scry_status merge(const struct lens *lens, int64_t begin)
{
    const scry_lens_op  *op        = lens->op;
    const scry_tensor   *outputs[] = {&op->top_id,       &op->top_logit,   &op->lse, &op->entropy,
                                      &op->target_logit, &op->target_rank, &op->kl};
    const struct plan   *plan      = &lens->plan;
    uint32_t             items     = lens->is_block ? BLOCK_ITEMS : GROUP_ITEMS;
    struct scry__vk_call call      = scry__vk_call(lens->vk, "lens_merge", items);
    scry__vk_constant(&call, BLOCK_ITEMS);
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        scry_tensor output = scry__slice(*outputs[i], 1, begin, plan->tokens);
        scry__vk_tensor(&call, &output, SCRY__VK_WRITE);
    }
    bind_room(&call, &lens->states, SCRY__VK_READ);
    bind_room(&call, &lens->tops, SCRY__VK_READ);
    bind_room(&call, &lens->targets, SCRY__VK_READ);
    pass_plan(&call, lens);
    double words = FIELDS * (double)plan->strands + (double)items * plan->top;
    return scry__vk_launch(&call, (int64_t)plan->blocks * plan->slots, 8 * words * plan->blocks * plan->slots);
}

scry_status scry__vk_lens(struct scry__vk *vk, const scry_lens_op *op, scry_precision allowed)
{
    (void)allowed;
    struct lens lens;
    scry_status status = SCRY_OK;
    prepare(&lens, vk, op);
    for (int64_t begin = 0; !status && begin < op->x.shape[1]; begin += lens.tokens) {
        struct lens batch = lens;
        if (begin + lens.tokens > op->x.shape[1]) lay_out(&batch, op->x.shape[1] - begin);
        status = place_rows(&batch, begin);
        if (!status) status = walk_vocabulary(&batch, begin);
        if (!status) status = merge(&batch, begin);
    }
    return status;
}
