/* Sessions: their buffers, their rotary tables, and what is read from them after a pass. See forward.h. */
#include "model/session.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/number.h"
#include "model/rope_table.h"

/* Grows a slot to `bytes`. What it held is gone then; slots that must keep their content never grow. */
static scry_status reserve(scry__session *session, scry__slot slot, size_t bytes)
{
    scry_buffer **buffer = &session->slots[slot];
    if (*buffer && scry_buffer_size(*buffer) >= bytes) return SCRY_OK;
    scry_status status = *buffer ? scry_device_finish(session->model->device) : SCRY_OK; /* its work may have failed */
    if (status) return status;
    scry_buffer_destroy(buffer);
    return scry_buffer_create(buffer, session->model->device, bytes);
}

scry_status scry__session_tensor(scry_tensor *out, scry__session *session, scry__slot slot, scry_dtype dtype, int rank,
                                 const int64_t *shape)
{
    size_t bytes = scry_dtype_size(dtype);
    for (int axis = 0; axis < rank; axis++)
        if (!scry__multiply(bytes, (size_t)shape[axis], &bytes)) return scry__fail_memory((size_t)shape[axis], bytes);
    scry_status status = reserve(session, slot, bytes);
    if (!status) *out = scry_tensor_of(session->slots[slot], 0, dtype, rank, shape);
    return status;
}

static scry_status reserve_floats(scry__session *session, scry__slot slot, const int64_t shape[4])
{
    scry_tensor unused;
    return scry__session_tensor(&unused, session, slot, SCRY_F32, 4, shape);
}

/* Floats per row of the wide slot: a layer's attention and its MLP take turns in it. Each of their at most five blocks
 * begins at a multiple of 64 bytes, for which one row's extra floats are enough. */
enum { WIDE_PADDING = 5 * 64 / sizeof(float) };

static int64_t wide_columns(const scry__arch *arch)
{
    int64_t attention = (2 * arch->head_count + 2 * arch->kv_head_count) * arch->head_size;
    int64_t mlp       = arch->mlp_size * (arch->gated ? 2 : 1);
    return (attention > mlp ? attention : mlp) + WIDE_PADDING;
}

static scry_status reserve_all(scry__session *session)
{
    const scry__arch            *arch    = &session->model->arch;
    const scry__session_options *options = &session->options;
    int64_t                      rows    = (int64_t)options->batch * options->rows;
    int64_t                      heads   = arch->kv_head_count * arch->head_size;
    scry_status                  status  = reserve_floats(session, SCRY__SLOT_IDS, (int64_t[]){rows, 1, 1, 1});
    if (!status) status = reserve_floats(session, SCRY__SLOT_RESID, (int64_t[]){rows, arch->hidden_size, 1, 1});
    if (!status) status = reserve_floats(session, SCRY__SLOT_NORMED, (int64_t[]){rows, arch->hidden_size, 1, 1});
    if (!status) status = reserve_floats(session, SCRY__SLOT_WIDE, (int64_t[]){rows, wide_columns(arch), 1, 1});
    for (int slot = SCRY__SLOT_KEYS; slot <= SCRY__SLOT_VALUES && options->keep_cache && !status; slot++)
        status = reserve_floats(session, (scry__slot)slot,
                                (int64_t[]){arch->layer_count, options->batch, options->capacity, heads});
    for (int i = 0; i < arch->rope_count && !status; i++) {
        int64_t shape[] = {options->capacity, arch->ropes[i].dims / 2, 1, 1};
        status          = reserve_floats(session, (scry__slot)(SCRY__SLOT_COSINE + i), shape);
        if (!status) status = reserve_floats(session, (scry__slot)(SCRY__SLOT_SINE + i), shape);
    }
    return status;
}

scry_status scry__session_create(scry__session **out, scry_model *model, const scry__session_options *options)
{
    scry__session_options filled  = *options;
    int64_t               context = model->arch.context;
    if (!filled.batch) filled.batch = 1;
    if (!filled.rows) filled.rows = filled.capacity;
    if (filled.batch < 0 || filled.capacity < 1 || filled.capacity > context || filled.rows < 0 ||
        filled.rows > filled.capacity)
        return scry__fail(
            SCRY_BAD_ARGUMENT,
            "a session of %d sequences, %d positions and %d rows a pass: expected at least one sequence, 1 "
            "to %lld positions, and no more rows than positions",
            filled.batch, filled.capacity, filled.rows, (long long)context);
    scry__session *session = scry__alloc(1, sizeof *session);
    if (!session) return SCRY_OUT_OF_MEMORY;
    session->model     = model;
    session->options   = filled;
    scry_status status = reserve_all(session);
    if (status) {
        scry__session_destroy(&session);
        return status;
    }
    *out = session;
    return SCRY_OK;
}

void scry__session_destroy(scry__session **session)
{
    scry__session *self = session ? *session : NULL;
    if (!self) return;
    for (int slot = 0; slot < SCRY__SLOT_COUNT; slot++) scry_buffer_destroy(&self->slots[slot]);
    scry__free(self);
    *session = NULL;
}

void scry__session_set_additive(scry__session *session, const scry_tensor *additive)
{
    session->additive = additive ? *additive : (scry_tensor){0};
}

