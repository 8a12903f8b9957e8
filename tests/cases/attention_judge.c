/* Bounds of attention. Those of a score are attention_scores.h's matter, and what they do to a row row_bounds.c's. Then
 * output               sum (error of p_j) |v_j| + gamma(K + 4 + K/32) sum p_j |v_j|
 * received, distance   the sum of the errors, and gamma(Q) times the sum itself */
#include "base/alloc.h"
#include "cases/attention_scores.h"
#include "cases/bounds.h"
#include "cases/masks.h"

#include <string.h>

/* The operands, and one row's and one head's numbers, all of them of length K but distance (N). */
struct judging {
    const scry__plan     *plan;
    scry__verdict        *verdict;
    const scry_attention *op;
    const scry__array    *v, *out;
    scry__attention_from  from;
    double               *scores, *score_errors;
    double               *received, *received_errors, *distance, *distance_errors;
    scry__softmax_row     row;
};

static int64_t distance_count(const scry_attention *op)
{
    return op->capture.distance.rank ? op->capture.distance.shape[2] : 0;
}

static bool prepare(struct judging *j, const scry__plan *plan, scry__verdict *verdict)
{
    const scry_attention *op = &plan->op.attention;
    int64_t               K = op->k.shape[1], N = distance_count(op);
    *j        = (struct judging){.plan = plan, .verdict = verdict, .op = op};
    j->from   = (scry__attention_from){.plan    = plan,
                                       .q       = scry__plan_find(plan, &op->q),
                                       .k       = scry__plan_find(plan, &op->k),
                                       .mask    = &op->mask,
                                       .scale   = op->scale,
                                       .softcap = op->softcap,
                                       .unit    = verdict->unit};
    j->v      = scry__plan_find(plan, &op->v);
    j->out    = scry__plan_find(plan, &op->out);
    j->scores = scry__alloc((size_t)(7 * K + 2 * N), sizeof *j->scores);
    if (!j->scores) return false;
    j->score_errors    = j->scores + K;
    j->row             = (scry__softmax_row){.count         = K,
                                             .scores        = j->scores,
                                             .score_errors  = j->score_errors,
                                             .probabilities = j->scores + 2 * K,
                                             .errors        = j->scores + 3 * K,
                                             .log_errors    = j->scores + 4 * K};
    j->received        = j->scores + 5 * K;
    j->received_errors = j->received + K;
    j->distance        = j->received_errors + K;
    j->distance_errors = j->distance + N;
    return true;
}

static void fill_row(struct judging *j, int64_t b, int64_t h, int64_t i)
{
    for (int64_t key = 0; key < j->row.count; key++) {
        j->scores[key]       = -INFINITY;
        j->score_errors[key] = 0;
        if (!scry__mask_visible(j->plan, &j->op->mask, b, i, key)) continue;
        scry__capped score   = scry__attention_score(&j->from, b, h, i, key);
        j->scores[key]       = score.value;
        j->score_errors[key] = score.value == -INFINITY ? 0 : score.error;
    }
    scry__softmax_row_bounds(&j->row, j->verdict->unit);
}

static void judge_output(const struct judging *j, int64_t b, int64_t h, int64_t i)
{
    const scry_attention *op = j->op;
    int64_t               Q = op->q.shape[1], H = op->q.shape[2], K = op->k.shape[1], G = op->k.shape[2];
    int64_t               Dv   = op->v.shape[3];
    double                last = gamma_of((double)K + 4 + (double)K / 32, j->verdict->unit);
    for (int64_t d = 0; d < Dv; d++) {
        double bound = 0, mixed = 0;
        for (int64_t key = 0; key < K; key++) {
            if (j->scores[key] == -INFINITY) continue;
            double value = scry__array_get(j->v, ((b * K + key) * G + h / (H / G)) * Dv + d);
            bound += (j->row.errors[key] + last * j->row.probabilities[key]) * fabs(value);
            mixed += j->row.probabilities[key] * value;
        }
        scry__verdict_result(j->verdict, j->out, ((b * Q + i) * H + h) * Dv + d, mixed, bound);
    }
}

/* Place of head h among those captured; -1 where it is not. */
static int64_t slot_of(const scry_attention_capture *capture, int64_t h)
{
    int64_t slot = 0;
    bool    all  = true;
    for (int word = 0; word < SCRY_MAX_HEADS / 64; word++) all = all && !capture->heads[word];
    if (all) return h;
    if (!(capture->heads[h / 64] >> h % 64 & 1)) return -1;
    for (int64_t before = 0; before < h; before++) slot += (int64_t)(capture->heads[before / 64] >> before % 64 & 1);
    return slot;
}

