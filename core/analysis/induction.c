/* Induction: a sequence that is said again. See scry/heads.h; the probe is probe.h's, what feeds a head
 * composition.h's.
 */
#include "analysis/certainty.h"
#include "analysis/composition.h"
#include "analysis/survey.h"
#include "base/alloc.h"
#include "model/model.h"

#include <math.h>
#include <stdlib.h>

enum { DEFAULT_SEEDS = 8, DEFAULT_FEEDERS = 3, MOST_READERS = 16 };

/* `count` numbers, `stride` apart. */
static scry_spread spread_of(const double *values, int count)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < count; i++) sum += values[i];
    for (int i = 0; i < count; i++) squares += (values[i] - sum / count) * (values[i] - sum / count);
    return (scry_spread){(float)(sum / count), count > 1 ? (float)sqrt(squares / (count - 1)) : NAN};
}

static scry_spread spread_of_floats(double *scratch, const float *values, int count)
{
    for (int i = 0; i < count; i++) scratch[i] = (double)values[i];
    return spread_of(scratch, count);
}

/* --- loss --- */

/* Mean over seeds of the mean loss on tokens [begin, end). */
static scry_spread loss_between(double *scratch, const scry__probe *probe, int begin, int end)
{
    for (int seed = 0; seed < probe->seeds; seed++) {
        const float *loss = probe->loss + (size_t)seed * (size_t)probe->positions;
        scratch[seed]     = 0;
        for (int t = begin; t < end; t++) scratch[seed] += (double)loss[t] / (end - begin);
    }
    return spread_of(scratch, probe->seeds);
}

/* Nothing before the second copy says which token it begins with, so that one counts in neither. */
static void fill_loss(scry_induction *induction, double *scratch, const scry__probe *probe)
{
    int first = induction->prefix ? induction->prefix : 1, second = induction->prefix + induction->length;
    induction->loss_first  = loss_between(scratch, probe, first, second);
    induction->loss_second = loss_between(scratch, probe, second + 1, probe->positions);
    for (int t = 0; t < probe->positions; t++) induction->loss[t] = loss_between(scratch, probe, t, t + 1).mean;
}

/* --- heads and nulls --- */

static scry_status fill_nulls(scry_induction *induction, const scry_model *model, const scry__probe_tokens *tokens,
                              const scry_induction_options *options, scry__progress *progress)
{
    scry__sample sampled[3] = {0};
    scry_status  status     = SCRY_OK;
    for (int i = 0; i < induction->random_seeds && !status; i++) {
        scry_model *twin  = NULL;
        scry__probe probe = {0};
        status            = scry__survey_twin(&twin, model, options->twin, options->seed, i);
        if (!status) status = scry__probe_run(&probe, twin, tokens, false);
        for (int head = 0; head < probe.head_count && !status; head++) {
            double sums[3] = {0};
            for (int k = head * probe.seeds; k < (head + 1) * probe.seeds; k++) {
                sums[0] += (double)probe.induction[k];
                sums[1] += (double)probe.duplicate[k];
                sums[2] += (double)probe.previous[k];
            }
            for (int kind = 0; kind < 3; kind++) scry__sample_add(&sampled[kind], sums[kind] / probe.seeds);
        }
        scry__probe_finish(&probe);
        if (twin != options->twin) scry_model_destroy(&twin);
        if (!status) status = scry__progress_step(progress);
    }
    induction->induction = scry__sample_null(&sampled[0], scry__probe_uniform(tokens, SCRY_HEAD_INDUCTION, 0));
    induction->duplicate = scry__sample_null(&sampled[1], scry__probe_uniform(tokens, SCRY_HEAD_DUPLICATE, 0));
    induction->previous  = scry__sample_null(&sampled[2], scry__probe_uniform(tokens, SCRY_HEAD_PREVIOUS, 0));
    return status;
}

