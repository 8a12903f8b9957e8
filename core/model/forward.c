/* The forward pass, one for all families. See forward.h for what a caller sees and arch.h for what a block computes.
 *
 * Memory: the residual stream, its normed copy and one wide slot, in which a layer's attention (queries, keys, values,
 * z) and then its MLP live. A branch is added to the residual stream by its own matmul (beta 1) unless somebody wants
 * to see it. What no hook wants is never computed. */
#include "base/error.h"
#include "model/pass.h"

bool scry__pass_watches(const scry__pass *pass, scry__hook hook)
{
    const scry__hooks *hooks = pass->hooks;
    return hooks && hooks->at && (!hooks->wants || hooks->wants(hooks->user, hook, pass->layer));
}

bool scry__pass_edits(const scry__pass *pass, scry__hook hook)
{
    const scry__hooks *hooks = pass->hooks;
    scry__edited_rows  unused;
    return hooks && hooks->edited && hooks->edited(hooks->user, hook, pass->layer, 0, &unused);
}

bool scry__pass_wants(const scry__pass *pass, scry__hook hook)
{
    return scry__pass_watches(pass, hook) || scry__pass_edits(pass, hook);
}

scry_status scry__pass_offer(const scry__pass *pass, scry__hook hook, const scry_tensor *value)
{
    if (!scry__pass_wants(pass, hook)) return SCRY_OK;
    return pass->hooks->at(pass->hooks->user, hook, pass->layer, value);
}

scry_status scry__pass_run(const scry__pass *pass, scry_op op)
{
    return scry_device_run(pass->session->model->device, &op);
}

scry_status scry__pass_take_change(const scry__pass *pass, const scry_tensor *now, const scry_tensor *change)
{
    scry_op     op     = {.kind = SCRY_OP_SCALE, .scale = {.x = *change, .out = *change, .factor = -1.0f}};
    scry_status status = scry__pass_run(pass, op);
    if (status) return status;
    return scry__pass_run(pass, (scry_op){.kind = SCRY_OP_ADD, .add = {.a = *now, .b = *change, .out = *change}});
}

/* [B, T, n] as [B * T, n] where the rows are evenly spaced. */
static bool flatten(scry_tensor *x)
{
    if (x->shape[0] != 1 && x->stride[0] != x->shape[1] * x->stride[1]) return false;
    x->rank      = 2;
    x->shape[0]  = x->shape[0] * x->shape[1];
    x->stride[0] = x->stride[1];
    x->shape[1]  = x->shape[2];
    x->stride[1] = x->stride[2];
    return true;
}

/* A matrix as [batch, m, n], repeated. */
static scry_tensor repeat(const scry_tensor *matrix, int64_t batch)
{
    scry_tensor out = *matrix;
    out.rank        = 3;
    out.shape[0]    = batch;
    out.stride[0]   = 0;
    for (int axis = 0; axis < 2; axis++) {
        out.shape[axis + 1]  = matrix->shape[axis];
        out.stride[axis + 1] = matrix->stride[axis];
    }
    return out;
}

static scry_op linear_op(const scry_tensor *x, const scry__linear *weights, const scry_tensor *out, float beta)
{
    scry_matmul op = {.a = *x, .b = weights->weight, .bias = weights->bias, .c = *out, .alpha = 1.0f, .beta = beta};
    if (!flatten(&op.a) || !flatten(&op.c)) {
        op.a = *x;
        op.b = repeat(&weights->weight, x->shape[0]);
        op.c = *out;
    }
    return (scry_op){.kind = SCRY_OP_MATMUL, .matmul = op};
}

scry_status scry__pass_linear(const scry__pass *pass, const scry_tensor *x, const scry__linear *weights,
                              const scry_tensor *out, float beta)
{
    return scry__pass_run(pass, linear_op(x, weights, out, beta));
}

scry_tensor scry__pass_wide_block(const scry__pass *pass, int64_t columns, size_t *offset)
{
    int64_t     shape[] = {pass->batch, pass->rows, columns};
    scry_tensor block   = scry_tensor_of(pass->session->slots[SCRY__SLOT_WIDE], *offset, SCRY_F32, 3, shape);
    *offset += ((size_t)scry_tensor_count(&block) * sizeof(float) + 63) / 64 * 64;
    return block;
}

