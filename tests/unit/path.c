/* Path patching: against traces with the same edits, on every family; what is exactly nothing or everything; a circuit
 * made by hand; and how ends of paths are written. */
#include "analysis/path.h"
#include "fixture.h"
#include "handmade.h"
#include "model/model.h"
#include "refusals.h"
#include "scry/trace.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
}

TestSuite(path, .init = use_plugins, .timeout = 120);

/* --- a fixture, and its prompt beside one that differs at a position --- */

enum { ANSWER = 3, WRONG = 5, FROM_END = 3 };

struct pair {
    struct fixture f;
    int32_t       *other;
    int            vocabulary, layers;
};

static void open_pair(struct pair *pair, const char *device, const char *name)
{
    fixture_open(&pair->f, device, name);
    pair->other      = malloc((size_t)pair->f.id_count * sizeof *pair->other);
    pair->vocabulary = scry_model_get_info(pair->f.model)->vocabulary;
    pair->layers     = scry_model_get_info(pair->f.model)->layer_count;
    memcpy(pair->other, pair->f.ids, (size_t)pair->f.id_count * sizeof *pair->other);
    int32_t *differs = &pair->other[pair->f.id_count - FROM_END];
    *differs         = (*differs + 40) % pair->vocabulary;
}

static void close_pair(struct pair *pair)
{
    free(pair->other);
    fixture_close(&pair->f);
}

/* The fixture's own prompt is the corrupt one, which is the baseline. */
static scry_path_options options_of(const struct pair *pair, const char *from, const char *to)
{
    return (scry_path_options){.pair = {.clean_ids        = pair->other,
                                        .clean_id_count   = pair->f.id_count,
                                        .corrupt_ids      = pair->f.ids,
                                        .corrupt_id_count = pair->f.id_count,
                                        .answer           = {.id = ANSWER, .has_id = true},
                                        .wrong            = {.id = WRONG, .has_id = true}},
                               .from = from,
                               .to   = to};
}

static scry_paths *run_paths(scry_model *model, const scry_path_options *options)
{
    scry_paths *paths = NULL;
    cr_assert_eq(scry_paths_run(&paths, model, NULL, NULL, options), SCRY_OK, "%s", scry_last_error());
    return paths;
}

static scry_trace *trace(const struct pair *pair, const int32_t *ids, const char *hooks, const scry_edit *edits,
                         int count)
{
    scry_trace      *out = NULL;
    const scry_edits all = {count, edits};
    cr_assert_eq(
        scry_trace_run(&out, pair->f.model, NULL,
                       &(scry_trace_options){.ids = ids, .id_count = pair->f.id_count, .hooks = hooks, .edits = &all}),
        SCRY_OK, "%s", scry_last_error());
    return out;
}

static double difference_of(const struct pair *pair, const scry_trace *run)
{
    const float *logits =
        (const float *)scry_trace_find(run, "logits")->data + (size_t)(pair->f.id_count - 1) * (size_t)pair->vocabulary;
    return (double)logits[ANSWER] - (double)logits[WRONG];
}

static scry_edit replace(const scry_trace *from, const char *hook, int head)
{
    const scry_capture *capture = scry_trace_find(from, hook);
    cr_assert(capture, "no %s", hook);
    scry_edit edit = {.hook   = capture->name,
                      .kind   = SCRY_EDIT_REPLACE,
                      .values = {capture->data, (int)capture->shape[0], capture->rank == 3 ? (int)capture->shape[1] : 1,
                                 (int)capture->shape[capture->rank - 1]}};
    if (head >= 0) edit.heads[0] = UINT64_C(1) << head;
    return edit;
}

/* --- against traces --- */

/* Head 0.0 to the queries of 1.1, the values of 1.0 and the MLP of layer 1, by hand: two runs with edits. What the MLP
 * makes of its input tells as much as the input. */
