/* The watched pass of a diagnosis: one run over the prompt, every op observed, attention's statistics and a sample of
 * its scores reduced head by head as they come. Needs memory that grows with the prompt's length, not its square. */
#include "analysis/diagnose.h"
#include "base/alloc.h"
#include "base/error.h"
#include "model/model.h"
#include "trace/read.h"

#include <math.h>
#include <string.h>

/* Most scores of a layer that are kept at once. */
enum { SAMPLE_SCORES = 1 << 24 };

struct watcher {
    scry__diagnosing  *diagnosing;
    scry__finite_watch finite;
    float             *values; /* the hook point's, on the host */
    size_t             capacity;
    float             *max; /* [H, T], until argmax comes */
};

static scry__watched *watched_of(const struct watcher *watcher)
{
    return &watcher->diagnosing->watched;
}

static scry__watched_head *head_of(const struct watcher *watcher, int layer, int head)
{
    scry__watched *watched = watched_of(watcher);
    return &watched->heads[layer * watched->head_count + head];
}

/* Keys that a row may see by the model's own rule. */
static int64_t allowed_keys(const struct watcher *watcher, int layer, int64_t row)
{
    int64_t window = watcher->diagnosing->model->arch.layers[layer].window;
    return window > 0 && window < row + 1 ? window : row + 1;
}

static void take_entropy(const struct watcher *watcher, int layer, const float *values)
{
    int count = watched_of(watcher)->token_count;
    for (int head = 0; head < watched_of(watcher)->head_count; head++) {
        double sum = 0, rows = 0;
        for (int i = 1; i < count; i++) {
            double most = log((double)allowed_keys(watcher, layer, i));
            if (most <= 0) continue;
            sum += (double)values[(int64_t)head * count + i] / most;
            rows++;
        }
        head_of(watcher, layer, head)->entropy = rows > 0 ? sum / rows : NAN;
    }
}

/* Rows 0 and 1 have next to no choice and are left out. */
static void take_argmax(const struct watcher *watcher, int layer, const int32_t *keys)
{
    int count = watched_of(watcher)->token_count;
    for (int head = 0; head < watched_of(watcher)->head_count; head++) {
        double saturated = 0, single = 0;
        for (int i = 2; i < count; i++) {
            int64_t at = (int64_t)head * count + i;
            if (!((double)watcher->max[at] > SCRY__SATURATED)) continue;
            single++;
            saturated += keys[at] > 0;
        }
        head_of(watcher, layer, head)->saturated = count > 2 ? saturated / (count - 2) : NAN;
        head_of(watcher, layer, head)->single    = count > 2 ? single / (count - 2) : NAN;
    }
}

void scry__watched_empty(scry__watched *watched, scry_place place, bool by_number)
{
    if (!watched->empty_heads++) watched->first_empty = place;
    watched->empty_at[place.query]++;
    watched->heads[place.layer * watched->head_count + place.head].empty++;
    watched->empty_by_number |= by_number;
}

static void take_lse(const struct watcher *watcher, int layer, const float *values)
{
    scry__watched *watched = watched_of(watcher);
    for (int head = 0; head < watched->head_count; head++) {
        for (int i = 0; i < watched->token_count; i++) {
            float lse = values[(int64_t)head * watched->token_count + i];
            if (lse < SCRY__HIDDEN_SCORE + 100) /* that many keys do not lift it that far */
                scry__watched_empty(watched, (scry_place){layer, head, i, -1}, isfinite(lse));
        }
    }
}

/* What a head's rows leave to keys after their queries: distances from 0 on are those before. */
static void take_distance(const struct watcher *watcher, int layer, const float *values)
{
    int count = watched_of(watcher)->token_count;
    for (int head = 0; head < watched_of(watcher)->head_count; head++) {
        double sum = 0;
        for (int n = 0; n < count; n++) sum += (double)values[(int64_t)head * count + n];
        head_of(watcher, layer, head)->future = count - head_of(watcher, layer, head)->empty - sum;
    }
}