int scry__session_length(const scry__session *session)
{
    return session->length;
}

void scry__session_rewind(scry__session *session, int length)
{
    if (length < session->length) session->length = length > 0 ? length : 0;
}

/* Positions [0, length) of a cache slot, [L, B, length, G * D]. `sequence` >= 0 takes that one, repeated `batch` times.
 */
static scry_tensor cached_positions(const scry__session *session, scry__slot slot, int length, int sequence, int batch)
{
    const scry__arch            *arch    = &session->model->arch;
    const scry__session_options *options = &session->options;
    const int64_t                shape[] = {arch->layer_count, options->batch, options->capacity,
                                            arch->kv_head_count * arch->head_size};
    scry_tensor all = scry_tensor_slice(scry_tensor_of(session->slots[slot], 0, SCRY_F32, 4, shape), 2, 0, length);
    if (sequence < 0) return all;
    all           = scry_tensor_slice(all, 1, sequence, 1);
    all.shape[1]  = batch;
    all.stride[1] = 0;
    return all;
}

scry_status scry__session_copy_cache(scry__session *session, const scry__session *source, int sequence, int length)
{
    if (session == source || session->model != source->model || !session->options.keep_cache ||
        !source->options.keep_cache)
        return scry__fail(SCRY_BAD_ARGUMENT, "a copied cache: expected two sessions of one model that keep theirs");
    int most = source->length < session->options.capacity ? source->length : session->options.capacity;
    if (sequence < 0 || sequence >= source->options.batch || length < 0 || length > most)
        return scry__fail(SCRY_BAD_ARGUMENT,
                          "a copied cache: %d positions of sequence %d: expected at most %d, of sequence 0 to %d",
                          length, sequence, most, source->options.batch - 1);
    scry_status status = SCRY_OK;
    for (int slot = SCRY__SLOT_KEYS; slot <= SCRY__SLOT_VALUES && length && !status; slot++) {
        scry_op op  = {.kind = SCRY_OP_COPY};
        op.copy.x   = cached_positions(source, (scry__slot)slot, length, sequence, session->options.batch);
        op.copy.out = cached_positions(session, (scry__slot)slot, length, -1, 0);
        status      = scry_device_run(session->model->device, &op);
    }
    session->length = status ? 0 : length;
    return status;
}

/* Computes rows [begin, end) of one rope and writes them to its slots. */
static scry_status write_rows(scry__session *session, int index, int64_t begin, int64_t end, int64_t length)
{
    const scry__rope *rope      = &session->model->arch.ropes[index];
    size_t            half      = (size_t)rope->dims / 2;
    size_t            count     = (size_t)(end - begin) * half;
    size_t            offset    = (size_t)begin * half * sizeof(float);
    double           *frequency = scry__alloc(half, sizeof *frequency);
    float            *rows      = scry__alloc(2 * count, sizeof *rows);
    scry_status       status    = SCRY_OUT_OF_MEMORY;
    if (frequency && rows) {
        scry__rope_frequencies(frequency, rope, length, session->model->options.round_rope);
        scry__rope_rows(rows, rows + count, rope, frequency, begin, end - begin);
        status = scry_buffer_write(session->slots[SCRY__SLOT_COSINE + index], offset, rows, count * sizeof *rows);
        if (!status)
            status =
                scry_buffer_write(session->slots[SCRY__SLOT_SINE + index], offset, rows + count, count * sizeof *rows);
    }
    scry__free(rows);
    scry__free(frequency);
    return status;
}

scry_status scry__session_prepare_ropes(scry__session *session, int64_t begin, int64_t end)
{
    const scry__arch *arch = &session->model->arch;
    for (int i = 0; i < arch->rope_count; i++) {
        int64_t regime = scry__rope_regime(&arch->ropes[i], end);
        int64_t from   = begin;
        if (regime == session->ropes[i].regime && session->ropes[i].begin <= begin && session->ropes[i].end >= begin)
            from = session->ropes[i].end;
        else
            session->ropes[i].begin = session->ropes[i].end = begin;
        if (from >= end) continue;
        scry_status status = write_rows(session, i, from, end, end);
        if (status) return status;
        session->ropes[i].regime = regime;
        session->ropes[i].end    = end;
    }
    return SCRY_OK;
}

scry_tensor scry__session_residual(const scry__session *session)
{
    int64_t shape[] = {session->options.batch, session->rows, session->model->arch.hidden_size};
    return scry_tensor_of(session->slots[SCRY__SLOT_RESID], 0, SCRY_F32, 3, shape);
}

scry_lens_op scry__model_lens_op(const scry_model *model)
{
    return (scry_lens_op){
        .unembedding = model->weights.unembedding,
        .bias        = model->weights.unembedding_bias,
        .norm        = model->weights.final_norm,
        .logit_scale = (float)model->arch.logit_scale,
    };
}

scry_loss scry__model_loss_op(const scry_model *model)
{
    return (scry_loss){
        .unembedding = model->weights.unembedding,
        .bias        = model->weights.unembedding_bias,
        .logit_scale = (float)model->arch.logit_scale,
    };
}
