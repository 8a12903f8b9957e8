/* The edits of path patching: what senders write in both runs, what is frozen, and where receivers read. See path.h. */
#include "analysis/path.h"

#include "base/alloc.h"
#include "model/model.h"
#include "trace/edit.h"

#include <string.h>

enum { Z, MLP_OUT, OUTPUT_COUNT }; /* of a layer */

static const char embedding[] = "hook_embed";

/* --- outputs --- */

static bool has_sender(const scry_paths *paths, scry_path_end_kind kind)
{
    for (int i = 0; i < paths->count; i++)
        for (int j = 0; j < paths->paths[i].sender_count; j++)
            if (paths->paths[i].senders[j].kind == kind) return true;
    return false;
}

static scry_status trace_side(scry_trace **out, scry_model *model, const scry_patch_side *side, const char *hooks)
{
    return scry_trace_run(
        out, model, NULL,
        &(scry_trace_options){.ids = side->tokens->ids, .id_count = side->position + 1, .hooks = hooks});
}

static size_t width_of(const scry_capture *capture)
{
    size_t width = 1;
    for (int axis = 1; axis < capture->rank; axis++) width *= (size_t)capture->shape[axis];
    return width;
}

/* The source's rows where the baseline has them matched, elsewhere the baseline's own. */
static scry_status move_rows(scry__path_outputs *outputs, const scry_patching *pair, int index)
{
    const float *base = outputs->base->captures[index].data, *source = outputs->source->captures[index].data;
    size_t       width = width_of(&outputs->base->captures[index]);
    float       *rows = outputs->moved[index] = scry__alloc((size_t)pair->position_count, width * sizeof *rows);
    if (!rows) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < pair->position_count; i++) {
        int match = pair->matches[i];
        memcpy(rows + (size_t)i * width, match < 0 ? base + (size_t)i * width : source + (size_t)match * width,
               width * sizeof *rows);
    }
    return SCRY_OK;
}

scry_status scry__path_outputs_run(scry__path_outputs *outputs, scry_model *model, const scry_paths *paths)
{
    const scry_patching *pair  = paths->pair;
    scry__text           hooks = {0};
    *outputs                   = (scry__path_outputs){.model          = model,
                                                      .mlps_frozen    = paths->mlps_frozen,
                                                      .parallel       = model->arch.parallel,
                                                      .layer_count    = paths->layer_count,
                                                      .position_count = pair->position_count};
    outputs->names             = scry__alloc((size_t)paths->layer_count * OUTPUT_COUNT, sizeof *outputs->names);
    if (!outputs->names) return SCRY_OUT_OF_MEMORY;
    for (int layer = 0; layer < paths->layer_count; layer++) {
        scry__hook_full_name(SCRY__HOOK_Z, layer, outputs->names[layer * OUTPUT_COUNT + Z]);
        scry__hook_full_name(SCRY__HOOK_MLP_OUT, layer, outputs->names[layer * OUTPUT_COUNT + MLP_OUT]);
    }
    scry__text_adds(&hooks, "blocks.*.attn.hook_z");
    if (paths->mlps_frozen || has_sender(paths, SCRY_PATH_END_MLP)) scry__text_adds(&hooks, ",blocks.*.hook_mlp_out");
    if (has_sender(paths, SCRY_PATH_END_EMBED)) scry__text_addf(&hooks, ",%s", embedding);
    scry_status status = hooks.status;
    if (!status) status = trace_side(&outputs->base, model, scry_patching_baseline(pair), hooks.data);
    if (!status) status = trace_side(&outputs->source, model, scry_patching_source(pair), hooks.data);
    if (!status) outputs->moved = scry__alloc((size_t)outputs->base->count, sizeof *outputs->moved);
    if (!status && !outputs->moved) status = SCRY_OUT_OF_MEMORY;
    for (int i = 0; !status && i < outputs->base->count; i++) status = move_rows(outputs, pair, i);
    scry__text_finish(&hooks);
    return status;
}

void scry__path_outputs_finish(scry__path_outputs *outputs)
{
    for (int i = 0; outputs->moved && i < outputs->base->count; i++) scry__free(outputs->moved[i]);
    scry__free(outputs->moved);
    scry_trace_destroy(&outputs->source);
    scry_trace_destroy(&outputs->base);
    scry__free(outputs->names);
    *outputs = (scry__path_outputs){0};
}

/* The hook point of what an end sends. */
static const char *output_of(const scry__path_outputs *outputs, const scry_path_end *sender)
{
    if (sender->kind == SCRY_PATH_END_EMBED) return embedding;
    return outputs->names[sender->layer * OUTPUT_COUNT + (sender->kind == SCRY_PATH_END_HEAD ? Z : MLP_OUT)];
}

