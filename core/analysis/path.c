/* Path patching: for each path a run in which receivers listen, and one in which only they have heard. See scry/path.h.
 *
 * Both are runs of one sweep: they begin where the path's senders change something, side by side with those of other
 * paths. Where the logits are the only receiver, the first run's prediction is what is asked for, and no second one is
 * needed. */
#include "analysis/path.h"

#include "analysis/sweep.h"
#include "base/alloc.h"
#include "base/error.h"
#include "trace/read.h"

#include <string.h>

/* Paths whose receivers' inputs are held at a time. */
enum { MOST_TURN = 64 };

/* A hook point at which receivers listen. */
struct input {
    char name[SCRY__HOOK_NAME_SIZE];
    int  layer, heads, columns;
};

struct run {
    scry_model              *model;
    const scry_path_options *options;
    scry_paths              *result;
    scry__patch_run          pair; /* its result is result->pair */
    scry__path_outputs       outputs;
    bool                     direct; /* the logits are the only receiver; if not: */
    scry_trace              *plain;  /* what the baseline's final norm reads */
    struct input            *inputs; /* of all receivers, each once */
    int                      input_count;
};

/* Some paths, one patch each. */
struct turn {
    const struct run *run;
    int               count;
    scry_path        *paths[MOST_TURN];
    scry_edit        *edits[MOST_TURN];
    float           **heard[MOST_TURN]; /* [input]: in the first run, rows of all positions; NULL: the baseline's */
    int               first[MOST_TURN]; /* position from which they are there */
    scry_patch        patches[MOST_TURN];
    scry_outcome      outcomes[MOST_TURN];
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

static struct input *find_input(const struct run *run, const char *name)
{
    for (int i = 0; i < run->input_count; i++)
        if (!strcmp(run->inputs[i].name, name)) return &run->inputs[i];
    return NULL;
}

static scry_status list_inputs(struct run *run)
{
    const scry_paths *result = run->result;
    run->inputs = scry__alloc((size_t)result->receiver_count, SCRY__PATH_MOST_INPUTS * sizeof *run->inputs);
    if (!run->inputs) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < result->receiver_count; i++) {
        char names[SCRY__PATH_MOST_INPUTS][SCRY__HOOK_NAME_SIZE];
        int  count = scry__path_inputs(names, run->model, &result->receivers[i]);
        for (int j = 0; j < count; j++) {
            if (find_input(run, names[j])) continue;
            scry__hook    hook;
            struct input *input = &run->inputs[run->input_count++];
            memcpy(input->name, names[j], sizeof input->name);
            scry__edit_find_hook(run->model, input->name, &hook, &input->layer);
            scry__edit_extent extent = scry__edit_extent_of(run->model, hook);
            input->heads             = extent.heads;
            input->columns           = extent.columns;
        }
    }
    return SCRY_OK;
}

static struct input *input_at(const struct run *run, scry__hook hook, int layer)
{
    char name[SCRY__HOOK_NAME_SIZE];
    scry__hook_full_name(hook, layer, name);
    return find_input(run, name);
}

static bool wants(void *user, scry__hook hook, int layer)
{
    return input_at(((const struct turn *)user)->run, hook, layer) != NULL;
}

static scry_status hear(void *user, int at, scry__hook hook, int layer, int first, const scry_tensor *rows)
{
    struct turn        *turn  = user;
    const struct input *input = input_at(turn->run, hook, layer);
    size_t              width = (size_t)input->heads * (size_t)input->columns;
    float              *heard = scry__alloc((size_t)turn->run->outputs.position_count, width * sizeof *heard);
    turn->first[at]           = first;
    turn->heard[at][input - turn->run->inputs] = heard;
    return heard ? scry__read_tensor(rows, heard + (size_t)first * width) : SCRY_OUT_OF_MEMORY;
}

/* All first runs. */
static scry_status listen(struct turn *turn, struct run *run)
{
    scry__sweep_listener listener = {.user = turn, .wants = wants, .hear = hear};
    for (int i = 0; i < run->input_count; i++)
        if (run->inputs[i].layer >= listener.layers) listener.layers = run->inputs[i].layer + 1;
    for (int at = 0; at < turn->count; at++) {
        turn->heard[at] = scry__alloc((size_t)run->input_count, sizeof *turn->heard[at]);
        if (!turn->heard[at]) return SCRY_OUT_OF_MEMORY;
    }
    scry_status status = scry__sweep_listen(run->pair.sweep, turn->patches, turn->count, &listener);
    run->pair.progress.done += turn->count;
    return status;
}

/* --- the second run --- */