static double by_hand(const struct pair *pair, bool freeze)
{
    static const char hooks[] = "*.hook_z,*.hook_mlp_out";
    scry_trace       *base    = trace(pair, pair->f.ids, hooks, NULL, 0);
    scry_trace       *source  = trace(pair, pair->other, hooks, NULL, 0);
    scry_edit         first[2 * 64], second[3];
    int               count = 0;
    for (int layer = 0; layer < pair->layers; layer++) {
        char name[64];
        snprintf(name, sizeof name, "blocks.%d.attn.hook_z", layer);
        if (layer) first[count++] = replace(base, name, -1);
        snprintf(name, sizeof name, "blocks.%d.hook_mlp_out", layer);
        if (freeze) first[count++] = replace(base, name, -1);
    }
    first[count++] = replace(source, "blocks.0.attn.hook_z", 0);
    scry_trace *heard =
        trace(pair, pair->f.ids, "blocks.1.attn.hook_q,blocks.1.attn.hook_v,blocks.1.mlp.hook_post", first, count);
    second[0]          = replace(heard, "blocks.1.attn.hook_q", 1);
    second[1]          = replace(heard, "blocks.1.attn.hook_v", 0);
    second[2]          = replace(heard, "blocks.1.mlp.hook_post", -1);
    scry_trace *last   = trace(pair, pair->f.ids, "logits", second, 3);
    double      result = difference_of(pair, last);
    scry_trace_destroy(&last);
    scry_trace_destroy(&heard);
    scry_trace_destroy(&source);
    scry_trace_destroy(&base);
    return result;
}

static void check_receivers(const char *device, const char *name)
{
    struct pair pair;
    open_pair(&pair, device, name);
    for (int freeze = 0; freeze < 2; freeze++) {
        scry_path_options options = options_of(&pair, "0.0", "1.1.q,1.0.v,mlp1");
        options.freeze_mlps       = freeze;
        scry_paths *paths         = run_paths(pair.f.model, &options);
        double      expected      = by_hand(&pair, freeze);
        double      base          = (double)paths->pair->corrupt.logit_difference;
        double      whole         = (double)paths->pair->clean.logit_difference - base;
        cr_expect_eq(paths->count, 1);
        cr_expect_float_eq(paths->paths[0].cell.logit_difference, expected, 2 * PROMISE, "%s: %g, not %g", name,
                           (double)paths->paths[0].cell.logit_difference, expected);
        cr_expect_float_eq((double)paths->paths[0].cell.effect * whole, expected - base, 3 * PROMISE, "%s", name);
        cr_expect(paths->paths[0].changed && paths->mlps_frozen == freeze);
        scry_paths_destroy(&paths);
    }
    close_pair(&pair);
}

Test(path, receivers__hear_what_two_edited_traces_give)
{
    fixture_for_all(check_receivers);
}

static void check_some_receivers(const char *device, const char *name)
{
    if (!strcmp(name, "gpt2") || !strcmp(name, "qwen3")) check_receivers(device, name);
}

FIXTURES_ON_PLUGINS(path, receivers, hear_what_two_edited_traces_give, false, check_some_receivers)

static bool same_cell(const scry_path *a, const scry_path *b)
{
    return a->changed == b->changed && !memcmp(&a->cell.effect, &b->cell.effect, sizeof a->cell.effect) &&
           a->cell.logit_difference == b->cell.logit_difference && a->cell.probability == b->cell.probability &&
           a->cell.kl == b->cell.kl;
}

/* Runs that begin where a sender changes something, side by side, hear what whole passes hear: every bit of it. */
static void check_naive(const char *device, const char *name)
{
    static const char *const receivers[] = {"1.1.q,1.0.k,1.0.v,mlp1", "mlp0,1.0.q,logits", "1.0.k"};
    struct pair              pair;
    if (strcmp(device, "reference")) return;
    open_pair(&pair, device, name);
    for (size_t i = 0; i < COUNT(receivers); i++) {
        scry_path_options options = options_of(&pair, "heads,mlps,embed,0.0+mlp1,1.1+0.1", receivers[i]);
        options.freeze_mlps       = i == 1;
        options.pair.direction    = (scry_patch_direction)(i % 2);
        options.pair.has_position = i == 2;
        options.pair.position     = pair.f.id_count - 2;
        options.pair.batch        = i ? 0 : 3;
        scry_paths *found         = run_paths(pair.f.model, &options);
        options.pair.naive        = true;
        scry_paths *whole         = run_paths(pair.f.model, &options);
        cr_expect_eq(found->count, whole->count);
        for (int path = 0; path < found->count; path++)
            cr_expect(same_cell(&found->paths[path], &whole->paths[path]), "%s to %s: path %d: %.9g, not %.9g", name,
                      receivers[i], path, (double)found->paths[path].cell.logit_difference,
                      (double)whole->paths[path].cell.logit_difference);
        cr_expect_lt(found->cost.layer_tokens, whole->cost.layer_tokens);
        cr_expect_eq(found->cost.naive_layer_tokens, whole->cost.naive_layer_tokens);
        cr_expect(found->cost.patches == found->count && found->cost.skipped < found->count);
        scry_paths_destroy(&whole);
        scry_paths_destroy(&found);
    }
    close_pair(&pair);
}