/* What the next branch reads. */
static scry_status norm_input(scry__pass *pass, const scry_norm_parameters *parameters, scry__hook scale_hook,
                              scry__hook normed_hook)
{
    pass->input = pass->arch->norm_before ? pass->normed : pass->resid;
    return pass->arch->norm_before ? scry__pass_norm(pass, parameters, scale_hook, normed_hook) : SCRY_OK;
}

/* The embedding (and learned positions) of the new rows. */
static scry_status embed(scry__pass *pass, const int32_t *ids)
{
    const scry__weights *weights = &pass->session->model->weights;
    int64_t              count   = pass->batch * pass->rows;
    scry_tensor          table, flat = pass->resid;
    scry_status          status;
    flatten(&flat);
    status = scry__session_tensor(&table, pass->session, SCRY__SLOT_IDS, SCRY_I32, 1, &count);
    if (!status) status = scry_buffer_write(table.buffer, 0, ids, (size_t)count * sizeof *ids);
    if (!status)
        status = scry__pass_run(pass, (scry_op){.kind  = SCRY_OP_EMBED,
                                                .embed = {.ids   = table,
                                                          .table = weights->embedding,
                                                          .out   = flat,
                                                          .scale = (float)pass->arch->embedding_scale}});
    if (!status) status = scry__pass_offer(pass, SCRY__HOOK_EMBED, &pass->resid);
    if (status || pass->arch->positions != SCRY__POSITIONS_LEARNED) return status;

    scry_tensor rows      = scry_tensor_slice(weights->positions, 0, pass->past, pass->rows);
    scry_tensor positions = repeat(&rows, pass->batch);
    if (scry__pass_wants(pass, SCRY__HOOK_POS_EMBED)) {
        scry_tensor seen;
        status = scry__session_tensor(&seen, pass->session, SCRY__SLOT_BRANCH, SCRY_F32, 3, pass->resid.shape);
        if (!status)
            status = scry__pass_run(pass, (scry_op){.kind = SCRY_OP_COPY, .copy = {.x = positions, .out = seen}});
        if (!status) status = scry__pass_offer(pass, SCRY__HOOK_POS_EMBED, &seen);
        positions = seen;
    }
    if (status) return status;
    return scry__pass_run(
        pass, (scry_op){.kind = SCRY_OP_ADD, .add = {.a = pass->resid, .b = positions, .out = pass->resid}});
}

/* resid += branch. */
static scry_status add_to_stream(const scry__pass *pass, const scry_tensor *branch)
{
    return scry__pass_run(pass,
                          (scry_op){.kind = SCRY_OP_ADD, .add = {.a = pass->resid, .b = *branch, .out = pass->resid}});
}

/* resid += x weights + bias, then what edits change of that: rows whose branch stays keep the bits that they have where
 * nobody looks. */
static scry_status add_changed_branch(const scry__pass *pass, const scry_tensor *x, const scry__linear *weights,
                                      const scry_tensor *branch, scry__hook hook)
{
    bool        edits  = scry__pass_edits(pass, hook);
    scry_tensor change = {0};
    scry_status status = SCRY_OK;
    if (edits) status = scry__session_tensor(&change, pass->session, SCRY__SLOT_BARE, SCRY_F32, 3, pass->resid.shape);
    if (!status && edits)
        status = scry__pass_run(pass, (scry_op){.kind = SCRY_OP_COPY, .copy = {.x = *branch, .out = change}});
    if (!status) status = scry__pass_offer(pass, hook, branch);
    if (!status && edits) status = scry__pass_take_change(pass, branch, &change);
    if (!status) status = scry__pass_linear(pass, x, weights, &pass->resid, 1.0f);
    return status || !edits ? status : add_to_stream(pass, &change);
}

