/* Cuts measured on the cached prefix. See cut.h. */
#include "analysis/cut.h"

#include "base/alloc.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

/* What is read of each pass, [batch] each; of the uncut one the first two are kept. */
enum { LOGIT, LSE, KL, OUTPUTS };

struct scry__cutter {
    scry_model    *model;
    scry__session *session;
    int            batch, head_count, key_count, position;
    int            layer; /* that the mask is for; -1: all */
    int32_t       *ids;   /* [batch]: the position's token */
    float         *mask;  /* [batch, head, key] of what is cut, then [key] of nothing cut */
    scry_buffer   *mask_buffer;
    scry_buffer   *targets;   /* i32 [batch] */
    scry_buffer   *streams;   /* [layer, batch, d]: what enters each layer uncut */
    scry_buffer   *reference; /* [batch, d]: what leaves the last */
    scry_buffer   *outputs;   /* [OUTPUTS, batch] */
    float         *host;      /* the same */
    float         *uncut;     /* its first two */
};

enum { MOST_SIDE_BY_SIDE = 64, CACHE_BUDGET = 512 << 20 };

/* As many as fit, spread evenly over the passes that one layer's keys need. */
static int choose_batch(const scry_model_info *info, int keys, int wish)
{
    double bytes  = 4.0 * keys * (2.0 * info->layer_count * info->kv_head_count * info->head_size + info->head_count);
    double fit    = fmin(fmax(floor(CACHE_BUDGET / bytes), 1), MOST_SIDE_BY_SIDE);
    int    most   = wish > 0 ? wish : (int)fit;
    int    units  = keys > info->head_count ? keys : info->head_count;
    int    passes = (units + most - 1) / most;
    return (units + passes - 1) / passes;
}

static size_t mask_size(const scry__cutter *cutter)
{
    return (size_t)cutter->batch * (size_t)cutter->head_count * (size_t)cutter->key_count;
}

/* Adds the cuts to the layer that they are for, and zeros elsewhere, so that every pass runs the same kernels. */
static scry_status add_mask(void *user, int layer, scry_mask *mask)
{
    const scry__cutter *cutter  = user;
    bool                is_cut  = cutter->layer < 0 || cutter->layer == layer;
    const int64_t       shape[] = {cutter->batch, cutter->head_count, 1, cutter->key_count};
    mask->additive =
        scry_tensor_of(cutter->mask_buffer, is_cut ? 0 : mask_size(cutter) * sizeof(float), SCRY_F32, 4, shape);
    if (!is_cut) mask->additive.stride[0] = mask->additive.stride[1] = mask->additive.stride[2] = 0;
    return SCRY_OK;
}

/* What entered a layer uncut: [batch, 1, d]. */
static scry_tensor stream_of(const scry__cutter *cutter, int layer)
{
    const int64_t shape[] = {cutter->batch, 1, scry_model_get_info(cutter->model)->hidden_size};
    size_t        bytes   = (size_t)shape[0] * (size_t)shape[2] * sizeof(float);
    return scry_tensor_of(cutter->streams, (size_t)layer * bytes, SCRY_F32, 3, shape);
}

static scry_status write_mask(const scry__cutter *cutter)
{
    size_t count = mask_size(cutter) + (size_t)cutter->key_count;
    return scry_buffer_write(cutter->mask_buffer, 0, cutter->mask, count * sizeof *cutter->mask);
}

/* Runs the position with the mask as it stands, from the first layer that has something cut. */
static scry_status run_cut(scry__cutter *cutter)
{
    const scry__hooks hooks  = {.user = cutter, .mask = add_mask};
    int               first  = cutter->layer < 0 ? 0 : cutter->layer;
    scry_tensor       stream = stream_of(cutter, first);
    scry_status       status = write_mask(cutter);
    scry__session_rewind(cutter->session, cutter->position);
    return status ? status : scry__session_forward_from(cutter->session, first, &stream, 1, &hooks);
}

