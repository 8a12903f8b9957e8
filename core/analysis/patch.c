/* Activation patching: both prompts' own runs, then the grids. See scry/patch.h. */
#include "analysis/patch.h"

#include "analysis/question.h"
#include "base/alloc.h"
#include "base/error.h"

const char *scry_patch_direction_text(scry_patch_direction direction)
{
    static const char *const texts[] = {
#define DIRECTION_TEXT(name, text) text,
        SCRY_PATCH_DIRECTION_LIST(DIRECTION_TEXT)
#undef DIRECTION_TEXT
    };
    return (unsigned)direction < SCRY_PATCH_DIRECTION_COUNT ? texts[direction] : "unknown";
}

const char *scry_patch_method_text(scry_patch_method method)
{
    static const char *const texts[] = {
#define METHOD_TEXT(name, text) text,
        SCRY_PATCH_METHOD_LIST(METHOD_TEXT)
#undef METHOD_TEXT
    };
    return (unsigned)method < SCRY_PATCH_METHOD_COUNT ? texts[method] : "unknown";
}

bool scry_patch_method_gives(scry_patch_method method, scry_patch_metric metric)
{
    return method != (metric == SCRY_PATCH_METRIC_ESTIMATE ? SCRY_PATCH_METHOD_EXACT : SCRY_PATCH_METHOD_ESTIMATE);
}

const scry_patch_side *scry_patching_baseline(const scry_patching *patching)
{
    return patching->direction == SCRY_NOISE ? &patching->clean : &patching->corrupt;
}

const scry_patch_side *scry_patching_source(const scry_patching *patching)
{
    return patching->direction == SCRY_NOISE ? &patching->corrupt : &patching->clean;
}

/* --- the tokens and the unpatched runs --- */

static scry_status choose_targets(scry__patch_run *run)
{
    const scry_patch_side *sides[] = {&run->result->clean, &run->result->corrupt};
    scry_status            status  = SCRY_OK;
    for (int i = 0; i < 2 && !status; i++)
        if (run->targets[i] < 0)
            status =
                scry__question_likeliest(&run->targets[i], run->model, sides[i]->tokens->ids, sides[i]->position + 1);
    if (!status && run->targets[0] == run->targets[1])
        status = scry__fail(SCRY_BAD_ARGUMENT,
                            "the answer and the wrong answer are both token %d: expected two that "
                            "are named; else the likeliest behind each prompt are taken",
                            run->targets[0]);
    return status;
}

/* The patches' values are of the source up to its position, and what is patched is the baseline up to its own. */
static scry_status create_sweep(scry__patch_run *run)
{
    const scry_patch_side   *base = scry_patching_baseline(run->result), *source = scry_patching_source(run->result);
    const scry_sweep_options options = {.ids                = base->tokens->ids,
                                        .id_count           = base->position + 1,
                                        .targets            = run->targets,
                                        .target_count       = 2,
                                        .reference_ids      = source->tokens->ids,
                                        .reference_count    = source->position + 1,
                                        .reference_position = source->position,
                                        .naive              = run->options->naive,
                                        .batch              = run->options->batch,
                                        .progress           = scry__patch_progress,
                                        .user               = run};
    return scry_sweep_create(&run->sweep, run->model, NULL, &options);
}

static scry_status fill_side(scry_patch_side *side, const scry__patch_run *run, const scry_outcome *outcome)
{
    double lse             = (double)outcome->lse;
    side->answer.id        = run->targets[0];
    side->wrong.id         = run->targets[1];
    side->logit_difference = outcome->logits[0] - outcome->logits[1];
    scry_status status     = scry__question_candidate(&side->answer, run->model, outcome->logits[0], lse);
    return status ? status : scry__question_candidate(&side->wrong, run->model, outcome->logits[1], lse);
}

