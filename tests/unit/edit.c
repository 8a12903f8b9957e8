/* Edits hold to exact facts: what is there already changes nothing, another prompt's stream gives that prompt's
 * logits, an edit reaches its head, its positions and its sequence and nothing else. */
#include "scry/edit.h"
#include "fixture.h"
#include "trace/edit.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The layer that edits of blocks are tried in, the position and the head. */
enum { LAYER = 1, POSITION = 5, HEAD = 1 };

static scry_trace *run(const struct fixture *f, const int32_t *ids, const char *hooks, const scry_edit *edits,
                       int count)
{
    scry_trace      *trace = NULL;
    const scry_edits all   = {count, edits};
    cr_assert_eq(scry_trace_run(&trace, f->model, NULL,
                                &(scry_trace_options){
                                    .ids = ids, .id_count = f->id_count, .hooks = hooks, .edits = count ? &all : NULL}),
                 SCRY_OK, "%s: %s", f->name, scry_last_error());
    return trace;
}

static size_t size_of(const scry_capture *capture)
{
    size_t size = 1;
    for (int axis = 0; axis < capture->rank; axis++) size *= (size_t)capture->shape[axis];
    return size;
}

/* Beginning of [rows, columns] that differs, in rows; `rows` where nothing does. */
static int first_difference(const float *a, const float *b, int rows, size_t columns)
{
    for (int row = 0; row < rows; row++, a += columns, b += columns)
        if (memcmp(a, b, columns * sizeof *a)) return row;
    return rows;
}

struct trial {
    const struct fixture *f;
    scry__hook            hook;
    char                  name[SCRY__HOOK_NAME_SIZE];
    const float          *logits; /* with no edits */
    size_t                vocabulary;
};

static bool is_attention(scry__hook hook)
{
    return hook == SCRY__HOOK_ATTN_SCORES || hook == SCRY__HOOK_PATTERN;
}

/* The value that is there already, by each kind that can say so. */
static void expect_nothing(const struct trial *trial)
{
    static const float zero  = 0.0f;
    scry_trace        *own   = run(trial->f, trial->f->ids, trial->name, NULL, 0);
    const scry_edit    all[] = {
           {.hook = trial->name, .kind = SCRY_EDIT_SCALE, .factor = 1.0f},
           {.hook = trial->name, .kind = SCRY_EDIT_ADD, .factor = 1.0f, .values = {&zero, 1, 1, 1}},
           {.hook = trial->name, .kind = SCRY_EDIT_REPLACE, .values = fixture_values(trial->f, &own->captures[0])},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        scry_trace  *trace = run(trial->f, trial->f->ids, "logits", &all[i], 1);
        const float *found = scry_trace_find(trace, "logits")->data;
        size_t       count = (size_t)trial->f->id_count * trial->vocabulary;
        if (is_attention(trial->hook))
            cr_expect(largest_difference(found, trial->logits, count) <= PROMISE, "%s: %s: edit %zu", trial->f->name,
                      trial->name, i);
        else
            cr_expect_eq(first_difference(found, trial->logits, trial->f->id_count, trial->vocabulary),
                         trial->f->id_count, "%s: %s: edit %zu changes what is there already", trial->f->name,
                         trial->name, i);
        scry_trace_destroy(&trace);
    }
    scry_trace_destroy(&own);
}

/* Doubled at one position: rows before it keep their bits, that one or a later one does not. */
static void expect_position(const struct trial *trial)
{
    const scry_edit edit = {
        .hook = trial->name, .kind = SCRY_EDIT_SCALE, .factor = 2.0f, .positions = {POSITION, POSITION + 1}};
    scry_trace *trace = run(trial->f, trial->f->ids, "logits", &edit, 1);
    int         first =
        first_difference(scry_trace_find(trace, "logits")->data, trial->logits, trial->f->id_count, trial->vocabulary);
    cr_expect(first >= POSITION && first < trial->f->id_count, "%s: %s: an edit of position %d changes %d first",
              trial->f->name, trial->name, POSITION, first);
    scry_trace_destroy(&trace);
}

