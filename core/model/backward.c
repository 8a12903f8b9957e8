/* The backward pass, one for all families. See backward.h for what a caller sees and arch.h for what a block computes.
 *
 * One gradient [R, d] of the residual stream goes down through the blocks, and what each branch read is added to it. Of
 * a parallel block both branches see it as it was behind the block. */
#include "base/error.h"
#include "model/tape.h"

scry_status scry__backward_run(const scry__backward *pass, scry_op op)
{
    return scry_device_run(pass->tape->session->model->device, &op);
}

scry_status scry__backward_offer(const scry__backward *pass, scry__hook hook, const scry_tensor *gradient)
{
    const scry__gradients *wanted = pass->wanted;
    if (!wanted->at || (wanted->wants && !wanted->wants(wanted->user, hook, pass->layer))) return SCRY_OK;
    return wanted->at(wanted->user, hook, pass->layer, gradient);
}

scry_tensor scry__as_rows(const scry_tensor *x)
{
    int64_t shape[] = {x->shape[0] * x->shape[1], x->shape[2] * (x->rank == 4 ? x->shape[3] : 1)};
    return scry_tensor_of(x->buffer, x->offset, x->dtype, 2, shape);
}

/* [R, d], offered as [B, T, d]. */
static scry_status offer_rows(const scry__backward *pass, scry__hook hook, const scry_tensor *gradient)
{
    const int64_t shape[] = {pass->tape->session->options.batch, pass->tape->rows, gradient->shape[1]};
    scry_tensor   value   = scry_tensor_of(gradient->buffer, gradient->offset, SCRY_F32, 3, shape);
    return scry__backward_offer(pass, hook, &value);
}

static scry_tensor scratch_rows(const scry__backward *pass, scry__scratch scratch, int64_t columns)
{
    scry_tensor value = scry__tape_scratch(pass->tape, scratch, columns);
    return scry__as_rows(&value);
}

static scry_tensor value_rows(const scry__backward *pass, scry__hook hook)
{
    scry_tensor value = scry__tape_value(pass->tape, hook, pass->layer);
    return scry__as_rows(&value);
}

static scry_status add_product(const scry__backward *pass, scry_tensor a, scry_tensor b, const scry_tensor *c,
                               float beta)
{
    return scry__backward_run(
        pass, (scry_op){.kind = SCRY_OP_MATMUL, .matmul = {.a = a, .b = b, .c = *c, .alpha = 1.0f, .beta = beta}});
}

scry_status scry__backward_linear(const scry__backward *pass, const scry__linear *weights,
                                  const scry__linear *d_weights, const scry_tensor *x, const scry_tensor *d_y,
                                  const scry_tensor *d_x, float beta)
{
    scry_status status = SCRY_OK;
    if (d_weights->weight.buffer) {
        /* As it is stored: a product's last stride is 1. */
        bool        swapped = d_weights->weight.stride[1] != 1;
        scry_tensor stored  = swapped ? scry_tensor_swap(d_weights->weight, 0, 1) : d_weights->weight;
        status = add_product(pass, scry_tensor_swap(swapped ? *d_y : *x, 0, 1), swapped ? *x : *d_y, &stored, 1.0f);
    }
    if (!status && d_weights->bias.buffer)
        status = scry__backward_run(
            pass, (scry_op){.kind = SCRY_OP_SUM, .sum = {.x = *d_y, .out = d_weights->bias, .accumulate = true}});
    return status ? status : add_product(pass, *d_y, scry_tensor_swap(weights->weight, 0, 1), d_x, beta);
}

scry_status scry__backward_norm(const scry__backward *pass, const scry_norm_parameters *parameters,
                                const scry_norm_parameters *d_parameters, const scry_tensor *x, const scry_tensor *d_y,
                                const scry_tensor *d_x)
{
    scry_norm_backward op = {.x          = *x,
                             .d_out      = *d_y,
                             .d_x        = *d_x,
                             .d_weight   = d_parameters->weight,
                             .d_bias     = d_parameters->bias,
                             .parameters = *parameters,
                             .accumulate = true};
    return scry__backward_run(pass, (scry_op){.kind = SCRY_OP_NORM_BACKWARD, .norm_backward = op});
}

