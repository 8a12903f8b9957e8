/* Sweeps by random plans: the engine gives what whole passes give, whatever is patched, wherever, however many side by
 * side. Each plan is drawn from a number of its own, which a failure prints. */
#include "base/number.h"
#include "fixture.h"
#include "scry/sweep.h"
#include "trace/edit.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PATCHES = 14, MOST_EDITS = 3, MOST_POINTS = 256, PLANS = 4 };

/* A hook point of the model that can be edited, and what two prompts hold there. */
struct point {
    char              name[SCRY__HOOK_NAME_SIZE];
    scry__edit_extent extent;
    scry_edit_values  own, other;
};

struct world {
    struct fixture f;
    int32_t       *other_ids; /* the prompt with some tokens exchanged */
    scry_trace    *own, *other;
    struct point   points[MOST_POINTS];
    int            point_count;
};

struct plan {
    uint64_t           seed;
    scry_sweep_options options;
    int32_t            targets[SCRY_SWEEP_MOST_TARGETS];
    scry_edit          edits[MOST_PATCHES][MOST_EDITS];
    scry_patch         patches[MOST_PATCHES];
    float              values[MOST_PATCHES][MOST_EDITS]; /* of edits that put one number everywhere */
    int                count;
};

static void add_point(struct world *world, scry__hook hook, int layer)
{
    struct point *point = &world->points[world->point_count];
    cr_assert_lt(world->point_count++, MOST_POINTS);
    scry__hook_full_name(hook, layer, point->name);
    point->extent = scry__edit_extent_of(world->f.model, hook);
    point->own    = fixture_values(&world->f, scry_trace_find(world->own, point->name));
    point->other  = fixture_values(&world->f, scry_trace_find(world->other, point->name));
}

static void world_open(struct world *world, const char *device, const char *name)
{
    struct fixture *f = &world->f;
    fixture_open(f, device, name);
    world->point_count = 0;
    world->other_ids   = malloc((size_t)f->id_count * sizeof *f->ids);
    for (int i = 0; i < f->id_count; i++) world->other_ids[i] = f->ids[i > 3 && i % 3 ? f->id_count - 1 - i : i];
    world->own   = fixture_trace(f, f->ids, "*hook_*");
    world->other = fixture_trace(f, world->other_ids, "*hook_*");
    for (int hook = 0; hook < SCRY__HOOK_LN_FINAL_SCALE; hook++) {
        int layers = scry__hook_in_block((scry__hook)hook) ? scry_model_get_info(f->model)->layer_count : 1;
        for (int layer = 0; layer < layers; layer++)
            if (scry__model_has_hook(f->model, (scry__hook)hook) && scry__hook_is_live((scry__hook)hook))
                add_point(world, (scry__hook)hook, layer);
    }
}

static void world_close(struct world *world)
{
    scry_trace_destroy(&world->other);
    scry_trace_destroy(&world->own);
    free(world->other_ids);
    fixture_close(&world->f);
}

/* --- drawing --- */

static int below(scry__random *random, int bound)
{
    return (int)scry__random_below(random, (uint64_t)bound);
}

/* Everything, one place or a few. */
static scry_range draw_range(scry__random *random, int count)
{
    int begin = below(random, count);
    switch (below(random, 3)) {
    case 0:
        return (scry_range){0};
    case 1:
        return (scry_range){begin, begin + 1};
    default:
        return (scry_range){begin, begin + 1 + below(random, count - begin)};
    }
}

