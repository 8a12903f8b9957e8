/* The passes of a sweep: patches of one start side by side, each from its own layer on. See sweep.h.
 *
 * Passes go from the last start position to the first, so that what a pass writes into the sequences' caches lies
 * behind all that later ones read. */
#include "analysis/progress.h"
#include "analysis/sweep.h"
#include "base/alloc.h"

#include <string.h>

/* One pass: starts [begin, end) of the plan, sorted by layer. */
struct pass {
    scry_sweep                 *sweep;
    const scry__sweep_plan     *plan;
    scry_outcome               *outcomes; /* of all patches; NULL: none are read */
    const scry__sweep_listener *listener; /* NULL: none */
    int                         begin, end, position;
};

static int active(void *user, int layer)
{
    const struct pass *pass = user;
    int                end  = pass->begin;
    while (end < pass->end && pass->plan->starts[end].layer <= layer) end++;
    return end - pass->begin;
}

/* Patches enter their layer with what enters it in the baseline. */
static scry_status join(void *user, int layer, const scry_tensor *streams)
{
    const struct pass *pass = user;
    scry_op            op   = {.kind = SCRY_OP_COPY};
    op.copy.x               = scry__sweep_stream(pass->sweep, layer, pass->position);
    op.copy.x.shape[0]      = streams->shape[0];
    op.copy.x.stride[0]     = 0;
    op.copy.out             = *streams;
    return scry_device_run(scry_model_device(pass->sweep->model), &op);
}

static bool wants(void *user, scry__hook hook, int layer)
{
    const scry__sweep_listener *listener = ((const struct pass *)user)->listener;
    return listener->wants(listener->user, hook, layer);
}

/* Each sequence's own rows, [rows, ...] of [sequence, rows, ...], go to the listener. */
static scry_status at_hook(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    const struct pass          *pass     = user;
    const scry__sweep_listener *listener = pass->listener;
    scry_status                 status   = SCRY_OK;
    for (int64_t i = 0; i < value->shape[0] && !status; i++) {
        const scry__sweep_start *start = &pass->plan->starts[pass->begin + i];
        int                      first = pass->sweep->options.naive ? 0 : start->position;
        scry_tensor              rows = scry_tensor_slice(*value, 1, first - pass->position, pass->sweep->rows - first);
        rows                          = scry_tensor_slice(rows, 0, i, 1);
        rows.rank--;
        memmove(rows.shape, rows.shape + 1, (size_t)rows.rank * sizeof *rows.shape);
        memmove(rows.stride, rows.stride + 1, (size_t)rows.rank * sizeof *rows.stride);
        status = listener->hear(listener->user, start->patch, hook, layer, first, &rows);
    }
    return status;
}

/* Gives each sequence its patch's edits, as far as they lie where that changes something. */
static scry_status use_edits(const struct pass *pass)
{
    const scry__sweep_plan *plan  = pass->plan;
    int                     count = 0, all = 0;
    if (!plan->editor) return SCRY_OK; /* no patch has any */
    for (int i = pass->begin; i < pass->end; i++)
        all += plan->first[plan->starts[i].patch + 1] - plan->first[plan->starts[i].patch];
    scry__edit_use *uses = scry__alloc((size_t)all, sizeof *uses);
    if (!uses) return SCRY_OUT_OF_MEMORY;
    for (int i = pass->begin; i < pass->end; i++) {
        const scry__sweep_start *start = &plan->starts[i];
        for (int edit = plan->first[start->patch]; edit < plan->first[start->patch + 1]; edit++) {
            scry__hook hook;
            int        layer;
            scry__editor_place(plan->editor, edit, &hook, &layer);
            if (layer >= start->layer) uses[count++] = (scry__edit_use){edit, i - pass->begin, start->position};
        }
    }
    scry_status status = scry__editor_use(plan->editor, uses, count);
    scry__free(uses);
    return status;
}

/* A session for so many patches side by side. */
static scry_status prepare(scry_sweep *sweep, int sequences)
{
    scry__session_options options = {
        .batch = sequences, .capacity = sweep->rows, .rows = sweep->rows, .keep_cache = !sweep->options.naive};
    if (sweep->beside && sweep->side_by_side >= sequences) return SCRY_OK;
    scry__session_destroy(&sweep->beside);
    sweep->clean        = 0;
    sweep->side_by_side = sequences;
    return scry__session_create(&sweep->beside, sweep->model, &options);
}

/* Makes the caches the baseline's up to the pass. */
static scry_status rewind_to(scry_sweep *sweep, int position)
{
    scry_status status = SCRY_OK;
    if (sweep->clean < position) {
        status       = scry__session_copy_cache(sweep->beside, sweep->baseline, 0, sweep->rows);
        sweep->clean = status ? 0 : sweep->rows;
    }
    if (status) return status;
    scry__session_rewind(sweep->beside, position);
    sweep->clean = position;
    return SCRY_OK;
}

/* The prompt's tokens from the pass' position on, once for each sequence. */
static void repeat_ids(const scry_sweep *sweep, int position)
{
    int32_t *out  = sweep->ids;
    size_t   rows = (size_t)(sweep->rows - position);
    for (int i = 0; i < sweep->side_by_side; i++, out += rows)
        memcpy(out, sweep->tokens->ids + position, rows * sizeof *out);
}

