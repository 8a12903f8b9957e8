/* Sweeps: the baseline and what is kept of it. See scry/sweep.h and sweep.h. */
#include "analysis/sweep.h"

#include "analysis/question.h"
#include "base/alloc.h"
#include "base/error.h"

#include <math.h>

enum { MOST_SIDE_BY_SIDE = 64, BUDGET = 512 << 20 };

/* As many patches as their caches and workspaces leave room for. */
static int choose_batch(const scry_model_info *info, int rows, int wish)
{
    double keys      = 2.0 * info->layer_count * info->kv_head_count * info->head_size;
    double attention = 2.0 * (info->head_count + info->kv_head_count) * info->head_size;
    double wide      = fmax(attention, 2.0 * info->mlp_size) + 3.0 * info->hidden_size;
    double fit       = floor(BUDGET / (sizeof(float) * rows * (keys + wide)));
    return wish > 0 ? wish : (int)fmin(fmax(fit, 1), MOST_SIDE_BY_SIDE);
}

static scry_status check_below(int value, int count, const char *what)
{
    if (value >= 0 && value < count) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT, "%s %d: expected 0 to %d", what, value, count - 1);
}

static scry_status check_options(const scry_sweep *sweep, const scry_sweep_options *options)
{
    int         vocabulary = scry_model_get_info(sweep->model)->vocabulary;
    scry_status status     = SCRY_OK;
    if (options->target_count < 0 || options->target_count > SCRY_SWEEP_MOST_TARGETS)
        return scry__fail(SCRY_BAD_ARGUMENT, "%d targets: expected at most %d", options->target_count,
                          SCRY_SWEEP_MOST_TARGETS);
    for (int i = 0; i < options->target_count && !status; i++)
        status = check_below(options->targets[i], vocabulary, "target id");
    if (status) return status;
    if (options->batch < 0)
        return scry__fail(SCRY_BAD_ARGUMENT, "%d patches side by side: expected at least 1", options->batch);
    return options->reference_ids
               ? check_below(options->reference_position, options->reference_count, "reference position")
               : SCRY_OK;
}

scry_tensor scry__sweep_stream(const scry_sweep *sweep, int layer, int first)
{
    const int64_t shape[] = {1, sweep->rows, scry_model_get_info(sweep->model)->hidden_size};
    size_t        bytes   = (size_t)shape[1] * (size_t)shape[2] * sizeof(float);
    scry_tensor   stream  = scry_tensor_of(sweep->streams, (size_t)layer * bytes, SCRY_F32, 3, shape);
    return scry_tensor_slice(stream, 1, first, sweep->rows - first);
}

static bool wants_streams(void *user, scry__hook hook, int layer)
{
    (void)user, (void)layer;
    return hook == SCRY__HOOK_RESID_PRE;
}

static scry_status keep_stream(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    const scry_sweep *sweep = user;
    scry_op           op    = {.kind = SCRY_OP_COPY};
    (void)hook;
    op.copy = (scry_copy){.x = *value, .out = scry__sweep_stream(sweep, layer, 0)};
    return scry_device_run(scry_model_device(sweep->model), &op);
}

static scry_status run_baseline(scry_sweep *sweep)
{
    const scry__hooks hooks  = {.user = sweep, .wants = wants_streams, .at = keep_stream};
    scry_status       status = scry__session_create(&sweep->baseline, sweep->model,
                                                    &(scry__session_options){.capacity = sweep->rows, .keep_cache = true});
    if (!status) status = scry__session_forward(sweep->baseline, sweep->tokens->ids, sweep->rows, &hooks);
    if (status) return status;
    scry_tensor stream = scry__session_residual(sweep->baseline);
    if (!sweep->has_reference) status = scry__readout_refer(&sweep->readout, &stream, sweep->options.position);
    return status ? status : scry__readout_read(&sweep->readout, &stream, 0, true, &sweep->baseline_outcome);
}