static void judge_tile(const struct judging *j, const scry_tensor *tensor, const double *exact, const double *bounds,
                       int64_t b, int64_t h, int64_t i)
{
    const scry_attention_capture *capture = &j->op->capture;
    const scry__array            *tile    = scry__plan_find(j->plan, tensor);
    int64_t                       slot = slot_of(capture, h), row = i - capture->query_begin;
    if (!tile || slot < 0 || row < 0 || row >= tensor->shape[2]) return;
    int64_t first = ((b * tensor->shape[1] + slot) * tensor->shape[2] + row) * tensor->shape[3];
    for (int64_t column = 0; column < tensor->shape[3]; column++) {
        int64_t key = capture->key_begin + column;
        /* A row that sees a NaN may be NaN at its masked keys too. */
        if (isnan(j->row.lse) && j->scores[key] == -INFINITY) continue;
        scry__verdict_result(j->verdict, tile, first + column, exact[key], bounds[key]);
    }
}

static void judge_top(const struct judging *j, int64_t index)
{
    const scry_attention_capture *capture = &j->op->capture;
    const scry__array            *keys    = scry__plan_find(j->plan, &capture->top_key);
    const scry__array            *values  = scry__plan_find(j->plan, &capture->top_probability);
    int64_t       places  = keys ? capture->top_key.shape[3] : values ? capture->top_probability.shape[3] : 0;
    scry__ranking ranking = scry__ranking_of(&j->row, j->plan->exact);
    scry__verdict_ranking(j->verdict, &ranking, keys, values, index * places, places);
    scry__verdict_order(j->verdict, keys, values, index * places, places);
}

static void add_to_sums(struct judging *j, int64_t i)
{
    int64_t at = j->op->mask.query_offset + i, N = distance_count(j->op);
    for (int64_t key = 0; key < j->row.count; key++) {
        j->received[key] += j->row.probabilities[key];
        j->received_errors[key] += j->row.errors[key];
        if (key > at || at - key >= N) continue;
        j->distance[at - key] += j->row.probabilities[key];
        j->distance_errors[at - key] += j->row.errors[key];
    }
}

static void judge_sums(const struct judging *j, const scry_tensor *tensor, const double *sums, const double *errors,
                       int64_t head)
{
    const scry__array *output = scry__plan_find(j->plan, tensor);
    double             gamma  = gamma_of((double)j->op->q.shape[1], j->verdict->unit);
    if (!output) return;
    for (int64_t n = 0; n < tensor->shape[2]; n++)
        scry__verdict_result(j->verdict, output, head * tensor->shape[2] + n, sums[n], errors[n] + gamma * sums[n]);
}

static void judge_head(struct judging *j, int64_t b, int64_t h)
{
    const scry_attention *op = j->op;
    int64_t               Q = op->q.shape[1], head = b * op->q.shape[2] + h;
    memset(j->received, 0, (size_t)(2 * j->row.count + 2 * distance_count(op)) * sizeof *j->received);
    for (int64_t i = 0; i < Q; i++) {
        fill_row(j, b, h, i);
        judge_output(j, b, h, i);
        judge_tile(j, &op->capture.probabilities, j->row.probabilities, j->row.errors, b, h, i);
        judge_tile(j, &op->capture.scores, j->scores, j->score_errors, b, h, i);
        scry__row_statistics_judge(j->plan, j->verdict, &op->capture.rows, &op->mask, &j->row, head * Q + i, b, i);
        judge_top(j, head * Q + i);
        add_to_sums(j, i);
    }
    judge_sums(j, &op->capture.received, j->received, j->received_errors, head);
    judge_sums(j, &op->capture.distance, j->distance, j->distance_errors, head);
}

void scry__judge_attention(const scry__plan *plan, scry__verdict *verdict)
{
    struct judging j;
    if (!prepare(&j, plan, verdict)) {
        scry__verdict_fail(verdict, "no memory to judge with");
        return;
    }
    for (int64_t b = 0; b < j.op->q.shape[0]; b++)
        for (int64_t h = 0; h < j.op->q.shape[2]; h++) judge_head(&j, b, h);
    scry__free(j.scores);
}