/* Root mean square of a head's vectors [T, heads, D], and the share of it that is not common to all positions. */
static void measure(const float *values, int count, int heads, int size, int head, double *rms, double *spread)
{
    double all = 0, common = 0;
    for (int d = 0; d < size; d++) {
        double sum = 0;
        for (int t = 0; t < count; t++) {
            double value = (double)values[((int64_t)t * heads + head) * size + d];
            sum += value;
            all += value * value;
        }
        common += sum * sum / count;
    }
    *rms    = sqrt(all / ((double)count * size));
    *spread = all > 0 ? sqrt(fmax(0, 1 - common / all)) : 0;
}

static void take_vectors(const struct watcher *watcher, int layer, const float *values, bool keys)
{
    const scry_model_info *info   = scry_model_get_info(watcher->diagnosing->model);
    int                    groups = keys ? info->kv_head_count : info->head_count, share = info->head_count / groups;
    for (int group = 0; group < groups; group++) {
        double rms, spread;
        measure(values, watched_of(watcher)->token_count, groups, info->head_size, group, &rms, &spread);
        for (int head = group * share; head < (group + 1) * share; head++) {
            scry__watched_head *out                         = head_of(watcher, layer, head);
            *(keys ? &out->key_size : &out->query_size)     = rms;
            *(keys ? &out->key_spread : &out->query_spread) = spread;
        }
    }
}

/* The score from which on down a row's keys are hidden: far below what it sees, too, for scores may be large. */
static float hidden_below(const float *scores, int count)
{
    float largest = -INFINITY;
    for (int key = 0; key < count; key++) largest = fmaxf(largest, scores[key]);
    return largest > SCRY__HIDDEN_SCORE ? fminf(SCRY__HIDDEN_SCORE, -20 * fabsf(largest)) : SCRY__HIDDEN_SCORE;
}

void scry__watched_count(scry__watched *watched, const float *scores, int64_t allowed, scry_place place)
{
    scry__visibility *sight = &watched->sight;
    int64_t           begin = place.query + 1 - allowed;
    float             below = hidden_below(scores, watched->token_count);
    bool              any   = false;
    for (int key = 0; key < watched->token_count; key++) any |= scores[key] > below;
    sight->future_all += watched->token_count - 1 - place.query;
    for (int key = 0; any && key < watched->token_count; key++) {
        bool seen = scores[key] > below, ahead = key > place.query;
        if (seen && ahead) {
            if (!sight->future++) sight->first_future = (scry_place){place.layer, place.head, place.query, key};
            sight->future_next += key == place.query + 1;
        }
        if (seen && key < begin && !sight->beyond++)
            sight->first_beyond = (scry_place){place.layer, place.head, place.query, key};
        if (ahead || key < begin) continue;
        sight->allowed_at[key]++;
        sight->own += key == place.query;
        if (seen && place.query - key > sight->farthest_seen) sight->farthest_seen = place.query - key;
        if (seen) continue;
        if (!sight->hidden++) sight->first_hidden = (scry_place){place.layer, place.head, place.query, key};
        if (place.query - key < sight->nearest_hidden) sight->nearest_hidden = place.query - key;
        sight->hidden_at[key]++;
        sight->hidden_self += key == place.query;
    }
}

/* Standard deviation of the scores that a row sees; NaN with fewer than two. */
static double spread_of(const float *scores, int count)
{
    double seen = 0, sum = 0, squares = 0;
    float  below = hidden_below(scores, count);
    for (int key = 0; key < count; key++) {
        if (!(scores[key] > below)) continue;
        seen++;
        sum += (double)scores[key];
    }
    for (int key = 0; key < count; key++) {
        double apart = (double)scores[key] - sum / seen;
        if (scores[key] > below) squares += apart * apart;
    }
    return seen > 1 ? sqrt(squares / seen) : NAN;
}

static void keep_weights(float *out, const float *scores, int count)
{
    double largest = -INFINITY, sum = 0;
    for (int key = 0; key < count; key++) largest = fmax(largest, (double)scores[key]);
    for (int key = 0; key < count; key++) sum += isfinite(largest) ? exp((double)scores[key] - largest) : 0;
    for (int key = 0; key < count; key++) out[key] = sum > 0 ? (float)(exp((double)scores[key] - largest) / sum) : 0.0F;
}