Test(path, receivers__hear_the_bits_of_whole_passes)
{
    fixture_for_all(check_naive);
}

/* From 0.0 and 0.1 to the queries of layer 1: two runs that end behind it, two that begin there, each as a pass side by
 * side from where the prompts differ; and each time a pass that compares. */
Test(path, runs__begin_and_end_where_they_must)
{
    struct pair pair;
    open_pair(&pair, "cpu", "gpt2");
    scry_path_options options = options_of(&pair, "0.0,0.1", "1.1.q");
    scry_paths       *paths   = run_paths(pair.f.model, &options);
    int64_t           compare = (int64_t)2 * pair.layers * pair.f.id_count;
    cr_expect(pair.layers > 2 && paths->paths[0].changed && paths->paths[1].changed);
    cr_expect_eq(paths->cost.layer_tokens,
                 compare + (int64_t)2 * 2 * FROM_END + (int64_t)2 * (pair.layers - 1) * FROM_END, "%lld",
                 (long long)paths->cost.layer_tokens);
    cr_expect_eq(paths->cost.naive_layer_tokens, (int64_t)4 * pair.layers * pair.f.id_count);
    cr_expect_eq(paths->cost.passes, 4);
    scry_paths_destroy(&paths);
    close_pair(&pair);
}

/* To the logits, with nothing of its own behind it, a path is a patch. */
static void check_last(const char *device, const char *name)
{
    struct pair pair;
    char        text[32], mlp[64];
    open_pair(&pair, device, name);
    snprintf(text, sizeof text, "mlp%d", pair.layers - 1);
    snprintf(mlp, sizeof mlp, "blocks.%d.hook_mlp_out", pair.layers - 1);
    scry_path_options options = options_of(&pair, text, NULL);
    scry_paths       *paths   = run_paths(pair.f.model, &options);
    scry_trace       *source  = trace(&pair, pair.other, mlp, NULL, 0);
    scry_edit         edit    = replace(source, mlp, -1);
    scry_trace       *patched = trace(&pair, pair.f.ids, "logits", &edit, 1);
    cr_expect_float_eq(paths->paths[0].cell.logit_difference, difference_of(&pair, patched), 2 * PROMISE, "%s", name);
    scry_trace_destroy(&patched);
    scry_trace_destroy(&source);
    scry_paths_destroy(&paths);
    close_pair(&pair);
}

Test(path, last_mlp__to_the_logits_is_a_patch)
{
    fixture_for_all(check_last);
}

/* Of unequal prompts the last positions match: there the source's last row is what is heard. */
Test(path, unequal_prompts__are_matched_from_the_end)
{
    struct pair pair;
    open_pair(&pair, "cpu", "gpt2");
    int               count   = pair.f.id_count;
    scry_path_options options = options_of(&pair, "mlp2", NULL);
    scry_paths       *paths   = NULL;
    options.pair.corrupt_ids  = pair.f.ids + 1;
    options.pair.corrupt_id_count--;
    cr_expect_eq(scry_paths_run(&paths, pair.f.model, NULL, NULL, &options), SCRY_BAD_ARGUMENT);
    options.pair.align  = true;
    paths               = run_paths(pair.f.model, &options);
    scry_trace *source  = trace(&pair, pair.other, "blocks.2.hook_mlp_out", NULL, 0);
    scry_edit   edit    = replace(source, "blocks.2.hook_mlp_out", -1);
    int         columns = edit.values.columns;
    edit.values         = (scry_edit_values){edit.values.data + (count - 1) * columns, 1, 1, columns};
    edit.positions      = (scry_range){count - 2, count - 1};
    pair.f.id_count--;
    scry_trace *patched = trace(&pair, pair.f.ids + 1, "logits", &edit, 1);
    cr_expect_float_eq(paths->paths[0].cell.logit_difference, difference_of(&pair, patched), 2 * PROMISE);
    scry_trace_destroy(&patched);
    scry_trace_destroy(&source);
    scry_paths_destroy(&paths);
    close_pair(&pair);
}