/* What enters the final norm directly, beside what the other receivers change: the first run's stream less the
 * baseline's. */
static void leave_change(float *heard, const struct run *run, int first)
{
    const scry_capture *plain = &run->plain->captures[0];
    const float        *base  = plain->data;
    size_t              width = (size_t)plain->shape[1], size = (size_t)plain->shape[0] * width;
    for (size_t i = (size_t)first * width; i < size; i++) heard[i] -= base[i];
}

static void put_input(scry_edit *edit, const struct turn *turn, int at, const struct input *input,
                      const scry_path_end *receiver)
{
    const struct run *run   = turn->run;
    float            *heard = turn->heard[at][input - run->inputs];
    *edit                   = (scry_edit){.hook      = input->name,
                                          .kind      = SCRY_EDIT_REPLACE,
                                          .positions = {turn->first[at], 0},
                                          .values    = {heard, run->outputs.position_count, input->heads, input->columns}};
    if (receiver->head >= 0) edit->heads[receiver->head / 64] = (uint64_t)1 << receiver->head % 64;
    if (receiver->kind != SCRY_PATH_END_LOGITS) return;
    leave_change(heard, run, turn->first[at]);
    edit->kind   = SCRY_EDIT_ADD;
    edit->factor = 1;
}

/* The patch's edits become those of the receivers that have heard something. */
static scry_status put_receivers(struct turn *turn, const struct run *run, int at)
{
    const scry_paths *result = run->result;
    scry_edit        *edits  = scry__alloc((size_t)result->receiver_count, SCRY__PATH_MOST_INPUTS * sizeof *edits);
    int               count  = 0;
    if (!edits) return SCRY_OUT_OF_MEMORY;
    scry__free(turn->edits[at]);
    turn->edits[at] = edits;
    for (int i = 0; i < result->receiver_count; i++) {
        const scry_path_end *receiver = &result->receivers[i];
        char                 names[SCRY__PATH_MOST_INPUTS][SCRY__HOOK_NAME_SIZE];
        if (!scry__path_reaches(&run->outputs, turn->paths[at], receiver)) continue;
        int inputs = scry__path_inputs(names, run->model, receiver);
        for (int j = 0; j < inputs; j++) {
            const struct input *input = find_input(run, names[j]);
            if (turn->heard[at][input - run->inputs]) put_input(&edits[count++], turn, at, input, receiver);
        }
    }
    turn->patches[at] = (scry_patch){edits, count};
    return SCRY_OK;
}

/* --- all paths --- */

static scry_status run_turn(struct turn *turn, struct run *run)
{
    scry_status status  = SCRY_OK;
    run->pair.under_way = turn->count;
    for (int at = 0; !status && at < turn->count; at++) status = put_senders(turn, run, at);
    if (!status && !run->direct) status = listen(turn, run);
    for (int at = 0; !status && !run->direct && at < turn->count; at++) status = put_receivers(turn, run, at);
    if (!status) status = scry_sweep_run(run->pair.sweep, turn->patches, turn->count, turn->outcomes);
    run->pair.progress.done += turn->count;
    for (int at = 0; !status && at < turn->count; at++) {
        turn->paths[at]->cell    = scry__patch_read_cell(run->result->pair, &turn->outcomes[at]);
        turn->paths[at]->changed = turn->outcomes[at].changed;
    }
    for (int at = 0; at < turn->count; at++) {
        for (int i = 0; turn->heard[at] && i < run->input_count; i++) scry__free(turn->heard[at][i]);
        scry__free(turn->heard[at]);
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
    cost->naive_layer_tokens += pass * closed;
    cost->patches += closed;
    cost->skipped += closed;
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
        struct turn turn = {.run = run};
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

static scry_status trace_plain(struct run *run)
{
    const scry_tokens *tokens = scry_patching_baseline(run->result->pair)->tokens;
    char               names[SCRY__PATH_MOST_INPUTS][SCRY__HOOK_NAME_SIZE];
    scry__path_inputs(names, run->model, &(scry_path_end){SCRY_PATH_END_LOGITS, -1, -1});
    if (!find_input(run, names[0])) return SCRY_OK;
    return scry_trace_run(
        &run->plain, run->model, NULL,
        &(scry_trace_options){.ids = tokens->ids, .id_count = run->outputs.position_count, .hooks = names[0]});
}

static scry_status run_all(struct run *run)
{
    scry_status status = scry__path_outputs_run(&run->outputs, run->model, run->result);
    if (!status && !run->direct) status = list_inputs(run);
    if (!status && !run->direct) status = trace_plain(run);
    if (!status) status = run_paths(run);
    scry__free(run->inputs);
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