static scry_tensor output(const scry__cutter *cutter, int index)
{
    const int64_t shape[] = {1, cutter->batch};
    return scry_tensor_of(cutter->outputs, (size_t)(index * cutter->batch) * sizeof(float), SCRY_F32, 2, shape);
}

/* The sequences' residual streams as the rows of one layer: the last pass', or those kept of the uncut one. */
static scry_tensor rows_of(const scry__cutter *cutter, scry_buffer *buffer, int rank)
{
    const int64_t shape[] = {1, cutter->batch, scry_model_get_info(cutter->model)->hidden_size};
    return scry_tensor_of(buffer, 0, SCRY_F32, rank, shape + 3 - rank);
}

/* The last pass' predictions, each sequence beside what it was uncut. */
static scry_status read_predictions(scry__cutter *cutter)
{
    const int64_t count  = cutter->batch;
    scry_op       op     = {.kind = SCRY_OP_LENS, .lens = scry__model_lens_op(cutter->model)};
    op.lens.x            = rows_of(cutter, scry__session_residual(cutter->session).buffer, 3);
    op.lens.reference    = rows_of(cutter, cutter->reference, 2);
    op.lens.target       = scry_tensor_of(cutter->targets, 0, SCRY_I32, 1, &count);
    op.lens.target_logit = output(cutter, LOGIT);
    op.lens.lse          = output(cutter, LSE);
    op.lens.kl           = output(cutter, KL);
    scry_status status   = scry_device_run(scry_model_device(cutter->model), &op);
    if (status) return status;
    return scry_buffer_read(cutter->outputs, 0, cutter->host, OUTPUTS * (size_t)count * sizeof(float));
}

static bool wants_streams(void *user, scry__hook hook, int layer)
{
    (void)user, (void)layer;
    return hook == SCRY__HOOK_RESID_PRE;
}

static scry_status keep_stream(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    const scry__cutter *cutter = user;
    scry_op             op     = {.kind = SCRY_OP_COPY};
    (void)hook;
    op.copy = (scry_copy){.x = *value, .out = stream_of(cutter, layer)};
    return scry_device_run(scry_model_device(cutter->model), &op);
}

/* The position with nothing cut, by the same kernels as all that follows. */
static scry_status run_uncut(scry__cutter *cutter)
{
    const scry__hooks hooks  = {.user = cutter, .wants = wants_streams, .at = keep_stream, .mask = add_mask};
    scry_op           op     = {.kind = SCRY_OP_COPY};
    scry_status       status = write_mask(cutter);
    if (!status) status = scry__session_forward(cutter->session, cutter->ids, 1, &hooks);
    if (status) return status;
    op.copy.x   = rows_of(cutter, scry__session_residual(cutter->session).buffer, 2);
    op.copy.out = rows_of(cutter, cutter->reference, 2);
    status      = scry_device_run(scry_model_device(cutter->model), &op);
    if (!status) status = read_predictions(cutter);
    if (!status) memcpy(cutter->uncut, cutter->host, 2 * (size_t)cutter->batch * sizeof *cutter->uncut);
    return status;
}

static scry_status allocate(scry__cutter *cutter, int32_t id, int32_t target)
{
    scry_device *device = scry_model_device(cutter->model);
    size_t       batch = (size_t)cutter->batch, cells = mask_size(cutter) + (size_t)cutter->key_count;
    size_t       hidden = (size_t)scry_model_get_info(cutter->model)->hidden_size;
    size_t       layers = (size_t)scry_model_get_info(cutter->model)->layer_count;
    scry_status  status;
    cutter->ids   = scry__alloc(batch, sizeof *cutter->ids);
    cutter->mask  = scry__alloc(cells, sizeof *cutter->mask);
    cutter->host  = scry__alloc(batch, OUTPUTS * sizeof *cutter->host);
    cutter->uncut = scry__alloc(batch, 2 * sizeof *cutter->uncut);
    if (!cutter->ids || !cutter->mask || !cutter->host || !cutter->uncut) return SCRY_OUT_OF_MEMORY;
    status = scry_buffer_create(&cutter->mask_buffer, device, cells * sizeof(float));
    if (!status) status = scry_buffer_create(&cutter->outputs, device, OUTPUTS * batch * sizeof(float));
    if (!status) status = scry_buffer_create(&cutter->reference, device, batch * hidden * sizeof(float));
    if (!status) status = scry_buffer_create(&cutter->streams, device, layers * batch * hidden * sizeof(float));
    if (!status) status = scry_buffer_create(&cutter->targets, device, batch * sizeof target);
    for (size_t i = 0; i < batch; i++) cutter->ids[i] = target;
    if (!status) status = scry_buffer_write(cutter->targets, 0, cutter->ids, batch * sizeof target);
    for (size_t i = 0; i < batch; i++) cutter->ids[i] = id;
    return status;
}