static void take_scores(const struct watcher *watcher, int layer, const float *values)
{
    scry__watched *watched = watched_of(watcher);
    int            count = watched->token_count, begin = count - watched->sampled;
    for (int head = 0; head < watched->head_count; head++) {
        double sum = 0, rows = 0;
        for (int i = begin; i < count; i++) {
            const float *scores  = values + ((int64_t)head * watched->sampled + (i - begin)) * count;
            int64_t      allowed = allowed_keys(watcher, layer, i);
            double       spread  = spread_of(scores, count);
            scry__watched_count(watched, scores, allowed, (scry_place){layer, head, i, -1});
            if (isnan(spread)) continue;
            sum += spread;
            rows++;
        }
        head_of(watcher, layer, head)->spread = rows > 0 ? sum / rows : NAN;
        keep_weights(watched->last + ((int64_t)layer * watched->head_count + head) * count,
                     values + ((int64_t)(head + 1) * watched->sampled - 1) * count, count);
    }
}

/* Also tells the observer which layer the pass is in: every hook point is asked for on the way. */
static bool wants(void *user, scry__hook hook, int layer)
{
    struct watcher *watcher = user;
    watcher->finite.layer   = layer;
    switch (hook) {
    case SCRY__HOOK_Q:
    case SCRY__HOOK_K:
    case SCRY__HOOK_ATTN_SCORES:
    case SCRY__HOOK_STAT_LSE:
    case SCRY__HOOK_STAT_ENTROPY:
    case SCRY__HOOK_STAT_MAX:
    case SCRY__HOOK_STAT_ARGMAX:
    case SCRY__HOOK_STAT_DISTANCE:
    case SCRY__HOOK_LOGITS:
        return true;
    default:
        return false;
    }
}

static void tile(void *user, int layer, scry_attention_capture *capture, int64_t *queries, int64_t *keys)
{
    const scry__watched *watched = watched_of(user);
    (void)layer;
    (void)keys;
    capture->query_begin = watched->token_count - watched->sampled;
    *queries             = watched->sampled;
}

static scry_status mask(void *user, int layer, scry_mask *out)
{
    return scry__diagnose_mask(((struct watcher *)user)->diagnosing, layer, out);
}

static scry_status read_values(struct watcher *watcher, const scry_tensor *value)
{
    size_t count = (size_t)scry_tensor_count(value);
    if (count > watcher->capacity) {
        scry__free(watcher->values);
        watcher->values   = scry__alloc(count, sizeof *watcher->values);
        watcher->capacity = watcher->values ? count : 0;
    }
    return watcher->values ? scry__read_tensor(value, watcher->values) : SCRY_OUT_OF_MEMORY;
}

static scry_status at(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    struct watcher *watcher = user;
    if (hook == SCRY__HOOK_LOGITS) return SCRY_OK; /* wanted for the observer to see them made */
    if (watcher->finite.found) return SCRY_OK;     /* what follows tells of that, and of no mask */
    scry_status status = read_values(watcher, value);
    if (status) return status;
    const float *values = watcher->values;
    switch (hook) {
    case SCRY__HOOK_Q:
    case SCRY__HOOK_K:
        take_vectors(watcher, layer, values, hook == SCRY__HOOK_K);
        break;
    case SCRY__HOOK_ATTN_SCORES:
        take_scores(watcher, layer, values);
        break;
    case SCRY__HOOK_STAT_LSE:
        take_lse(watcher, layer, values);
        break;
    case SCRY__HOOK_STAT_ENTROPY:
        take_entropy(watcher, layer, values);
        break;
    case SCRY__HOOK_STAT_MAX:
        memcpy(watcher->max, values, (size_t)scry_tensor_count(value) * sizeof *values);
        break;
    case SCRY__HOOK_STAT_ARGMAX:
        take_argmax(watcher, layer, (const int32_t *)(const void *)values);
        break;
    default:
        take_distance(watcher, layer, values);
    }
    return SCRY_OK;
}