static void for_each_point(const char *device, const char *name, void (*check)(const struct trial *trial))
{
    struct fixture f;
    fixture_open(&f, device, name);
    scry_trace  *plain = run(&f, f.ids, "logits", NULL, 0);
    struct trial trial = {.f          = &f,
                          .logits     = scry_trace_find(plain, "logits")->data,
                          .vocabulary = (size_t)scry_model_get_info(f.model)->vocabulary};
    for (int hook = 0; hook < SCRY__HOOK_COUNT; hook++) {
        trial.hook = (scry__hook)hook;
        scry__hook_full_name(trial.hook, LAYER, trial.name);
        if (scry__model_has_hook(f.model, trial.hook) && scry__hook_is_live(trial.hook)) check(&trial);
    }
    scry_trace_destroy(&plain);
    fixture_close(&f);
}

static void check_nothing(const char *device, const char *name)
{
    for_each_point(device, name, expect_nothing);
}

static void check_positions(const char *device, const char *name)
{
    for_each_point(device, name, expect_position);
}

Test(edit, value_that_is_there__changes_nothing, .timeout = 300)
{
    fixture_for_all(check_nothing);
}

Test(edit, position__changes_nothing_before_it, .timeout = 300)
{
    fixture_for_all(check_positions);
}

FIXTURES_ON_PLUGINS(edit, position, changes_nothing_before_it, false, check_positions)

static void check_transplant(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    size_t   vocabulary = (size_t)scry_model_get_info(f.model)->vocabulary;
    int32_t *ids        = calloc((size_t)f.id_count, sizeof *ids);
    for (int i = 0; i < f.id_count; i++) ids[i] = f.ids[f.id_count - 1 - i];
    scry_trace     *other = run(&f, ids, "blocks.0.hook_resid_pre,logits", NULL, 0);
    const scry_edit edit  = {.hook   = "blocks.0.hook_resid_pre",
                             .kind   = SCRY_EDIT_REPLACE,
                             .values = fixture_values(&f, scry_trace_find(other, "blocks.0.hook_resid_pre"))};
    scry_trace     *trace = run(&f, f.ids, "logits", &edit, 1);
    cr_expect_eq(first_difference(scry_trace_find(trace, "logits")->data, scry_trace_find(other, "logits")->data,
                                  f.id_count, vocabulary),
                 f.id_count, "%s: another prompt's stream does not give its logits", name);
    scry_trace_destroy(&trace);
    scry_trace_destroy(&other);
    free(ids);
    fixture_close(&f);
}

Test(edit, stream_of_another_prompt__gives_its_logits)
{
    fixture_for_all(check_transplant);
}

FIXTURES_ON_PLUGINS(edit, stream_of_another_prompt, gives_its_logits, false, check_transplant)

/* attn_out of block 0 with these heads' z at 0. */
static scry_trace *without_heads(const struct fixture *f, uint64_t heads)
{
    const scry_edit edit = {.hook = "blocks.0.attn.hook_z", .heads = {heads}};
    return run(f, f->ids, "blocks.0.hook_attn_out", &edit, 1);
}

/* What a head adds is what is missing without it: out(without h) + out(only h) - out(none) = out. */
static void check_shares(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    uint64_t    heads = ((uint64_t)1 << scry_model_get_info(f.model)->head_count) - 1, own = 1u << HEAD;
    scry_trace *all      = run(&f, f.ids, "blocks.0.hook_attn_out", NULL, 0);
    scry_trace *traces[] = {without_heads(&f, own), without_heads(&f, heads & ~own), without_heads(&f, heads)};
    size_t      count    = size_of(&all->captures[0]);
    float      *sum      = malloc(count * sizeof *sum);
    for (size_t i = 0; i < count; i++)
        sum[i] = ((float *)traces[0]->captures[0].data)[i] + ((float *)traces[1]->captures[0].data)[i] -
                 ((float *)traces[2]->captures[0].data)[i];
    double difference = largest_difference(sum, all->captures[0].data, count);
    if (strncmp(name, "gemma2", 6) && strncmp(name, "gemma3", 6)) /* theirs is normed behind the sum */
        cr_expect(difference <= PROMISE, "%s: the shares of heads are off by %g", name, difference);
    cr_expect(first_difference(traces[0]->captures[0].data, all->captures[0].data, 1, count) == 0,
              "%s: the head has no share", name);
    for (int i = 0; i < 3; i++) scry_trace_destroy(&traces[i]);
    scry_trace_destroy(&all);
    free(sum);
    fixture_close(&f);
}

