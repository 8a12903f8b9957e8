/* Which tokens steering's picture follows: chosen from lists that hold a few of each run's shifts, they are those that
 * move most of all. */
#include "analysis/steer_shift.h"
#include "fixture.h"

#include "base/alloc.h"
#include "base/noise.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 5, TOP = 4, RANDOM = 3 };

struct made {
    struct fixture f;
    int            vocabulary;
    float         *plain, *steered; /* logits [V], [RUNS, V] */
    double         sums[1 + RUNS];  /* of exp(logit); the plain ones first */
    scry_steered   runs[RUNS];
    scry_steering  steering;
};

/* Runs of logits that are drawn, farther from the plain ones from run to run; the last has the plain ones themselves.
 */
static void make(struct made *made, uint64_t seed)
{
    fixture_open(&made->f, "cpu", "llama");
    made->vocabulary = scry_model_get_info(made->f.model)->vocabulary;
    made->plain      = malloc((size_t)made->vocabulary * sizeof *made->plain);
    made->steered    = malloc((size_t)(RUNS * made->vocabulary) * sizeof *made->steered);
    made->steering   = (scry_steering){.count = RUNS, .runs = made->runs, .random_count = RANDOM};
    uint64_t stream  = scry__noise_stream(seed, "steering");
    for (int i = 0; i < made->vocabulary; i++) made->plain[i] = (float)scry__noise_normal(stream, (uint64_t)i);
    for (int run = 0; run < RUNS; run++) {
        float *logits = made->steered + run * made->vocabulary;
        memcpy(logits, made->plain, (size_t)made->vocabulary * sizeof *logits);
        for (int i = 0; i < made->vocabulary && run < RUNS - 1; i++)
            logits[i] += (float)(0.5 * (run + 1) * scry__noise_normal(stream, 1000 + (uint64_t)i) +
                                 0.2 * scry__noise_normal(stream, (uint64_t)(2000 * (run + 1) + i)));
        cr_assert_eq(scry__shifts_find(&made->runs[run], made->f.model, made->plain, logits, TOP), SCRY_OK);
    }
    for (int run = -1; run < RUNS; run++)
        for (int i = 0; i < made->vocabulary; i++)
            made->sums[1 + run] += exp((double)(run < 0 ? made->plain : made->steered + run * made->vocabulary)[i]);
    cr_assert_eq(scry__followed_choose(&made->steering, made->f.model, made->plain, made->steered, TOP), SCRY_OK, "%s",
                 scry_last_error());
}

static void finish(struct made *made)
{
    for (int run = 0; run < RUNS; run++) {
        for (int i = 0; i < made->runs[run].rise_count; i++) scry__free(made->runs[run].rises[i].text);
        for (int i = 0; i < made->runs[run].fall_count; i++) scry__free(made->runs[run].falls[i].text);
        scry__free(made->runs[run].rises);
        scry__free(made->runs[run].falls);
    }
    scry__followed_release(&made->steering);
    free(made->steered);
    free(made->plain);
    fixture_close(&made->f);
}

/* In a run, or without the vector (-1). */
static double probability_of(const struct made *made, int run, int id)
{
    const float *logits = run < 0 ? made->plain : made->steered + run * made->vocabulary;
    return exp((double)logits[id]) / made->sums[1 + run];
}

/* The most that a token rises (sign 1) or falls (-1) in any run. */
static double most_of(const struct made *made, int id, int sign)
{
    double before = probability_of(made, -1, id), most = 0;
    for (int run = 0; run < RUNS; run++) most = fmax(most, sign * (probability_of(made, run, id) - before));
    return most;
}

static const scry_followed *find(const struct made *made, int id)
{
    for (int i = 0; i < made->steering.followed_count; i++)
        if (made->steering.followed[i].id == id) return &made->steering.followed[i];
    return NULL;
}

/* Among the TOP of all tokens, one by one. */
static bool is_chosen(const struct made *made, int id, int sign)
{
    int larger = 0;
    for (int i = 0; i < made->vocabulary; i++) larger += most_of(made, i, sign) > most_of(made, id, sign);
    return larger < TOP;
}

Test(steer_shift, followed__are_the_tokens_that_move_most_at_any_strength)
{
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct made made = {0};
        double      last = INFINITY;
        make(&made, seed);
        for (int id = 0; id < made.vocabulary; id++)
            cr_expect_eq(find(&made, id) != NULL, is_chosen(&made, id, 1) || is_chosen(&made, id, -1), "token %d", id);
        for (int i = 0; i < made.steering.followed_count; i++) {
            const scry_followed *token = &made.steering.followed[i];
            double               most  = fmax(most_of(&made, token->id, 1), most_of(&made, token->id, -1));
            cr_expect(token->text && most <= last + 1e-6, "the largest first: %d", i);
            last = most;
        }
        finish(&made);
    }
}

Test(steer_shift, followed__have_their_numbers_of_every_run)
{
    struct made made = {0};
    make(&made, 7);
    for (int run = 0; run < RUNS; run++)
        for (int i = 0; i < RANDOM; i++) /* any logits do */
            scry__followed_take_random(&made.steering, run, i, made.steered + (run + i) % RUNS * made.vocabulary,
                                       made.vocabulary);
    for (int i = 0; i < made.steering.followed_count; i++) {
        const scry_followed *token = &made.steering.followed[i];
        cr_expect_eq(token->plain.logit, made.plain[token->id]);
        cr_expect_float_eq(token->plain.probability, probability_of(&made, -1, token->id), 1e-6);
        for (int run = 0; run < RUNS; run++) {
            const float *logits = made.steered + run * made.vocabulary;
            cr_expect_eq(token->steered[run].logit, logits[token->id]);
            cr_expect_float_eq(token->steered[run].probability, probability_of(&made, run, token->id), 1e-6);
            for (int j = 0; j < RANDOM; j++)
                cr_expect_eq(token->random[run * RANDOM + j].logit, token->steered[(run + j) % RUNS].logit);
        }
    }
    finish(&made);
}