/* A change of the final stream, through gpt2's final norm and unembedding on the host. */
static double read_stream(const struct pair *pair, const double *stream)
{
    enum { D = 36 };
    const scry__safetensors *checkpoint = pair->f.model->checkpoint;
    const float             *factors =
        (const float *)(const void *)scry__safetensors_find(checkpoint, "transformer.ln_f.weight")->data;
    const float *biases =
        (const float *)(const void *)scry__safetensors_find(checkpoint, "transformer.ln_f.bias")->data;
    const float *rows = (const float *)(const void *)scry__safetensors_find(checkpoint, "transformer.wte.weight")->data;
    double       mean = 0, square = 0, sum = 0;
    for (int i = 0; i < D; i++) mean += stream[i] / D;
    for (int i = 0; i < D; i++) square += (stream[i] - mean) * (stream[i] - mean) / D;
    for (int i = 0; i < D; i++)
        sum += ((stream[i] - mean) / sqrt(square + 1e-5) * (double)factors[i] + (double)biases[i]) *
               ((double)rows[ANSWER * D + i] - (double)rows[WRONG * D + i]);
    return sum;
}

/* With all else frozen the final stream changes by what the head writes otherwise, and nothing else. */
Test(path, direct_path__adds_what_the_head_writes)
{
    struct pair pair;
    open_pair(&pair, "reference", "gpt2");
    for (int head = 0; head < 3; head++) {
        char   text[16];
        double stream[36];
        snprintf(text, sizeof text, "0.%d", head);
        scry_path_options options = options_of(&pair, text, "logits");
        options.freeze_mlps       = true;
        scry_paths  *paths        = run_paths(pair.f.model, &options);
        scry_trace  *source       = trace(&pair, pair.other, "blocks.0.attn.hook_z", NULL, 0);
        scry_edit    edit         = replace(source, "blocks.0.attn.hook_z", head);
        scry_trace  *with         = trace(&pair, pair.f.ids, "blocks.0.hook_attn_out", &edit, 1);
        scry_trace  *base   = trace(&pair, pair.f.ids, "blocks.0.hook_attn_out,blocks.2.hook_resid_post", NULL, 0);
        size_t       row    = (size_t)(pair.f.id_count - 1) * COUNT(stream);
        const float *after  = (const float *)with->captures[0].data + row,
                    *before = (const float *)base->captures[0].data + row,
                    *last   = (const float *)base->captures[1].data + row;
        for (size_t i = 0; i < COUNT(stream); i++) stream[i] = (double)last[i] + (double)after[i] - (double)before[i];
        double expected = read_stream(&pair, stream);
        cr_expect_float_eq(paths->paths[0].cell.logit_difference, expected, 1e-5, "%d: %g, not %g", head,
                           (double)paths->paths[0].cell.logit_difference, expected);
        scry_trace_destroy(&base);
        scry_trace_destroy(&with);
        scry_trace_destroy(&source);
        scry_paths_destroy(&paths);
    }
    close_pair(&pair);
}

/* --- nothing, and everything --- */

/* A sender does not reach what is beside or before it. */
static void check_nothing(const char *device, const char *name)
{
    struct pair pair;
    open_pair(&pair, device, name);
    scry_path_options options = options_of(&pair, "1.0,mlp1,1.1+mlp1", "1.1.q,0.0.k,1.0.v,mlp0");
    scry_paths       *paths   = run_paths(pair.f.model, &options);
    for (int i = 0; i < paths->count; i++)
        cr_expect(!paths->paths[i].changed && paths->paths[i].cell.effect == 0 &&
                      paths->paths[i].cell.logit_difference == paths->pair->corrupt.logit_difference,
                  "%s: path %d: effect %g", name, i, (double)paths->paths[i].cell.effect);
    cr_expect_eq(paths->cost.layer_tokens, 0);
    scry_paths_destroy(&paths);
    close_pair(&pair);
}

Test(path, what_is_before_a_sender__hears_nothing)
{
    fixture_for_all(check_nothing);
}

/* Every part together is the whole of the source's run: as a first run and as the change of receivers. */
static void check_everything(const char *device, const char *name)
{
    struct pair pair;
    char        text[1024] = "embed";
    open_pair(&pair, device, name);
    int heads = scry_model_get_info(pair.f.model)->head_count;
    for (int i = 0; i < pair.layers * heads; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "+%d.%d", i / heads, i % heads);
    for (int layer = 0; layer < pair.layers; layer++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "+mlp%d", layer);
    static const char *const receivers[] = {"logits", "0.0.q,logits"};
    for (size_t i = 0; i < COUNT(receivers); i++) {
        for (int direction = 0; direction < SCRY_PATCH_DIRECTION_COUNT; direction++) {
            scry_path_options options = options_of(&pair, text, receivers[i]);
            options.pair.direction    = (scry_patch_direction)direction;
            options.freeze_mlps       = direction;
            scry_paths *paths         = run_paths(pair.f.model, &options);
            double      expected      = (double)scry_patching_source(paths->pair)->logit_difference;
            if (i == 0)
                cr_expect_float_eq(paths->paths[0].cell.logit_difference, expected, 2 * PROMISE, "%s: %g, not %g", name,
                                   (double)paths->paths[0].cell.logit_difference, expected);
            cr_expect(paths->paths[0].changed);
            scry_paths_destroy(&paths);
        }
    }
    close_pair(&pair);
}