Test(edit, head_at_zero__takes_its_share_away)
{
    fixture_for_all(check_shares);
}

/* Pairs of edits, one hook point behind the other, that come to the same. */
static const struct {
    const char *what;
    scry_edit   one, other;
    bool        exact;
} pairs[] = {
    {"a pattern of zeros is a z of zeros",
     {.hook = "blocks.1.attn.hook_pattern", .heads = {1u << HEAD}, .positions = {POSITION, POSITION + 2}},
     {.hook = "blocks.1.attn.hook_z", .heads = {1u << HEAD}, .positions = {POSITION, POSITION + 2}},
     true},
    {"twice the denominator is half the normed stream",
     {.hook = "blocks.1.ln1.hook_scale", .kind = SCRY_EDIT_SCALE, .factor = 2.0f},
     {.hook = "blocks.1.ln1.hook_normalized", .kind = SCRY_EDIT_SCALE, .factor = 0.5f},
     false},
    {"half the pattern is half of z",
     {.hook = "blocks.1.attn.hook_pattern", .kind = SCRY_EDIT_SCALE, .factor = 0.5f},
     {.hook = "blocks.1.attn.hook_z", .kind = SCRY_EDIT_SCALE, .factor = 0.5f},
     false},
};

static void check_pairs(const char *device, const char *name)
{
    struct fixture f;
    fixture_open(&f, device, name);
    size_t     vocabulary = (size_t)scry_model_get_info(f.model)->vocabulary;
    scry__hook hook;
    int        layer;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (!scry__edit_find_hook(f.model, pairs[i].one.hook, &hook, &layer)) continue;
        scry_trace *one    = run(&f, f.ids, "logits", &pairs[i].one, 1),
                   *other  = run(&f, f.ids, "logits", &pairs[i].other, 1);
        const float *found = one->captures[0].data, *expected = other->captures[0].data;
        double       difference = largest_difference(found, expected, (size_t)f.id_count * vocabulary);
        cr_expect(difference <= (pairs[i].exact ? 0.0 : PROMISE), "%s: %s: differs by %g", name, pairs[i].what,
                  difference);
        scry_trace_destroy(&other);
        scry_trace_destroy(&one);
    }
    fixture_close(&f);
}

Test(edit, points_behind_each_other__agree)
{
    fixture_for_all(check_pairs);
}

FIXTURES_ON_PLUGINS(edit, points_behind_each_other, agree, false, check_pairs)

/* Two sequences, one prompt: each has edits of its own. The first has none and keeps its bits; the second's are those
 * of a prompt alone. */
static void check_batch(const char *device, const char *name)
{
    static const char *const points[] = {"blocks.1.attn.hook_pattern", "blocks.1.attn.hook_z",
                                         "blocks.1.hook_resid_pre"};
    struct fixture           f;
    fixture_open(&f, device, name);
    size_t         row     = (size_t)scry_model_get_info(f.model)->vocabulary;
    scry__session *session = fixture_session(&f, (scry__session_options){.batch = 2, .capacity = f.id_count});
    int32_t       *ids     = calloc((size_t)f.id_count, 2 * sizeof *ids);
    for (int i = 0; i < 2 * f.id_count; i++) ids[i] = f.ids[i % f.id_count];
    fixture_forward(session, ids, f.id_count, NULL);
    float *plain = fixture_logits(&f, session, 2, 0, f.id_count);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        scry_edit     edit   = {.hook = points[i], .kind = SCRY_EDIT_SCALE, .factor = -1.0f, .sequences = {1, 2}};
        scry_edits    edits  = {1, &edit};
        scry__editor *editor = NULL;
        cr_assert_eq(scry__editor_create(&editor, f.model,
                                         &(scry__editor_options){.edits = &edits, .positions = f.id_count, .batch = 2}),
                     SCRY_OK, "%s", scry_last_error());
        fixture_forward(session, ids, f.id_count, scry__editor_hooks(editor, session, NULL));
        float *found      = fixture_logits(&f, session, 2, 0, f.id_count);
        edit.sequences    = (scry_range){0};
        scry_trace *alone = run(&f, f.ids, "logits", &edit, 1);
        size_t      count = (size_t)f.id_count * row;
        cr_expect_eq(first_difference(found, plain, f.id_count, row), f.id_count, "%s: %s: the other sequence changed",
                     name, points[i]);
        cr_expect(largest_difference(found + count, alone->captures[0].data, count) <= PROMISE,
                  "%s: %s: beside another", name, points[i]);
        cr_expect(largest_difference(found + count, plain + count, count) > PROMISE, "%s: %s: no effect", name,
                  points[i]);
        scry_trace_destroy(&alone);
        free(found);
        scry__editor_destroy(&editor);
    }
    free(plain);
    free(ids);
    scry__session_destroy(&session);
    fixture_close(&f);
}