static scry_edit draw_edit(const struct world *world, scry__random *random, float *value)
{
    const struct point *point     = &world->points[below(random, world->point_count)];
    int                 count     = world->f.id_count;
    scry_edit           edit      = {.hook      = point->name,
                                     .kind      = (scry_edit_kind)below(random, SCRY_EDIT_COUNT),
                                     .positions = draw_range(random, count)};
    static const float  factors[] = {1.0f, 0.5f, 2.0f, -0.5f}; /* -1 would cancel to what is rounding only */
    edit.factor                   = factors[below(random, 4)];
    if (point->extent.columns == 1 && edit.kind == SCRY_EDIT_ZERO) edit.kind = SCRY_EDIT_SCALE; /* a denominator */
    if (below(random, 2)) edit.heads[0] = 1u << below(random, point->extent.heads);
    if (point->extent.by_head) edit.keys = draw_range(random, count);
    if (edit.kind != SCRY_EDIT_ADD && edit.kind != SCRY_EDIT_REPLACE) return edit;
    *value                           = 0.5f + (float)scry__random_uniform(random);
    const scry_edit_values sources[] = {point->own, point->other, {value, 1, 1, 1}};
    edit.values                      = sources[below(random, 3)];
    return edit;
}

static void draw_options(struct plan *plan, const struct world *world, scry__random *random)
{
    scry_sweep_options *options = &plan->options;
    *options                    = (scry_sweep_options){.ids          = world->f.ids,
                                                       .id_count     = world->f.id_count,
                                                       .targets      = plan->targets,
                                                       .target_count = below(random, SCRY_SWEEP_MOST_TARGETS + 1),
                                                       .losses       = below(random, 3) == 0,
                                                       .has_position = below(random, 2) == 0,
                                                       .position     = below(random, world->f.id_count),
                                                       .batch        = below(random, 6)};
    for (int i = 0; i < options->target_count; i++)
        plan->targets[i] = below(random, scry_model_get_info(world->f.model)->vocabulary);
    if (below(random, 2)) return;
    options->reference_ids      = world->other_ids;
    options->reference_count    = world->f.id_count;
    options->reference_position = below(random, world->f.id_count);
}

static void draw(struct plan *plan, const struct world *world, uint64_t seed)
{
    scry__random random;
    *plan = (struct plan){.seed = seed};
    scry__random_seed(&random, seed);
    draw_options(plan, world, &random);
    plan->count = 1 + below(&random, MOST_PATCHES);
    for (int i = 0; i < plan->count; i++) {
        plan->patches[i] = (scry_patch){plan->edits[i], below(&random, MOST_EDITS + 1)};
        for (int j = 0; j < plan->patches[i].edit_count; j++)
            plan->edits[i][j] = draw_edit(world, &random, &plan->values[i][j]);
    }
}

/* --- running --- */

static scry_sweep_cost run(const struct world *world, const struct plan *plan, bool naive, scry_outcome *outcomes)
{
    scry_sweep        *sweep   = NULL;
    scry_sweep_options options = plan->options;
    options.naive              = naive;
    cr_assert_eq(scry_sweep_create(&sweep, world->f.model, NULL, &options), SCRY_OK, "%s, plan %llu: %s", world->f.name,
                 (unsigned long long)plan->seed, scry_last_error());
    cr_assert_eq(scry_sweep_run(sweep, plan->patches, plan->count, outcomes), SCRY_OK, "%s, plan %llu: %s",
                 world->f.name, (unsigned long long)plan->seed, scry_last_error());
    for (int i = 0; i < plan->count; i++)
        if (!outcomes[i].changed)
            cr_expect_arr_eq(&outcomes[i], scry_sweep_baseline(sweep), sizeof *outcomes,
                             "%s, plan %llu: patch %d is not the baseline", world->f.name,
                             (unsigned long long)plan->seed, i);
    scry_sweep_cost cost = scry_sweep_get_cost(sweep);
    scry_sweep_destroy(&sweep);
    return cost;
}

/* An edit may well lead to infinity or NaN, such as a denominator of zero: then both must. */
static double apart(float a, float b)
{
    if (a == b || (isnan(a) && isnan(b))) return 0;
    double difference = fabs((double)a - (double)b);
    return isnan(difference) ? INFINITY : difference;
}

