/* The logit lens: every layer's residual stream read by the model's own final norm and unembedding; the tuned lens,
 * with a translator before them. See scry/lens.h. */
#include "scry/lens.h"
#include "analysis/tuned_lens.h"
#include "base/alloc.h"
#include "base/error.h"
#include "model/forward.h"
#include "model/model.h"
#include "trace/edit.h"

#include <math.h>
#include <string.h>

/* The op's outputs, all in one buffer; the same layout on the host. */
struct outputs {
    scry_buffer *buffer;
    char        *host;
    size_t       bytes;
    scry_tensor  top_id, top_logit, lse, entropy, kl, target_logit, target_rank;
};

/* The next tensor of the outputs' layout. */
static scry_tensor place(struct outputs *outputs, scry_dtype dtype, int rank, const int64_t *shape)
{
    scry_tensor tensor = scry_tensor_of(outputs->buffer, outputs->bytes, dtype, rank, shape);
    size_t      bytes  = scry_dtype_size(dtype);
    for (int axis = 0; axis < rank; axis++) bytes *= (size_t)shape[axis];
    outputs->bytes += bytes;
    return tensor;
}

static void lay_out(struct outputs *outputs, int layers, int tokens, int top)
{
    const int64_t cells[] = {layers, tokens, top};
    outputs->bytes        = 0;
    outputs->top_id       = place(outputs, SCRY_I32, 3, cells);
    outputs->top_logit    = place(outputs, SCRY_F32, 3, cells);
    outputs->lse          = place(outputs, SCRY_F32, 2, cells);
    outputs->entropy      = place(outputs, SCRY_F32, 2, cells);
    outputs->kl           = place(outputs, SCRY_F32, 2, cells);
    outputs->target_logit = place(outputs, SCRY_F32, 2, cells);
    outputs->target_rank  = place(outputs, SCRY_I32, 2, cells);
}

