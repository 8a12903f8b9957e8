/* What one output position drew on. See scry/influence.h. */
#include "scry/influence.h"

#include "analysis/cut.h"
#include "analysis/look.h"
#include "analysis/progress.h"
#include "analysis/question.h"
#include "analysis/received.h"
#include "analysis/rollout.h"
#include "base/alloc.h"
#include "base/error.h"
#include "model/model.h"

#include <math.h>
#include <stdlib.h>

enum { DEFAULT_SINKS = 10 };

struct run {
    scry_model                   *model;
    const scry_influence_options *options;
    scry_influence               *result;
    scry__session                *prompt;
    scry__look                    look;
    scry__progress                progress;
};

const char *scry_cuts_text(scry_cuts cuts)
{
    static const char *const texts[] = {
#define CUTS_TEXT(name, text) text,
        SCRY_CUTS_LIST(CUTS_TEXT)
#undef CUTS_TEXT
    };
    return (unsigned)cuts < SCRY_CUTS_COUNT ? texts[cuts] : "unknown";
}

static scry_cut *new_cuts(size_t count)
{
    scry_cut *cuts = scry__alloc(count, sizeof *cuts);
    for (size_t i = 0; cuts && i < count; i++) cuts[i] = (scry_cut){NAN, NAN, NAN};
    return cuts;
}

static scry_status allocate(struct run *run)
{
    const scry_model_info *info   = scry_model_get_info(run->model);
    scry_influence        *result = run->result;
    size_t                 layers = (size_t)info->layer_count, heads = layers * (size_t)info->head_count,
           keys           = (size_t)result->key_count;
    bool each_edge        = result->cuts >= SCRY_CUTS_EDGES;
    result->layer_count   = info->layer_count;
    result->head_count    = info->head_count;
    result->weights       = scry__alloc(heads, keys * sizeof *result->weights);
    result->layer_weights = scry__alloc(layers, keys * sizeof *result->layer_weights);
    result->key_weights   = scry__alloc(keys, sizeof *result->key_weights);
    result->rollout       = scry__alloc(keys, sizeof *result->rollout);
    result->key_cuts      = new_cuts(keys);
    result->layer_cuts    = new_cuts(layers * keys);
    result->head_cuts     = new_cuts(heads);
    if (each_edge) result->edge_cuts = new_cuts(heads * keys);
    if (!result->weights || !result->layer_weights || !result->key_weights || !result->rollout || !result->key_cuts ||
        !result->layer_cuts || !result->head_cuts || (each_edge && !result->edge_cuts))
        return SCRY_OUT_OF_MEMORY;
    return scry__look_create(&run->look, info, result->key_count, !run->options->skip_rollout);
}

/* The uncut prediction at the position, whose row is the prompt's last: the target's, or the likeliest token's. */
static scry_status read_target(struct run *run)
{
    enum { ID, LOGIT, LSE, ENTROPY, WORDS };
    union {
        int32_t id;
        float   value;
    } host[WORDS];
    const scry_influence_options *options = run->options;
    scry_candidate               *target  = &run->result->target;
    scry_device                  *device  = scry_model_device(run->model);
    const int64_t                 one[]   = {1, 1, 1};
    scry_buffer                  *buffer  = NULL;
    scry_tensor                   resid   = scry__session_residual(run->prompt);
    scry_op                       op      = {.kind = SCRY_OP_LENS, .lens = scry__model_lens_op(run->model)};
    bool                          chosen  = scry__is_chosen(&options->target);
    scry_status                   status  = scry_buffer_create(&buffer, device, sizeof host);
    if (!status && chosen) status = scry__model_target(&target->id, run->model, &options->target);
    if (!status) status = scry_buffer_write(buffer, ID * sizeof *host, &target->id, sizeof target->id);
    if (status) goto done;
    op.lens.x       = scry_tensor_slice(resid, 1, resid.shape[1] - 1, 1);
    op.lens.lse     = scry_tensor_of(buffer, LSE * sizeof *host, SCRY_F32, 2, one);
    op.lens.entropy = scry_tensor_of(buffer, ENTROPY * sizeof *host, SCRY_F32, 2, one);
    if (chosen) {
        op.lens.target       = scry_tensor_of(buffer, ID * sizeof *host, SCRY_I32, 1, one);
        op.lens.target_logit = scry_tensor_of(buffer, LOGIT * sizeof *host, SCRY_F32, 2, one);
    } else {
        op.lens.top_id    = scry_tensor_of(buffer, ID * sizeof *host, SCRY_I32, 3, one);
        op.lens.top_logit = scry_tensor_of(buffer, LOGIT * sizeof *host, SCRY_F32, 3, one);
    }
    status = scry_device_run(device, &op);
    if (!status) status = scry_buffer_read(buffer, 0, host, sizeof host);
    if (status) goto done;
    target->id           = host[ID].id;
    target->logit        = host[LOGIT].value;
    run->result->lse     = host[LSE].value;
    run->result->entropy = host[ENTROPY].value;
    target->probability  = expf(target->logit - run->result->lse);
    status               = scry_token_text(run->model, target->id, &target->text);
done:
    scry_buffer_destroy(&buffer);
    return status;
}

