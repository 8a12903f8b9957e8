/* Queries and keys as the report keeps them: from them follow the scores and weights that the model computed. */
#include "base/alloc.h"
#include "fixture.h"
#include "refusals.h"
#include "report/html_attention.h"
#include "report/html_neurons.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

TestSuite(neurons, .timeout = 300);

struct taker {
    scry__report_attention *attention;
    scry__report_neurons   *neurons;
    float                  *scores, *pattern; /* [layers, H, T, T] */
    size_t                  layer_size;
};

static scry_status take(void *user, const scry_capture *capture)
{
    struct taker *taker     = user;
    bool          is_scores = strstr(capture->name, "scores"), is_pattern = strstr(capture->name, "pattern");
    float        *kept = is_scores ? taker->scores : taker->pattern;
    if (!is_scores && !is_pattern) return scry__report_neurons_take(taker->neurons, taker->attention, capture);
    memcpy(kept + (size_t)capture->layer * taker->layer_size, capture->data, taker->layer_size * sizeof *kept);
    return is_pattern ? scry__report_attention_add(taker->attention, capture->layer, capture->data) : SCRY_OK;
}

static struct taker run(const struct fixture *f)
{
    const scry_model_info *info  = scry_model_get_info(f->model);
    struct taker           taker = {.layer_size = (size_t)info->head_count * (size_t)f->id_count * (size_t)f->id_count};
    scry_trace            *trace = NULL;
    char                   hooks[256];
    taker.scores  = scry__alloc((size_t)info->layer_count, taker.layer_size * sizeof(float));
    taker.pattern = scry__alloc((size_t)info->layer_count, taker.layer_size * sizeof(float));
    snprintf(hooks, sizeof hooks, "blocks.*.attn.hook_attn_scores,blocks.*.attn.hook_pattern,%s",
             scry__report_neurons_hooks(f->model));
    const scry_trace_options options = {
        .ids = f->ids, .id_count = f->id_count, .hooks = hooks, .sink = take, .user = &taker};
    cr_assert_eq(scry__report_attention_create(&taker.attention, info->layer_count, info->head_count, f->id_count, 1),
                 SCRY_OK);
    cr_assert_eq(scry__report_neurons_create(&taker.neurons, f->model, f->id_count), SCRY_OK);
    cr_assert_eq(scry_trace_run(&trace, f->model, NULL, &options), SCRY_OK, "%s: %s", f->name, scry_last_error());
    scry_trace_destroy(&trace);
    return taker;
}

static void finish(struct taker *taker)
{
    scry__report_neurons_destroy(&taker->neurons);
    scry__report_attention_destroy(&taker->attention);
    scry__free(taker->scores);
    scry__free(taker->pattern);
}

/* The score of a pair, and how far it may be off: each entry is rounded to half a step, which the other's size carries,
 * and the model's own f32 product of n entries, with scale and lse, to n + 4 units of what it adds up. */
static double score_of(const scry__report_neurons *neurons, int layer, const struct scry__query_head *query,
                       const struct scry__vectors *key, int i, int j, double *bound)
{
    int            size = neurons->size;
    const int16_t *q = query->vectors.codes + (size_t)i * (size_t)size, *k = key->codes + (size_t)j * (size_t)size;
    double q_step = query->vectors.steps[i], k_step = key->steps[j], scale = neurons->layers[layer].scale, sum = 0;
    *bound = 0;
    for (int d = 0; d < size; d++) {
        double a = q[d] * q_step, b = k[d] * k_step;
        sum += a * b;
        *bound += (fabs(a) * k_step + fabs(b) * q_step + q_step * k_step / 2) / 2 + fabs(a * b) * (size + 4) * 0x1p-24;
    }
    *bound *= fabs(scale);
    return neurons->softcap > 0 ? neurons->softcap * tanh(scale * sum / neurons->softcap) : scale * sum;
}

