/* Attribution patching: the effects of all patches to first order, from one backward pass. See patch.h.
 *
 * Values of the source in place of the baseline's change the logit difference by its gradient there times the
 * difference of both, up to what is quadratic in it. One pass down the baseline meets the gradients of every kind, so
 * that a cell costs a dot product. */
#include "analysis/frozen.h"
#include "analysis/patch.h"
#include "base/alloc.h"
#include "base/text.h"
#include "model/backward.h"
#include "scry/trace.h"
#include "trace/edit.h"
#include "trace/read.h"

#include <math.h>

/* Some layers of all grids under way. */
struct turn {
    scry__patch_run *run;
    int              first, count; /* layers */
    scry_patch_grid *grids[SCRY__HOOK_COUNT];
    scry_trace      *base, *source; /* what these layers hold in both runs */
    float           *gradient;      /* [position, columns] of one hook point */
};

/* --- cells --- */

/* Gradient times difference over one head's columns at a position of the baseline. */
static double estimate_at(const struct turn *turn, const scry_capture *base, const scry_capture *source, int head,
                          int position)
{
    size_t columns  = (size_t)base->shape[base->rank - 1];
    size_t heads    = base->rank == 3 ? (size_t)base->shape[1] : 1;
    size_t here     = ((size_t)position * heads + (size_t)head) * columns;
    size_t there    = ((size_t)turn->run->result->matches[position] * heads + (size_t)head) * columns;
    double estimate = 0;
    for (size_t i = 0; i < columns; i++)
        estimate += (double)turn->gradient[here + i] *
                    ((double)((const float *)source->data)[there + i] - (double)((const float *)base->data)[here + i]);
    return estimate;
}

/* One layer's cells, whose gradient has come. */
static void fill_layer(const struct turn *turn, scry_patch_grid *grid, int layer)
{
    const scry_patching *result = turn->run->result;
    const scry_capture  *base, *source;
    char                 name[SCRY__HOOK_NAME_SIZE];
    bool                 together = grid->position_count == 1;
    double               whole    = (double)scry_patching_source(result)->logit_difference -
                   (double)scry_patching_baseline(result)->logit_difference;
    scry__patch_hook(name, grid->kind, layer);
    base   = scry_trace_find(turn->base, name);
    source = scry_trace_find(turn->source, name);
    for (int head = 0; head < grid->head_count && result->defined; head++) {
        size_t           row   = (size_t)layer * (size_t)grid->head_count + (size_t)head;
        scry_patch_cell *cells = &grid->cells[row * (size_t)grid->position_count];
        double           sum   = 0;
        for (int i = 0; !together && i < result->first_difference; i++) cells[i].estimate = 0;
        for (int i = turn->run->begin; i < result->position_count; i++) {
            double estimate = estimate_at(turn, base, source, head, i);
            sum += estimate;
            if (!together) cells[i].estimate = (float)(estimate / whole);
        }
        if (together) cells[0].estimate = (float)(sum / whole);
    }
}

static bool wants(void *user, scry__hook hook, int layer)
{
    const struct turn *turn = user;
    return turn->grids[hook] && layer >= turn->first && layer < turn->first + turn->count;
}

static scry_status take(void *user, scry__hook hook, int layer, const scry_tensor *gradient)
{
    const struct turn *turn   = user;
    scry_status        status = scry__read_tensor(gradient, turn->gradient);
    if (!status) fill_layer(turn, turn->grids[hook], layer);
    return status;
}

/* --- passes --- */

static scry_status trace_side(scry_trace **out, const struct turn *turn, const scry_patch_side *side)
{
    const scry_patching *result = turn->run->result;
    scry__text           hooks = {0}, layers = {0};
    scry__text_addf(&layers, "%d-%d", turn->first, turn->first + turn->count - 1);
    for (int i = 0; i < result->grid_count; i++) {
        char name[SCRY__HOOK_NAME_SIZE];
        if (result->grids[i].kind == SCRY_PATCH_PATTERN) continue;
        scry__patch_hook(name, result->grids[i].kind, -1);
        scry__text_addf(&hooks, "%s%s", hooks.size ? "," : "", name);
    }
    scry_status status = hooks.status ? hooks.status : layers.status;
    if (!status)
        status = scry_trace_run(
            out, turn->run->model, NULL,
            &(scry_trace_options){
                .ids = side->tokens->ids, .id_count = side->position + 1, .hooks = hooks.data, .layers = layers.data});
    scry__text_finish(&layers);
    scry__text_finish(&hooks);
    return status;
}

