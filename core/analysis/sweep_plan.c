/* What each patch of a sweep changes, and which patches run side by side. See sweep.h. */
#include "analysis/sweep.h"

#include "base/alloc.h"
#include "base/error.h"
#include "trace/read.h"

#include <stdlib.h>

/* What a pass costs by itself, in rows: reading all weights once. For fewer rows than that, patches begin earlier than
 * they must and share a pass. */
enum { PASS_ROWS = 16 };

/* --- what edits change --- */

struct comparison {
    scry_sweep       *sweep;
    scry__sweep_plan *plan;
    int               edit_count;
    bool             *edited; /* [hook, layer + 1]: is there an edit of this hook point? */
};

static bool *is_edited(const struct comparison *comparison, scry__hook hook, int layer)
{
    int layers = scry_model_get_info(comparison->sweep->model)->layer_count;
    return &comparison->edited[(int)hook * (layers + 1) + layer + 1];
}

/* Holds the edits of one hook point to its value, [1, ...] on the device. */
static scry_status compare(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    const struct comparison *comparison = user;
    scry__sweep_plan        *plan       = comparison->plan;
    float                   *host       = scry__alloc((size_t)scry_tensor_count(value), sizeof *host);
    if (!host) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__read_tensor(value, host);
    for (int i = 0; i < comparison->edit_count && !status; i++) {
        scry__hook own;
        int        at;
        scry__editor_place(plan->editor, i, &own, &at);
        if (own == hook && at == layer)
            plan->changes[i] = scry__editor_first_change(plan->editor, i, &plan->edits[i], value, host);
    }
    scry__free(host);
    return status;
}

/* Streams are kept already. */
static bool wants(void *user, scry__hook hook, int layer)
{
    return hook != SCRY__HOOK_RESID_PRE && *is_edited(user, hook, layer);
}

/* Passes that compare change nothing, and are the baseline's to the bit. */
static bool edits_nothing(void *user, scry__hook hook, int layer, int index, scry__edited_rows *rows)
{
    (void)user, (void)hook, (void)layer, (void)index, (void)rows;
    return false;
}

static scry_status run_again(struct comparison *comparison)
{
    scry_sweep       *sweep = comparison->sweep;
    const scry__hooks hooks = {.user = comparison, .wants = wants, .at = compare, .edited = edits_nothing};
    scry__session_rewind(sweep->baseline, 0);
    sweep->cost.passes++;
    sweep->cost.layer_tokens += (int64_t)scry_model_get_info(sweep->model)->layer_count * sweep->rows;
    return scry__session_forward(sweep->baseline, sweep->tokens->ids, sweep->rows, &hooks);
}

/* Compares with the streams that are kept, and for what else is edited runs the baseline again. */
static scry_status find_changes(scry__sweep_plan *plan, scry_sweep *sweep, int edit_count)
{
    struct comparison comparison = {.sweep = sweep, .plan = plan, .edit_count = edit_count};
    int               layers     = scry_model_get_info(sweep->model)->layer_count;
    scry_status       status     = SCRY_OK;
    bool              again      = false;
    comparison.edited            = scry__alloc(SCRY__HOOK_COUNT, (size_t)(layers + 1) * sizeof *comparison.edited);
    if (!comparison.edited) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < edit_count; i++) {
        scry__hook hook;
        int        layer;
        scry__editor_place(plan->editor, i, &hook, &layer);
        *is_edited(&comparison, hook, layer) = true;
        again |= hook != SCRY__HOOK_RESID_PRE;
    }
    for (int layer = 0; layer < layers && !status; layer++) {
        const scry_tensor stream = scry__sweep_stream(sweep, layer, 0);
        if (*is_edited(&comparison, SCRY__HOOK_RESID_PRE, layer))
            status = compare(&comparison, SCRY__HOOK_RESID_PRE, layer, &stream);
    }
    if (!status && again) status = run_again(&comparison);
    scry__free(comparison.edited);
    return status;
}

/* --- the plan --- */

/* Copies the patches' edits, one behind the other. */
static scry_status flatten(scry__sweep_plan *plan, const scry_patch *patches, int count, int *edit_count)
{
    int all     = 0;
    plan->first = scry__alloc((size_t)count + 1, sizeof *plan->first);
    if (!plan->first) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count; i++) {
        if (patches[i].edit_count < 0 || __builtin_add_overflow(all, patches[i].edit_count, &all))
            return scry__fail(SCRY_BAD_ARGUMENT, "patch %d of %d edits: expected fewer, and none negative", i + 1,
                              patches[i].edit_count);
        plan->first[i + 1] = all;
    }
    plan->edits   = scry__alloc((size_t)all, sizeof *plan->edits);
    plan->changes = scry__alloc((size_t)all, sizeof *plan->changes);
    if (!plan->edits || !plan->changes) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count; i++)
        for (int j = 0; j < patches[i].edit_count; j++) {
            plan->edits[plan->first[i] + j]           = patches[i].edits[j];
            plan->edits[plan->first[i] + j].sequences = (scry_range){0};
        }
    *edit_count = all;
    return SCRY_OK;
}