static scry_status norm(const scry__backward *pass, const scry_norm_parameters *parameters, const scry_tensor *x,
                        const scry_tensor *out)
{
    return scry__backward_run(
        pass, (scry_op){.kind = SCRY_OP_NORM, .norm = {.x = *x, .out = *out, .parameters = *parameters}});
}

static scry_status copy(const scry__backward *pass, const scry_tensor *x, const scry_tensor *out)
{
    return scry__backward_run(pass, (scry_op){.kind = SCRY_OP_COPY, .copy = {.x = *x, .out = *out}});
}

static scry_status clear(const scry__backward *pass, const scry_tensor *out)
{
    return scry__backward_run(pass, (scry_op){.kind = SCRY_OP_FILL, .fill = {.out = *out}});
}

/* One of a block's two branches: stream += after(linear(inner(before(stream)))). */
struct branch {
    const scry__linear         *weights, *d_weights; /* what it ends with */
    const scry_norm_parameters *before, *after, *d_before, *d_after;
    scry_tensor                 stream; /* [R, d]: what it reads, before its norm */
    scry_status (*inner)(const scry__backward *pass, const scry_tensor *input, const scry_tensor *d_input);
};

/* Through the norm behind a branch: its output is computed once more from `x`, what its linear layer reads. On return
 * *d_branch is the gradient of that layer's output. */
static scry_status through_norm_after(const scry__backward *pass, const struct branch *branch, const scry_tensor *x,
                                      scry_tensor *d_branch)
{
    scry_tensor bare   = scratch_rows(pass, SCRY__SCRATCH_NORMED, pass->arch->hidden_size);
    scry_tensor d_bare = scratch_rows(pass, SCRY__SCRATCH_INPUT, pass->arch->hidden_size);
    scry_matmul op     = {.a = *x, .b = branch->weights->weight, .bias = branch->weights->bias, .c = bare, .alpha = 1};
    scry_status status = scry__backward_run(pass, (scry_op){.kind = SCRY_OP_MATMUL, .matmul = op});
    if (!status) status = clear(pass, &d_bare);
    if (!status) status = scry__backward_norm(pass, branch->after, branch->d_after, &bare, d_branch, &d_bare);
    *d_branch = d_bare;
    return status;
}

/* From the gradient of a branch to that of the stream it read, which is added to pass->stream. `x` [R, n] is what its
 * last linear layer reads, d_x [R, n] a place for the gradient of that. */
static scry_status run_branch(const scry__backward *pass, const struct branch *branch, const scry_tensor *d_branch,
                              const scry_tensor *x, const scry_tensor *d_x)
{
    scry_tensor normed = scratch_rows(pass, SCRY__SCRATCH_NORMED, pass->arch->hidden_size);
    scry_tensor d_read = scratch_rows(pass, SCRY__SCRATCH_INPUT, pass->arch->hidden_size), d_y = *d_branch;
    bool        normal = pass->arch->norm_before;
    scry_status status = SCRY_OK;
    if (pass->arch->norm_after) status = through_norm_after(pass, branch, x, &d_y);
    if (!status) status = scry__backward_linear(pass, branch->weights, branch->d_weights, x, &d_y, d_x, 0.0f);
    if (!status && normal) status = norm(pass, branch->before, &branch->stream, &normed);
    if (!status) status = branch->inner(pass, normal ? &normed : &branch->stream, &d_read);
    if (status) return status;
    if (normal)
        return scry__backward_norm(pass, branch->before, branch->d_before, &branch->stream, &d_read, &pass->stream);
    return scry__backward_run(
        pass, (scry_op){.kind = SCRY_OP_ADD, .add = {.a = pass->stream, .b = d_read, .out = pass->stream}});
}

