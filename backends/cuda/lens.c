/* lens: the plan of batches, tiles and scratch, and the launches. kernels_cuda/lens.cu and lens_group.cu say how they
 * work.
 *
 * Rows are taken in batches, as many as the scratch has room for: norm leaves them there, and for each tile of the
 * vocabulary a product leaves their dot products behind them, from which the running results are made. Scratch stays
 * below 64 MiB for any number of rows, and a batch of them is as large as products need to be fast. */
#include "kernels_cuda/lens.h"

#include "matmul.h"
#include "shared/lens.h"

#include <stdio.h>
#include <string.h>

enum {
    PARTS            = 16,                     /* of the vocabulary: as many as take a few rows in quickly */
    GROUP_PARTS      = 128,                    /* as many blocks take 64 rows */
    TILE_UNIT        = CUDA_LENS_UNIT * PARTS, /* tiles end where every part has had as many units */
    MOST_SCRATCH     = 56 << 20,
    EMULATED_SCRATCH = 1 << 20, /* so that small ops, too, take several tiles and batches */
    ALIGNMENT        = 256,
    FEW_ROWS         = 8,  /* that "row" multiplies */
    GROUP_ROWS       = 64, /* that "group" takes unasked */
    ROW_UNIT         = 128 /* of the library's rows, so that what it computes depends little on how many there are */
};

const char *const scry__cuda_lens_kernels[] = {"tiles", "group", NULL};

struct lens {
    const scry_lens_op *op;
    scry_precision      allowed;
    bool                is_group;
    const char         *multiplier; /* the kernel of the products of "tiles" */
    scry_dtype          dtype;      /* that rows are multiplied in: f32, or what the library wants them rounded to */
    int64_t             size, vocabulary, top;
    int64_t             layers, tokens; /* of a batch; the last ones may have fewer */
    int64_t             columns;        /* of a tile; the last one may have fewer; of "group" none */
    int64_t             parts;
};

/* A batch: rows of layers from `layer` on, and of tokens from `token` on. */
struct batch {
    const struct lens *lens;
    int64_t            layer, layers, token, tokens;
    int64_t            reference; /* as in the kernels' lens.h */
    int64_t            rows;      /* with the reference's, and those that fill a unit */
    /* Where they begin in scratch. `rounded`: rows as they are multiplied; as f32 they begin at 0. */
    size_t rounded, dots, states, top_logits, top_ids, targets, product;
};

/* --- Plan --- */

/* The kernel that multiplies that many rows. The choice of matmul would widen weights, which takes more scratch. */
static const char *choose_multiplier(const struct scry__cuda *cuda, const scry_lens_op *op, scry_precision allowed,
                                     int64_t rows)
{
    scry_dtype dtype     = op->unembedding.dtype;
    bool       direct    = op->unembedding.stride[1] == 1 || op->unembedding.stride[0] == 1;
    bool       as_stored = dtype == SCRY_F32 || scry__cuda_library_rounds(dtype, allowed);
    if (rows <= FEW_ROWS) return "row";
    if (direct && as_stored && scry__cuda_library_usable(cuda)) return "library";
    return allowed != SCRY_STRICT_F32 && cuda->limits.compute >= 80 ? "tensor" : "tile";
}

static size_t carve(size_t *used, int64_t elements, size_t element_bytes)
{
    size_t start = *used;
    *used        = (size_t)round_up((int64_t)(start + (size_t)elements * element_bytes), ALIGNMENT);
    return start;
}

/* Dense rows at byte `offset` of the scratch. */
static scry_tensor in_scratch(const struct scry__cuda *cuda, size_t offset, scry_dtype dtype, int64_t rows,
                              int64_t columns, int64_t pitch)
{
    return (scry_tensor){.buffer = cuda->front->scratch,
                         .offset = offset,
                         .dtype  = dtype,
                         .rank   = 2,
                         .shape  = {rows, columns},
                         .stride = {pitch, 1}};
}

/* The product of a batch's rows with a tile of the vocabulary. */
static struct scry__cuda_product product_of(const struct scry__cuda *cuda, const struct batch *batch, int64_t first,
                                            int64_t count)
{
    const struct lens *lens        = batch->lens;
    scry_tensor        unembedding = scry__slice(lens->op->unembedding, 0, first, count);
    scry_matmul        op = {.a = in_scratch(cuda, batch->rounded, lens->dtype, batch->rows, lens->size, lens->size),
                             .b = unembedding,
                             .c = in_scratch(cuda, batch->dots, SCRY_F32, batch->rows, count, lens->columns),
                             .alpha = 1};
    op.b.shape[0] = lens->size, op.b.shape[1] = count;
    op.b.stride[0] = unembedding.stride[1], op.b.stride[1] = unembedding.stride[0];
    return scry__cuda_product(cuda, &op, lens->allowed, lens->multiplier);
}

