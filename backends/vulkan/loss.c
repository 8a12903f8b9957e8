/* loss: two sweeps over tiles of the vocabulary, of all rows each. shaders/loss.glsl says what each kernel does.
 *
 * A tile is as wide as the scratch has room for and the device reaches of unembedding, bias and their gradients. How
 * wide depends on the sizes alone where all is in reach. */
#include "runs.h"

enum {
    TILE        = 1 << 18, /* logits: 1 MiB, which every binding holds */
    LEAST_WIDTH = 16,
    MOST_WIDTH  = 1024,
    MOST_ROWS   = 8192, /* of one sum over rows: drivers of CPU type end longer loops (SCRY__VK_TURNS) */
    STATE       = 6,    /* floats, as in loss.glsl */
};

/* `loss_tile` of shaders/loss.glsl. */
struct tile {
    uint32_t tokens, size, vocabulary, first, width;
    float    scale, softcap, factor;
};

struct job {
    struct scry__vk *vk;
    const scry_loss *op;
    struct tile      tile;
    int64_t          width; /* of a whole tile */
    size_t           states, logits;
    bool             taught;
};

/* --- Plan --- */

static struct job job_of(const struct scry__vk *vk, const scry_loss *op)
{
    int64_t    tokens = op->x.shape[0], vocabulary = op->unembedding.shape[0];
    struct job job   = {.vk = (struct scry__vk *)vk, .op = op, .taught = present(&op->teacher)};
    int64_t    width = most(LEAST_WIDTH, least(MOST_WIDTH, TILE / most(1, tokens)));
    job.width        = most(1, least(vocabulary, width));
    job.states       = (size_t)round_up(tokens * STATE * (int64_t)sizeof(float), SCRY__VK_UNIT);
    job.logits       = (size_t)round_up(tokens * job.width * (int64_t)sizeof(float), SCRY__VK_UNIT);
    job.tile         = (struct tile){.tokens     = (uint32_t)tokens,
                                     .size       = (uint32_t)op->x.shape[1],
                                     .vocabulary = (uint32_t)vocabulary,
                                     .scale      = op->logit_scale != 0 ? op->logit_scale : 1,
                                     .softcap    = op->softcap,
                                     .factor     = op->factor};
    return job;
}

void scry__vk_loss_query(const struct scry__vk *vk, const scry_loss *op, scry_precision allowed, scry_op_info *info)
{
    (void)allowed;
    struct job job = job_of(vk, op);
    scry__vk_runs_query(vk, SCRY_OP_LOSS, info);
    info->scratch_bytes = job.states + (size_t)(1 + job.taught) * job.logits;
    scry__vk_check_scratch(vk, info);
    scry__vk_check_turns(vk, info, op->x.shape[1] * 3);
    if (op->unembedding.shape[0] > INT32_MAX) scry__op_refuse(info, "more than 2^31 - 1 entries of the vocabulary");
}

/* The tile's entries of what has one row for each of the vocabulary. */
static scry_tensor part_of(const struct job *job, const scry_tensor *x)
{
    return scry__slice(*x, 0, job->tile.first, job->tile.width);
}

/* Sets the tile that begins with entry `first`. */
static void choose_tile(struct job *job, int64_t first)
{
    const scry_loss   *op    = job->op;
    const scry_tensor *all[] = {&op->unembedding, &op->bias, &op->d_unembedding, &op->d_bias};
    job->tile.first          = (uint32_t)first;
    job->tile.width          = (uint32_t)least(job->width, op->unembedding.shape[0] - first);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        scry_tensor part = part_of(job, all[i]);
        while (present(&part) && job->tile.width > 1 &&
               !scry__vk_reaches(part.buffer, part.offset, scry__extent_bytes(&part))) {
            job->tile.width = (job->tile.width + 1) / 2;
            part            = part_of(job, all[i]);
        }
    }
}

/* --- Launches --- */

/* A kernel that takes the target first where it is `aimed`. */
static struct scry__vk_call begin_call(const struct job *job, const char *name, bool aimed)
{
    struct scry__vk_call call = scry__vk_items_call(job->vk, SCRY_OP_LOSS, name);
    scry__vk_constant(&call, job->taught);
    if (aimed) scry__vk_tensor(&call, &job->op->target, SCRY__VK_READ);
    return call;
}

static void bind_logits(struct scry__vk_call *call, const struct job *job, bool taught, unsigned access)
{
    scry__vk_scratch(call, job->states + taught * job->logits, taught && !job->taught ? 0 : job->logits, access);
}

static void bind_states(struct scry__vk_call *call, const struct job *job, unsigned access)
{
    scry__vk_scratch(call, 0, job->states, access);
}

static void pass_tile(struct scry__vk_call *call, const struct job *job)
{
    scry__vk_bytes(call, &job->tile, sizeof job->tile);
}

static int64_t pair_count(const struct job *job)
{
    return (int64_t)job->tile.tokens * job->tile.width;
}

static scry_status run_logits(const struct job *job, const scry_tensor *x, bool taught)
{
    struct scry__vk_call call        = begin_call(job, "loss_logits", false);
    scry_tensor          unembedding = part_of(job, &job->op->unembedding), bias = part_of(job, &job->op->bias);
    scry__vk_constant(&call, (uint32_t)unembedding.dtype);
    scry__vk_constant(&call, (uint32_t)bias.dtype);
    scry__vk_tensor(&call, x, SCRY__VK_READ);
    scry__vk_tensor(&call, &unembedding, SCRY__VK_READ);
    scry__vk_in_fours(&call, job->tile.size);
    scry__vk_tensor(&call, &bias, SCRY__VK_READ);
    bind_logits(&call, job, taught, SCRY__VK_WRITE);
    pass_tile(&call, job);
    return scry__vk_items_launch(&call, pair_count(job), 2.0 * job->tile.size + 20);
}

