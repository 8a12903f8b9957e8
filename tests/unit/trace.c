/* Traces: a selection is that part of everything, whoever takes it and wherever the device keeps its memory. */
#include "scry/trace.h"
#include "fixture.h"
#include "refusals.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void use_plugins(void)
{
    setenv("SCRY_PLUGIN_PATH", SCRY_BUILD_DIR "/tests/plugins", 1);
}

TestSuite(trace, .init = use_plugins);

/* All hook points that a grouped-query model with rotation has. */
#define EVERYTHING "blocks.*,hook_embed,ln_final.*,logits"

static scry_trace *run_trace(struct fixture *f, const scry_trace_options *options)
{
    scry_trace        *trace = NULL;
    scry_trace_options given = *options;
    given.ids                = f->ids;
    given.id_count           = f->id_count;
    cr_assert_eq(scry_trace_run(&trace, f->model, NULL, &given), SCRY_OK, "%s: %s", f->name, scry_last_error());
    return trace;
}

static size_t capture_count(const scry_capture *capture)
{
    size_t count = 1;
    for (int axis = 0; axis < capture->rank; axis++) count *= (size_t)capture->shape[axis];
    return count;
}

static void expect_equal(const scry_trace *a, const scry_trace *b, const char *what)
{
    cr_assert_eq(a->count, b->count, "%s", what);
    for (int i = 0; i < a->count; i++) {
        const scry_capture *left = &a->captures[i], *right = &b->captures[i];
        cr_expect_str_eq(left->name, right->name);
        cr_assert(left->rank == right->rank && !memcmp(left->shape, right->shape, (size_t)left->rank * 8), "%s: %s",
                  what, left->name);
        cr_expect(!memcmp(left->data, right->data, capture_count(left) * 4), "%s: %s differs", what, left->name);
    }
}

/* The part of `full` that the selection keeps: heads along `axis` (-1: none), and the tile of scores and patterns. */
static void expect_part(const scry_capture *part, const scry_capture *full, int axis, const int *heads, int head_count,
                        scry_range queries, scry_range keys)
{
    bool    is_tile = axis == 0 && full->rank == 3;
    int64_t outer = axis == 1 ? full->shape[0] : 1, inner = 1;
    cr_assert_eq(part->rank, full->rank, "%s", full->name);
    for (int i = axis + 1; i < full->rank; i++) inner *= full->shape[i];
    for (int64_t row = 0; row < outer; row++)
        for (int head = 0; head < head_count; head++) {
            const float *from = (const float *)full->data + (row * full->shape[axis] + heads[head]) * inner;
            const float *to   = part->data;
            if (!is_tile) {
                cr_expect(!memcmp(to + (row * head_count + head) * inner, from, (size_t)inner * 4), "%s: head %d",
                          full->name, heads[head]);
                continue;
            }
            int64_t columns = keys.end - keys.begin;
            for (int query = queries.begin; query < queries.end; query++) {
                const float *tile =
                    to + ((int64_t)head * (queries.end - queries.begin) + query - queries.begin) * columns;
                cr_expect(!memcmp(tile, from + query * full->shape[2] + keys.begin, (size_t)columns * 4),
                          "%s: head %d, query %d", full->name, heads[head], query);
            }
        }
}

static int head_axis(const char *name)
{
    const char *tail = strrchr(name, '.') ? strrchr(name, '.') + 1 : name;
    if (!strcmp(tail, "hook_q") || !strcmp(tail, "hook_rot_q") || !strcmp(tail, "hook_z")) return 1;
    return !strncmp(tail, "stat_", 5) || !strcmp(tail, "hook_pattern") || !strcmp(tail, "hook_attn_scores") ? 0 : -1;
}