static void fill_heads(scry_induction *induction, double *scratch, const scry_model *model,
                       const scry__probe_tokens *tokens, const scry__probe *probe)
{
    for (int i = 0; i < probe->head_count; i++) {
        scry_induction_head *head = &induction->heads[i];
        size_t               at   = (size_t)i * (size_t)probe->seeds;
        head->layer               = i / induction->head_count;
        head->head                = i % induction->head_count;
        head->induction           = spread_of_floats(scratch, probe->induction + at, probe->seeds);
        head->duplicate           = spread_of_floats(scratch, probe->duplicate + at, probe->seeds);
        head->previous            = spread_of_floats(scratch, probe->previous + at, probe->seeds).mean;
        scry__evidence evidence   = {
              .value   = (double)head->induction.mean,
              .ceiling = 1,
              .rows    = (double)induction->length * probe->seeds,
              .uniform = scry__probe_uniform(tokens, SCRY_HEAD_INDUCTION, model->arch.layers[head->layer].window),
              .random  = (double)induction->induction.random_largest};
        head->certainty = scry__certainty_above(scry__margin_above(&evidence));
    }
}

/* --- feeders --- */

/* The clear induction heads, the most inductive first. */
static int by_induction(const void *a, const void *b)
{
    const scry_induction_head *left  = *(const scry_induction_head *const *)a;
    const scry_induction_head *right = *(const scry_induction_head *const *)b;
    if (left->induction.mean != right->induction.mean) return left->induction.mean < right->induction.mean ? 1 : -1;
    return left < right ? -1 : left > right;
}

static int choose_readers(scry__head_place places[MOST_READERS], const scry_induction *induction,
                          const scry_induction_head **sorted)
{
    int total = induction->layer_count * induction->head_count, count = 0;
    for (int i = 0; i < total; i++)
        if (induction->heads[i].certainty >= SCRY_CERTAINTY_CLEAR && induction->heads[i].layer > 0)
            sorted[count++] = &induction->heads[i];
    qsort(sorted, (size_t)count, sizeof *sorted, by_induction);
    if (count > MOST_READERS) count = MOST_READERS;
    for (int i = 0; i < count; i++) places[i] = (scry__head_place){sorted[i]->layer, sorted[i]->head};
    return count;
}

/* The largest first, undefined ones last, equal ones in the model's order. */
static int by_composition(const void *a, const void *b)
{
    const scry_feeder *left = a, *right = b;
    float              x = left->k_composition, y = right->k_composition;
    if (isnan(x) != isnan(y)) return isnan(x) - isnan(y);
    if (x < y || x > y) return x < y ? 1 : -1;
    return left->from_layer != right->from_layer ? left->from_layer - right->from_layer
                                                 : left->from_head - right->from_head;
}

/* The heads with the most composition into one reader, behind those of the readers before it; that of a head whose
 * weights are 0 is undefined. `all` has room for every head. */
static void add_feeders(scry_induction *induction, scry_feeder *all, const scry__head_place *place,
                        const float *composition, float null, int most)
{
    int count = place->layer * induction->head_count;
    for (int i = 0; i < count; i++)
        all[i] = (scry_feeder){.layer         = place->layer,
                               .head          = place->head,
                               .from_layer    = i / induction->head_count,
                               .from_head     = i % induction->head_count,
                               .k_composition = composition[i],
                               .null          = null,
                               .previous      = induction->heads[i].previous};
    qsort(all, (size_t)count, sizeof *all, by_composition);
    for (int i = 0; i < count && i < most && !isnan(all[i].k_composition); i++)
        induction->feeders[induction->feeder_count++] = all[i];
}