static scry_status fold(const struct job *job)
{
    struct scry__vk_call call = begin_call(job, "loss_fold", true);
    bind_logits(&call, job, false, SCRY__VK_READ);
    bind_logits(&call, job, true, SCRY__VK_READ);
    bind_states(&call, job, SCRY__VK_READ | SCRY__VK_WRITE);
    pass_tile(&call, job);
    return scry__vk_items_launch(&call, job->tile.tokens, 40.0 * job->tile.width);
}

static scry_status run_losses(const struct job *job)
{
    if (!present(&job->op->loss)) return SCRY_OK;
    struct scry__vk_call call = begin_call(job, "loss_rows", true);
    scry__vk_tensor(&call, &job->op->loss, SCRY__VK_WRITE);
    bind_states(&call, job, SCRY__VK_READ);
    pass_tile(&call, job);
    return scry__vk_items_launch(&call, job->tile.tokens, 60);
}

static scry_status run_slopes(const struct job *job)
{
    struct scry__vk_call call = begin_call(job, "loss_slopes", true);
    bind_logits(&call, job, false, SCRY__VK_READ | SCRY__VK_WRITE);
    bind_logits(&call, job, true, SCRY__VK_READ);
    bind_states(&call, job, SCRY__VK_READ);
    pass_tile(&call, job);
    return scry__vk_items_launch(&call, pair_count(job), 60);
}

static scry_status run_d_x(const struct job *job)
{
    if (!present(&job->op->d_x)) return SCRY_OK;
    struct scry__vk_call call        = begin_call(job, "loss_d_x", true);
    scry_tensor          unembedding = part_of(job, &job->op->unembedding);
    scry__vk_constant(&call, (uint32_t)unembedding.dtype);
    scry__vk_tensor(&call, &unembedding, SCRY__VK_READ);
    scry__vk_tensor(&call, &job->op->d_x, SCRY__VK_READ | SCRY__VK_WRITE);
    scry__vk_in_fours(&call, job->tile.size);
    bind_logits(&call, job, false, SCRY__VK_READ);
    pass_tile(&call, job);
    scry__vk_int(&call, job->op->accumulate || job->tile.first > 0);
    return scry__vk_items_launch(&call, job->tile.tokens * units_of(job->tile.size, SCRY__VK_RUN),
                                 8.0 * job->tile.width);
}

/* The sums over rows `begin` to `end`. */
static scry_status add_rows(const struct job *job, int64_t begin, int64_t end)
{
    scry_tensor          d_unembedding = part_of(job, &job->op->d_unembedding), d_bias = part_of(job, &job->op->d_bias);
    bool                 has_rows = present(&d_unembedding);
    struct scry__vk_call call     = begin_call(job, "loss_d_entries", true);
    int64_t              runs     = has_rows ? units_of(job->tile.size, SCRY__VK_RUN) : 1;
    scry__vk_constant(&call, has_rows);
    scry__vk_constant(&call, present(&d_bias));
    scry__vk_tensor(&call, &job->op->x, SCRY__VK_READ);
    scry__vk_tensor(&call, &d_unembedding, SCRY__VK_READ | SCRY__VK_WRITE);
    scry__vk_in_fours(&call, job->tile.size);
    scry__vk_tensor(&call, &d_bias, SCRY__VK_READ | SCRY__VK_WRITE);
    bind_logits(&call, job, false, SCRY__VK_READ);
    pass_tile(&call, job);
    scry__vk_int(&call, begin);
    scry__vk_int(&call, end);
    scry__vk_int(&call, job->op->accumulate || begin > 0);
    return scry__vk_items_launch(&call, job->tile.width * runs, 12.0 * (double)(end - begin));
}

static scry_status run_d_entries(const struct job *job)
{
    if (!present(&job->op->d_unembedding) && !present(&job->op->d_bias)) return SCRY_OK;
    int64_t     begin = 0, end;
    scry_status status;
    do { /* without rows too: what is not accumulated becomes 0 */
        end    = least(begin + MOST_ROWS, job->tile.tokens);
        status = add_rows(job, begin, end);
        begin  = end;
    } while (!status && end < job->tile.tokens);
    return status;
}

/* One sweep over the vocabulary: the first folds logits, the second adds up gradients. */
static scry_status sweep(struct job *job, bool is_second)
{
    scry_status status = SCRY_OK;
    for (int64_t first = 0; first < job->tile.vocabulary && !status; first += job->tile.width) {
        choose_tile(job, first);
        status = run_logits(job, &job->op->x, false);
        if (!status && job->taught) status = run_logits(job, &job->op->teacher, true);
        if (!status) status = is_second ? run_slopes(job) : fold(job);
        if (!status && is_second) status = run_d_x(job);
        if (!status && is_second) status = run_d_entries(job);
    }
    return status;
}

scry_status scry__vk_loss(struct scry__vk *vk, const scry_loss *op, scry_precision allowed)
{
    (void)allowed;
    bool        has_gradients = present(&op->d_x) || present(&op->d_unembedding) || present(&op->d_bias);
    struct job  job           = job_of(vk, op);
    scry_status status        = sweep(&job, false);
    if (!status) status = run_losses(&job);
    if (!status && has_gradients) status = sweep(&job, true);
    return status;
}