static void check_head(const struct taker *taker, const char *name, int layer, const struct scry__query_head *query)
{
    const scry__report_neurons      *neurons = taker->neurons;
    const struct scry__neuron_layer *all     = &neurons->layers[layer];
    const struct scry__vectors      *key     = NULL;
    int                              count = neurons->token_count, head = query->vectors.head;
    for (int i = 0; i < all->key_count; i++)
        if (all->keys[i].head == query->key_head) key = &all->keys[i];
    cr_assert_not_null(key, "%s: the keys of head %d.%d are kept", name, layer, head);
    for (int i = 0; i < count; i++)
        for (int j = 0; j <= i; j++) {
            size_t at = (size_t)layer * taker->layer_size + ((size_t)head * (size_t)count + (size_t)i) * (size_t)count +
                        (size_t)j;
            double bound, score = score_of(neurons, layer, query, key, i, j, &bound);
            if (!isfinite(taker->scores[at])) continue; /* behind the window */
            cr_assert_leq(fabs(score - (double)taker->scores[at]), bound, "%s: score %d.%d, %d <- %d: %g, model %g",
                          name, layer, head, i, j, score, (double)taker->scores[at]);
            double weight = exp(score - (double)query->lse[i]);
            cr_assert_leq(fabs(weight - (double)taker->pattern[at]), weight * (2 * bound + 0x1p-18),
                          "%s: weight %d.%d, %d <- %d: %g, model %g", name, layer, head, i, j, weight,
                          (double)taker->pattern[at]);
        }
}

static void check(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    struct taker taker = run(&f);
    cr_expect_eq(taker.neurons->kept, scry_model_get_info(f.model)->head_count, "%s: all heads fit", name);
    for (int layer = 0; layer < taker.neurons->layer_count; layer++) {
        cr_expect_eq(taker.neurons->layers[layer].query_count, taker.neurons->kept, "%s", name);
        for (int i = 0; i < taker.neurons->layers[layer].query_count; i++)
            check_head(&taker, name, layer, &taker.neurons->layers[layer].queries[i]);
    }
    finish(&taker);
    fixture_close(&f);
}

Test(neurons, scores__follow_from_queries_and_keys_of_every_family)
{
    char names[FIXTURE_MAX][64];
    int  count = fixture_names(names);
    for (int i = 0; i < count; i++) check("reference", names[i]);
}

Test(neurons, scores__on_the_cpu_are_the_same)
{
    check("cpu", "llama");
}

/* Where not all fit, each layer keeps those that look hardest from the last token. */
Test(neurons, heads__that_look_hardest_stay)
{
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    struct taker whole = run(&f), taker = {.layer_size = whole.layer_size, .scores = whole.scores};
    int          heads = whole.neurons->head_count, best = 0;
    for (int head = 1; head < heads; head++)
        if (scry__report_attention_look(whole.attention, 0, head) >
            scry__report_attention_look(whole.attention, 0, best))
            best = head;
    cr_assert_eq(scry__report_neurons_create(&taker.neurons, f.model, f.id_count), SCRY_OK);
    taker.neurons->kept = 1;
    for (int i = 0; i < 3; i++) {
        static char *const names[] = {(char *)"blocks.0.attn.hook_rot_q", (char *)"blocks.0.attn.hook_rot_k",
                                      (char *)"blocks.0.attn.stat_lse"};
        float             *data    = scry__alloc((size_t)f.id_count * (size_t)heads, 256 * sizeof *data);
        const scry_capture capture = {.name = names[i], .data = data};
        cr_assert_eq(scry__report_neurons_take(taker.neurons, whole.attention, &capture), SCRY_OK);
        scry__free(data);
    }
    cr_assert_eq(taker.neurons->layers[0].query_count, 1);
    cr_expect_eq(taker.neurons->layers[0].queries[0].vectors.head, best);
    const scry_capture strange = {.name = (char *)"logits", .layer = -1};
    cr_expect_eq(scry__report_neurons_take(taker.neurons, whole.attention, &strange), SCRY_BAD_ARGUMENT);
    scry__report_neurons_destroy(&taker.neurons);
    finish(&whole);
    fixture_close(&f);
}

Test(neurons, memory__refused_anywhere_is_an_error)
{
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    struct taker    whole    = run(&f);
    struct refusals refusals = {0};
    float          *data     = scry__alloc((size_t)f.id_count * (size_t)whole.neurons->head_count, 256 * sizeof *data);
    while (refusals_next(&refusals)) {
        scry__report_neurons *neurons = NULL;
        const scry_capture    capture = {.name = (char *)"blocks.0.attn.stat_lse", .data = data};
        scry_status           status  = scry__report_neurons_create(&neurons, f.model, f.id_count);
        if (!status) status = scry__report_neurons_take(neurons, whole.attention, &capture);
        refusals_check(&refusals, status, !status);
        scry__report_neurons_destroy(&neurons);
    }
    cr_expect_gt(refusals.refused, 5);
    scry__free(data);
    finish(&whole);
    fixture_close(&f);
}
