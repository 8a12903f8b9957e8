/* loss: two sweeps over tiles of the vocabulary, of all rows each. kernels_cuda/loss.cu says what each kernel does.
 *
 * How wide a tile is depends on the sizes alone. Its logits are multiplied by the kernel "tile", whose bits for a row
 * are the same whatever the other rows: a row that equals its teacher has the teacher's logits. */
#include "kernels_cuda/loss.h"
#include "matmul.h"
#include "runs.h"

enum {
    TILE           = 1 << 22, /* logits: 16 MiB */
    LEAST_WIDTH    = 64,
    MOST_WIDTH     = 4096,
    EMULATED_WIDTH = 256, /* so that small ops, too, take several tiles */
    LOGIT_COST     = 100  /* operations of an exponential and what goes with it */
};

struct loss {
    struct scry__cuda *cuda;
    const scry_loss   *op;
    struct cuda_loss   parameters;
    size_t             dots, taught; /* where they begin in scratch */
};

static int64_t width_of(const struct scry__cuda *cuda, const scry_loss *op)
{
    int64_t width = most(LEAST_WIDTH, least(MOST_WIDTH, TILE / most(1, op->x.shape[0])));
    if (cuda->limits.is_emulated) width = least(width, EMULATED_WIDTH);
    return least(op->unembedding.shape[0], width);
}

static size_t dot_bytes(const struct scry__cuda *cuda, const scry_loss *op)
{
    return (size_t)(op->x.shape[0] * width_of(cuda, op)) * sizeof(float);
}

static size_t state_bytes(const scry_loss *op)
{
    return (size_t)op->x.shape[0] * sizeof(struct cuda_loss_state);
}

void scry__cuda_loss_query(const struct scry__cuda *cuda, const scry_loss *op, scry_precision allowed,
                           scry_op_info *info)
{
    (void)allowed;
    info->scratch_bytes = state_bytes(op) + dot_bytes(cuda, op) * (present(&op->teacher) ? 2 : 1);
}

/* The tile's entries of what has one row for each of the vocabulary. */
static scry_tensor part_of(const struct loss *loss, const scry_tensor *x)
{
    return scry__slice(*x, 0, loss->parameters.first, loss->parameters.width);
}

/* The dot products of rows with the tile's entries, to byte `to` of the scratch. */
static scry_status multiply(const struct loss *loss, const scry_tensor *rows, size_t to)
{
    int64_t     width   = loss->parameters.width;
    scry_tensor entries = part_of(loss, &loss->op->unembedding);
    scry_matmul op      = {.a = *rows, .b = entries, .alpha = 1};
    op.b.shape[0] = entries.shape[1], op.b.shape[1] = entries.shape[0];
    op.b.stride[0] = entries.stride[1], op.b.stride[1] = entries.stride[0];
    op.c                              = (scry_tensor){.buffer = loss->cuda->front->scratch,
                                                      .offset = to,
                                                      .dtype  = SCRY_F32,
                                                      .rank   = 2,
                                                      .shape  = {rows->shape[0], width},
                                                      .stride = {width, 1}};
    struct scry__cuda_product product = scry__cuda_product(loss->cuda, &op, SCRY_STRICT_F32, "tile");
    return scry__cuda_multiply(loss->cuda, &product, 0);
}

static scry_status run_logits(const struct loss *loss)
{
    scry_status status = multiply(loss, &loss->op->x, loss->dots);
    if (!status && present(&loss->op->teacher)) status = multiply(loss, &loss->op->teacher, loss->taught);
    return status;
}

/* A kernel with as many threads for each row. */
static scry_status run_rows(const struct loss *loss, struct scry__cuda_call call, int64_t threads, int64_t entries)
{
    call.threads    = CUDA_LENS_THREADS;
    call.blocks     = units_of(loss->parameters.tokens * threads, CUDA_LENS_THREADS);
    call.operations = LOGIT_COST * (double)loss->parameters.tokens * (double)entries;
    return scry__cuda_launch(loss->cuda, &call, &loss->parameters);
}

