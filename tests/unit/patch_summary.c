/* Means and spreads of patchings over pairs: against sums over all numbers, by shape, with what they have in common. */
#include "refusals.h"
#include "scry/patch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { LAYERS = 2, HEADS = 3, MOST = 5 };

/* A patching of `count` positions: one grid by position, one by head, whose numbers follow from `seed`. */
struct made {
    scry_patching   patching;
    scry_tokens     tokens[2];
    char           *texts[2][MOST];
    int32_t         ids[MOST], matches[MOST];
    scry_patch_grid grids[2];
    scry_patch_cell stream[LAYERS * MOST], heads[LAYERS * HEADS];
};

static scry_patch_cell cell_of(int seed, int index)
{
    float x = (float)(seed * seed + 3 * index % 7) / 8;
    return (scry_patch_cell){x, 2 * x - 1, x / 100, 3 - x, x - 0.5F};
}

static scry_patching *make(struct made *made, int count, int seed)
{
    static char same[] = "same", one[] = "one", other[] = "other", third[] = "third";
    *made          = (struct made){.grids = {{SCRY_PATCH_ATTN_OUT, LAYERS, 1, count, made->stream},
                                             {SCRY_PATCH_V, LAYERS, HEADS, 1, made->heads}}};
    made->patching = (scry_patching){.clean          = {.tokens = &made->tokens[0], .logit_difference = (float)seed},
                                     .corrupt        = {.tokens = &made->tokens[1], .logit_difference = (float)-seed},
                                     .defined        = seed != 0,
                                     .position_count = count,
                                     .matches        = made->matches,
                                     .grid_count     = 2,
                                     .grids          = made->grids};
    for (int side = 0; side < 2; side++) made->tokens[side] = (scry_tokens){count, made->ids, made->texts[side]};
    for (int i = 0; i < count; i++) {
        made->matches[i]  = i;
        made->texts[0][i] = made->texts[1][i] = same;
    }
    made->texts[1][1] = seed == 2 ? third : other; /* the prompts differ at 1 */
    made->texts[0][1] = one;
    if (count > 2 && seed == 3) made->texts[0][2] = made->texts[1][2] = third; /* from other pairs at 2 */
    for (int i = 0; i < LAYERS * count; i++) made->stream[i] = cell_of(seed, i);
    for (int i = 0; i < LAYERS * HEADS; i++) made->heads[i] = cell_of(seed, i + 20);
    if (seed == 3) made->heads[0].effect = NAN;
    return &made->patching;
}

static void expect_spread(const scry_patch_spread *spread, const double *numbers, int count, const char *what)
{
    double mean = 0, squares = 0;
    for (int i = 0; i < count; i++) mean += numbers[i] / count;
    for (int i = 0; i < count; i++) squares += (numbers[i] - mean) * (numbers[i] - mean);
    cr_expect_eq(spread->count, count, "%s: %d", what, spread->count);
    cr_expect(count ? fabs(spread->mean - mean) < 1e-12 : isnan(spread->mean), "%s: mean %g, not %g", what,
              spread->mean, mean);
    cr_expect(count > 1 ? fabs(spread->deviation - sqrt(squares / (count - 1))) < 1e-9 : isnan(spread->deviation),
              "%s: deviation %g", what, spread->deviation);
}