static void average_weights(scry_influence *result)
{
    size_t keys = (size_t)result->key_count, heads = (size_t)result->head_count;
    for (size_t layer = 0; layer < (size_t)result->layer_count; layer++)
        for (size_t key = 0; key < keys; key++) {
            double sum = 0;
            for (size_t head = 0; head < heads; head++)
                sum += (double)result->weights[(layer * heads + head) * keys + key];
            result->layer_weights[layer * keys + key] = (float)(sum / (double)heads);
        }
    for (size_t key = 0; key < keys; key++) {
        double sum = 0;
        for (size_t layer = 0; layer < (size_t)result->layer_count; layer++)
            sum += (double)result->layer_weights[layer * keys + key];
        result->key_weights[key] = (float)(sum / result->layer_count);
    }
}

/* The largest ratio first; then in order of layer, head and key. */
static int by_ratio(const void *a, const void *b)
{
    const scry_sink *x = a, *y = b;
    if (x->ratio != y->ratio) return x->ratio < y->ratio ? 1 : -1;
    if (x->layer != y->layer) return x->layer - y->layer;
    return x->head != y->head ? x->head - y->head : x->key - y->key;
}

static scry_status add_sink(scry_influence *result, int *capacity, scry_sink sink)
{
    if (result->sink_count == *capacity) {
        int        larger = *capacity ? 2 * *capacity : 16;
        scry_sink *grown  = scry__realloc(result->sinks, (size_t)larger, sizeof *grown);
        if (!grown) return SCRY_OUT_OF_MEMORY;
        result->sinks = grown;
        *capacity     = larger;
    }
    result->sinks[result->sink_count++] = sink;
    return SCRY_OK;
}

static scry_status find_sinks(struct run *run, int most)
{
    scry_influence *result = run->result;
    int             keys = result->key_count, heads = result->head_count, capacity = 0;
    double         *null   = scry__alloc((size_t)keys, sizeof *null);
    scry_status     status = null ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (int i = 0; !status && i < result->layer_count * heads; i++) {
        int64_t       window = run->model->arch.layers[i / heads].window;
        const double *mass   = run->look.received + (size_t)i * (size_t)keys;
        scry__received_null(null, keys, window);
        for (int key = 0; !status && key < keys; key++) {
            int       rows = scry__received_rows(keys, window, key);
            scry_sink sink = {i / heads, i % heads, key, (float)(mass[key] / null[key]), (float)(mass[key] / rows)};
            if (scry__is_sink(mass[key], null[key], rows)) status = add_sink(result, &capacity, sink);
        }
    }
    scry__free(null);
    if (result->sink_count) qsort(result->sinks, (size_t)result->sink_count, sizeof *result->sinks, by_ratio);
    if (result->sink_count > most) result->sink_count = most;
    return status;
}

/* Cuts `edges` in one layer (-1: in all), a batch at a time. */
static scry_status sweep(struct run *run, scry__cutter *cutter, int layer, const scry__edge *edges, int count,
                         scry_cut *cuts)
{
    int         batch  = scry__cutter_batch(cutter);
    scry_status status = SCRY_OK;
    for (int at = 0; !status && at < count; at += batch) {
        int some = count - at < batch ? count - at : batch;
        status   = scry__cutter_measure(cutter, layer, edges + at, some, cuts + at);
        if (!status) status = scry__progress_step(&run->progress);
    }
    return status;
}

/* How many batches all sweeps together take. */
static int64_t count_batches(const scry_influence *result, int batch)
{
    int64_t keys = result->key_count, layers = result->layer_count, heads = result->head_count, all = 0;
    all += (keys + batch - 1) / batch;
    if (result->cuts >= SCRY_CUTS_LAYERS) all += layers * ((keys + batch - 1) / batch);
    if (result->cuts >= SCRY_CUTS_HEADS) all += layers * ((heads + batch - 1) / batch);
    if (result->cuts >= SCRY_CUTS_EDGES) all += layers * ((heads * keys + batch - 1) / batch);
    return all;
}

/* Every edge of a layer: first each key in all heads, then each head by all keys, then key by key. */
static scry__edge *list_edges(int heads, int keys)
{
    scry__edge *edges = scry__alloc(((size_t)heads + 1) * ((size_t)keys + 1), sizeof *edges), *next = edges;
    if (!edges) return NULL;
    for (int key = 0; key < keys; key++) *next++ = (scry__edge){-1, key};
    for (int head = 0; head < heads; head++) *next++ = (scry__edge){head, -1};
    for (int head = 0; head < heads; head++)
        for (int key = 0; key < keys; key++) *next++ = (scry__edge){head, key};
    return edges;
}