static scry_status outputs_create(struct outputs *outputs, scry_device *device, int layers, int tokens, int top)
{
    lay_out(outputs, layers, tokens, top); /* the first time only for the size */
    scry_status status = scry_buffer_create(&outputs->buffer, device, outputs->bytes);
    if (status) return status;
    lay_out(outputs, layers, tokens, top);
    outputs->host = scry__alloc(outputs->bytes, 1);
    return outputs->host ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

static const float *floats(const struct outputs *outputs, const scry_tensor *tensor)
{
    return (const float *)(const void *)(outputs->host + tensor->offset);
}

static const int32_t *ints(const struct outputs *outputs, const scry_tensor *tensor)
{
    return (const int32_t *)(const void *)(outputs->host + tensor->offset);
}

/* Each position's target id, -1 for none; *any tells whether there is one. */
static scry_status choose_targets(int32_t *targets, bool *any, scry_model *model, const scry_tokens *tokens,
                                  const scry_lens_options *options)
{
    int32_t     id     = -1;
    bool        has_id = scry__is_chosen(&options->target);
    scry_status status = has_id ? scry__model_target(&id, model, &options->target) : SCRY_OK;
    if (status) return status;
    for (int t = 0; t < tokens->count; t++) {
        bool has_next = options->target_next && t + 1 < tokens->count;
        targets[t]    = options->target_next ? (has_next ? tokens->ids[t + 1] : -1) : id;
    }
    *any = has_id || (options->target_next && tokens->count > 1);
    return SCRY_OK;
}

/* The op wants a valid id everywhere: 0 stands in where there is no target, and the result is dropped. */
static scry_status upload_targets(scry_buffer **buffer, scry_device *device, const int32_t *targets, int count)
{
    size_t      bytes  = (size_t)count * sizeof *targets;
    int32_t    *filled = scry__alloc((size_t)count, sizeof *filled);
    scry_status status = filled ? scry_buffer_create(buffer, device, bytes) : SCRY_OUT_OF_MEMORY;
    if (!status) {
        for (int t = 0; t < count; t++) filled[t] = targets[t] < 0 ? 0 : targets[t];
        status = scry_buffer_write(*buffer, 0, filled, bytes);
    }
    scry__free(filled);
    return status;
}

static scry_status shared_text(scry_lens *lens, scry_model *model, int32_t id, char **text)
{
    *text = NULL;
    if (id < 0 || id >= lens->vocabulary) return SCRY_OK;
    scry_status status = lens->texts[id] ? SCRY_OK : scry_token_text(model, id, &lens->texts[id]);
    *text              = lens->texts[id];
    return status;
}

static scry_status fill_cells(scry_lens *lens, scry_model *model, const struct outputs *outputs, const int32_t *targets,
                              bool has_kl)
{
    const int32_t *top_id = ints(outputs, &outputs->top_id), *rank = ints(outputs, &outputs->target_rank);
    const float   *top_logit = floats(outputs, &outputs->top_logit), *lse = floats(outputs, &outputs->lse);
    const float   *entropy = floats(outputs, &outputs->entropy), *kl = floats(outputs, &outputs->kl);
    const float   *target_logit = floats(outputs, &outputs->target_logit);
    size_t         cells        = (size_t)lens->layer_count * (size_t)lens->token_count;
    for (size_t i = 0; i < cells; i++) {
        scry_candidate *top    = lens->candidates + i * (size_t)lens->top_count;
        int32_t         target = targets[i % (size_t)lens->token_count];
        for (int k = 0; k < lens->top_count; k++) {
            size_t at          = i * (size_t)lens->top_count + (size_t)k;
            top[k].id          = top_id[at];
            top[k].logit       = top_logit[at];
            top[k].probability = expf(top_logit[at] - lse[i]);
            scry_status status = shared_text(lens, model, top_id[at], &top[k].text);
            if (status) return status;
        }
        lens->cells[i] = (scry_lens_cell){.top                    = top,
                                          .entropy                = entropy[i],
                                          .lse                    = lse[i],
                                          .kl                     = has_kl ? kl[i] : NAN,
                                          .target_id              = target,
                                          .target_rank            = target < 0 ? -1 : rank[i],
                                          .target_logit           = target < 0 ? NAN : target_logit[i],
                                          .target_log_probability = target < 0 ? NAN : target_logit[i] - lse[i]};
    }
    return SCRY_OK;
}

/* What reads the residual streams of a pass: all of them at its end, for the KL needs the last, or each as it comes. */
struct reader {
    const scry_model      *model;
    scry_device           *device;
    struct outputs         outputs;
    const scry_tuned_lens *tuned;     /* NULL: none */
    scry_buffer           *targets;   /* i32 [T]; NULL: none */
    bool                   keeps;     /* all layers, for the KL */
    scry_tensor            residuals; /* what is read: [L + 1, T, d]; else [1, T, d], of one layer that is translated */
};

static bool wants(void *user, scry__hook hook, int layer)
{
    (void)user;
    return hook == SCRY__HOOK_RESID_POST || (hook == SCRY__HOOK_RESID_PRE && layer == 0);
}

/* Reads x, `x->shape[0]` layers from `layer` on; reference [1, T, d] is the final layer's stream, or NULL. */
static scry_status read_layers(const struct reader *reader, const scry_tensor *x, int layer,
                               const scry_tensor *reference)
{
    const struct outputs *outputs = &reader->outputs;
    scry_op               op      = {.kind = SCRY_OP_LENS, .lens = scry__model_lens_op(reader->model)};
    int64_t               layers = x->shape[0], tokens = x->shape[1];
    op.lens.x         = *x;
    op.lens.top_id    = scry_tensor_slice(outputs->top_id, 0, layer, layers);
    op.lens.top_logit = scry_tensor_slice(outputs->top_logit, 0, layer, layers);
    op.lens.lse       = scry_tensor_slice(outputs->lse, 0, layer, layers);
    op.lens.entropy   = scry_tensor_slice(outputs->entropy, 0, layer, layers);
    if (reference) {
        op.lens.reference = scry_tensor_of(reference->buffer, reference->offset, SCRY_F32, 2, reference->shape + 1);
        op.lens.kl        = scry_tensor_slice(outputs->kl, 0, layer, layers);
    }
    if (reader->targets) {
        op.lens.target       = scry_tensor_of(reader->targets, 0, SCRY_I32, 1, &tokens);
        op.lens.target_logit = scry_tensor_slice(outputs->target_logit, 0, layer, layers);
        op.lens.target_rank  = scry_tensor_slice(outputs->target_rank, 0, layer, layers);
    }
    return scry_device_run(reader->device, &op);
}

static scry_status take_residual(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    struct reader *reader     = user;
    int            slot       = hook == SCRY__HOOK_RESID_PRE ? 0 : layer + 1;
    bool           translated = reader->tuned && slot < reader->tuned->layer_count;
    if (!reader->keeps && !translated) return read_layers(reader, value, slot, NULL);
    scry_tensor room   = reader->keeps ? scry_tensor_slice(reader->residuals, 0, slot, 1) : reader->residuals;
    scry_op     op     = {.kind = SCRY_OP_COPY, .copy = {*value, room}};
    scry_status status = translated ? scry__tuned_lens_translate(reader->tuned, slot, value, &room)
                                    : scry_device_run(reader->device, &op);
    return status || reader->keeps ? status : read_layers(reader, &room, slot, NULL);
}

/* Room for the residual streams of all layers, or of one that is translated. */
static scry_status make_room(struct reader *reader, const scry_lens *lens)
{
    const int64_t shape[] = {reader->keeps ? lens->layer_count : 1, lens->token_count,
                             scry_model_get_info(reader->model)->hidden_size};
    if (!reader->keeps && !reader->tuned) return SCRY_OK;
    size_t       bytes  = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2] * sizeof(float);
    scry_buffer *buffer = NULL;
    scry_status  status = scry_buffer_create(&buffer, reader->device, bytes);
    if (!status) reader->residuals = scry_tensor_of(buffer, 0, SCRY_F32, 3, shape);
    return status;
}

