/* The lens' running results: the largest logits of each row, and the merge of what the parts found. */
#include "lens.h"

#include <float.h>
#include <math.h>
#include <string.h>

void scry__cpu_lens_begin(const struct scry__cpu_lens *plan, struct scry__cpu_lens_space *space)
{
    struct scry__cpu_lens_space first = scry__cpu_lens_space(plan, 0);
    for (int64_t vector = 0; vector < plan->block_vectors; vector++) {
        struct scry__cpu_lens_lanes *state = &space->states[vector], *target = &first.states[vector];
        if (state != target) {
            memcpy(state->target, target->target, sizeof state->target);
            memcpy(state->target_id, target->target_id, sizeof state->target_id);
        }
        for (int lane = 0; lane < plan->lanes; lane++) {
            struct scry__cpu_lens_row row;
            bool                      wanted = scry__cpu_lens_row(plan, vector, lane, &row) && row.layer >= 0;
            state->max[lane]                 = -FLT_MAX; /* finite, so that its difference from -inf is no NaN */
            state->sum[lane] = state->entropy[lane] = state->divergence[lane] = 0;
            state->rank[lane]                                                 = 0;
            state->threshold[lane]                                            = wanted ? -INFINITY : INFINITY;
        }
    }
    for (int64_t i = 0; i < plan->block_vectors * plan->lanes * plan->top; i++) {
        space->top_logit[i] = -INFINITY;
        space->top_id[i]    = -1;
    }
}

/* Puts a logit behind those that are as large: they have lower ids. */
static void insert(float *logits, int32_t *ids, int64_t top, float logit, int64_t id)
{
    int64_t place = top - 1;
    for (; place > 0 && logits[place - 1] < logit; place--) {
        logits[place] = logits[place - 1];
        ids[place]    = ids[place - 1];
    }
    logits[place] = logit;
    ids[place]    = (int32_t)id;
}

void scry__cpu_lens_keep(const struct scry__cpu_lens *plan, struct scry__cpu_lens_space *space, int64_t vector,
                         const float *logits, int64_t ldt, int64_t rows, int64_t first_id)
{
    struct scry__cpu_lens_lanes *state = &space->states[vector];
    uint32_t                     lanes = plan->cpu->kernels->lens_candidates(state, logits, ldt, rows);
    for (int lane = 0; lane < plan->lanes; lane++) {
        if (!(lanes >> lane & 1)) continue;
        float   *top = space->top_logit + (vector * plan->lanes + lane) * plan->top;
        int32_t *ids = space->top_id + (vector * plan->lanes + lane) * plan->top;
        for (int64_t row = 0; row < rows; row++)
            if (logits[row * ldt + lane] > top[plan->top - 1])
                insert(top, ids, plan->top, logits[row * ldt + lane], first_id + row);
        state->threshold[lane] = top[plan->top - 1];
    }
}

/* A row's sums over the whole vocabulary. */
struct totals {
    double max, sum, entropy, divergence;
    /* For the divergence, whose terms are weighted by the reference's exponentials. */
    double  reference_max, reference_sum;
    int64_t rank;
};

static double shrink(double from, double to)
{
    return from == to ? 1 : exp(from - to);
}

static struct totals merge_sums(const struct scry__cpu_lens *plan, int parts, int64_t vector, int lane)
{
    struct totals total = {.max = -FLT_MAX};
    for (int part = 0; part < parts; part++) {
        const struct scry__cpu_lens_lanes *state = &scry__cpu_lens_space(plan, part).states[vector];
        total.max                                = fmax(total.max, (double)state->max[lane]);
        total.rank += state->rank[lane];
    }
    for (int part = 0; part < parts; part++) {
        const struct scry__cpu_lens_lanes *state = &scry__cpu_lens_space(plan, part).states[vector];
        double                             by    = shrink((double)state->max[lane], total.max);
        total.sum += by * state->sum[lane];
        if (by > 0)
            total.entropy += by * (state->entropy[lane] + (total.max - (double)state->max[lane]) * state->sum[lane]);
    }
    return total;
}

static double log_sum_exp(const struct totals *total)
{
    return total->sum == 0 ? -INFINITY : total->max + log(total->sum);
}