Test(edit, sequence__has_edits_of_its_own)
{
    fixture_for_all(check_batch);
}

/* Rows that come after cached ones have the edits of their own positions. Not where angles change with the length of
 * a pass, for then pieces are not the whole without edits either. */
static void check_pieces(const char *device, const char *name)
{
    struct fixture f;
    if (!strcmp(name, "llama_rope_dynamic")) return;
    fixture_open(&f, device, name);
    scry_trace     *other = run(&f, f.ids, "blocks.1.hook_resid_pre", NULL, 0);
    const scry_edit all[] = {
        {.hook = "hook_embed", .kind = SCRY_EDIT_SCALE, .factor = -1.0f, .positions = {0, 2}},
        {.hook      = "blocks.1.hook_resid_pre",
         .kind      = SCRY_EDIT_ADD,
         .factor    = -0.5f,
         .positions = {POSITION, POSITION + 3},
         .values    = fixture_values(&f, &other->captures[0])},
        {.hook = "blocks.1.attn.hook_pattern", .heads = {1u << HEAD}, .positions = {POSITION + 1, POSITION + 4}},
    };
    const scry_edits edits   = {3, all};
    scry_trace      *whole   = run(&f, f.ids, "logits", all, 3);
    const float     *logits  = whole->captures[0].data;
    size_t           row     = (size_t)scry_model_get_info(f.model)->vocabulary;
    scry__editor    *editor  = NULL;
    scry__session   *session = fixture_session(&f, (scry__session_options){.capacity = f.id_count, .keep_cache = true});
    cr_assert_eq(
        scry__editor_create(&editor, f.model, &(scry__editor_options){.edits = &edits, .positions = f.id_count}),
        SCRY_OK, "%s", scry_last_error());
    for (int begin = 0; begin < f.id_count; begin += POSITION + 2) {
        int count = f.id_count - begin < POSITION + 2 ? f.id_count - begin : POSITION + 2;
        fixture_forward(session, f.ids + begin, count, scry__editor_hooks(editor, session, NULL));
        float *found      = fixture_logits(&f, session, 1, 0, count);
        double difference = largest_difference(found, logits + (size_t)begin * row, (size_t)count * row);
        cr_expect(difference <= PROMISE, "%s: rows from %d differ by %g", name, begin, difference);
        free(found);
    }
    scry__session_destroy(&session);
    scry__editor_destroy(&editor);
    scry_trace_destroy(&whole);
    scry_trace_destroy(&other);
    fixture_close(&f);
}

Test(edit, pieces__have_the_edits_of_their_positions)
{
    fixture_for_all(check_pieces);
}