/* resid += after(x weights + bias), where `after` is the norm behind a branch, if the family has one. */
static scry_status add_branch(const scry__pass *pass, const scry_tensor *x, const scry__linear *weights,
                              const scry_norm_parameters *after, scry__hook hook)
{
    bool        live  = !pass->hooks || !pass->hooks->edited; /* the watcher may change it, without notice */
    bool        apart = pass->arch->norm_after || (live && scry__pass_watches(pass, hook));
    scry_tensor branch;
    if (!apart && !scry__pass_wants(pass, hook)) return scry__pass_linear(pass, x, weights, &pass->resid, 1.0f);
    scry_status status =
        scry__session_tensor(&branch, pass->session, SCRY__SLOT_BRANCH, SCRY_F32, 3, pass->resid.shape);
    if (!status) status = scry__pass_linear(pass, x, weights, &branch, 0.0f);
    if (!status && !apart) return add_changed_branch(pass, x, weights, &branch, hook);
    if (!status && pass->arch->norm_after)
        status = scry__pass_run(
            pass, (scry_op){.kind = SCRY_OP_NORM, .norm = {.x = branch, .out = branch, .parameters = *after}});
    if (!status) status = scry__pass_offer(pass, hook, &branch);
    return status ? status : add_to_stream(pass, &branch);
}

static scry_status mlp(const scry__pass *pass)
{
    size_t          offset = 0;
    scry_tensor     pre    = scry__pass_wide_block(pass, pass->arch->mlp_size, &offset);
    scry_activation op     = {.x = pre, .out = pre, .function = pass->arch->activation};
    scry_status     status = scry__pass_linear(pass, &pass->input,
                                           pass->arch->gated ? &pass->weights->gate : &pass->weights->up, &pre, 0.0f);
    if (!status) status = scry__pass_offer(pass, SCRY__HOOK_MLP_PRE, &pre);
    if (!status && pass->arch->gated) {
        op.gated = scry__pass_wide_block(pass, pass->arch->mlp_size, &offset);
        status   = scry__pass_linear(pass, &pass->input, &pass->weights->up, &op.gated, 0.0f);
        if (!status) status = scry__pass_offer(pass, SCRY__HOOK_MLP_PRE_LINEAR, &op.gated);
    }
    if (!status) status = scry__pass_run(pass, (scry_op){.kind = SCRY_OP_ACTIVATION, .activation = op});
    if (!status) status = scry__pass_offer(pass, SCRY__HOOK_MLP_POST, &pre);
    return status ? status
                  : add_branch(pass, &pre, &pass->weights->down, &pass->weights->norm2_after, SCRY__HOOK_MLP_OUT);
}

static scry_status block(scry__pass *pass)
{
    const scry__arch *arch = pass->arch;
    scry_tensor       z;
    scry_status       status = scry__pass_offer(pass, SCRY__HOOK_RESID_PRE, &pass->resid);
    if (!status) status = norm_input(pass, &pass->weights->norm1, SCRY__HOOK_LN1_SCALE, SCRY__HOOK_LN1_NORMALIZED);
    if (!status) status = scry__pass_attention(pass, &z);
    /* A parallel block's MLP reads the stream before attention is added to it. */
    if (!status && arch->parallel && !arch->shared_norm)
        status = norm_input(pass, &pass->weights->norm2, SCRY__HOOK_LN2_SCALE, SCRY__HOOK_LN2_NORMALIZED);
    if (!status) status = add_branch(pass, &z, &pass->weights->out, &pass->weights->norm1_after, SCRY__HOOK_ATTN_OUT);
    if (!status && !arch->parallel) {
        status = scry__pass_offer(pass, SCRY__HOOK_RESID_MID, &pass->resid);
        if (!status) status = norm_input(pass, &pass->weights->norm2, SCRY__HOOK_LN2_SCALE, SCRY__HOOK_LN2_NORMALIZED);
    }
    if (!status) status = mlp(pass);
    return status ? status : scry__pass_offer(pass, SCRY__HOOK_RESID_POST, &pass->resid);
}

/* out [B, T, V] = the logits of normed rows [B, T, d]. */
static scry_status unembed(const scry_model *model, const scry_tensor *normed, const scry_tensor *out)
{
    const scry__weights *weights = &model->weights;
    scry__linear         head    = {scry_tensor_swap(weights->unembedding, 0, 1), weights->unembedding_bias};
    scry_op              op      = linear_op(normed, &head, out, 0.0f);
    if (model->arch.logit_scale != 0.0) op.matmul.alpha = (float)model->arch.logit_scale;
    return scry_device_run(model->device, &op);
}