Test(path, everything_together__is_the_source)
{
    fixture_for_all(check_everything);
}

/* The logits beside a receiver that hears nothing are the logits alone. */
Test(path, logits__beside_a_deaf_receiver_are_as_alone)
{
    struct pair pair;
    open_pair(&pair, "cpu", "llama");
    scry_path_options alone = options_of(&pair, "1.0,1.1,mlp1", "logits"), beside = alone;
    beside.to     = "0.0.q,logits";
    scry_paths *a = run_paths(pair.f.model, &alone), *b = run_paths(pair.f.model, &beside);
    for (int i = 0; i < a->count; i++)
        cr_expect_float_eq(a->paths[i].cell.logit_difference, b->paths[i].cell.logit_difference, PROMISE, "%d", i);
    scry_paths_destroy(&b);
    scry_paths_destroy(&a);
    close_pair(&pair);
}

/* --- a model made by hand --- */

/* Only the previous-token head speaks to the induction head, and only to its keys. */
Test(path, induction_circuit__goes_through_keys)
{
    enum { LENGTH = 12, TOKENS = LENGTH + 2 };
    static const char *const receivers[] = {"1.0.q", "1.0.k", "1.0.v", "1.1.q,1.1.k,1.1.v,mlp0,mlp1"};
    char                     path[HANDMADE_PATH];
    int32_t                  clean[TOKENS] = {0}, corrupt[TOKENS];
    scry_device             *device        = NULL;
    scry_model              *model         = NULL;
    handmade_induction(path, 10, 10);
    for (int i = 0; i <= LENGTH; i++) clean[1 + i] = 1 + i % LENGTH * 5;
    memcpy(corrupt, clean, sizeof clean);
    corrupt[1] = 62; /* what stood before the answer is another token */
    cr_assert_eq(scry_device_open(&device, &(scry_device_options){.name = "cpu"}), SCRY_OK, "%s", scry_last_error());
    cr_assert_eq(scry_model_open(&model, device, path, NULL), SCRY_OK, "%s", scry_last_error());
    for (size_t i = 0; i < COUNT(receivers); i++) {
        scry_path_options options = {.pair = {.clean_ids        = clean,
                                              .clean_id_count   = TOKENS,
                                              .corrupt_ids      = corrupt,
                                              .corrupt_id_count = TOKENS,
                                              .wrong            = {.id = 61, .has_id = true}},
                                     .from = "0.0,0.1",
                                     .to   = receivers[i]};
        scry_paths       *paths   = run_paths(model, &options);
        cr_expect_eq(paths->pair->clean.answer.id, clean[2]);
        cr_expect_float_eq(paths->paths[0].cell.effect, i == 1, 0.01, "0.0 to %s: %g", receivers[i],
                           (double)paths->paths[0].cell.effect);
        cr_expect_float_eq(paths->paths[1].cell.effect, 0, 0.01, "0.1 to %s: %g", receivers[i],
                           (double)paths->paths[1].cell.effect);
        scry_paths_destroy(&paths);
    }
    scry_model_destroy(&model);
    scry_device_destroy(&device);
    handmade_remove(path);
}

/* --- ends as text, and calls --- */

static void add_paths(scry__text *out, const scry_paths *paths)
{
    for (int i = 0; i < paths->count; i++)
        for (int j = 0; j < paths->paths[i].sender_count; j++) {
            scry__text_adds(out, j ? "+" : " ");
            scry__path_add_end(out, &paths->paths[i].senders[j]);
        }
    scry__text_adds(out, " >");
    for (int i = 0; i < paths->receiver_count; i++) {
        scry__text_adds(out, " ");
        scry__path_add_end(out, &paths->receivers[i]);
    }
}