/* The other prompt's prediction, by a readout of its own: it ends at another position. */
static scry_status run_reference(scry_sweep *sweep, const scry_sweep_options *options)
{
    int                   rows    = options->reference_position + 1;
    scry__session        *session = NULL;
    scry__readout         readout = {0};
    scry__readout_options reading = {.most         = 1,
                                     .position     = options->reference_position,
                                     .targets      = options->targets,
                                     .target_count = options->target_count};
    scry_status status = scry__session_create(&session, sweep->model, &(scry__session_options){.capacity = rows});
    if (!status) status = scry__session_forward(session, options->reference_ids, rows, NULL);
    if (!status) status = scry__readout_create(&readout, sweep->model, &reading);
    if (!status) {
        const scry_tensor stream = scry__session_residual(session);
        status                   = scry__readout_refer(&sweep->readout, &stream, rows - 1);
        if (!status) status = scry__readout_refer(&readout, &stream, rows - 1);
        if (!status) status = scry__readout_read(&readout, &stream, 0, true, &sweep->reference_outcome);
    }
    scry__readout_finish(&readout);
    scry__session_destroy(&session);
    return status ? scry__fail_prefix(status, "reference") : SCRY_OK;
}

static scry_status allocate(scry_sweep *sweep, const scry_sweep_options *options)
{
    const scry_model_info *info = scry_model_get_info(sweep->model);
    size_t                 rows = (size_t)sweep->rows, batch = (size_t)sweep->batch;
    size_t                 streams = (size_t)info->layer_count * rows * (size_t)info->hidden_size;
    scry__readout_options  reading = {.most         = sweep->batch,
                                      .position     = sweep->options.position,
                                      .targets      = options->targets,
                                      .target_count = options->target_count,
                                      .ids          = options->losses ? sweep->tokens->ids : NULL,
                                      .id_count     = sweep->tokens->count};
    sweep->ids                     = scry__alloc(batch, rows * sizeof *sweep->ids);
    if (!sweep->ids) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry_buffer_create(&sweep->streams, scry_model_device(sweep->model), streams * sizeof(float));
    return status ? status : scry__readout_create(&sweep->readout, sweep->model, &reading);
}

scry_status scry_sweep_create(scry_sweep **out, scry_model *model, const char *text, const scry_sweep_options *options)
{
    static const scry_sweep_options none;
    scry_status                     status;
    *out = NULL;
    if (!options) options = &none;
    scry_sweep *sweep = scry__alloc(1, sizeof *sweep);
    if (!sweep) return SCRY_OUT_OF_MEMORY;
    sweep->model   = model;
    sweep->options = *options;
    status         = scry_tokens_create(&sweep->tokens, model, text, options->ids, options->id_count);
    if (status) goto fail;
    sweep->has_reference = options->reference_ids != NULL;
    status = scry__question_position(&sweep->options.position, sweep->tokens, options->has_position, options->position);
    if (!status) status = check_options(sweep, options);
    if (status) goto fail;
    sweep->rows  = options->losses ? sweep->tokens->count : sweep->options.position + 1;
    sweep->batch = options->naive ? 1 : choose_batch(scry_model_get_info(model), sweep->rows, options->batch);
    status       = allocate(sweep, options);
    if (!status && sweep->has_reference) status = run_reference(sweep, options);
    if (!status) status = run_baseline(sweep);
    if (status) goto fail;
    *out = sweep;
    return SCRY_OK;
fail:
    scry_sweep_destroy(&sweep);
    return status;
}

const scry_outcome *scry_sweep_baseline(const scry_sweep *sweep)
{
    return &sweep->baseline_outcome;
}

const scry_outcome *scry_sweep_reference(const scry_sweep *sweep)
{
    return sweep->has_reference ? &sweep->reference_outcome : NULL;
}

scry_sweep_cost scry_sweep_get_cost(const scry_sweep *sweep)
{
    return sweep->cost;
}

void scry_sweep_destroy(scry_sweep **sweep)
{
    scry_sweep *self = sweep ? *sweep : NULL;
    if (!self) return;
    scry__readout_finish(&self->readout);
    scry__session_destroy(&self->beside);
    scry__session_destroy(&self->baseline);
    scry_buffer_destroy(&self->streams);
    scry__free(self->ids);
    scry_tokens_destroy(&self->tokens);
    scry__free(self);
    *sweep = NULL;
}