/* How many layers the pass has. */
static int layers_of(const struct pass *pass)
{
    bool whole = !pass->listener || pass->sweep->options.naive;
    return whole ? scry_model_get_info(pass->sweep->model)->layer_count : pass->listener->layers;
}

static scry_status forward(struct pass *pass)
{
    scry_sweep *sweep  = pass->sweep;
    bool        naive  = sweep->options.naive;
    scry_status status = naive ? SCRY_OK : rewind_to(sweep, pass->position);
    scry__hooks hooks  = {.user = pass};
    if (pass->listener) {
        hooks.wants = wants;
        hooks.at    = at_hook;
    }
    if (!naive) {
        hooks.active = active;
        hooks.join   = join;
        hooks.layers = layers_of(pass);
    }
    repeat_ids(sweep, pass->position);
    if (status) return status;
    return scry__session_forward(sweep->beside, sweep->ids, sweep->rows - pass->position,
                                 scry__editor_hooks(pass->plan->editor, sweep->beside, &hooks));
}

static void count_cost(const struct pass *pass)
{
    scry_sweep *sweep  = pass->sweep;
    int         layers = layers_of(pass), rows = sweep->rows - pass->position;
    for (int i = pass->begin; i < pass->end; i++) {
        int layer = sweep->options.naive || pass->plan->starts[i].layer < 0 ? 0 : pass->plan->starts[i].layer;
        sweep->cost.layer_tokens += (int64_t)(layers - layer) * rows;
    }
    sweep->cost.passes++;
}

static scry_status read_outcomes(struct pass *pass)
{
    scry_sweep   *sweep = pass->sweep;
    int           count = pass->end - pass->begin;
    scry_outcome *found = scry__alloc((size_t)count, sizeof *found);
    if (!found) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count; i++) found[i] = sweep->baseline_outcome;
    const scry_tensor streams = scry_tensor_slice(scry__session_residual(sweep->beside), 0, 0, count);
    scry_status       status  = scry__readout_read(&sweep->readout, &streams, pass->position, false, found);
    for (int i = 0; i < count && !status; i++) {
        const scry__sweep_start *start = &pass->plan->starts[pass->begin + i];
        found[i].changed               = start->layer != SCRY__NEVER;
        pass->outcomes[start->patch]   = found[i];
    }
    scry__free(found);
    return status;
}

static scry_status run_pass(struct pass *pass)
{
    scry_status status = use_edits(pass);
    if (!status) status = forward(pass);
    if (!status && pass->outcomes) status = read_outcomes(pass);
    if (!status) count_cost(pass);
    return status;
}

static scry_status run_passes(struct pass pass, scry__sweep_plan *plan, scry__progress *progress)
{
    scry_sweep *sweep  = pass.sweep;
    int         most   = plan->count < sweep->batch ? plan->count : sweep->batch;
    scry_status status = most ? prepare(sweep, most) : SCRY_OK;
    for (; !status && pass.begin < plan->count; pass.begin = pass.end) {
        pass.end = pass.begin + 1;
        if (!sweep->options.naive) pass.end = scry__sweep_plan_pass(plan, pass.begin, most, &pass.position);
        status = run_pass(&pass);
        for (int i = pass.begin; i < pass.end && !status; i++) status = scry__progress_step(progress);
    }
    return status;
}

/* With outcomes, or a listener. */
static scry_status run(scry_sweep *sweep, const scry_patch *patches, int count, scry_outcome *outcomes,
                       const scry__sweep_listener *listener)
{
    scry__progress   progress = {sweep->options.progress, sweep->options.user, 0, count};
    scry__sweep_plan plan;
    if (count < 0) return scry__fail(SCRY_BAD_ARGUMENT, "%d patches: expected none negative", count);
    scry_status status = scry__sweep_plan_create(&plan, sweep, patches, count);
    if (status) return status;
    sweep->cost.patches += outcomes ? count : 0;
    sweep->cost.skipped += outcomes ? count - plan.count : 0;
    sweep->cost.naive_layer_tokens += (int64_t)count * sweep->rows * scry_model_get_info(sweep->model)->layer_count;
    for (int i = 0; i < count && outcomes; i++) outcomes[i] = sweep->baseline_outcome;
    for (int i = plan.count; i < count && !status; i++) status = scry__progress_step(&progress);
    if (!status)
        status = run_passes((struct pass){.sweep = sweep, .plan = &plan, .outcomes = outcomes, .listener = listener},
                            &plan, &progress);
    scry__sweep_plan_finish(&plan);
    return status;
}

scry_status scry_sweep_run(scry_sweep *sweep, const scry_patch *patches, int count, scry_outcome *outcomes)
{
    return run(sweep, patches, count, outcomes, NULL);
}

scry_status scry__sweep_listen(scry_sweep *sweep, const scry_patch *patches, int count,
                               const scry__sweep_listener *listener)
{
    return run(sweep, patches, count, NULL, listener);
}