static scry_status run_turn(struct turn *turn, scry__tape *tape, const scry_tensor *d_normed)
{
    const scry_patching  *result = turn->run->result;
    const scry__gradients wanted = {.wants = wants, .at = take, .user = turn, .first_layer = turn->first};
    scry_status           status = trace_side(&turn->base, turn, scry_patching_baseline(result));
    if (!status) status = trace_side(&turn->source, turn, scry_patching_source(result));
    if (!status) status = scry__backward_normed(tape, d_normed, &wanted);
    scry_trace_destroy(&turn->source);
    scry_trace_destroy(&turn->base);
    return status ? status : scry__progress_step(&turn->run->progress);
}

/* The logit difference's gradient in what the unembedding reads: at the last row the answer's row of it less the wrong
 * one's, elsewhere 0. The buffer is to be destroyed, also after a failure. */
static scry_status make_gradient(scry_tensor *d_normed, const scry__patch_run *run)
{
    int           size    = scry_model_get_info(run->model)->hidden_size;
    const int64_t shape[] = {1, run->result->position_count, size};
    size_t        count   = (size_t)shape[1] * (size_t)shape[2];
    scry__reading reading;
    scry__share   bias   = {0, 0};
    float        *rows   = scry__alloc(count, sizeof *rows);
    scry_buffer  *buffer = NULL;
    scry_status   status = scry__reading_create(&reading, size);
    if (!rows) status = SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < 2 && !status; i++)
        status = scry__reading_add_token(&reading, run->model, run->targets[i], i ? -1 : 1, &bias);
    for (int i = 0; i < size && !status; i++) rows[count - (size_t)size + (size_t)i] = (float)reading.direction[i];
    if (!status) status = scry_buffer_create(&buffer, scry_model_device(run->model), count * sizeof *rows);
    if (!status) status = scry_buffer_write(buffer, 0, rows, count * sizeof *rows);
    *d_normed = scry_tensor_of(buffer, 0, SCRY_F32, 3, shape);
    scry__reading_finish(&reading);
    scry__free(rows);
    return status;
}

/* All layers, in as many turns as memory asks for; one forward pass serves them. */
static scry_status run_turns(struct turn *turn, int step, scry__session *session, const scry_tensor *d_normed)
{
    const scry_patch_side *base   = scry_patching_baseline(turn->run->result);
    int                    layers = scry_model_get_info(turn->run->model)->layer_count;
    scry__tape            *tape   = NULL;
    scry_status            status = scry__tape_create(&tape, session);
    if (!status) status = scry__tape_forward(tape, base->tokens->ids, base->position + 1);
    for (turn->first = 0; turn->first < layers && !status; turn->first += step) {
        turn->count = turn->first + step < layers ? step : layers - turn->first;
        status      = run_turn(turn, tape, d_normed);
    }
    scry__tape_destroy(&tape);
    return status;
}

/* Which grid a hook point's gradient goes to; returns the values that a position has in all of them. */
static double find_hooks(struct turn *turn, double *widest)
{
    const scry__patch_run *run = turn->run;
    double                 sum = 0;
    for (int i = 0; i < run->result->grid_count; i++) {
        scry_patch_grid *grid  = &run->result->grids[i];
        double           width = scry__patch_width(run, grid);
        char             name[SCRY__HOOK_NAME_SIZE];
        scry__hook       hook;
        int              layer;
        scry__patch_hook(name, grid->kind, 0);
        if (grid->kind == SCRY_PATCH_PATTERN || !scry__edit_find_hook(run->model, name, &hook, &layer)) continue;
        turn->grids[hook] = grid;
        *widest           = fmax(*widest, width);
        sum += width;
    }
    return sum;
}

scry_status scry__patch_estimate(scry__patch_run *run)
{
    struct turn    turn = {.run = run};
    int            rows = run->result->position_count, layers = scry_model_get_info(run->model)->layer_count;
    scry_tensor    d_normed = {0};
    scry__session *session  = NULL;
    double         widest = 0, sum = find_hooks(&turn, &widest);
    if (sum <= 0) return SCRY_OK;
    int step = scry__patch_layers_that_fit(run, 2 * sum);
    run->progress.total += (layers + step - 1) / step;
    turn.gradient      = scry__alloc((size_t)rows, (size_t)widest * sizeof *turn.gradient);
    scry_status status = turn.gradient ? make_gradient(&d_normed, run) : SCRY_OUT_OF_MEMORY;
    if (!status) status = scry__session_create(&session, run->model, &(scry__session_options){.capacity = rows});
    if (!status) status = run_turns(&turn, step, session, &d_normed);
    scry__session_destroy(&session);
    scry_buffer_destroy(&d_normed.buffer);
    scry__free(turn.gradient);
    return status;
}