static int find_capture(const scry__path_outputs *outputs, const char *hook)
{
    return (int)(scry_trace_find(outputs->base, hook) - outputs->base->captures);
}

bool scry__path_differs(const scry__path_outputs *outputs, const scry_path *path)
{
    for (int i = 0; i < path->sender_count; i++) {
        const scry_path_end *sender  = &path->senders[i];
        int                  index   = find_capture(outputs, output_of(outputs, sender));
        const scry_capture  *capture = &outputs->base->captures[index];
        size_t               width = width_of(capture), size = (size_t)capture->shape[capture->rank - 1];
        const float         *base = capture->data, *source = outputs->moved[index];
        size_t               at = sender->head < 0 ? 0 : (size_t)sender->head * size;
        for (int row = 0; row < outputs->position_count; row++, at += width)
            if (memcmp(base + at, source + at, size * sizeof *base)) return true;
    }
    return false;
}

/* --- the first run --- */

static scry_edit replace(const scry__path_outputs *outputs, const char *hook, bool by_source)
{
    int                 index   = find_capture(outputs, hook);
    const scry_capture *capture = &outputs->base->captures[index];
    return (scry_edit){.hook   = hook,
                       .kind   = SCRY_EDIT_REPLACE,
                       .values = {.data    = by_source ? outputs->moved[index] : capture->data,
                                  .rows    = outputs->position_count,
                                  .heads   = capture->rank == 3 ? (int)capture->shape[1] : 1,
                                  .columns = (int)capture->shape[capture->rank - 1]}};
}

int scry__path_most_edits(const scry__path_outputs *outputs, const scry_path *path)
{
    return OUTPUT_COUNT * outputs->layer_count + path->sender_count;
}

static int first_layer(const scry_path *path)
{
    int first = path->senders[0].layer; /* of the embedding -1 */
    for (int i = 1; i < path->sender_count; i++)
        if (path->senders[i].layer < first) first = path->senders[i].layer;
    return first;
}

/* A layer's heads do not hear each other; its MLP may hear them. */
int scry__path_freeze(scry_edit *edits, const scry__path_outputs *outputs, const scry_path *path)
{
    int first = first_layer(path), count = 0;
    for (int layer = first < 0 ? 0 : first; layer < outputs->layer_count; layer++) {
        const char(*names)[SCRY__HOOK_NAME_SIZE] = outputs->names + layer * OUTPUT_COUNT;
        if (layer > first) edits[count++] = replace(outputs, names[Z], false);
        if (outputs->mlps_frozen) edits[count++] = replace(outputs, names[MLP_OUT], false);
    }
    for (int i = 0; i < path->sender_count; i++) {
        const scry_path_end *sender = &path->senders[i];
        edits[count]                = replace(outputs, output_of(outputs, sender), true);
        if (sender->head >= 0) edits[count].heads[sender->head / 64] = (uint64_t)1 << sender->head % 64;
        count++;
    }
    return count;
}

/* --- the second run --- */

static bool hears(const scry__path_outputs *outputs, const scry_path_end *sender, const scry_path_end *receiver)
{
    if (receiver->kind == SCRY_PATH_END_LOGITS || sender->layer < receiver->layer) return true;
    return receiver->kind == SCRY_PATH_END_MLP && sender->kind == SCRY_PATH_END_HEAD &&
           sender->layer == receiver->layer && !outputs->parallel;
}

bool scry__path_reaches(const scry__path_outputs *outputs, const scry_path *path, const scry_path_end *receiver)
{
    for (int i = 0; i < path->sender_count; i++)
        if (hears(outputs, &path->senders[i], receiver)) return true;
    return false;
}

int scry__path_inputs(char names[SCRY__PATH_MOST_INPUTS][SCRY__HOOK_NAME_SIZE], const scry_model *model,
                      const scry_path_end *receiver)
{
    static const scry__hook hooks[SCRY_PATH_END_COUNT] = {
        [SCRY_PATH_END_QUERY] = SCRY__HOOK_Q,           [SCRY_PATH_END_KEY] = SCRY__HOOK_K,
        [SCRY_PATH_END_VALUE] = SCRY__HOOK_V,           [SCRY_PATH_END_MLP] = SCRY__HOOK_MLP_PRE,
        [SCRY_PATH_END_LOGITS] = SCRY__HOOK_RESID_POST,
    };
    bool last = receiver->kind == SCRY_PATH_END_LOGITS;
    scry__hook_full_name(hooks[receiver->kind], last ? scry_model_get_info(model)->layer_count - 1 : receiver->layer,
                         names[0]);
    if (receiver->kind != SCRY_PATH_END_MLP || !scry__model_has_hook(model, SCRY__HOOK_MLP_PRE_LINEAR)) return 1;
    scry__hook_full_name(SCRY__HOOK_MLP_PRE_LINEAR, receiver->layer, names[1]);
    return 2;
}