/* The MLP between its input and its activations, whose gradient is in SCRATCH_WIDE. */
static scry_status mlp_inner(const scry__backward *pass, const scry_tensor *input, const scry_tensor *d_input)
{
    const scry__layer_weights *weights = pass->weights, *d_weights = pass->d_weights;
    scry_tensor                d_pre = scratch_rows(pass, SCRY__SCRATCH_WIDE, pass->arch->mlp_size);
    scry_tensor                pre   = value_rows(pass, SCRY__HOOK_MLP_PRE);
    scry_activation_backward   op    = {.x = pre, .d_out = d_pre, .d_x = d_pre, .function = pass->arch->activation};
    bool                       gated = pass->arch->gated;
    if (gated) {
        op.gated   = value_rows(pass, SCRY__HOOK_MLP_PRE_LINEAR);
        op.d_gated = scratch_rows(pass, SCRY__SCRATCH_WIDE_TOO, pass->arch->mlp_size);
    }
    scry_status status = offer_rows(pass, SCRY__HOOK_MLP_POST, &d_pre);
    if (!status)
        status = scry__backward_run(pass, (scry_op){.kind = SCRY_OP_ACTIVATION_BACKWARD, .activation_backward = op});
    if (!status) status = offer_rows(pass, SCRY__HOOK_MLP_PRE, &d_pre);
    if (!status && gated) status = offer_rows(pass, SCRY__HOOK_MLP_PRE_LINEAR, &op.d_gated);
    if (!status && gated)
        status = scry__backward_linear(pass, &weights->up, &d_weights->up, input, &op.d_gated, d_input, 0.0f);
    if (status) return status;
    return scry__backward_linear(pass, gated ? &weights->gate : &weights->up, gated ? &d_weights->gate : &d_weights->up,
                                 input, &d_pre, d_input, gated ? 1.0f : 0.0f);
}

static scry_status mlp(const scry__backward *pass, const scry_tensor *d_branch)
{
    const scry__layer_weights *weights = pass->weights, *d_weights = pass->d_weights;
    bool                       shared = pass->arch->shared_norm;
    int64_t                    size   = pass->arch->mlp_size;
    scry_tensor                post   = scratch_rows(pass, SCRY__SCRATCH_WIDE_TOO, size);
    scry_tensor                d_post = scratch_rows(pass, SCRY__SCRATCH_WIDE, size);
    scry__hook                 stream = pass->arch->parallel ? SCRY__HOOK_RESID_PRE : SCRY__HOOK_RESID_MID;
    struct branch              branch = {.weights   = &weights->down,
                                         .d_weights = &d_weights->down,
                                         .before    = shared ? &weights->norm1 : &weights->norm2,
                                         .d_before  = shared ? &d_weights->norm1 : &d_weights->norm2,
                                         .after     = &weights->norm2_after,
                                         .d_after   = &d_weights->norm2_after,
                                         .stream    = value_rows(pass, stream),
                                         .inner     = mlp_inner};
    scry_activation op = {.x = value_rows(pass, SCRY__HOOK_MLP_PRE), .out = post, .function = pass->arch->activation};
    if (pass->arch->gated) op.gated = value_rows(pass, SCRY__HOOK_MLP_PRE_LINEAR);
    scry_status status = offer_rows(pass, SCRY__HOOK_MLP_OUT, d_branch);
    if (!status) status = scry__backward_run(pass, (scry_op){.kind = SCRY_OP_ACTIVATION, .activation = op});
    return status ? status : run_branch(pass, &branch, d_branch, &post, &d_post);
}

static scry_status attention(const scry__backward *pass, const scry_tensor *d_branch)
{
    const scry__layer_weights *weights = pass->weights, *d_weights = pass->d_weights;
    scry_tensor                z      = value_rows(pass, SCRY__HOOK_Z);
    scry_tensor                d_z    = scratch_rows(pass, SCRY__SCRATCH_WIDE, z.shape[1]);
    struct branch              branch = {.weights   = &weights->out,
                                         .d_weights = &d_weights->out,
                                         .before    = &weights->norm1,
                                         .d_before  = &d_weights->norm1,
                                         .after     = &weights->norm1_after,
                                         .d_after   = &d_weights->norm1_after,
                                         .stream    = value_rows(pass, SCRY__HOOK_RESID_PRE),
                                         .inner     = scry__backward_attention};
    scry_status                status = offer_rows(pass, SCRY__HOOK_ATTN_OUT, d_branch);
    return status ? status : run_branch(pass, &branch, d_branch, &z, &d_z);
}