static scry_status measure(struct run *run)
{
    scry_influence *result = run->result;
    int             layers = result->layer_count, heads = result->head_count, keys = result->key_count;
    scry__cutter   *cutter = NULL;
    scry_cuts       cuts   = result->cuts;
    scry__edge     *edges = list_edges(heads, keys), *by_head = edges + keys, *each = by_head + heads;
    scry_status     status;
    if (!edges) return SCRY_OUT_OF_MEMORY;
    status = scry__cutter_create(&cutter, run->model,
                                 &(scry__cutter_options){.prompt   = run->prompt,
                                                         .position = result->position,
                                                         .id       = result->tokens->ids[result->position],
                                                         .target   = result->target.id,
                                                         .batch    = run->options->batch});
    if (!status) run->progress.total = count_batches(result, scry__cutter_batch(cutter));
    if (!status) status = sweep(run, cutter, -1, edges, keys, result->key_cuts);
    for (int layer = 0; cuts >= SCRY_CUTS_LAYERS && !status && layer < layers; layer++)
        status = sweep(run, cutter, layer, edges, keys, result->layer_cuts + (size_t)layer * (size_t)keys);
    for (int layer = 0; cuts >= SCRY_CUTS_HEADS && !status && layer < layers; layer++)
        status = sweep(run, cutter, layer, by_head, heads, result->head_cuts + (size_t)layer * (size_t)heads);
    for (int layer = 0; cuts >= SCRY_CUTS_EDGES && !status && layer < layers; layer++)
        status = sweep(run, cutter, layer, each, heads * keys,
                       result->edge_cuts + (size_t)layer * (size_t)heads * (size_t)keys);
    scry__cutter_destroy(&cutter);
    scry__free(edges);
    return status;
}

static scry_status check(const scry_influence_options *options)
{
    if ((unsigned)options->cuts >= SCRY_CUTS_COUNT)
        return scry__fail(SCRY_BAD_ARGUMENT, "cuts %d: expected 0 to %d", (int)options->cuts, SCRY_CUTS_COUNT - 1);
    if (options->most_sinks < 0)
        return scry__fail(SCRY_BAD_ARGUMENT, "most_sinks %d: expected 0 or more", options->most_sinks);
    if (options->batch < 0) return scry__fail(SCRY_BAD_ARGUMENT, "batch %d: expected 0 or more", options->batch);
    return SCRY_OK;
}

/* Looks at the prompt up to the position, then cuts. */
static scry_status look_and_measure(struct run *run)
{
    scry_influence *result = run->result;
    scry_status     status = scry__look_session(&run->prompt, run->model, result->key_count);
    run->look.weights      = result->weights;
    if (!status) status = scry__look_run(&run->look, run->prompt, result->tokens->ids);
    if (!status) status = read_target(run);
    if (status) return status;
    average_weights(result);
    if (run->look.means)
        status = scry__rollout(result->rollout, run->look.means, result->layer_count, result->key_count);
    for (int key = 0; !run->look.means && key < result->key_count; key++) result->rollout[key] = NAN;
    if (!status) status = find_sinks(run, run->options->most_sinks ? run->options->most_sinks : DEFAULT_SINKS);
    return !status && result->cuts > SCRY_CUTS_NONE ? measure(run) : status;
}

scry_status scry_influence_run(scry_influence **out, scry_model *model, const char *text,
                               const scry_influence_options *options)
{
    static const scry_influence_options defaults;
    struct run                          run = {.model = model, .options = options ? options : &defaults};
    *out                                    = NULL;
    run.progress                            = (scry__progress){run.options->progress, run.options->user, 0, 0};
    scry_status status                      = check(run.options);
    if (status) return status;
    run.result = scry__alloc(1, sizeof *run.result);
    if (!run.result) return SCRY_OUT_OF_MEMORY;
    run.result->cuts = run.options->cuts == SCRY_CUTS_DEFAULT ? SCRY_CUTS_HEADS : run.options->cuts;
    status           = scry_tokens_create(&run.result->tokens, model, text, run.options->ids, run.options->id_count);
    if (!status)
        status = scry__question_position(&run.result->position, run.result->tokens, run.options->has_position,
                                         run.options->position);
    run.result->key_count = run.result->position + 1;
    if (!status) status = allocate(&run);
    if (!status) status = look_and_measure(&run);
    scry__look_finish(&run.look);
    scry__session_destroy(&run.prompt);
    if (status)
        scry_influence_destroy(&run.result);
    else
        *out = run.result;
    return status;
}

void scry_influence_destroy(scry_influence **influence)
{
    scry_influence *self = influence ? *influence : NULL;
    if (!self) return;
    scry__free(self->sinks);
    scry__free(self->edge_cuts);
    scry__free(self->head_cuts);
    scry__free(self->layer_cuts);
    scry__free(self->key_cuts);
    scry__free(self->rollout);
    scry__free(self->key_weights);
    scry__free(self->layer_weights);
    scry__free(self->weights);
    scry__free(self->target.text);
    scry_tokens_destroy(&self->tokens);
    scry__free(self);
    *influence = NULL;
}