/* The batch that begins there, with its scratch laid out. */
static struct batch batch_at(const struct lens *lens, int64_t layer, int64_t token)
{
    const scry_lens_op *op    = lens->op;
    struct batch        batch = {.lens = lens, .layer = layer, .token = token, .reference = -1};
    batch.layers              = least(lens->layers, op->x.shape[0] - layer);
    batch.tokens              = least(lens->tokens, op->x.shape[1] - token);
    /* A reference that is one of the batch's layers needs no rows of its own. */
    if (scry__lens_compares(op))
        batch.reference = batch.layers == op->x.shape[0] ? scry__lens_reference(op) : batch.layers;
    int64_t found = batch.layers * batch.tokens;
    batch.rows    = found + (batch.reference == batch.layers ? batch.tokens : 0);
    if (!lens->is_group && !strcmp(lens->multiplier, "library")) batch.rows = round_up(batch.rows, ROW_UNIT);

    size_t used = 0;
    carve(&used, batch.rows * lens->size, sizeof(float));
    if (lens->dtype != SCRY_F32)
        batch.rounded = carve(&used, batch.rows * lens->size, scry__element_bytes(lens->dtype));
    batch.dots       = carve(&used, batch.rows * lens->columns, sizeof(float));
    batch.states     = carve(&used, found * lens->parts, sizeof(struct cuda_lens_state));
    batch.top_logits = carve(&used, found * lens->parts * lens->top, sizeof(float));
    batch.top_ids    = carve(&used, found * lens->parts * lens->top, sizeof(int32_t));
    batch.targets    = carve(&used, found, sizeof(struct cuda_lens_target));
    batch.product    = used;
    return batch;
}

/* Scratch that a row takes, without its dot products. */
static int64_t row_bytes(const struct lens *lens)
{
    /* In f32, and it may be as they are multiplied. */
    int64_t element_bytes = lens->allowed == SCRY_STRICT_F32 ? 4 : 6;
    int64_t entry_bytes   = sizeof(float) + sizeof(int32_t);
    return lens->size * element_bytes +
           lens->parts * ((int64_t)sizeof(struct cuda_lens_state) + lens->top * entry_bytes) +
           (int64_t)sizeof(struct cuda_lens_target);
}

/* As many tokens as there is room for, with all of their layers; of a single one, as many layers. Returns the most rows
 * of a batch. */
static int64_t choose_batches(struct lens *lens, const struct scry__cuda *cuda, int64_t most_bytes)
{
    const scry_lens_op *op     = lens->op;
    int64_t             layers = op->x.shape[0], tokens = op->x.shape[1], behind = scry__lens_compares(op);
    int64_t             bytes = row_bytes(lens), filling = 0;
    if (!lens->is_group) bytes += least(lens->vocabulary, TILE_UNIT) * (int64_t)sizeof(float);
    if (!lens->is_group && scry__cuda_library_usable(cuda)) filling = ROW_UNIT - 1;
    int64_t room = most(1 + behind, most_bytes / bytes - filling);
    lens->layers = least(layers, room - behind);
    lens->tokens = lens->layers < layers ? 1 : most(1, least(tokens, room / (layers + behind)));
    return (lens->layers + behind) * lens->tokens;
}

/* By the number of rows in all, where no kernel was asked for. */
static bool is_group(const struct scry__cuda *cuda, const scry_lens_op *op, scry_precision allowed)
{
    const char *asked = cuda->front->kernel[SCRY_OP_LENS];
    int64_t     rows  = op->x.shape[0] * op->x.shape[1];
    if (asked) return !strcmp(asked, "group");
    return allowed == SCRY_STRICT_F32 && rows > FEW_ROWS && rows <= GROUP_ROWS;
}

static struct lens prepare(const struct scry__cuda *cuda, const scry_lens_op *op, scry_precision allowed)
{
    int64_t     most_bytes = cuda->limits.is_emulated ? EMULATED_SCRATCH : MOST_SCRATCH;
    struct lens lens       = {.op         = op,
                              .allowed    = allowed,
                              .size       = op->x.shape[2],
                              .vocabulary = op->unembedding.shape[0],
                              .top        = scry__lens_top(op),
                              .is_group   = is_group(cuda, op, allowed)};
    lens.parts   = lens.is_group ? most(1, least(GROUP_PARTS, units_of(lens.vocabulary, CUDA_LENS_GROUP))) : PARTS;
    int64_t rows = choose_batches(&lens, cuda, most_bytes);
    if (lens.is_group) return lens;
    int64_t room    = least(most_bytes / 2, most_bytes - rows * row_bytes(&lens));
    int64_t columns = room / (int64_t)sizeof(float) / round_up(most(1, rows), ROW_UNIT);
    lens.columns    = least(lens.vocabulary, most(TILE_UNIT, columns - columns % TILE_UNIT));
    /* By the op's own rows: whether they are compared changes nothing else. */
    lens.multiplier = choose_multiplier(cuda, op, allowed, lens.layers * lens.tokens);
    if (!strcmp(lens.multiplier, "library") && scry__cuda_library_rounds(op->unembedding.dtype, allowed))
        lens.dtype = op->unembedding.dtype;
    return lens;
}