/* All layers in both: a branch that is watched is added by an op of its own, which may round its last bit otherwise. */
static void check_selection(const char *device, const char *name)
{
    static const int         heads[] = {0, 2};
    const scry_trace_options all     = {.hooks = EVERYTHING};
    const scry_trace_options some    = {.hooks = EVERYTHING, .heads = "0,2", .queries = {2, 7}, .keys = {1, 6}};
    struct fixture           f;
    fixture_open(&f, device, name);
    scry_trace *full = run_trace(&f, &all), *part = run_trace(&f, &some);
    cr_assert_eq(part->count, full->count);
    for (int i = 0; i < part->count; i++) {
        const scry_capture *kept = &part->captures[i], *whole = &full->captures[i];
        int                 axis = head_axis(kept->name);
        cr_expect_str_eq(kept->name, whole->name);
        if (axis < 0)
            cr_expect(!memcmp(kept->data, whole->data, capture_count(whole) * 4), "%s", kept->name);
        else
            expect_part(kept, whole, axis, heads, 2, some.queries, some.keys);
    }
    scry_trace_destroy(&full);
    scry_trace_destroy(&part);
    fixture_close(&f);
}

Test(trace, selection__is_that_part_of_everything)
{
    check_selection("reference", "llama");
    check_selection("cpu", "llama");
    check_selection("cpu", "qwen3");
    check_selection("cpu", "gpt_neox");
    check_selection("cpu", "gpt2");
}

Test(trace, layers__are_those_asked_for)
{
    struct fixture f;
    fixture_open(&f, "cpu", "llama");
    scry_trace *trace = run_trace(&f, &(scry_trace_options){.hooks = EVERYTHING, .layers = "1"});
    for (int i = 0; i < trace->count; i++) cr_expect_neq(trace->captures[i].layer, 0, "%s", trace->captures[i].name);
    cr_expect_not_null(scry_trace_find(trace, "blocks.1.attn.hook_pattern"));
    cr_expect_null(scry_trace_find(trace, "blocks.0.attn.hook_pattern"));
    cr_expect_not_null(scry_trace_find(trace, "hook_embed"));
    scry_trace_destroy(&trace);
    fixture_close(&f);
}

struct taken {
    const scry_trace *kept;
    int               count;
};

static scry_status compare_with_kept(void *user, const scry_capture *capture)
{
    struct taken       *taken = user;
    const scry_capture *kept  = &taken->kept->captures[taken->count++];
    cr_expect_str_eq(capture->name, kept->name);
    cr_expect(!memcmp(capture->data, kept->data, capture_count(kept) * 4), "%s differs in the sink", kept->name);
    return SCRY_OK;
}

Test(trace, sink__takes_what_would_be_kept_and_runs_repeat)
{
    static const char *const lists[] = {NULL, "0,2-3"};
    struct fixture           f;
    fixture_open(&f, "cpu", "llama");
    for (int i = 0; i < 2; i++) {
        scry_trace        *kept  = run_trace(&f, &(scry_trace_options){.hooks = EVERYTHING, .heads = lists[i]});
        scry_trace        *again = run_trace(&f, &(scry_trace_options){.hooks = EVERYTHING, .heads = lists[i]});
        struct taken       taken = {.kept = kept};
        scry_trace_options sunk  = {.hooks = EVERYTHING, .heads = lists[i], .sink = compare_with_kept, .user = &taken};
        scry_trace        *names = run_trace(&f, &sunk);
        expect_equal(kept, again, "a second run");
        cr_expect_eq(taken.count, kept->count);
        cr_expect_eq(names->count, kept->count);
        for (int j = 0; j < names->count; j++) cr_expect_null(names->captures[j].data);
        scry_trace_destroy(&names);
        scry_trace_destroy(&again);
        scry_trace_destroy(&kept);
    }
    fixture_close(&f);
}

/* A device of its own memory that works later computes with the reference's code: the same bits must arrive. */
Test(trace, remote_memory__gives_what_shared_memory_gives)
{
    static const char *const fixtures[] = {"llama", "gpt_neox", "gpt2"};
    setenv("SCRY_FAKE_REMOTE", "1", 1);
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) {
        const scry_trace_options all  = {.hooks = EVERYTHING},
                                 some = {.hooks = EVERYTHING, .heads = "0,2", .keys = {1, 5}};
        struct fixture near, far;
        fixture_open(&near, "reference", fixtures[i]);
        fixture_open(&far, "fake", fixtures[i]);
        for (int part = 0; part < 2; part++) {
            scry_trace *expected = run_trace(&near, part ? &some : &all), *found = run_trace(&far, part ? &some : &all);
            struct taken       taken = {.kept = expected};
            scry_trace_options sunk  = part ? some : all;
            sunk.sink                = compare_with_kept;
            sunk.user                = &taken;
            scry_trace *names        = run_trace(&far, &sunk);
            expect_equal(expected, found, fixtures[i]);
            cr_expect_eq(scry_device_finish(far.device), SCRY_OK, "%s", scry_last_error());
            scry_trace_destroy(&names);
            scry_trace_destroy(&expected);
            scry_trace_destroy(&found);
        }
        fixture_close(&near);
        fixture_close(&far);
    }
}

