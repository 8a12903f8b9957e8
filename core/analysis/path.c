/* Path patching: for each path a run in which receivers listen, and one in which only they have heard. See scry/path.h.
 *
 * Where the logits are the only receiver, the first run's prediction is what is asked for, and no second one is needed.
 */
#include "analysis/path.h"

#include "base/alloc.h"
#include "base/error.h"
#include "trace/edit.h"

/* Paths whose receivers' inputs are held at a time. */
enum { MOST_TURN = 64 };

struct run {
    scry_model              *model;
    const scry_path_options *options;
    scry_paths              *result;
    scry__patch_run          pair; /* its result is result->pair */
    scry__path_outputs       outputs;
    bool                     direct;    /* the logits are the only receiver */
    scry_trace              *plain;     /* what the baseline's final norm reads, where `direct` does not hold */
    int64_t                  listening; /* first runs with receivers */
};

/* Some paths, one patch each. */
struct turn {
    int          count;
    scry_path   *paths[MOST_TURN];
    scry_edit   *edits[MOST_TURN];
    scry_trace  *heard[MOST_TURN];   /* receivers' inputs in the first run, to which edits refer */
    float       *changes[MOST_TURN]; /* and what changed in front of the final norm */
    scry_patch   patches[MOST_TURN];
    scry_outcome outcomes[MOST_TURN];
};

/* --- the first run --- */

static scry_status put_senders(struct turn *turn, const struct run *run, int at)
{
    const scry_path *path = turn->paths[at];
    scry_edit *edits = turn->edits[at] = scry__alloc((size_t)scry__path_most_edits(&run->outputs, path), sizeof *edits);
    if (!edits) return SCRY_OUT_OF_MEMORY;
    turn->patches[at] = (scry_patch){edits, scry__path_freeze(edits, &run->outputs, path)};
    return SCRY_OK;
}

/* The hook points of the receivers' inputs that the path reaches. */
static scry_status name_inputs(scry__text *out, const struct run *run, const scry_path *path)
{
    const scry_paths *result = run->result;
    for (int i = 0; i < result->receiver_count; i++) {
        char names[SCRY__PATH_MOST_INPUTS][SCRY__HOOK_NAME_SIZE];
        if (!scry__path_reaches(&run->outputs, path, &result->receivers[i])) continue;
        int count = scry__path_inputs(names, run->model, &result->receivers[i]);
        for (int j = 0; j < count; j++) scry__text_addf(out, "%s%s", out->size ? "," : "", names[j]);
    }
    return out->status;
}

/* Runs the baseline up to the position that is read. */
static scry_status trace_baseline(scry_trace **out, const struct run *run, const char *hooks, const scry_patch *patch)
{
    const scry_tokens *tokens = scry_patching_baseline(run->result->pair)->tokens;
    const scry_edits   edits  = {patch ? patch->edit_count : 0, patch ? patch->edits : NULL};
    return scry_trace_run(
        out, run->model, NULL,
        &(scry_trace_options){
            .ids = tokens->ids, .id_count = run->outputs.position_count, .hooks = hooks, .edits = &edits});
}

static scry_status listen(struct turn *turn, struct run *run, int at)
{
    scry__text  hooks  = {0};
    scry_status status = name_inputs(&hooks, run, turn->paths[at]);
    if (!status) status = trace_baseline(&turn->heard[at], run, hooks.data, &turn->patches[at]);
    scry__text_finish(&hooks);
    run->listening++;
    return status ? status : scry__progress_step(&run->pair.progress);
}

/* --- the second run --- */

/* What enters the final norm directly, beside what the other receivers change: the first run's stream less the
 * baseline's. */
