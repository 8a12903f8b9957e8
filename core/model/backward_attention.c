/* One layer's attention in the backward pass: the attention op's gradients, rotation turned back, query/key norms,
 * projections. See tape.h.
 *
 * The gradients of queries, keys and values lie as their projections do, so that a fused one is one product. */
#include "model/pass.h"
#include "model/tape.h"

static const scry__hook heads_hooks[] = {SCRY__HOOK_Q, SCRY__HOOK_K, SCRY__HOOK_V};

/* d_heads = the gradients of what the attention op read, from d_z [B, T, H, D]. */
static scry_status attend(const scry__backward *pass, const scry_tensor *d_z, const scry_tensor d_heads[3])
{
    const scry__tape       *tape   = pass->tape;
    bool                    turns  = pass->arch->positions == SCRY__POSITIONS_ROPE;
    scry_attention          layout = scry__layer_attention(pass->arch, pass->layer);
    scry_attention_backward op     = {
            .q       = scry__tape_value(tape, turns ? SCRY__HOOK_ROT_Q : SCRY__HOOK_Q, pass->layer),
            .k       = scry__tape_value(tape, turns ? SCRY__HOOK_ROT_K : SCRY__HOOK_K, pass->layer),
            .v       = scry__tape_value(tape, SCRY__HOOK_V, pass->layer),
            .out     = scry__tape_value(tape, SCRY__HOOK_Z, pass->layer),
            .lse     = scry__tape_value(tape, SCRY__HOOK_STAT_LSE, pass->layer),
            .d_out   = *d_z,
            .d_q     = d_heads[0],
            .d_k     = d_heads[1],
            .d_v     = d_heads[2],
            .scale   = layout.scale,
            .softcap = layout.softcap,
            .mask    = layout.mask,
    };
    op.mask.additive = tape->session->additive;
    return scry__backward_run(pass, (scry_op){.kind = SCRY_OP_ATTENTION_BACKWARD, .attention_backward = op});
}

static scry_status turn_back(const scry__backward *pass, const scry_tensor *d_heads)
{
    scry_rope op = scry__session_rope(pass->tape->session, pass->layer);
    op.x         = *d_heads;
    op.out       = *d_heads;
    op.inverse   = true;
    return scry__backward_run(pass, (scry_op){.kind = SCRY_OP_ROPE, .rope = op});
}

/* Through the norm of each head, by way of a scratch buffer that holds nothing else now. */
static scry_status head_norm(const scry__backward *pass, scry__hook hook, const scry_norm_parameters *parameters,
                             const scry_norm_parameters *d_parameters, const scry_tensor *d_heads)
{
    scry_tensor x      = scry__tape_value(pass->tape, hook, pass->layer);
    scry_tensor bare   = x;
    bare.buffer        = pass->tape->scratch[SCRY__SCRATCH_WIDE];
    bare.offset        = 0;
    scry_status status = scry__backward_run(pass, (scry_op){.kind = SCRY_OP_FILL, .fill = {.out = bare}});
    if (!status) status = scry__backward_norm(pass, parameters, d_parameters, &x, d_heads, &bare);
    if (status) return status;
    return scry__backward_run(pass, (scry_op){.kind = SCRY_OP_COPY, .copy = {.x = bare, .out = *d_heads}});
}

/* From what the attention op read back to what the projections gave. */
static scry_status leave_heads(const scry__backward *pass, const scry_tensor d_heads[3])
{
    const scry__layer_weights *weights = pass->weights, *d_weights = pass->d_weights;
    scry_status                status = SCRY_OK;
    if (pass->arch->positions == SCRY__POSITIONS_ROPE) {
        status = scry__backward_offer(pass, SCRY__HOOK_ROT_Q, &d_heads[0]);
        if (!status) status = scry__backward_offer(pass, SCRY__HOOK_ROT_K, &d_heads[1]);
        for (int i = 0; i < 2 && !status; i++) status = turn_back(pass, &d_heads[i]);
    }
    if (!status && pass->arch->features & SCRY__HAS_QK_NORM) {
        status = head_norm(pass, SCRY__HOOK_Q, &weights->q_norm, &d_weights->q_norm, &d_heads[0]);
        if (!status) status = head_norm(pass, SCRY__HOOK_K, &weights->k_norm, &d_weights->k_norm, &d_heads[1]);
    }
    for (int i = 0; i < 3 && !status; i++) status = scry__backward_offer(pass, heads_hooks[i], &d_heads[i]);
    return status;
}

/* The projections: from the gradients of queries, keys and values, side by side in `d_block` [R, columns], to that of
 * their input. */
static scry_status project(const scry__backward *pass, const scry_tensor *input, const scry_tensor *d_block,
                           const scry_tensor *d_input)
{
    const scry__arch          *arch    = pass->arch;
    const scry__layer_weights *weights = pass->weights, *d_weights = pass->d_weights;
    if (arch->qkv != SCRY__QKV_SEPARATE)
        return scry__backward_linear(pass, &weights->qkv, &d_weights->qkv, input, d_block, d_input, 0.0f);
    const struct {
        const scry__linear *weights, *d_weights;
        int64_t             heads;
    } parts[] = {
        {&weights->q, &d_weights->q, arch->head_count},
        {&weights->k, &d_weights->k, arch->kv_head_count},
        {&weights->v, &d_weights->v, arch->kv_head_count},
    };
    scry_status status = SCRY_OK;
    int64_t     begin  = 0;
    for (int i = 0; i < 3 && !status; i++) {
        scry_tensor d_part = scry_tensor_slice(*d_block, 1, begin, parts[i].heads * arch->head_size);
        status =
            scry__backward_linear(pass, parts[i].weights, parts[i].d_weights, input, &d_part, d_input, i ? 1.0f : 0.0f);
        begin += d_part.shape[1];
    }
    return status;
}

scry_status scry__backward_attention(const scry__backward *pass, const scry_tensor *input, const scry_tensor *d_input)
{
    const scry__arch *arch    = pass->arch;
    int64_t           columns = (arch->head_count + 2 * arch->kv_head_count) * arch->head_size;
    scry_tensor       block   = scry__tape_scratch(pass->tape, SCRY__SCRATCH_WIDE_TOO, columns);
    scry_tensor       rows    = scry__as_rows(&block), d_z, d_heads[3];
    d_z                       = scry__tape_value(pass->tape, SCRY__HOOK_Z, pass->layer);
    d_z.buffer                = pass->tape->scratch[SCRY__SCRATCH_WIDE];
    d_z.offset                = 0;
    scry__fused_heads(d_heads, arch, &block);
    scry_status status = scry__backward_offer(pass, SCRY__HOOK_Z, &d_z);
    if (!status) status = attend(pass, &d_z, d_heads);
    if (!status) status = leave_heads(pass, d_heads);
    return status ? status : project(pass, input, &rows, d_input);
}
