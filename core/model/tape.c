/* Keeping what backward needs of a forward pass. See backward.h and tape.h. */
#include "model/tape.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/number.h"

/* Is the hook point's value kept? Whatever follows from others by one cheap op is computed again instead: the norms'
 * outputs, the MLP's activations. */
static bool is_kept(const scry__arch *arch, scry__hook hook)
{
    bool turns = arch->positions == SCRY__POSITIONS_ROPE;
    switch (hook) {
    case SCRY__HOOK_RESID_PRE:
    case SCRY__HOOK_V:
    case SCRY__HOOK_STAT_LSE:
    case SCRY__HOOK_Z:
    case SCRY__HOOK_MLP_PRE:
        return true;
    case SCRY__HOOK_RESID_MID:
        return !arch->parallel;
    case SCRY__HOOK_MLP_PRE_LINEAR:
        return arch->gated;
    case SCRY__HOOK_ROT_Q:
    case SCRY__HOOK_ROT_K:
        return turns;
    case SCRY__HOOK_Q:
    case SCRY__HOOK_K:
        return !turns || arch->features & SCRY__HAS_QK_NORM;
    default:
        return false;
    }
}

/* The shape of a kept hook point's value; returns its rank. */
static int shape_of(int64_t shape[SCRY_MAX_RANK], const scry__arch *arch, scry__hook hook, int64_t batch, int64_t rows)
{
    shape[0] = batch;
    shape[1] = rows;
    shape[3] = arch->head_size;
    switch (hook) {
    case SCRY__HOOK_Q:
    case SCRY__HOOK_ROT_Q:
    case SCRY__HOOK_Z:
        shape[2] = arch->head_count;
        return 4;
    case SCRY__HOOK_K:
    case SCRY__HOOK_ROT_K:
    case SCRY__HOOK_V:
        shape[2] = arch->kv_head_count;
        return 4;
    case SCRY__HOOK_STAT_LSE:
        shape[1] = arch->head_count;
        shape[2] = rows;
        return 3;
    case SCRY__HOOK_MLP_PRE:
    case SCRY__HOOK_MLP_PRE_LINEAR:
        shape[2] = arch->mlp_size;
        return 3;
    default:
        shape[2] = arch->hidden_size;
        return 3;
    }
}

scry_tensor scry__tape_value(const scry__tape *tape, scry__hook hook, int layer)
{
    int64_t     shape[SCRY_MAX_RANK];
    int         rank  = shape_of(shape, &tape->session->model->arch, hook, tape->session->options.batch, tape->rows);
    scry_tensor value = scry_tensor_of(tape->values[hook], 0, SCRY_F32, rank, shape);
    value.offset      = (size_t)scry_tensor_count(&value) * sizeof(float) * (size_t)layer;
    return value;
}

scry_tensor scry__tape_scratch(const scry__tape *tape, scry__scratch scratch, int64_t columns)
{
    int64_t shape[] = {tape->session->options.batch, tape->rows, columns};
    return scry_tensor_of(tape->scratch[scratch], 0, SCRY_F32, 3, shape);
}

static scry_status make_floats(scry_buffer **out, const scry__tape *tape, int64_t count, int64_t times)
{
    size_t bytes;
    if (!scry__multiply((size_t)count, (size_t)times, &bytes) || !scry__multiply(bytes, sizeof(float), &bytes))
        return scry__fail_memory((size_t)count, (size_t)times * sizeof(float));
    return scry_buffer_create(out, tape->session->model->device, bytes);
}

static scry_status make_buffers(scry__tape *tape)
{
    const scry__arch *arch = &tape->session->model->arch;
    int64_t           most = tape->session->options.rows, rows = most * tape->session->options.batch;
    int64_t           attention = (arch->head_count + 2 * arch->kv_head_count) * arch->head_size;
    int64_t           widest    = attention > arch->mlp_size ? attention : arch->mlp_size;
    scry_status       status    = SCRY_OK;
    for (int hook = 0; hook < SCRY__HOOK_COUNT && !status; hook++) {
        if (!is_kept(arch, (scry__hook)hook)) continue;
        int64_t shape[SCRY_MAX_RANK], count = 1;
        int     rank = shape_of(shape, arch, (scry__hook)hook, tape->session->options.batch, most);
        for (int axis = 0; axis < rank; axis++) count *= shape[axis];
        status = make_floats(&tape->values[hook], tape, count, arch->layer_count);
    }
    for (int i = 0; i < SCRY__SCRATCH_COUNT && !status; i++)
        status = make_floats(&tape->scratch[i], tape, rows, i < SCRY__SCRATCH_WIDE ? arch->hidden_size : widest);
    return status;
}

scry_status scry__tape_create(scry__tape **out, scry__session *session)
{
    const scry__arch *arch = &session->model->arch;
    if (session->options.keep_cache)
        return scry__fail(SCRY_BAD_ARGUMENT, "a tape: expected a session that keeps no cache");
    if (arch->features & SCRY__HAS_QK_NORM && arch->positions != SCRY__POSITIONS_ROPE)
        return scry__fail(SCRY_UNSUPPORTED, "a tape of norms on queries and keys: expected rotary positions");
    scry__tape *tape = scry__alloc(1, sizeof *tape);
    if (!tape) return SCRY_OUT_OF_MEMORY;
    tape->session      = session;
    scry_status status = make_buffers(tape);
    if (status) {
        scry__tape_destroy(&tape);
        return status;
    }
    *out = tape;
    return SCRY_OK;
}

void scry__tape_destroy(scry__tape **tape)
{
    scry__tape *self = tape ? *tape : NULL;
    if (!self) return;
    for (int hook = 0; hook < SCRY__HOOK_COUNT; hook++) scry_buffer_destroy(&self->values[hook]);
    for (int i = 0; i < SCRY__SCRATCH_COUNT; i++) scry_buffer_destroy(&self->scratch[i]);
    scry__free(self);
    *tape = NULL;
}

static bool wants(void *user, scry__hook hook, int layer)
{
    const scry__tape *tape = user;
    return layer >= 0 && tape->values[hook];
}

static scry_status keep(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    const scry__tape *tape = user;
    scry_op           op   = {.kind = SCRY_OP_COPY, .copy = {.x = *value, .out = scry__tape_value(tape, hook, layer)}};
    return scry_device_run(tape->session->model->device, &op);
}

scry_status scry__tape_forward(scry__tape *tape, const int32_t *ids, int count)
{
    scry__hooks hooks  = {.user = tape, .wants = wants, .at = keep};
    tape->rows         = count; /* checked by the pass before anything is kept */
    scry_status status = scry__session_forward(tape->session, ids, count, &hooks);
    if (status) tape->rows = 0;
    return status;
}