/* sum p (reference - logit) - (reference lse - lse), p the reference's probabilities; rounding never makes it
 * negative. */
static double divergence(const struct scry__cpu_lens *plan, int parts, int64_t vector, int lane,
                         const struct scry__cpu_lens_row *row, const struct totals *total)
{
    struct totals reference = merge_sums(plan, parts, row->reference_vector, (int)row->reference_lane);
    double        sum       = 0;
    for (int part = 0; part < parts; part++) {
        struct scry__cpu_lens_space        space  = scry__cpu_lens_space(plan, part);
        const struct scry__cpu_lens_lanes *theirs = &space.states[row->reference_vector];
        sum += shrink((double)theirs->max[row->reference_lane], reference.max) * space.states[vector].divergence[lane];
    }
    double kl = sum / reference.sum - (log_sum_exp(&reference) - log_sum_exp(total));
    return kl < 0 ? 0 : kl;
}

static void put(const scry_tensor *x, const struct scry__cpu_lens_row *row, double value)
{
    if (present(x)) *(float *)element(x, row->layer * x->stride[0] + row->position * x->stride[1]) = (float)value;
}

/* The parts' lists hold ascending ranges of ids: taken in their order, equal logits stay in the order of ids. */
static void store_top(const struct scry__cpu_lens *plan, int parts, int64_t vector, int lane,
                      const struct scry__cpu_lens_row *row)
{
    const scry_tensor *id = &plan->op->top_id, *logit = &plan->op->top_logit;
    int64_t            first = (vector * plan->lanes + lane) * plan->top;
    float             *top   = scry__cpu_lens_space(plan, 0).top_logit + first;
    int32_t           *ids   = scry__cpu_lens_space(plan, 0).top_id + first;
    for (int part = 1; part < parts; part++) {
        struct scry__cpu_lens_space other = scry__cpu_lens_space(plan, part);
        for (int64_t t = 0; t < plan->top && other.top_logit[first + t] > top[plan->top - 1]; t++)
            insert(top, ids, plan->top, other.top_logit[first + t], other.top_id[first + t]);
    }
    for (int64_t t = 0; t < plan->top; t++) {
        if (present(id))
            *(int32_t *)element(id, row->layer * id->stride[0] + row->position * id->stride[1] + t * id->stride[2]) =
                ids[t];
        if (present(logit))
            *(float *)element(logit, row->layer * logit->stride[0] + row->position * logit->stride[1] +
                                         t * logit->stride[2]) = top[t];
    }
}

/* A target outside the vocabulary is none: logit NaN, rank -1. */
static void store_target(const struct scry__cpu_lens *plan, int64_t vector, int lane,
                         const struct scry__cpu_lens_row *row, int64_t rank)
{
    const struct scry__cpu_lens_lanes *state  = &scry__cpu_lens_space(plan, 0).states[vector];
    const scry_tensor                 *to     = &plan->op->target_rank;
    bool                               inside = state->target_id[lane] >= 0;
    put(&plan->op->target_logit, row, inside ? (double)state->target[lane] : (double)NAN);
    if (present(to))
        *(int32_t *)element(to, row->layer * to->stride[0] + row->position * to->stride[1]) =
            inside ? (int32_t)rank : -1;
}

void scry__cpu_lens_store(const struct scry__cpu_lens *plan, int parts)
{
    for (int64_t vector = 0; vector < plan->block_vectors; vector++)
        for (int lane = 0; lane < plan->lanes; lane++) {
            struct scry__cpu_lens_row row;
            if (!scry__cpu_lens_row(plan, vector, lane, &row) || row.layer < 0) continue;
            struct totals total = merge_sums(plan, parts, vector, lane);
            double        lse   = log_sum_exp(&total);
            if (plan->sums) {
                put(&plan->op->lse, &row, lse);
                put(&plan->op->entropy, &row, total.sum == 0 ? 0 : log(total.sum) + total.entropy / total.sum);
            }
            if (plan->compares) put(&plan->op->kl, &row, divergence(plan, parts, vector, lane, &row, &total));
            if (plan->top) store_top(plan, parts, vector, lane, &row);
            if (plan->ranks) store_target(plan, vector, lane, &row, total.rank);
        }
}