static scry_status put_change(scry_edit *edit, struct turn *turn, const struct run *run, int at)
{
    const scry_capture *before = &run->plain->captures[0], *after = scry_trace_find(turn->heard[at], edit->hook);
    const float        *base = before->data, *heard = after->data;
    size_t              size   = (size_t)before->shape[0] * (size_t)before->shape[1];
    float              *change = turn->changes[at] = scry__alloc(size, sizeof *change);
    if (!change) return SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; i < size; i++) change[i] = heard[i] - base[i];
    edit->kind   = SCRY_EDIT_ADD;
    edit->factor = 1;
    edit->values = (scry_edit_values){change, (int)before->shape[0], 1, (int)before->shape[1]};
    return SCRY_OK;
}

static void put_input(scry_edit *edit, const scry_trace *heard, int head)
{
    const scry_capture *capture = scry_trace_find(heard, edit->hook);
    edit->kind                  = SCRY_EDIT_REPLACE;
    edit->values                = (scry_edit_values){.data    = capture->data,
                                                     .rows    = (int)capture->shape[0],
                                                     .heads   = capture->rank == 3 ? (int)capture->shape[1] : 1,
                                                     .columns = (int)capture->shape[capture->rank - 1]};
    if (head >= 0) edit->heads[head / 64] = (uint64_t)1 << head % 64;
}

/* The patch's edits become those of the receivers that were reached. Their hook points' names are the trace's. */
static scry_status put_receivers(struct turn *turn, const struct run *run, int at)
{
    const scry_paths *result = run->result;
    scry_edit        *edits  = scry__alloc((size_t)result->receiver_count, SCRY__PATH_MOST_INPUTS * sizeof *edits);
    scry_status       status = edits ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    int               count  = 0;
    scry__free(turn->edits[at]);
    turn->edits[at] = edits;
    for (int i = 0; !status && i < result->receiver_count; i++) {
        const scry_path_end *receiver = &result->receivers[i];
        char                 names[SCRY__PATH_MOST_INPUTS][SCRY__HOOK_NAME_SIZE];
        if (!scry__path_reaches(&run->outputs, turn->paths[at], receiver)) continue;
        int inputs = scry__path_inputs(names, run->model, receiver);
        for (int j = 0; !status && j < inputs; j++) {
            scry_edit *edit = &edits[count++];
            edit->hook      = scry_trace_find(turn->heard[at], names[j])->name;
            if (receiver->kind == SCRY_PATH_END_LOGITS)
                status = put_change(edit, turn, run, at);
            else
                put_input(edit, turn->heard[at], receiver->head);
        }
    }
    turn->patches[at] = (scry_patch){edits, count};
    return status;
}

/* --- all paths --- */

static scry_status run_turn(struct turn *turn, struct run *run)
{
    scry_status status = SCRY_OK;
    for (int at = 0; !status && at < turn->count; at++) {
        status = put_senders(turn, run, at);
        if (!status && !run->direct) status = listen(turn, run, at);
        if (!status && !run->direct) status = put_receivers(turn, run, at);
    }
    run->pair.under_way = turn->count;
    if (!status) status = scry_sweep_run(run->pair.sweep, turn->patches, turn->count, turn->outcomes);
    run->pair.progress.done += turn->count;
    for (int at = 0; !status && at < turn->count; at++) {
        turn->paths[at]->cell    = scry__patch_read_cell(run->result->pair, &turn->outcomes[at]);
        turn->paths[at]->changed = turn->outcomes[at].changed;
    }
    for (int at = 0; at < turn->count; at++) {
        scry__free(turn->changes[at]);
        scry_trace_destroy(&turn->heard[at]);
        scry__free(turn->edits[at]);
    }
    return status;
}

/* Does anything come to a receiver that is not what it hears in the baseline? */
static bool is_open(const struct run *run, const scry_path *path)
{
    for (int i = 0; i < run->result->receiver_count; i++)
        if (scry__path_reaches(&run->outputs, path, &run->result->receivers[i]))
            return scry__path_differs(&run->outputs, path);
    return false;
}

static void add_cost(struct run *run, int closed)
{
    scry_sweep_cost *cost = &run->result->cost;
    int64_t          pass = (int64_t)run->result->layer_count * run->outputs.position_count;
    *cost                 = scry_sweep_get_cost(run->pair.sweep);
    cost->layer_tokens += pass * run->listening;
    cost->naive_layer_tokens += pass * (run->listening + closed);
    cost->patches += closed;
    cost->skipped += closed;
    cost->passes += (int)run->listening;
}