/* The final norm and the logits of every row, where hooks want them. */
static scry_status offer_final(scry__pass *pass)
{
    const scry__weights *weights = &pass->session->model->weights;
    bool                 logits  = scry__pass_wants(pass, SCRY__HOOK_LOGITS);
    int64_t              shape[] = {pass->batch, pass->rows, pass->arch->vocabulary};
    scry_tensor          out;
    if (!logits && !scry__pass_wants(pass, SCRY__HOOK_LN_FINAL_SCALE) &&
        !scry__pass_wants(pass, SCRY__HOOK_LN_FINAL_NORMALIZED))
        return SCRY_OK;
    scry_status status =
        scry__pass_norm(pass, &weights->final_norm, SCRY__HOOK_LN_FINAL_SCALE, SCRY__HOOK_LN_FINAL_NORMALIZED);
    if (status || !logits) return status;
    status = scry__session_tensor(&out, pass->session, SCRY__SLOT_LOGITS, SCRY_F32, 3, shape);
    if (!status) status = unembed(pass->session->model, &pass->normed, &out);
    return status ? status : scry__pass_offer(pass, SCRY__HOOK_LOGITS, &out);
}

bool scry__model_has_hook(const scry_model *model, scry__hook hook)
{
    const scry__arch *arch = &model->arch;
    switch (hook) {
    case SCRY__HOOK_POS_EMBED:
        return arch->positions == SCRY__POSITIONS_LEARNED;
    case SCRY__HOOK_ROT_Q:
    case SCRY__HOOK_ROT_K:
        return arch->positions == SCRY__POSITIONS_ROPE;
    case SCRY__HOOK_RESID_MID:
        return !arch->parallel;
    case SCRY__HOOK_MLP_PRE_LINEAR:
        return arch->gated;
    case SCRY__HOOK_LN1_SCALE:
    case SCRY__HOOK_LN1_NORMALIZED:
        return arch->norm_before;
    case SCRY__HOOK_LN2_SCALE:
    case SCRY__HOOK_LN2_NORMALIZED:
        return arch->norm_before && !arch->shared_norm;
    default:
        return (unsigned)hook < SCRY__HOOK_COUNT;
    }
}

static scry_status check_count(const scry__session *session, int count)
{
    const scry__session_options *options = &session->options;
    int                          past    = options->keep_cache ? session->length : 0;
    if (count >= 1 && count <= options->rows && count <= options->capacity - past) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT, "%d rows after %d: expected 1 to %d in a pass, at most %d in all", count, past,
                      options->rows, options->capacity);
}

static scry_status check_ids(const scry__session *session, const int32_t *ids, int count)
{
    int64_t     vocabulary = session->model->arch.vocabulary;
    scry_status status     = check_count(session, count);
    if (status) return status;
    for (int64_t i = 0; i < (int64_t)session->options.batch * count; i++)
        if (ids[i] < 0 || ids[i] >= vocabulary)
            return scry__fail(SCRY_BAD_ARGUMENT, "token %lld: id %d: expected 0 to %lld", (long long)i, ids[i],
                              (long long)vocabulary - 1);
    return SCRY_OK;
}

/* How many of the sequences take part from here on. */
static void set_batch(scry__pass *pass, int64_t batch)
{
    pass->batch          = batch;
    pass->resid.shape[0] = pass->normed.shape[0] = batch;
}

/* Lets in the sequences that begin at this layer. */
static scry_status admit(scry__pass *pass)
{
    const scry__hooks *hooks  = pass->hooks;
    int64_t            before = pass->batch;
    if (!hooks || !hooks->active) return SCRY_OK;
    set_batch(pass, hooks->active(hooks->user, pass->layer));
    if (pass->batch == before) return SCRY_OK;
    const scry_tensor joining = scry_tensor_slice(pass->resid, 0, before, pass->batch - before);
    return hooks->join(hooks->user, pass->layer, &joining);
}