/* Three pairs of four positions, one of five: streams of each length apart, heads of all together. */
Test(patch_summary, add__keeps_means_by_shape)
{
    static const int    counts[] = {4, 4, 5, 4};
    struct made         made;
    scry_patch_summary *summary = NULL;
    for (int seed = 0; seed < 4; seed++) {
        scry_patching *patching = make(&made, counts[seed], seed);
        cr_assert_eq(scry_patch_summary_add(&summary, &patching, 1), SCRY_OK);
    }
    cr_assert_eq(summary->grid_count, 3);
    cr_expect_eq(summary->pair_count, 4);
    cr_expect_eq(summary->defined_count, 3);
    expect_spread(&summary->clean, (double[]){0, 1, 2, 3}, 4, "clean");
    expect_spread(&summary->corrupt, (double[]){0, -1, -2, -3}, 4, "corrupt");
    const scry_patch_mean_grid *four = &summary->grids[0], *heads = &summary->grids[1], *five = &summary->grids[2];
    cr_expect(four->pair_count == 3 && heads->pair_count == 4 && five->pair_count == 1);
    cr_expect(four->position_count == 4 && heads->head_count == HEADS && five->position_count == 5);
    for (int i = 0; i < LAYERS * 4; i++)
        expect_spread(&four->spreads[i * SCRY_PATCH_METRIC_COUNT + SCRY_PATCH_METRIC_KL],
                      (double[]){(double)cell_of(0, i).kl, (double)cell_of(1, i).kl, (double)cell_of(3, i).kl}, 3,
                      "KL");
    for (int i = 0; i < LAYERS * HEADS; i++) {
        double numbers[4];
        for (int seed = 0; seed < 4; seed++) numbers[seed] = (double)cell_of(seed, i + 20).effect;
        expect_spread(&heads->spreads[i * SCRY_PATCH_METRIC_COUNT], numbers, i ? 4 : 3, "effect");
    }
    expect_spread(&five->spreads[0], (double[]){(double)cell_of(2, 0).effect}, 1, "of one pair");
    cr_expect_null(heads->labels);
    cr_expect_str_eq(four->labels[0], "same");
    cr_expect_null(four->labels[1], "the prompts differ there");
    cr_expect_null(four->labels[2], "the pairs differ there");
    cr_expect_str_eq(four->labels[3], "same");
    cr_expect_str_eq(five->labels[2], "same");
    scry_patch_summary_destroy(&summary);
    scry_patch_summary_destroy(&summary);
}

/* Estimates are not averaged with what was run. */
Test(patch_summary, add__keeps_methods_apart)
{
    struct made         made;
    scry_patch_summary *summary = NULL;
    for (int method = 0; method < SCRY_PATCH_METHOD_COUNT; method++) {
        scry_patching *patching = make(&made, 4, 1);
        patching->method        = (scry_patch_method)method;
        cr_assert_eq(scry_patch_summary_add(&summary, &patching, 1), SCRY_OK);
    }
    cr_assert_eq(summary->grid_count, 2 * SCRY_PATCH_METHOD_COUNT);
    for (int i = 0; i < summary->grid_count; i++)
        cr_expect(summary->grids[i].method == (scry_patch_method)(i / 2) && summary->grids[i].pair_count == 1);
    scry_patch_summary_destroy(&summary);
}

/* Both directions of a pair count as one; what is refused leaves all as it was. */
Test(patch_summary, add__survives_every_refused_allocation)
{
    struct refusals     refusals = {0};
    struct made         made[3];
    scry_patching      *pair[] = {make(&made[0], 3, 1), make(&made[1], 3, 2)}, *longer = make(&made[2], 5, 3);
    scry_patch_summary *summary = NULL;
    made[1].patching.direction  = SCRY_NOISE;
    while (refusals_next(&refusals)) {
        scry_status status = scry_patch_summary_add(&summary, pair, 2);
        refusals_check(&refusals, status, summary != NULL);
    }
    cr_expect_gt(refusals.refused, 6);
    cr_expect(summary->pair_count == 1 && summary->grid_count == 4 && summary->defined_count == 1);
    refusals = (struct refusals){0};
    while (refusals_next(&refusals)) {
        scry_status status = scry_patch_summary_add(&summary, &longer, 1);
        refusals_check(&refusals, status, summary->pair_count == 2);
        if (status) cr_expect_eq(summary->grid_count, 4);
    }
    cr_expect_eq(summary->grid_count, 5);
    cr_expect_eq(summary->grids[1].spreads[SCRY_PATCH_METRIC_KL].count, 2);
    scry_patch_summary_destroy(&summary);
}