static scry_status run_paths(struct run *run)
{
    scry_paths           *result = run->result;
    const scry_patch_cell none   = scry__patch_read_cell(result->pair, scry_sweep_baseline(run->pair.sweep));
    scry_status           status = SCRY_OK;
    int                   open = 0, at = 0;
    for (int i = 0; i < result->count; i++) {
        result->paths[i].cell    = none;
        result->paths[i].changed = is_open(run, &result->paths[i]);
        open += result->paths[i].changed;
    }
    run->pair.progress.total = (int64_t)open * (run->direct ? 1 : 2);
    while (!status && at < result->count) {
        struct turn turn = {0};
        for (; at < result->count && turn.count < MOST_TURN; at++)
            if (result->paths[at].changed) turn.paths[turn.count++] = &result->paths[at];
        if (turn.count) status = run_turn(&turn, run);
    }
    if (!status) add_cost(run, result->count - open);
    return status;
}

static scry_status prepare(struct run *run, const char *clean, const char *corrupt)
{
    const scry_model_info *info   = scry_model_get_info(run->model);
    scry_paths            *result = run->result;
    result->layer_count           = info->layer_count;
    result->head_count            = info->head_count;
    result->mlps_frozen           = run->options->freeze_mlps;
    scry_status status = scry__path_parse_senders(result, info, run->options->from ? run->options->from : "heads");
    if (!status) status = scry__path_parse_receivers(result, info, run->options->to ? run->options->to : "logits");
    run->direct = true;
    for (int i = 0; i < result->receiver_count; i++)
        run->direct = run->direct && result->receivers[i].kind == SCRY_PATH_END_LOGITS;
    if (!status) status = scry__patch_prepare(&run->pair, clean, corrupt);
    return status ? status : scry__patch_start(&run->pair);
}

static scry_status run_all(struct run *run)
{
    char        names[SCRY__PATH_MOST_INPUTS][SCRY__HOOK_NAME_SIZE];
    scry_status status = scry__path_outputs_run(&run->outputs, run->model, run->result);
    scry__path_inputs(names, run->model, &(scry_path_end){SCRY_PATH_END_LOGITS, -1, -1});
    if (!status && !run->direct) status = trace_baseline(&run->plain, run, names[0], NULL);
    if (!status) status = run_paths(run);
    scry_trace_destroy(&run->plain);
    scry__path_outputs_finish(&run->outputs);
    return status;
}

scry_status scry_paths_run(scry_paths **out, scry_model *model, const char *clean, const char *corrupt,
                           const scry_path_options *options)
{
    static const scry_path_options defaults;
    struct run                     run = {.model = model, .options = options ? options : &defaults};
    *out                               = NULL;
    run.result                         = scry__alloc(1, sizeof *run.result);
    if (!run.result) return SCRY_OUT_OF_MEMORY;
    run.pair = (scry__patch_run){
        .model    = model,
        .options  = &run.options->pair,
        .progress = {run.options->pair.progress, run.options->pair.user, 0, 0},
    };
    run.pair.result = run.result->pair = scry__alloc(1, sizeof *run.result->pair);
    scry_status status                 = run.result->pair ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    if (!status) status = prepare(&run, clean, corrupt);
    if (!status) status = run_all(&run);
    scry_sweep_destroy(&run.pair.sweep);
    if (status)
        scry_paths_destroy(&run.result);
    else
        *out = run.result;
    return status;
}

void scry_paths_destroy(scry_paths **paths)
{
    scry_paths *self = paths ? *paths : NULL;
    if (!self) return;
    for (int i = 0; i < self->count; i++) scry__free(self->paths[i].senders);
    scry__free(self->paths);
    scry__free(self->receivers);
    scry_patching_destroy(&self->pair);
    scry__free(self);
    *paths = NULL;
}