static double difference_of(const scry_outcome *a, const scry_outcome *b)
{
    double largest = fmax(fmax(apart(a->lse, b->lse), apart(a->entropy, b->entropy)),
                          fmax(apart(a->kl, b->kl), apart(a->loss, b->loss)));
    for (int i = 0; i < SCRY_SWEEP_MOST_TARGETS; i++) largest = fmax(largest, apart(a->logits[i], b->logits[i]));
    return largest;
}

/* The logits of a trace with the same edits, all of them, in a session that knows nothing of sweeps. */
static double difference_from_trace(const struct world *world, const struct plan *plan, int patch,
                                    const scry_outcome *outcome)
{
    scry_trace      *trace    = NULL;
    const scry_edits edits    = {plan->patches[patch].edit_count, plan->patches[patch].edits};
    int              position = plan->options.has_position ? plan->options.position : world->f.id_count - 1;
    size_t           columns  = (size_t)scry_model_get_info(world->f.model)->vocabulary;
    double           largest  = 0;
    cr_assert_eq(
        scry_trace_run(&trace, world->f.model, NULL,
                       &(scry_trace_options){
                           .ids = world->f.ids, .id_count = world->f.id_count, .hooks = "logits", .edits = &edits}),
        SCRY_OK, "%s, plan %llu: %s", world->f.name, (unsigned long long)plan->seed, scry_last_error());
    const float *logits = (const float *)trace->captures[0].data + (size_t)position * columns;
    for (int i = 0; i < plan->options.target_count; i++)
        largest = fmax(largest, apart(logits[plan->targets[i]], outcome->logits[i]));
    scry_trace_destroy(&trace);
    return largest;
}

/* A trace runs the rows behind the position too. A pattern can be edited to look at them, and dynamic rotation depends
 * on the length of a pass. */
static bool has_a_trace(const struct world *world, const struct plan *plan, int patch)
{
    const scry_sweep_options *options = &plan->options;
    if (options->losses || !options->has_position || options->position == world->f.id_count - 1) return true;
    for (int i = 0; i < plan->patches[patch].edit_count; i++)
        if (strstr(plan->edits[patch][i].hook, "hook_pattern")) return false;
    return strcmp(world->f.name, "llama_rope_dynamic");
}

static void check_plan(const struct world *world, const struct plan *plan, bool exact)
{
    scry_outcome engine[MOST_PATCHES], naive[MOST_PATCHES];
    memset(engine, 0, sizeof engine);
    memset(naive, 0, sizeof naive);
    run(world, plan, false, engine);
    run(world, plan, true, naive);
    for (int i = 0; i < plan->count; i++) {
        double from_whole = difference_of(&engine[i], &naive[i]);
        double from_trace = has_a_trace(world, plan, i) ? difference_from_trace(world, plan, i, &engine[i]) : 0;
        cr_expect_eq(engine[i].changed, naive[i].changed, "%s, plan %llu, patch %d", world->f.name,
                     (unsigned long long)plan->seed, i);
        cr_expect(exact ? !memcmp(&engine[i], &naive[i], sizeof *engine) : from_whole <= PROMISE,
                  "%s, plan %llu, patch %d: %g from a whole pass", world->f.name, (unsigned long long)plan->seed, i,
                  from_whole);
        cr_expect(from_trace <= PROMISE, "%s, plan %llu, patch %d: %g from a trace", world->f.name,
                  (unsigned long long)plan->seed, i, from_trace);
    }
}

static void check_plans(const char *device, const char *name)
{
    static struct plan plan;
    struct world       world;
    world_open(&world, device, name);
    for (int i = 0; i < PLANS; i++) {
        uint64_t seed = (uint64_t)i;
        for (const char *c = name; *c; c++) seed = 31 * seed + (unsigned char)*c;
        draw(&plan, &world, seed);
        check_plan(&world, &plan, !strcmp(device, "reference"));
    }
    world_close(&world);
}

Test(sweep_plans, engine__is_as_whole_passes, .timeout = 300)
{
    fixture_for_all(check_plans);
}

FIXTURES_ON_PLUGINS(sweep_plans, engine, is_as_whole_passes, false, check_plans)