/* One pass over the tokens, and every layer of it read into the outputs. */
static scry_status read_model(struct reader *reader, scry_model *model, const scry_tokens *tokens,
                              const scry_edits *edits)
{
    scry__session    *session = NULL;
    scry__editor     *editor  = NULL;
    const scry__hooks hooks   = {.user = reader, .wants = wants, .at = take_residual};
    scry_status status = scry__session_create(&session, model, &(scry__session_options){.capacity = tokens->count});
    if (!status)
        status =
            scry__editor_create(&editor, model, &(scry__editor_options){.edits = edits, .positions = tokens->count});
    if (!status)
        status =
            scry__session_forward(session, tokens->ids, tokens->count, scry__editor_hooks(editor, session, &hooks));
    scry__editor_destroy(&editor);
    scry__session_destroy(&session);
    if (!status && reader->keeps) {
        scry_tensor last = scry_tensor_slice(reader->residuals, 0, reader->residuals.shape[0] - 1, 1);
        status           = read_layers(reader, &reader->residuals, 0, &last);
    }
    if (status) return status;
    return scry_buffer_read(reader->outputs.buffer, 0, reader->outputs.host, reader->outputs.bytes);
}

static scry_status lens_allocate(scry_lens *lens, const scry_model_info *info, int top)
{
    size_t cells;
    lens->layer_count = info->layer_count + 1;
    lens->token_count = lens->tokens->count;
    lens->vocabulary  = info->vocabulary;
    lens->top_count   = top < info->vocabulary ? top : info->vocabulary;
    cells             = (size_t)lens->layer_count * (size_t)lens->token_count;
    lens->cells       = scry__alloc(cells, sizeof *lens->cells);
    lens->candidates  = scry__alloc(cells, (size_t)lens->top_count * sizeof *lens->candidates);
    lens->texts       = scry__alloc((size_t)info->vocabulary, sizeof *lens->texts);
    return lens->cells && lens->candidates && lens->texts ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

scry_status scry_lens_run(scry_lens **out, scry_model *model, const char *text, const scry_lens_options *options)
{
    static const scry_lens_options defaults;
    struct reader                  reader     = {.model = model, .device = scry_model_device(model)};
    int32_t                       *targets    = NULL;
    bool                           any_target = false;
    scry_lens                     *lens;
    scry_status                    status;
    *out = NULL;
    if (!options) options = &defaults;
    int top = options->top ? options->top : 5;
    if (top < 1 || top > SCRY_MAX_TOP)
        return scry__fail(SCRY_BAD_ARGUMENT, "top %d: expected 1 to %d", top, SCRY_MAX_TOP);
    if (options->tuned && options->tuned->model != model)
        return scry__fail(SCRY_BAD_ARGUMENT, "the tuned lens is of another model: expected one that was opened for %s",
                          scry_model_get_info(model)->path);
    reader.tuned = options->tuned;
    reader.keeps = !options->skip_kl;

    lens = scry__alloc(1, sizeof *lens);
    if (!lens) return SCRY_OUT_OF_MEMORY;
    lens->tuned = options->tuned != NULL;
    status      = scry_tokens_create(&lens->tokens, model, text, options->ids, options->id_count);
    if (!status) status = lens_allocate(lens, scry_model_get_info(model), top);
    if (status) goto done;
    targets = scry__alloc((size_t)lens->token_count, sizeof *targets);
    status  = targets ? choose_targets(targets, &any_target, model, lens->tokens, options) : SCRY_OUT_OF_MEMORY;
    if (!status)
        status = outputs_create(&reader.outputs, reader.device, lens->layer_count, lens->token_count, lens->top_count);
    if (!status && any_target) status = upload_targets(&reader.targets, reader.device, targets, lens->token_count);
    if (!status) status = make_room(&reader, lens);
    if (!status) status = read_model(&reader, model, lens->tokens, options->edits);
    if (!status) status = fill_cells(lens, model, &reader.outputs, targets, !options->skip_kl);
done:
    scry__free(targets);
    scry__free(reader.outputs.host);
    scry_buffer_destroy(&reader.targets);
    scry_buffer_destroy(&reader.outputs.buffer);
    scry_buffer_destroy(&reader.residuals.buffer);
    if (status)
        scry_lens_destroy(&lens);
    else
        *out = lens;
    return status;
}

void scry_lens_destroy(scry_lens **lens)
{
    if (!lens || !*lens) return;
    for (int id = 0; (*lens)->texts && id < (*lens)->vocabulary; id++) scry__free((*lens)->texts[id]);
    scry__free((*lens)->texts);
    scry__free((*lens)->candidates);
    scry__free((*lens)->cells);
    scry_tokens_destroy(&(*lens)->tokens);
    scry__free(*lens);
    *lens = NULL;
}

const scry_lens_cell *scry_lens_at(const scry_lens *lens, int layer, int position)
{
    if (layer < 0 || layer >= lens->layer_count || position < 0 || position >= lens->token_count) return NULL;
    return &lens->cells[(size_t)layer * (size_t)lens->token_count + (size_t)position];
}
