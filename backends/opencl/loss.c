/* loss: two sweeps over tiles of the vocabulary, of all rows each. kernels_cl/loss.cl says what each kernel does.
 *
 * A tile is as wide as the scratch has room for and the device reaches of unembedding, bias and their gradients. How
 * wide depends on the sizes alone where all is in reach. */
#include "runs.h"

enum { TILE = 1 << 20 /* logits */, LEAST_WIDTH = 16, MOST_WIDTH = 1024, STATE = 6 };

/* `loss_tile` of kernels_cl/loss.cl. */
struct tile {
    cl_long  tokens, size, vocabulary, first, width, states, logits;
    cl_float scale, softcap, factor;
    cl_int   taught;
};

struct job {
    struct scry__cl *cl;
    const scry_loss *op;
    struct tile      tile;
};

static int64_t width_of(const scry_loss *op)
{
    int64_t width = most(LEAST_WIDTH, least(MOST_WIDTH, TILE / most(1, op->x.shape[0])));
    return most(1, least(op->unembedding.shape[0], width));
}

void scry__cl_loss_query(const struct scry__cl *cl, const scry_loss *op, scry_precision allowed, scry_op_info *info)
{
    (void)allowed;
    int64_t tiles = 1 + present(&op->teacher);
    scry__cl_runs_query(cl, SCRY_OP_LOSS, info);
    info->scratch_bytes = (size_t)(op->x.shape[0] * (STATE + tiles * width_of(op))) * sizeof(float);
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
    job->tile.first          = first;
    job->tile.width          = least(width_of(op), op->unembedding.shape[0] - first);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        scry_tensor part = part_of(job, all[i]);
        while (present(&part) && job->tile.width > 1 &&
               !scry__cl_reaches(part.buffer, part.offset, scry__extent_bytes(&part))) {
            job->tile.width = units_of(job->tile.width, 2);
            part            = part_of(job, all[i]);
        }
    }
}

static struct scry__cl_call begin_call(const struct job *job, const char *name)
{
    return scry__cl_lanes_call(job->cl, SCRY_OP_LOSS, "loss", name);
}

static void pass_tile(struct scry__cl_call *call, const struct job *job)
{
    scry__cl_scratch(call, 0);
    scry__cl_bytes(call, &job->tile, sizeof job->tile);
}

static scry_status run_logits(const struct job *job, const scry_tensor *x, bool taught)
{
    struct scry__cl_call call        = begin_call(job, "loss_logits");
    scry_tensor          unembedding = part_of(job, &job->op->unembedding), bias = part_of(job, &job->op->bias);
    scry__cl_tensor(&call, x, SCRY__CL_READ);
    scry__cl_tensor(&call, &unembedding, SCRY__CL_READ);
    scry__cl_tensor(&call, &bias, SCRY__CL_READ);
    pass_tile(&call, job);
    scry__cl_int(&call, taught);
    return scry__cl_launch(&call, 2, (const size_t[]){(size_t)job->tile.width, (size_t)job->tile.tokens}, NULL);
}

/* loss_fold, or over each entry, loss_slopes. */
static scry_status run_tile(const struct job *job, const char *name, bool by_entry)
{
    struct scry__cl_call call     = begin_call(job, name);
    size_t               tokens   = (size_t)job->tile.tokens;
    const size_t         global[] = {by_entry ? (size_t)job->tile.width : tokens, tokens};
    scry__cl_tensor(&call, &job->op->target, SCRY__CL_READ);
    pass_tile(&call, job);
    return scry__cl_launch(&call, by_entry ? 2 : 1, global, NULL);
}

static scry_status run_losses(const struct job *job)
{
    if (!present(&job->op->loss)) return SCRY_OK;
    struct scry__cl_call call = begin_call(job, "loss_rows");
    scry__cl_tensor(&call, &job->op->target, SCRY__CL_READ);
    scry__cl_tensor(&call, &job->op->loss, SCRY__CL_WRITE);
    pass_tile(&call, job);
    return scry__cl_launch(&call, 1, &(size_t){(size_t)job->tile.tokens}, NULL);
}

static scry_status run_d_x(const struct job *job)
{
    if (!present(&job->op->d_x)) return SCRY_OK;
    struct scry__cl_call call        = begin_call(job, "loss_d_x");
    scry_tensor          unembedding = part_of(job, &job->op->unembedding);
    int64_t              runs        = units_of(job->tile.size, scry__cl_lanes(job->cl, SCRY_OP_LOSS));
    scry__cl_tensor(&call, &job->op->target, SCRY__CL_READ);
    scry__cl_tensor(&call, &unembedding, SCRY__CL_READ);
    scry__cl_tensor(&call, &job->op->d_x, SCRY__CL_READ | SCRY__CL_WRITE);
    pass_tile(&call, job);
    scry__cl_int(&call, job->op->accumulate);
    return scry__cl_launch(&call, 2, (const size_t[]){(size_t)runs, (size_t)job->tile.tokens}, NULL);
}

static scry_status run_d_entries(const struct job *job)
{
    scry_tensor d_unembedding = part_of(job, &job->op->d_unembedding), d_bias = part_of(job, &job->op->d_bias);
    if (!present(&d_unembedding) && !present(&d_bias)) return SCRY_OK;
    struct scry__cl_call call = begin_call(job, "loss_d_entries");
    int64_t              runs = units_of(job->tile.size, scry__cl_lanes(job->cl, SCRY_OP_LOSS));
    scry__cl_tensor(&call, &job->op->target, SCRY__CL_READ);
    scry__cl_tensor(&call, &job->op->x, SCRY__CL_READ);
    scry__cl_tensor(&call, &d_unembedding, SCRY__CL_READ | SCRY__CL_WRITE);
    scry__cl_tensor(&call, &d_bias, SCRY__CL_READ | SCRY__CL_WRITE);
    pass_tile(&call, job);
    scry__cl_int(&call, job->op->accumulate);
    return scry__cl_launch(&call, 2, (const size_t[]){(size_t)runs, (size_t)job->tile.width}, NULL);
}

/* One sweep over the vocabulary: the first folds logits, the second adds up gradients. */
static scry_status sweep(struct job *job, bool is_second)
{
    scry_status status = SCRY_OK;
    for (int64_t first = 0; first < job->tile.vocabulary && !status; first += job->tile.width) {
        choose_tile(job, first);
        status = run_logits(job, &job->op->x, false);
        if (!status && job->tile.taught) status = run_logits(job, &job->op->teacher, true);
        if (!status) status = run_tile(job, is_second ? "loss_slopes" : "loss_fold", is_second);
        if (!status && is_second) status = run_d_x(job);
        if (!status && is_second) status = run_d_entries(job);
    }
    return status;
}

scry_status scry__cl_loss(struct scry__cl *cl, const scry_loss *op, scry_precision allowed)
{
    (void)allowed;
    bool       has_gradients = present(&op->d_x) || present(&op->d_unembedding) || present(&op->d_bias);
    struct job job           = {.cl = cl, .op = op};
    job.tile                 = (struct tile){.tokens     = op->x.shape[0],
                                             .size       = op->x.shape[1],
                                             .vocabulary = op->unembedding.shape[0],
                                             .logits     = op->x.shape[0] * STATE,
                                             .scale      = op->logit_scale != 0 ? op->logit_scale : 1,
                                             .softcap    = op->softcap,
                                             .factor     = op->factor,
                                             .taught     = present(&op->teacher)};
    scry_status status       = sweep(&job, false);
    if (!status) status = run_losses(&job);
    if (!status && has_gradients) status = sweep(&job, true);
    return status;
}