/* A trace of a tile, heads chosen, shows that part of the edited pattern. */
Test(edit, capture__is_the_edited_value)
{
    struct fixture f;
    fixture_open(&f, "cpu", "llama");
    const scry_edit    edit    = {.hook      = "blocks.1.attn.hook_pattern",
                                  .kind      = SCRY_EDIT_SCALE,
                                  .factor    = 2.0f,
                                  .positions = {POSITION, POSITION + 1}};
    const scry_edits   edits   = {1, &edit};
    scry_trace_options options = {.ids      = f.ids,
                                  .id_count = f.id_count,
                                  .hooks    = "blocks.1.attn.hook_pattern",
                                  .heads    = "1,3",
                                  .queries  = {POSITION - 1, POSITION + 1},
                                  .keys     = {1, 4}};
    scry_trace        *plain = NULL, *edited = NULL;
    cr_assert_eq(scry_trace_run(&plain, f.model, NULL, &options), SCRY_OK);
    options.edits = &edits;
    cr_assert_eq(scry_trace_run(&edited, f.model, NULL, &options), SCRY_OK, "%s", scry_last_error());
    const float *before = plain->captures[0].data, *after = edited->captures[0].data;
    cr_assert_arr_eq(edited->captures[0].shape, ((int64_t[]){2, 2, 3}), 3 * sizeof(int64_t));
    for (int i = 0; i < 2 * 2 * 3; i++)
        cr_expect_eq(after[i], before[i] * (i / 3 % 2 ? 2.0f : 1.0f), "%d: %g after %g", i, (double)after[i],
                     (double)before[i]);
    scry_trace_destroy(&edited);
    scry_trace_destroy(&plain);
    fixture_close(&f);
}

Test(edit, mistake__is_refused_by_its_place)
{
    static const float value = 0.0f;
    static const struct {
        const char *message, *hooks;
        scry_edit   edit;
    } wrong[] = {
        {"no such hook point", NULL, {.hook = "blocks.9.hook_resid_pre"}},
        {"no such hook point", NULL, {.hook = NULL}},
        {"can be seen, not edited", NULL, {.hook = "logits"}},
        {"can be seen, not edited", NULL, {.hook = "blocks.0.attn.stat_lse"}},
        {"kind 9: expected 0 to 3", NULL, {.hook = "hook_embed", .kind = (scry_edit_kind)9}},
        {"head 40: expected 0 to", NULL, {.hook = "blocks.0.attn.hook_z", .heads = {(uint64_t)1 << 40}}},
        {"expected 0 to 0", NULL, {.hook = "hook_embed", .heads = {2}}},
        {"positions 4:99: expected a part of", NULL, {.hook = "hook_embed", .positions = {4, 99}}},
        {"positions 4:2: expected a part of", NULL, {.hook = "hook_embed", .positions = {4, 2}}},
        {"positions from 99 on: expected 0 to", NULL, {.hook = "hook_embed", .positions = {99, 0}}},
        {"sequences 1:2: expected a part of 0:1", NULL, {.hook = "hook_embed", .sequences = {1, 2}}},
        {"keys 0:1: expected none", NULL, {.hook = "hook_embed", .keys = {0, 1}}},
        {"no values", NULL, {.hook = "hook_embed", .kind = SCRY_EDIT_ADD}},
        {"values of 2 positions", NULL, {.hook = "hook_embed", .kind = SCRY_EDIT_ADD, .values = {&value, 2, 1, 1}}},
        {"values of 2 heads", NULL, {.hook = "hook_embed", .kind = SCRY_EDIT_ADD, .values = {&value, 1, 2, 1}}},
        {"values of 3 columns", NULL, {.hook = "hook_embed", .kind = SCRY_EDIT_ADD, .values = {&value, 1, 1, 3}}},
        {"attn.stat_lse where scores or pattern are edited",
         "blocks.0.attn.stat_lse",
         {.hook = "blocks.0.attn.hook_pattern"}},
    };
    struct fixture f;
    fixture_open(&f, "cpu", "llama");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const scry_edits   edits   = {1, &wrong[i].edit};
        scry_trace_options options = {
            .ids = f.ids, .id_count = f.id_count, .hooks = wrong[i].hooks ? wrong[i].hooks : "logits", .edits = &edits};
        scry_trace *trace = NULL;
        cr_expect_neq(scry_trace_run(&trace, f.model, NULL, &options), SCRY_OK, "%s", wrong[i].message);
        cr_expect(strstr(scry_last_error(), wrong[i].message), "%s: %s", wrong[i].message, scry_last_error());
    }
    fixture_close(&f);
}