void scry__cuda_lens_query(const struct scry__cuda *cuda, const scry_lens_op *op, scry_precision allowed,
                           scry_op_info *info)
{
    struct lens  lens   = prepare(cuda, op, allowed);
    struct batch batch  = batch_at(&lens, 0, 0);
    info->scratch_bytes = batch.product;
    snprintf(info->kernel, sizeof info->kernel, "%s", scry__cuda_lens_kernels[lens.is_group]);
    if (lens.is_group) return;
    struct scry__cuda_product product = product_of(cuda, &batch, 0, lens.columns);
    info->scratch_bytes += product.scratch_bytes;
    info->precision = product.precision;
}

/* --- Launches --- */

/* Normalised rows of x [.., size] from row `row` of the scratch on. */
static scry_status norm_rows(struct scry__cuda *cuda, const struct batch *batch, const scry_tensor *x, int64_t row)
{
    scry_norm op  = {.x = *x, .out = *x, .parameters = batch->lens->op->norm};
    op.out.buffer = cuda->front->scratch;
    op.out.offset = (size_t)(row * batch->lens->size) * sizeof(float);
    for (int64_t axis = x->rank - 1, stride = 1; axis >= 0; stride *= x->shape[axis--]) op.out.stride[axis] = stride;
    return batch->lens->size ? scry__cuda_norm(cuda, &op, SCRY_STRICT_F32) : SCRY_OK;
}

/* The batch's rows, the reference's behind them, and zeros behind those. */
static scry_status place_rows(struct scry__cuda *cuda, const struct batch *batch)
{
    const struct lens *lens = batch->lens;
    scry_tensor        x =
        scry__slice(scry__slice(lens->op->x, 0, batch->layer, batch->layers), 1, batch->token, batch->tokens);
    scry_tensor reference = scry__slice(lens->op->reference, 0, batch->token, batch->tokens);
    int64_t     filled    = batch->layers * batch->tokens;
    scry_status status    = norm_rows(cuda, batch, &x, 0);
    if (!status && batch->reference == batch->layers) {
        status = norm_rows(cuda, batch, &reference, filled);
        filled += batch->tokens;
    }
    if (status || filled == batch->rows || !lens->size) return status;
    scry_tensor rest = in_scratch(cuda, (size_t)(filled * lens->size) * sizeof(float), SCRY_F32, batch->rows - filled,
                                  lens->size, lens->size);
    return scry__cuda_fill(cuda, &(scry_fill){.out = rest}, SCRY_STRICT_F32);
}

/* The rows as they are multiplied. */
static scry_status round_rows(struct scry__cuda *cuda, const struct batch *batch)
{
    const struct lens *lens = batch->lens;
    if (lens->dtype == SCRY_F32 || !lens->size) return SCRY_OK;
    scry_copy op = {.x   = in_scratch(cuda, 0, SCRY_F32, batch->rows, lens->size, lens->size),
                    .out = in_scratch(cuda, batch->rounded, lens->dtype, batch->rows, lens->size, lens->size)};
    return scry__cuda_copy(cuda, &op, SCRY_STRICT_F32);
}

static struct cuda_view output(struct scry__cuda *cuda, const struct batch *batch, scry_tensor x)
{
    x = scry__slice(scry__slice(x, 0, batch->layer, batch->layers), 1, batch->token, batch->tokens);
    return scry__cuda_view(cuda, &x);
}