static scry__pass new_pass(scry__session *session, int count, const scry__hooks *hooks)
{
    if (!session->options.keep_cache) session->length = 0;
    session->rows      = count;
    scry__pass pass    = {.session = session,
                          .hooks   = hooks,
                          .arch    = &session->model->arch,
                          .layer   = -1,
                          .batch   = session->options.batch,
                          .rows    = count,
                          .past    = session->length,
                          .resid   = scry__session_residual(session)};
    pass.normed        = pass.resid;
    pass.normed.buffer = session->slots[SCRY__SLOT_NORMED];
    if (hooks && hooks->active) set_batch(&pass, hooks->active(hooks->user, -1));
    return pass;
}

/* The blocks from `first` on, and what hooks want behind them; the residual stream is in place. */
static scry_status run_blocks(scry__pass *pass, int64_t first)
{
    scry__stream *stream = pass->session->model->weights.stream;
    scry_status   status = SCRY_OK;
    int64_t       end    = pass->hooks && pass->hooks->layers ? pass->hooks->layers : pass->arch->layer_count;
    for (pass->layer = (int)first; !status && pass->layer < end; pass->layer++) {
        pass->weights = &pass->session->model->weights.layers[pass->layer];
        status        = admit(pass);
        if (!status && !pass->batch) continue;
        if (!status && stream) status = scry__stream_load(stream, pass->layer);
        if (!status) status = block(pass);
        /* The other slot is free once the layer before this one is done, and this one's work is enqueued already. */
        if (!status && stream) status = scry__stream_load(stream, pass->layer + 1);
        if (status) return scry__fail_prefix(status, "layer %d", pass->layer);
    }
    pass->layer = -1;
    status      = offer_final(pass);
    if (!status) pass->session->length += (int)pass->rows;
    return status;
}

scry_status scry__session_forward(scry__session *session, const int32_t *ids, int count, const scry__hooks *hooks)
{
    scry_status status = check_ids(session, ids, count);
    if (status) return status;
    scry__pass pass = new_pass(session, count, hooks);
    status          = scry__session_prepare_ropes(session, pass.past, pass.past + pass.rows);
    if (!status && pass.batch) status = embed(&pass, ids);
    return status ? status : run_blocks(&pass, 0);
}

scry_status scry__session_forward_from(scry__session *session, int layer, const scry_tensor *stream, int count,
                                       const scry__hooks *hooks)
{
    scry_status status = check_count(session, count);
    if (status) return status;
    if (layer < 0 || layer >= session->model->arch.layer_count)
        return scry__fail(SCRY_BAD_ARGUMENT, "a pass from layer %d: expected 0 to %d", layer,
                          (int)session->model->arch.layer_count - 1);
    scry__pass pass = new_pass(session, count, hooks);
    status          = scry__session_prepare_ropes(session, pass.past, pass.past + pass.rows);
    if (!status)
        status = scry__pass_run(&pass, (scry_op){.kind = SCRY_OP_COPY, .copy = {.x = *stream, .out = pass.resid}});
    return status ? status : run_blocks(&pass, layer);
}

scry_status scry__model_logits(const scry_model *model, const scry_tensor *rows, const scry_tensor *normed,
                               const scry_tensor *out)
{
    scry_op op = {.kind = SCRY_OP_NORM, .norm = {.x = *rows, .out = *normed, .parameters = model->weights.final_norm}};
    scry_status status = scry_device_run(model->device, &op);
    return status ? status : unembed(model, normed, out);
}

scry_status scry__session_logits(scry__session *session, int begin, int count, const scry_tensor *out)
{
    const scry_model *model  = session->model;
    scry_tensor       resid  = scry__session_residual(session);
    scry_tensor       rows   = scry_tensor_slice(resid, 1, begin, count);
    int64_t           size[] = {session->options.batch, count, model->arch.hidden_size};
    if (begin < 0 || count < 1 || count > session->rows || begin > session->rows - count)
        return scry__fail(SCRY_BAD_ARGUMENT, "logits of rows %d to %d: the last pass had %d", begin, begin + count,
                          session->rows);
    scry_tensor normed = scry_tensor_of(session->slots[SCRY__SLOT_NORMED], 0, SCRY_F32, 3, size);
    return scry__model_logits(model, &rows, &normed, out);
}