scry_status scry__watched_create(scry__watched *watched, int layers, int heads, int tokens)
{
    scry__visibility *sight = &watched->sight;
    size_t            all   = (size_t)layers * (size_t)heads;
    int               most  = SAMPLE_SCORES / heads / tokens;
    watched->layer_count    = layers;
    watched->head_count     = heads;
    watched->token_count    = tokens;
    watched->sampled        = most < 1 ? 1 : most < tokens ? most : tokens;
    watched->heads          = scry__alloc(all, sizeof *watched->heads);
    watched->last           = scry__alloc(watched->from_file ? 0 : all, (size_t)tokens * sizeof *watched->last);
    watched->empty_at       = scry__alloc((size_t)tokens, sizeof *watched->empty_at);
    sight->hidden_at        = scry__alloc((size_t)tokens, sizeof *sight->hidden_at);
    sight->allowed_at       = scry__alloc((size_t)tokens, sizeof *sight->allowed_at);
    sight->nearest_hidden   = INT64_MAX;
    return watched->heads && watched->last && watched->empty_at && sight->hidden_at && sight->allowed_at
               ? SCRY_OK
               : SCRY_OUT_OF_MEMORY;
}

void scry__watched_finish(scry__watched *watched)
{
    scry__free(watched->heads);
    scry__free(watched->last);
    scry__free(watched->empty_at);
    scry__free(watched->sight.hidden_at);
    scry__free(watched->sight.allowed_at);
    *watched = (scry__watched){0};
}

static scry_status run(struct watcher *watcher)
{
    scry_model        *model    = watcher->diagnosing->model;
    const scry_tokens *tokens   = watcher->diagnosing->result->tokens;
    scry__session     *session  = NULL;
    const scry__hooks  hooks    = {.user = watcher, .wants = wants, .at = at, .tile = tile, .mask = mask};
    scry__observer     observer = {.after = scry__finite_after, .user = &watcher->finite};
    scry_status status = scry__session_create(&session, model, &(scry__session_options){.capacity = tokens->count});
    if (!status) {
        scry__device_observe(model->device, &observer);
        status = scry__session_forward(session, tokens->ids, tokens->count, &hooks);
        scry__device_observe(model->device, NULL);
    }
    scry__session_destroy(&session);
    return status;
}

static scry_status settle_finite(scry__diagnosing *diagnosing, const scry__finite_watch *seen)
{
    scry_finding finding = {.kind     = SCRY_DIAGNOSIS_NOT_FINITE,
                            .severity = SCRY_SEVERITY_ERROR,
                            .place    = seen->place,
                            .evidence = {{"values that are not finite", (double)seen->bad, 0},
                                         {"largest magnitude that the op read", seen->largest, NAN}}};
    diagnosing->finite   = !seen->found;
    if (!seen->found)
        return scry__diagnose_settle(diagnosing, SCRY_DIAGNOSIS_NOT_FINITE, SCRY_OUTCOME_CLEAR,
                                     "every output of every op of the pass is finite");
    finding.advice    = *seen->source
                            ? "What came in is not finite: convert the checkpoint again (f16 ends at 65,504), or "
                              "look at how the mask was made."
                            : "The op overflows: look at the size of what it reads (scry trace), and at the scale "
                              "of the weights named here.";
    const char *value = seen->is_nan ? "NaN" : "infinite";
    const char *with = *seen->weight ? " with " : "", *weight = seen->weight;
    if (*seen->source)
        return scry__diagnose_add(
            diagnosing, finding,
            "%s%s%s gives %lld of %lld values (%s) that are not finite, the first in the pass: %s "
            "that it reads are not finite themselves",
            seen->op, with, weight, (long long)seen->bad, (long long)seen->count, value, seen->source);
    return scry__diagnose_add(diagnosing, finding,
                              "%s%s%s gives %lld of %lld values (%s) that are not finite, the first in the pass: all "
                              "that it reads is finite",
                              seen->op, with, weight, (long long)seen->bad, (long long)seen->count, value);
}

scry_status scry__diagnose_watch(scry__diagnosing *diagnosing)
{
    const scry_model_info *info    = scry_model_get_info(diagnosing->model);
    int                    count   = diagnosing->result->tokens->count;
    struct watcher         watcher = {.diagnosing = diagnosing,
                                      .finite     = {.model = diagnosing->model, .layer = -1},
                                      .max = scry__alloc((size_t)info->head_count, (size_t)count * sizeof(float))};
    scry_status            status  = watcher.max ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    if (!status) status = scry__watched_create(&diagnosing->watched, info->layer_count, info->head_count, count);
    if (!status) status = run(&watcher);
    if (!status) status = settle_finite(diagnosing, &watcher.finite);
    scry__finite_finish(&watcher.finite);
    scry__free(watcher.values);
    scry__free(watcher.max);
    return status;
}