static scry_status block(const scry__backward *pass)
{
    scry_tensor branch = pass->stream;
    scry_status status = offer_rows(pass, SCRY__HOOK_RESID_POST, &pass->stream);
    if (!status && pass->arch->parallel) {
        branch = scratch_rows(pass, SCRY__SCRATCH_BRANCH, pass->arch->hidden_size);
        status = copy(pass, &pass->stream, &branch);
    }
    if (!status) status = mlp(pass, &branch);
    if (!status && !pass->arch->parallel) status = offer_rows(pass, SCRY__HOOK_RESID_MID, &pass->stream);
    if (!status) status = attention(pass, &branch);
    return status ? status : offer_rows(pass, SCRY__HOOK_RESID_PRE, &pass->stream);
}

/* The embeddings' gradients, from that of the first block's stream. */
static scry_status embedding(const scry__backward *pass)
{
    const scry__session *session = pass->tape->session;
    const scry__weights *d       = pass->wanted->weights;
    int64_t              rows = pass->tape->rows, size = pass->arch->hidden_size;
    int64_t              count  = rows * session->options.batch;
    scry_status          status = SCRY_OK;
    if (d->embedding.buffer) {
        scry_embed_backward op = {.ids        = scry_tensor_of(session->slots[SCRY__SLOT_IDS], 0, SCRY_I32, 1, &count),
                                  .d_out      = pass->stream,
                                  .d_table    = d->embedding,
                                  .scale      = (float)pass->arch->embedding_scale,
                                  .accumulate = true};
        status = scry__backward_run(pass, (scry_op){.kind = SCRY_OP_EMBED_BACKWARD, .embed_backward = op});
    }
    if (status || !d->positions.buffer) return status;
    /* A position's gradient is the sum over sequences. */
    int64_t     by_sequence[] = {session->options.batch, rows * size}, of_one = rows * size;
    scry_tensor x   = scry_tensor_of(pass->stream.buffer, pass->stream.offset, SCRY_F32, 2, by_sequence);
    scry_tensor out = scry_tensor_of(d->positions.buffer, d->positions.offset, SCRY_F32, 1, &of_one);
    return scry__backward_run(pass, (scry_op){.kind = SCRY_OP_SUM, .sum = {.x = x, .out = out, .accumulate = true}});
}

static scry_status run_blocks(scry__backward *pass)
{
    static const scry__layer_weights none;
    const scry__weights             *weights = &pass->tape->session->model->weights, *d_weights = pass->wanted->weights;
    int                              first = pass->wanted->first_layer;
    for (pass->layer = (int)pass->arch->layer_count - 1; pass->layer >= first; pass->layer--) {
        scry_status status = SCRY_OK;
        pass->weights      = &weights->layers[pass->layer];
        pass->d_weights    = d_weights ? &d_weights->layers[pass->layer] : &none;
        if (weights->stream) status = scry__stream_load(weights->stream, pass->layer);
        if (!status) status = block(pass);
        if (!status && weights->stream && pass->layer > first)
            status = scry__stream_load(weights->stream, pass->layer - 1);
        if (status) return scry__fail_prefix(status, "layer %d, backward", pass->layer);
    }
    pass->layer = -1;
    return d_weights && !first ? embedding(pass) : SCRY_OK;
}

static scry_status begin(scry__backward *pass, const scry__tape *tape, const scry__gradients *gradients)
{
    const scry__arch *arch = &tape->session->model->arch;
    if (tape->rows < 1) return scry__fail(SCRY_BAD_ARGUMENT, "a backward pass: no forward pass is on its tape");
    if (gradients->first_layer < 0 || gradients->first_layer >= arch->layer_count)
        return scry__fail(SCRY_BAD_ARGUMENT, "a backward pass to layer %d: expected 0 to %d", gradients->first_layer,
                          (int)arch->layer_count - 1);
    *pass        = (scry__backward){.tape = tape, .arch = arch, .wanted = gradients, .layer = -1};
    pass->stream = scratch_rows(pass, SCRY__SCRATCH_STREAM, arch->hidden_size);
    return SCRY_OK;
}