static scry_status create_editor(scry__editor **out, const scry_sweep *sweep, const scry_edit *edits, int count)
{
    const scry_edits all = {count, edits};
    return scry__editor_create(out, sweep->model,
                               &(scry__editor_options){.edits = &all, .positions = sweep->tokens->count});
}

/* The patch whose edits are refused, in front of the reason. */
static scry_status name_patch(const scry__sweep_plan *plan, const scry_sweep *sweep, int count, scry_status status)
{
    for (int i = 0; i < count; i++) {
        scry__editor *editor = NULL;
        scry_status   own =
            create_editor(&editor, sweep, plan->edits + plan->first[i], plan->first[i + 1] - plan->first[i]);
        scry__editor_destroy(&editor);
        if (own) return scry__fail_prefix(own, "patch %d", i + 1);
    }
    return status;
}

/* Where the patch begins: its lowest layer and its lowest position of all that changes. False where nothing does. */
static bool find_start(const scry__sweep_plan *plan, int patch, scry__sweep_start *start)
{
    bool any = false;
    *start   = (scry__sweep_start){patch, SCRY__NEVER, 0};
    for (int i = plan->first[patch]; i < plan->first[patch + 1]; i++) {
        scry__hook hook;
        int        layer;
        if (plan->changes[i] < 0) continue;
        scry__editor_place(plan->editor, i, &hook, &layer);
        if (!any) *start = (scry__sweep_start){patch, layer, plan->changes[i]};
        if (layer < start->layer) start->layer = layer;
        if (plan->changes[i] < start->position) start->position = plan->changes[i];
        any = true;
    }
    return any;
}

static int by_layer(const void *a, const void *b)
{
    const scry__sweep_start *x = a, *y = b;
    if (x->layer != y->layer) return x->layer < y->layer ? -1 : 1;
    return x->patch < y->patch ? -1 : 1;
}

/* The last position first. */
static int by_position(const void *a, const void *b)
{
    const scry__sweep_start *x = a, *y = b;
    if (x->position != y->position) return x->position > y->position ? -1 : 1;
    return by_layer(a, b);
}

scry_status scry__sweep_plan_create(scry__sweep_plan *plan, scry_sweep *sweep, const scry_patch *patches, int count)
{
    int edit_count     = 0;
    *plan              = (scry__sweep_plan){0};
    scry_status status = flatten(plan, patches, count, &edit_count);
    if (!status) {
        status = create_editor(&plan->editor, sweep, plan->edits, edit_count);
        if (status == SCRY_BAD_ARGUMENT) status = name_patch(plan, sweep, count, status);
    }
    for (int i = 0; i < edit_count && !status; i++) plan->changes[i] = -1;
    if (!status && edit_count) status = find_changes(plan, sweep, edit_count);
    plan->starts = status ? NULL : scry__alloc((size_t)count, sizeof *plan->starts);
    if (!status && !plan->starts) status = SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < count && !status; i++)
        plan->count += find_start(plan, i, &plan->starts[plan->count]) || sweep->options.naive;
    if (status)
        scry__sweep_plan_finish(plan);
    else
        qsort(plan->starts, (size_t)plan->count, sizeof *plan->starts, by_position);
    return status;
}

void scry__sweep_plan_finish(scry__sweep_plan *plan)
{
    scry__editor_destroy(&plan->editor);
    scry__free(plan->starts);
    scry__free(plan->changes);
    scry__free(plan->first);
    scry__free(plan->edits);
    *plan = (scry__sweep_plan){0};
}

/* Behind the starts of one position. */
static int end_of_position(const scry__sweep_plan *plan, int begin)
{
    int end = begin;
    while (end < plan->count && plan->starts[end].position == plan->starts[begin].position) end++;
    return end;
}

int scry__sweep_plan_pass(scry__sweep_plan *plan, int begin, int batch, int *position)
{
    int whole = end_of_position(plan, begin), end = whole - begin > batch ? begin + batch : whole;
    while (end == whole && end < plan->count) {
        int rows = plan->starts[end - 1].position - plan->starts[end].position;
        whole    = end_of_position(plan, end);
        if (whole - begin > batch || (int64_t)rows * (end - begin) > PASS_ROWS) break;
        end = whole;
    }
    *position = plan->starts[end - 1].position;
    qsort(plan->starts + begin, (size_t)(end - begin), sizeof *plan->starts, by_layer);
    return end;
}