static struct cuda_lens parameters_of(struct scry__cuda *cuda, const struct batch *batch)
{
    const struct lens  *lens   = batch->lens;
    const scry_lens_op *op     = lens->op;
    scry_tensor         target = scry__slice(op->target, 0, batch->token, batch->tokens);
    return (struct cuda_lens){
        .unembedding  = scry__cuda_view(cuda, &op->unembedding),
        .bias         = scry__cuda_view(cuda, &op->bias),
        .target       = scry__cuda_view(cuda, &target),
        .top_id       = output(cuda, batch, op->top_id),
        .top_logit    = output(cuda, batch, op->top_logit),
        .lse          = output(cuda, batch, op->lse),
        .entropy      = output(cuda, batch, op->entropy),
        .target_logit = output(cuda, batch, op->target_logit),
        .target_rank  = output(cuda, batch, op->target_rank),
        .kl           = output(cuda, batch, op->kl),
        .rows         = scry__cuda_scratch(cuda, 0),
        .dots         = scry__cuda_scratch(cuda, batch->dots),
        .states       = scry__cuda_scratch(cuda, batch->states),
        .top_logits   = scry__cuda_scratch(cuda, batch->top_logits),
        .top_ids      = scry__cuda_scratch(cuda, batch->top_ids),
        .targets      = scry__cuda_scratch(cuda, batch->targets),
        .size         = lens->size,
        .vocabulary   = lens->vocabulary,
        .layers       = batch->layers,
        .tokens       = batch->tokens,
        .reference    = batch->reference,
        .parts        = lens->parts,
        .pitch        = lens->columns,
        .top          = (int32_t)lens->top,
        .ranks        = scry__lens_ranks(op),
        .logit_scale  = op->logit_scale != 0 ? op->logit_scale : 1,
        .softcap      = op->softcap,
    };
}

enum { LANES = 32 }; /* of a warp */

/* A kernel with as many threads for each of the batch's rows. */
static scry_status launch(struct scry__cuda *cuda, struct scry__cuda_call call, const struct cuda_lens *parameters,
                          int64_t threads, int64_t entries)
{
    int64_t rows    = parameters->layers * parameters->tokens;
    call.threads    = CUDA_LENS_THREADS;
    call.blocks     = units_of(rows * threads, CUDA_LENS_THREADS);
    call.operations = 100.0 * (double)rows * (double)entries;
    return scry__cuda_launch(cuda, &call, parameters);
}

/* Tile by tile: the dot products, and what follows from them. */
static scry_status run_tiles(struct scry__cuda *cuda, const struct batch *batch, struct cuda_lens *parameters)
{
    const struct lens *lens   = batch->lens;
    scry_status        status = SCRY_OK;
    do {
        parameters->count                 = least(lens->columns, lens->vocabulary - parameters->first);
        struct scry__cuda_product product = product_of(cuda, batch, parameters->first, parameters->count);
        status                            = scry__cuda_multiply(cuda, &product, batch->product);
        if (!status)
            status = launch(cuda, (struct scry__cuda_call){SCRY__CUDA_CALL(lens_take)}, parameters, LANES * lens->parts,
                            parameters->count);
        parameters->first += parameters->count;
    } while (!status && parameters->first < lens->vocabulary);
    return status;
}

static scry_status run_group(struct scry__cuda *cuda, const struct batch *batch, const struct cuda_lens *parameters)
{
    const struct lens     *lens  = batch->lens;
    int64_t                rows  = units_of(batch->layers * batch->tokens, CUDA_LENS_GROUP);
    struct scry__cuda_call group = {SCRY__CUDA_CALL(lens_group)};
    group.threads                = CUDA_LENS_THREADS;
    group.blocks                 = rows * lens->parts;
    group.operations = 4.0 * (double)(rows * CUDA_LENS_GROUP) * (double)lens->vocabulary * (double)(lens->size + 50);
    return scry__cuda_launch(cuda, &group, parameters);
}

static scry_status run_batch(struct scry__cuda *cuda, const struct batch *batch)
{
    const struct lens *lens       = batch->lens;
    struct cuda_lens   parameters = parameters_of(cuda, batch);
    scry_status        status     = place_rows(cuda, batch);
    if (!status) status = round_rows(cuda, batch);
    if (!status)
        status = launch(cuda, (struct scry__cuda_call){SCRY__CUDA_CALL(lens_begin)}, &parameters, 1, lens->size);
    if (!status) status = lens->is_group ? run_group(cuda, batch, &parameters) : run_tiles(cuda, batch, &parameters);
    if (!status)
        status = launch(cuda, (struct scry__cuda_call){SCRY__CUDA_CALL(lens_merge)}, &parameters, LANES,
                        lens->parts * (1 + lens->top));
    return status;
}

scry_status scry__cuda_lens(struct scry__cuda *cuda, const scry_lens_op *op, scry_precision allowed)
{
    struct lens lens   = prepare(cuda, op, allowed);
    scry_status status = SCRY_OK;
    for (int64_t layer = 0; layer < op->x.shape[0] && !status; layer += lens.layers)
        for (int64_t token = 0; token < op->x.shape[1] && !status; token += lens.tokens) {
            struct batch batch = batch_at(&lens, layer, token);
            status             = run_batch(cuda, &batch);
        }
    return status;
}