scry_status scry__backward_stream(scry__tape *tape, const scry_tensor *d_stream, const scry__gradients *gradients)
{
    scry__backward pass;
    scry_status    status = begin(&pass, tape, gradients);
    if (status) return status;
    scry_tensor place = scry__tape_scratch(tape, SCRY__SCRATCH_STREAM, pass.arch->hidden_size);
    status            = copy(&pass, d_stream, &place);
    return status ? status : run_blocks(&pass);
}

/* From the gradient of the normed rows [R, d] on. */
static scry_status run_from_normed(scry__backward *pass, const scry_tensor *d_normed)
{
    static const scry_norm_parameters none;
    const scry__session              *session   = pass->tape->session;
    const scry__weights              *d_weights = pass->wanted->weights;
    scry_tensor                       resid = scry__session_residual(session), x = scry__as_rows(&resid);
    scry_status                       status = clear(pass, &pass->stream);
    if (!status)
        status = scry__backward_norm(pass, &session->model->weights.final_norm,
                                     d_weights ? &d_weights->final_norm : &none, &x, d_normed, &pass->stream);
    return status ? status : run_blocks(pass);
}

scry_status scry__backward_normed(scry__tape *tape, const scry_tensor *d_normed, const scry__gradients *gradients)
{
    scry__backward pass;
    scry_status    status = begin(&pass, tape, gradients);
    if (status) return status;
    scry_tensor rows  = scratch_rows(&pass, SCRY__SCRATCH_INPUT, pass.arch->hidden_size);
    scry_tensor place = scry__tape_scratch(tape, SCRY__SCRATCH_INPUT, pass.arch->hidden_size);
    status            = copy(&pass, d_normed, &place);
    return status ? status : run_from_normed(&pass, &rows);
}

/* The loss op of the session's last pass over `normed` [R, d], which is written first. */
static scry_status loss_op(scry_loss *op, const scry__session *session, const scry__row_loss *loss,
                           const scry_tensor *normed)
{
    scry_tensor resid = scry__session_residual(session), x = scry__as_rows(&resid);
    scry_op     norm = {.kind = SCRY_OP_NORM,
                        .norm = {.x = x, .out = *normed, .parameters = session->model->weights.final_norm}};
    *op              = scry__model_loss_op(session->model);
    op->x            = *normed;
    op->target       = loss->target;
    op->teacher      = loss->teacher;
    op->loss         = loss->loss;
    op->factor       = loss->factor;
    return scry_device_run(session->model->device, &norm);
}

scry_status scry__backward_loss(scry__tape *tape, const scry__row_loss *loss, const scry__gradients *gradients)
{
    scry__backward pass;
    scry_loss      op;
    scry_status    status = begin(&pass, tape, gradients);
    if (status) return status;
    scry_tensor normed   = scratch_rows(&pass, SCRY__SCRATCH_NORMED, pass.arch->hidden_size);
    scry_tensor d_normed = scratch_rows(&pass, SCRY__SCRATCH_INPUT, pass.arch->hidden_size);
    status               = loss_op(&op, tape->session, loss, &normed);
    op.d_x               = d_normed;
    op.accumulate        = true;
    if (gradients->weights) {
        op.d_unembedding = gradients->weights->unembedding;
        op.d_bias        = gradients->weights->unembedding_bias;
    }
    if (!status) status = clear(&pass, &d_normed);
    if (!status) status = scry__backward_run(&pass, (scry_op){.kind = SCRY_OP_LOSS, .loss = op});
    return status ? status : run_from_normed(&pass, &d_normed);
}

scry_status scry__session_loss(scry__session *session, const scry__row_loss *loss)
{
    scry_loss   op;
    scry_tensor resid = scry__session_residual(session), normed = scry__as_rows(&resid);
    normed.buffer      = session->slots[SCRY__SLOT_NORMED];
    scry_status status = loss_op(&op, session, loss, &normed);
    return status ? status : scry_device_run(session->model->device, &(scry_op){.kind = SCRY_OP_LOSS, .loss = op});
}