scry_status scry__cutter_create(scry__cutter **out, scry_model *model, const scry__cutter_options *options)
{
    scry__cutter *cutter = scry__alloc(1, sizeof *cutter);
    if (!cutter) return SCRY_OUT_OF_MEMORY;
    const scry_model_info *info   = scry_model_get_info(model);
    cutter->model                 = model;
    cutter->position              = options->position;
    cutter->head_count            = info->head_count;
    cutter->key_count             = options->position + 1;
    cutter->batch                 = choose_batch(info, cutter->key_count, options->batch);
    cutter->layer                 = -1;
    scry__session_options session = {
        .batch = cutter->batch, .capacity = cutter->key_count, .rows = 1, .keep_cache = true};
    scry_status status = allocate(cutter, options->id, options->target);
    if (!status) status = scry__session_create(&cutter->session, model, &session);
    if (!status) status = scry__session_copy_cache(cutter->session, options->prompt, 0, options->position);
    if (!status) status = run_uncut(cutter);
    if (status)
        scry__cutter_destroy(&cutter);
    else
        *out = cutter;
    return status;
}

void scry__cutter_destroy(scry__cutter **cutter)
{
    scry__cutter *self = cutter ? *cutter : NULL;
    if (!self) return;
    scry__session_destroy(&self->session);
    scry_buffer_destroy(&self->outputs);
    scry_buffer_destroy(&self->reference);
    scry_buffer_destroy(&self->streams);
    scry_buffer_destroy(&self->targets);
    scry_buffer_destroy(&self->mask_buffer);
    scry__free(self->uncut);
    scry__free(self->host);
    scry__free(self->mask);
    scry__free(self->ids);
    scry__free(self);
    *cutter = NULL;
}

int scry__cutter_batch(const scry__cutter *cutter)
{
    return cutter->batch;
}

/* Masks one sequence's edge. */
static void draw_edge(scry__cutter *cutter, int sequence, scry__edge edge)
{
    size_t keys = (size_t)cutter->key_count;
    for (int head = 0; head < cutter->head_count; head++) {
        float *row = cutter->mask + ((size_t)sequence * (size_t)cutter->head_count + (size_t)head) * keys;
        if (edge.head >= 0 && edge.head != head) continue;
        if (edge.key >= 0) row[edge.key] = -INFINITY;
        for (int key = 0; edge.key < 0 && key < cutter->position; key++) row[key] = -INFINITY;
    }
}

scry_status scry__cutter_measure(scry__cutter *cutter, int layer, const scry__edge *edges, int count, scry_cut *cuts)
{
    cutter->layer = layer;
    memset(cutter->mask, 0, mask_size(cutter) * sizeof *cutter->mask);
    for (int i = 0; i < count; i++) draw_edge(cutter, i, edges[i]);
    scry_status status = run_cut(cutter);
    if (!status) status = read_predictions(cutter);
    for (int i = 0; !status && i < count; i++) {
        const float *now = cutter->host + i, *before = cutter->uncut + i;
        int          next = cutter->batch; /* from one output to the next */
        cuts[i]           = (scry_cut){.logit = now[LOGIT * next] - before[LOGIT * next],
                                       .log_probability =
                                           (now[LOGIT * next] - now[LSE * next]) - (before[LOGIT * next] - before[LSE * next]),
                                       .kl = now[KL * next]};
    }
    return status;
}