static scry_status fill_sides(scry__patch_run *run)
{
    scry_patching      *result = run->result;
    bool                noise  = result->direction == SCRY_NOISE;
    const scry_outcome *base = scry_sweep_baseline(run->sweep), *source = scry_sweep_reference(run->sweep);
    scry_status         status = fill_side(&result->clean, run, noise ? base : source);
    if (!status) status = fill_side(&result->corrupt, run, noise ? source : base);
    result->defined = result->clean.logit_difference != result->corrupt.logit_difference;
    return status;
}

scry_status scry__patch_start(scry__patch_run *run)
{
    scry_status status = choose_targets(run);
    if (!status) status = create_sweep(run);
    return status ? status : fill_sides(run);
}

/* --- the grids --- */

/* What the sweep did, and the cells before the first difference, which it was not asked for. */
static scry_sweep_cost cost_of(const scry__patch_run *run)
{
    const scry_patching *result = run->result;
    scry_sweep_cost      cost   = scry_sweep_get_cost(run->sweep);
    int64_t              whole  = (int64_t)scry_model_get_info(run->model)->layer_count * result->position_count;
    if (result->method == SCRY_PATCH_METHOD_ESTIMATE) return cost;
    for (int i = 0; i < result->grid_count; i++) {
        const scry_patch_grid *grid  = &result->grids[i];
        int                    known = grid->position_count > 1 ? result->first_difference : 0;
        int                    cells = grid->layer_count * grid->head_count * known;
        cost.patches += cells;
        cost.skipped += cells;
        cost.naive_layer_tokens += cells * whole;
    }
    return cost;
}

/* The estimate comes first: what a device cannot do is then said at once. */
static scry_status run_grids(scry__patch_run *run)
{
    scry_patching    *result = run->result;
    scry_patch_method method = run->options->method;
    scry_status       status = SCRY_OK;
    result->grids            = scry__alloc(SCRY_PATCH_KIND_COUNT, sizeof *result->grids);
    if (!result->grids) return SCRY_OUT_OF_MEMORY;
    for (int kind = 0; kind < SCRY_PATCH_KIND_COUNT && !status; kind++)
        if (run->kinds >> kind & 1) status = scry__patch_add_grid(run, (scry_patch_kind)kind);
    for (int i = 0; i < result->grid_count && method != SCRY_PATCH_METHOD_ESTIMATE; i++)
        run->progress.total += scry__patch_count(run, &result->grids[i]);
    if (!status && method != SCRY_PATCH_METHOD_EXACT) status = scry__patch_estimate(run);
    for (int i = 0; i < result->grid_count && method != SCRY_PATCH_METHOD_ESTIMATE && !status; i++)
        status = scry__patch_run_grid(run, &result->grids[i]);
    return status;
}

scry_status scry_patching_run(scry_patching **out, scry_model *model, const char *clean, const char *corrupt,
                              const scry_patch_options *options)
{
    static const scry_patch_options defaults;
    scry__patch_run                 run = {.model = model, .options = options ? options : &defaults};
    *out                                = NULL;
    run.result                          = scry__alloc(1, sizeof *run.result);
    if (!run.result) return SCRY_OUT_OF_MEMORY;
    run.progress       = (scry__progress){run.options->progress, run.options->user, 0, 0};
    scry_status status = scry__patch_prepare(&run, clean, corrupt);
    if (!status) status = scry__patch_start(&run);
    if (!status) status = run_grids(&run);
    if (!status) run.result->cost = cost_of(&run);
    scry_sweep_destroy(&run.sweep);
    if (status)
        scry_patching_destroy(&run.result);
    else
        *out = run.result;
    return status;
}

static void finish_side(scry_patch_side *side)
{
    scry__free(side->wrong.text);
    scry__free(side->answer.text);
    scry_tokens_destroy(&side->tokens);
}

void scry_patching_destroy(scry_patching **patching)
{
    scry_patching *self = patching ? *patching : NULL;
    if (!self) return;
    for (int i = 0; i < self->grid_count; i++) scry__free(self->grids[i].cells);
    scry__free(self->grids);
    scry__free(self->matches);
    finish_side(&self->corrupt);
    finish_side(&self->clean);
    scry__free(self);
    *patching = NULL;
}