Test(path, text__names_ends)
{
    static const struct {
        const char *from, *to, *means;
    } cases[] = {
        {"heads", "logits", " 0.0 0.1 0.2 1.0 1.1 1.2 > logits"},
        {"mlps,embed", "mlp0,1.0.k", " mlp0 mlp1 embed > mlp0 1.0.k"},
        {"0.2+mlp1,1.1", "1.2.q,0.0.v,logits,1.2.q,logits", " 0.2+mlp1 1.1 > 1.2.q 0.0.v logits"},
    };
    const scry_model_info info = {.layer_count = 2, .head_count = 3, .kv_head_count = 1};
    for (size_t i = 0; i < COUNT(cases); i++) {
        scry_paths *paths = calloc(1, sizeof *paths);
        scry__text  text  = {0};
        cr_expect_eq(scry__path_parse_senders(paths, &info, cases[i].from), SCRY_OK, "%s", scry_last_error());
        cr_expect_eq(scry__path_parse_receivers(paths, &info, cases[i].to), SCRY_OK, "%s", scry_last_error());
        add_paths(&text, paths);
        cr_expect_str_eq(text.data, cases[i].means);
        scry__text_finish(&text);
        scry_paths_destroy(&paths);
    }
}

Test(path, misuse__is_refused)
{
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"9.0", NULL, "senders \"9.0\": layer 9: expected 0 to "},
        {"0.0,0.99", NULL, "senders \"0.0,0.99\": head 99: expected 0 to "},
        {"0.0,", NULL, "at \"\": expected LAYER.HEAD, mlpLAYER, embed, heads or mlps"},
        {"heads+0.0", NULL, "at \"+0.0\": expected LAYER.HEAD"},
        {"0.0.q", NULL, "at \".q\": expected LAYER.HEAD"},
        {"logits", NULL, "at \"logits\": expected LAYER.HEAD"},
        {"mlp", NULL, "at \"\": expected LAYER.HEAD"},
        {"0.0", "1.1", "receivers \"1.1\": at \"\": expected LAYER.HEAD.q"},
        {"0.0", "1.1.z", "at \".z\": expected LAYER.HEAD.q"},
        {"0.0", "1.3.k", "key/value head 3: expected 0 to 1"},
        {"0.0", "embed", "at \"embed\": expected LAYER.HEAD.q"},
        {"0.0", "mlp0+mlp1", "at \"+mlp1\": expected LAYER.HEAD.q"},
    };
    struct pair pair;
    open_pair(&pair, "cpu", "llama");
    for (size_t i = 0; i < COUNT(cases); i++) {
        scry_paths       *paths   = NULL;
        scry_path_options options = options_of(&pair, cases[i].from, cases[i].to);
        cr_expect_eq(scry_paths_run(&paths, pair.f.model, NULL, NULL, &options), SCRY_BAD_ARGUMENT, "%s to %s",
                     cases[i].from, cases[i].to);
        cr_expect(strstr(scry_last_error(), cases[i].says), "%s: %s", cases[i].says, scry_last_error());
        cr_expect_null(paths);
    }
    close_pair(&pair);
}

static bool stop(void *user, int64_t done, int64_t total)
{
    *(int64_t *)user = total;
    return done < 2;
}

Test(path, progress__stops_it)
{
    static const char *const receivers[] = {"logits", "1.0.q,1.0.k"};
    struct pair              pair;
    open_pair(&pair, "cpu", "llama");
    for (size_t i = 0; i < COUNT(receivers); i++) {
        int64_t           total   = 0;
        scry_paths       *paths   = NULL;
        scry_path_options options = options_of(&pair, "0.0,0.1,mlp0", receivers[i]);
        options.pair.progress     = stop;
        options.pair.user         = &total;
        cr_expect_eq(scry_paths_run(&paths, pair.f.model, NULL, NULL, &options), SCRY_STOPPED);
        cr_expect(!paths && total == (i ? 6 : 3), "%lld", (long long)total);
    }
    close_pair(&pair);
}

Test(path, run__survives_every_refused_allocation)
{
    struct pair     pair;
    struct refusals refusals = {0};
    open_pair(&pair, "reference", "gpt2");
    scry_path_options options = options_of(&pair, "0.0,embed+mlp0", "1.1.q,mlp1,logits");
    while (refusals_next(&refusals)) {
        scry_paths *paths  = NULL;
        scry_status status = scry_paths_run(&paths, pair.f.model, NULL, NULL, &options);
        refusals_check(&refusals, status, paths != NULL);
        scry_paths_destroy(&paths);
    }
    cr_expect_gt(refusals.refused, 100);
    close_pair(&pair);
}