/* A kernel that walks [rows, columns]; the cost is that of an element. */
static scry_status run_over(const struct loss *loss, struct scry__cuda_call call, int64_t rows, int64_t columns,
                            int64_t cost)
{
    struct cuda_loss parameters = loss->parameters;
    parameters.all              = scry__cuda_runs((int64_t[]){1, 1, rows, columns});
    call.operations             = (double)cost;
    return scry__cuda_runs_launch(loss->cuda, call, &parameters.all, &parameters);
}

static scry_status run_gradients(struct loss *loss)
{
    const scry_loss       *op      = loss->op;
    struct cuda_loss      *all     = &loss->parameters;
    struct scry__cuda_call slopes  = {SCRY__CUDA_CALL(loss_slopes)};
    struct scry__cuda_call d_x     = {SCRY__CUDA_CALL(loss_d_x)};
    struct scry__cuda_call entries = {SCRY__CUDA_CALL(loss_d_entries)};
    scry_tensor            weights = scry__widened(part_of(loss, &op->d_unembedding), 0);
    scry_tensor            bias    = part_of(loss, &op->d_bias);
    int64_t                size    = op->x.shape[1];
    all->d_unembedding             = scry__cuda_view(loss->cuda, &weights);
    all->d_bias                    = scry__cuda_view(loss->cuda, &bias);
    scry_status status             = run_over(loss, slopes, all->tokens, all->width, LOGIT_COST);
    if (!status && present(&op->d_x)) status = run_over(loss, d_x, all->tokens, size, all->width);
    if (status || (!present(&weights) && !present(&bias))) return status;
    /* For the bias alone one thread of a row is enough. */
    return run_over(loss, entries, all->width, present(&weights) ? size : 1, all->tokens);
}

/* One sweep over the vocabulary: the first folds logits, the second adds up gradients. */
static scry_status sweep(struct loss *loss, bool is_second)
{
    struct cuda_loss      *all    = &loss->parameters;
    struct scry__cuda_call fold   = {SCRY__CUDA_CALL(loss_fold)};
    int64_t                width  = width_of(loss->cuda, loss->op);
    scry_status            status = SCRY_OK;
    for (all->first = 0; all->first < all->vocabulary && !status; all->first += width) {
        all->width = least(width, all->vocabulary - all->first);
        status     = run_logits(loss);
        if (!status) status = is_second ? run_gradients(loss) : run_rows(loss, fold, 32, all->width);
    }
    return status;
}

static struct loss loss_of(struct scry__cuda *cuda, const scry_loss *op)
{
    struct loss loss = {.cuda = cuda, .op = op, .dots = state_bytes(op)};
    scry_tensor d_x  = scry__widened(op->d_x, 0);
    loss.taught      = loss.dots + dot_bytes(cuda, op);
    loss.parameters  = (struct cuda_loss){
         .x           = scry__cuda_view(cuda, &op->x),
         .unembedding = scry__cuda_view(cuda, &op->unembedding),
         .bias        = scry__cuda_view(cuda, &op->bias),
         .target      = scry__cuda_view(cuda, &op->target),
         .loss        = scry__cuda_view(cuda, &op->loss),
         .d_x         = scry__cuda_view(cuda, &d_x),
         .dots        = scry__cuda_scratch(cuda, loss.dots),
         .states      = scry__cuda_scratch(cuda, 0),
         .tokens      = op->x.shape[0],
         .vocabulary  = op->unembedding.shape[0],
         .logit_scale = op->logit_scale != 0 ? op->logit_scale : 1,
         .softcap     = op->softcap,
         .factor      = op->factor,
         .accumulate  = op->accumulate,
    };
    if (present(&op->teacher)) loss.parameters.taught = scry__cuda_scratch(cuda, loss.taught);
    return loss;
}

scry_status scry__cuda_loss(struct scry__cuda *cuda, const scry_loss *op, scry_precision allowed)
{
    bool                   has_gradients = present(&op->d_x) || present(&op->d_unembedding) || present(&op->d_bias);
    struct loss            loss          = loss_of(cuda, op);
    struct scry__cuda_call rows          = {SCRY__CUDA_CALL(loss_rows)};
    scry_status            status        = sweep(&loss, false);
    (void)allowed;
    if (!status && present(&op->loss)) status = run_rows(&loss, rows, 1, 1);
    if (!status && has_gradients) status = sweep(&loss, true);
    return status;
}