static scry_status fill_feeders(scry_induction *induction, scry_model *model, int most)
{
    size_t                      total       = (size_t)induction->layer_count * (size_t)induction->head_count;
    const scry_induction_head **sorted      = scry__alloc(total, sizeof(scry_induction_head *));
    scry_feeder                *all         = scry__alloc(total, sizeof *all);
    float                      *composition = NULL;
    scry__head_place            places[MOST_READERS];
    scry_status                 status = sorted && all ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    int                         count  = status ? 0 : choose_readers(places, induction, sorted);
    if (!status && count) {
        composition        = scry__alloc((size_t)count, total * sizeof *composition);
        induction->feeders = scry__alloc((size_t)count, (size_t)most * sizeof *induction->feeders);
        if (!composition || !induction->feeders) status = SCRY_OUT_OF_MEMORY;
        if (!status) status = scry__k_composition(composition, model, places, count);
        for (int i = 0; i < count && !status; i++)
            add_feeders(induction, all, &places[i], composition + (size_t)i * total,
                        (float)scry__k_composition_null(model), most);
    }
    scry__free(composition);
    scry__free(all);
    scry__free(sorted);
    return status;
}

/* --- the call --- */

static scry_status induction_create(scry_induction **out, const scry_model_info *info, const scry__probe_tokens *tokens)
{
    scry_induction *induction = scry__alloc(1, sizeof *induction);
    *out                      = induction;
    if (!induction) return SCRY_OUT_OF_MEMORY;
    induction->prefix         = tokens->prefix;
    induction->length         = tokens->length;
    induction->seeds          = tokens->seeds;
    induction->layer_count    = info->layer_count;
    induction->head_count     = info->head_count;
    induction->position_count = scry__probe_positions(tokens);
    induction->loss           = scry__alloc((size_t)induction->position_count, sizeof *induction->loss);
    induction->heads = scry__alloc((size_t)info->layer_count * (size_t)info->head_count, sizeof *induction->heads);
    return induction->loss && induction->heads ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

static scry_status check_options(const scry_induction_options *options)
{
    if (options->random_seeds < 0)
        return scry__fail(SCRY_BAD_ARGUMENT, "%d random models: expected 0 or more", options->random_seeds);
    if (options->feeders < 0) return scry__fail(SCRY_BAD_ARGUMENT, "%d feeders: expected 0 or more", options->feeders);
    return SCRY_OK;
}

scry_status scry_induction_run(scry_induction **out, scry_model *model, const scry_induction_options *options)
{
    static const scry_induction_options defaults;
    scry_induction                     *induction = NULL;
    scry__probe_tokens                  tokens    = {0};
    scry__probe                         probe     = {0};
    double                             *scratch   = NULL;
    *out                                          = NULL;
    if (!options) options = &defaults;
    scry_status status = check_options(options);
    int         seeds  = options->seeds ? options->seeds : DEFAULT_SEEDS;
    if (!status) status = scry__probe_draw(&tokens, model, options->length, seeds, options->seed);
    if (!status) status = induction_create(&induction, scry_model_get_info(model), &tokens);
    if (status) goto done;
    induction->random_seeds = options->skip_random ? 0 : options->random_seeds ? options->random_seeds : 1;
    scry__progress progress = {
        .report = options->progress, .user = options->user, .total = 2 + induction->random_seeds};
    scratch = scry__alloc((size_t)tokens.seeds, sizeof *scratch);
    status  = scratch ? scry__probe_run(&probe, model, &tokens, true) : SCRY_OUT_OF_MEMORY;
    if (!status) status = scry__progress_step(&progress);
    if (!status) status = fill_nulls(induction, model, &tokens, options, &progress);
    if (status) goto done;
    fill_loss(induction, scratch, &probe);
    fill_heads(induction, scratch, model, &tokens, &probe);
    status = fill_feeders(induction, model, options->feeders ? options->feeders : DEFAULT_FEEDERS);
    if (!status) status = scry__progress_step(&progress);
done:
    scry__free(scratch);
    scry__probe_finish(&probe);
    scry__probe_tokens_finish(&tokens);
    if (status)
        scry_induction_destroy(&induction);
    else
        *out = induction;
    return status;
}

void scry_induction_destroy(scry_induction **induction)
{
    if (!induction || !*induction) return;
    scry__free((*induction)->feeders);
    scry__free((*induction)->heads);
    scry__free((*induction)->loss);
    scry__free(*induction);
    *induction = NULL;
}