static scry_status refuse(void *user, const scry_capture *capture)
{
    int *left = user;
    (void)capture;
    return --*left ? SCRY_OK : SCRY_IO;
}

Test(trace, sink__that_fails_ends_the_run_with_its_status)
{
    struct fixture f;
    scry_trace    *trace = NULL;
    int            left  = 3;
    fixture_open(&f, "cpu", "llama");
    scry_trace_options options = {.ids = f.ids, .id_count = 2, .hooks = EVERYTHING, .sink = refuse, .user = &left};
    cr_expect_eq(scry_trace_run(&trace, f.model, NULL, &options), SCRY_IO);
    cr_expect_null(trace);
    scry_trace_destroy(&trace);
    scry_trace_destroy(NULL);
    fixture_close(&f);
}

Test(trace, misuse__is_refused)
{
    static const int32_t ids[] = {1, 2, 3};
    static const struct {
        scry_trace_options options;
        const char        *says;
    } cases[] = {
        {{.hooks = NULL}, "no hooks given"},
        {{.hooks = ""}, "no hooks given"},
        {{.hooks = "logits,"}, "no hook point"},
        {{.hooks = "blocks.*.hook_patern"}, "there are: "},
        {{.hooks = "blocks.2.hook_resid_pre"}, "no hook point"},
        {{.hooks = "blocks.1.hook_resid_pre", .layers = "0"}, "none of them is in the layers chosen"},
        {{.hooks = "logits", .layers = "2"}, "there is no layer 2"},
        {{.hooks = "logits", .layers = "1-0"}, "expected numbers and ranges"},
        {{.hooks = "logits", .heads = "6"}, "there is no head 6"},
        {{.hooks = "logits", .queries = {2, 4}}, "query range 2:4: expected a part of 0:3"},
        {{.hooks = "logits", .keys = {-1, 2}}, "key range -1:2"},
        {{.hooks = "logits", .keys = {2, 2}}, "key range 2:2"},
    };
    struct fixture f;
    scry_trace    *trace = NULL;
    fixture_open(&f, "cpu", "llama");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scry_trace_options options = cases[i].options;
        options.ids                = ids;
        options.id_count           = 3;
        cr_expect_eq(scry_trace_run(&trace, f.model, NULL, &options), SCRY_BAD_ARGUMENT, "case %zu", i);
        cr_expect(strstr(scry_last_error(), cases[i].says), "case %zu: %s", i, scry_last_error());
        cr_expect_null(trace);
    }
    cr_expect_eq(scry_trace_run(&trace, f.model, "text", NULL), SCRY_BAD_ARGUMENT);
    fixture_close(&f);
}

Test(trace, run__survives_every_refused_allocation)
{
    struct fixture f;
    fixture_open(&f, "reference", "llama");
    for (int sink = 0; sink < 2; sink++) {
        int                left     = 1000000;
        struct refusals    refusals = {0};
        scry_trace_options options  = {.ids = f.ids, .id_count = 3, .hooks = EVERYTHING, .heads = "1", .user = &left};
        if (sink) options.sink = refuse;
        while (refusals_next(&refusals)) {
            scry_trace *trace  = NULL;
            scry_status status = scry_trace_run(&trace, f.model, NULL, &options);
            refusals_check(&refusals, status, trace != NULL);
            scry_trace_destroy(&trace);
        }
        cr_expect_gt(refusals.refused, 80);
    }
    fixture_close(&f);
}
