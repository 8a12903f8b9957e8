/* Checks of how heads spread their weight: scores of the wrong scale, uniform attention with what explains it, collapse
 * onto single keys. */
#include "analysis/diagnose.h"
#include "base/text.h"
#include "model/model.h"

#include <math.h>

/* docs/definitions.md says where each comes from. */
#define UNIFORM_ENTROPY 0.99 /* normalised entropy from which on a head is uniform */
#define UNIFORM_SPREAD  0.25 /* and the spread of its scores below which that is no accident of a few rows */
#define SAME_VECTORS    0.01 /* share of the vectors' size that differs between positions */
#define NO_SIZE         1e-6 /* of vectors, beside which nothing is left of a score */
#define LARGE_SPREAD    4.0  /* of scores that may be too large */
#define SMALL_SPREAD    0.5  /* of scores that may be too small */
#define SCALE_GAIN      0.5  /* nats a token that scores of the other size must win then */
#define SATURATED_SHARE 0.3  /* of a model's rows, from which on large ones need to win nothing, */
#define SCALE_COST      0.1  /* but may not be worth that many nats a token either */
#define COLLAPSED_ROWS  0.9  /* of a head */
#define COLLAPSED_HEADS 0.75 /* of a layer */
enum { LEAST_TOKENS = 4 };

static const scry__watched_head *head_at(const scry__watched *watched, int layer, int head)
{
    return &watched->heads[layer * watched->head_count + head];
}

/* Rotary positions may still tell constant keys apart; what stands there they do not tell. */
static bool has_same_keys(const scry__watched_head *head)
{
    return head->key_spread < SAME_VECTORS;
}

static bool is_uniform(const scry__watched_head *head)
{
    return has_same_keys(head) || (head->entropy >= UNIFORM_ENTROPY && !(head->spread >= UNIFORM_SPREAD));
}

/* --- Scale --- */

/* Means over all heads. */
struct summary {
    double single, spread;
};

static struct summary summarise(const scry__watched *watched)
{
    struct summary out   = {0};
    int            count = watched->layer_count * watched->head_count;
    for (int i = 0; i < count; i++) {
        out.single += watched->heads[i].single / count;
        out.spread += watched->heads[i].spread / count;
    }
    return out;
}

/* The prompt's loss as it is, and with all scores times `factor`. */
static scry_status try_scale(double losses[2], const scry__diagnosing *diagnosing, double factor)
{
    const float factors[] = {0, (float)factor};
    scry_status status    = SCRY_OK;
    for (int i = 0; i < 2 && !status; i++) {
        scry__prediction prediction;
        status    = scry__predict(&prediction, diagnosing, &(scry__variant){.query_factor = factors[i]}, NULL, NULL);
        losses[i] = prediction.loss;
        scry__prediction_finish(&prediction);
    }
    return status;
}

static bool is_too_large(struct summary all, const double losses[2])
{
    double cost = losses[1] - losses[0]; /* of scores / sqrt(head size) */
    return -cost >= SCALE_GAIN || (all.single >= SATURATED_SHARE && cost < SCALE_COST);
}

static scry_status add_large(scry__diagnosing *diagnosing, struct summary all, const double losses[2])
{
    scry_finding finding = {.kind     = SCRY_DIAGNOSIS_SCALE,
                            .severity = SCRY_SEVERITY_ERROR,
                            .place    = {-1, -1, -1, -1},
                            .advice   = "Multiply q k^T by 1/sqrt(head size) before the softmax, once; look at fused "
                                        "projections into which the factor was not folded.",
                            .evidence = {{"mean spread of a row's scores", all.spread, LARGE_SPREAD},
                                         {"share of rows with a weight above 0.95", all.single, SATURATED_SHARE},
                                         {"nats a token that scores / sqrt(head size) cost", losses[1] - losses[0],
                                          all.single < SATURATED_SHARE ? -SCALE_GAIN : SCALE_COST},
                                         {"loss", losses[0], NAN}}};
    return scry__diagnose_add(
        diagnosing, finding,
        "attention scores are too large: those of a row spread by %.2f, %.0f %% of all rows see a single key, and "
        "scores divided by sqrt(head size) predict this prompt %s (%.3f instead of %.3f nats a token)",
        all.spread, 100 * all.single, losses[0] - losses[1] >= SCALE_GAIN ? "far better" : "as well", losses[1],
        losses[0]);
}

static scry_status add_small(scry__diagnosing *diagnosing, struct summary all, const double losses[2])
{
    scry_finding finding = {
        .kind     = SCRY_DIAGNOSIS_SCALE,
        .severity = SCRY_SEVERITY_ERROR,
        .place    = {-1, -1, -1, -1},
        .advice   = "The factor 1/sqrt(head size) was probably applied twice: in the weights and before "
                    "the softmax.",
        .evidence = {{"mean spread of a row's scores", all.spread, SMALL_SPREAD},
                     {"nats a token that scores * sqrt(head size) win", losses[0] - losses[1], SCALE_GAIN},
                     {"loss", losses[0], NAN}}};
    return scry__diagnose_add(
        diagnosing, finding,
        "attention scores are too small: those of a row spread by %.2f, and times sqrt(head size) they "
        "predict this prompt far better (%.3f instead of %.3f nats a token)",
        all.spread, losses[1], losses[0]);
}

/* What the prompt's loss would be with other scores decides: a model that needs its sharp attention loses by smaller
 * ones, one that was trained with them does not. */
static scry_status check_scale(scry__diagnosing *diagnosing)
{
    struct summary all  = summarise(&diagnosing->watched);
    double         root = sqrt(scry_model_get_info(diagnosing->model)->head_size), losses[2] = {0};
    bool           large  = all.spread >= LARGE_SPREAD;
    bool           small  = all.spread < SMALL_SPREAD;
    scry_status    status = large || small ? try_scale(losses, diagnosing, large ? 1 / root : root) : SCRY_OK;
    if (!status && large && is_too_large(all, losses)) status = add_large(diagnosing, all, losses);
    if (!status && small && losses[0] - losses[1] >= SCALE_GAIN) status = add_small(diagnosing, all, losses);
    if (status) return status;
    return scry__diagnose_settle(diagnosing, SCRY_DIAGNOSIS_SCALE, SCRY_OUTCOME_CLEAR,
                                 "%.0f %% of the rows have a weight above 0.95, and scores of a row spread by %.2f",
                                 100 * all.single, all.spread);
}

/* --- Uniform heads --- */

/* Also sets severity and advice: keys that cannot differ are a defect; scores that hardly do may be untrained, and a
 * head or two of that kind are no harm. */
static const char *why_uniform(const scry__watched_head *head, bool few, scry_finding *finding)
{
    finding->severity = SCRY_SEVERITY_ERROR;
    if (head->key_size < NO_SIZE) {
        finding->advice =
            "The key projection gives nothing: look whether its weights were loaded, and what its input is.";
        return "its keys are zero";
    }
    if (head->query_size < NO_SIZE) {
        finding->advice =
            "The query projection gives nothing: look whether its weights were loaded, and what its input is.";
        return "its queries are zero";
    }
    if (has_same_keys(head)) {
        finding->advice =
            "Keys that hold only a bias, or are broadcast from one position, cannot be told apart: look at the key "
            "projection, the cache's layout and the norm before it.";
        return "its keys are the same at every position";
    }
    finding->severity = few ? SCRY_SEVERITY_NOTE : SCRY_SEVERITY_WARNING;
    finding->advice =
        "Keys and queries differ, but their products are small beside 1: look at the scale of scores and at the size "
        "of the projections' weights; in an untrained model this is usual.";
    return "its scores hardly differ";
}

/* The uniform heads of a layer as one finding, at the most uniform of them. */
static scry_status add_uniform(scry__diagnosing *diagnosing, int layer)
{
    const scry__watched *watched = &diagnosing->watched;
    scry__text           list    = {0};
    int                  found = 0, best = -1;
    for (int head = 0; head < watched->head_count; head++) {
        const scry__watched_head *each = head_at(watched, layer, head);
        if (!is_uniform(each)) continue;
        if (best < 0 || each->entropy > head_at(watched, layer, best)->entropy) best = head;
        scry__text_addf(&list, found++ ? ", %d" : "%d", head);
    }
    if (!found || list.status) return list.status;
    const scry__watched_head *head    = head_at(watched, layer, best);
    scry_finding              finding = {.kind     = SCRY_DIAGNOSIS_UNIFORM,
                                         .place    = {layer, best, -1, -1},
                                         .evidence = {{"normalised entropy", head->entropy, UNIFORM_ENTROPY},
                                                      {"spread of a row's scores", head->spread, UNIFORM_SPREAD},
                                                      {"share of the keys that differs by position", head->key_spread, SAME_VECTORS},
                                                      {"size of a key's entry", head->key_size, NO_SIZE},
                                                      {"share of the queries that differs by position", head->query_spread, NAN},
                                                      {"size of a query's entry", head->query_size, NO_SIZE}}};
    const char               *why     = why_uniform(head, 2 * found < watched->head_count, &finding);
    scry_status               status =
        scry__diagnose_add(diagnosing, finding, "layer %d, %s %s attend%s to every key alike; in head %d, %s", layer,
                           found > 1 ? "heads" : "head", list.data, found > 1 ? "" : "s", best, why);
    scry__text_finish(&list);
    return status;
}

/* --- Collapse --- */

/* Resting on the first key is no collapse, unless the scores are too large for anything else. */
static bool is_collapsed(const scry__watched_head *head)
{
    return head->saturated >= COLLAPSED_ROWS || (head->single >= COLLAPSED_ROWS && head->spread >= LARGE_SPREAD);
}

static scry_status add_collapse(scry__diagnosing *diagnosing, int layer)
{
    const scry__watched *watched = &diagnosing->watched;
    int                  found = 0, best = 0;
    for (int head = 0; head < watched->head_count; head++) {
        found += is_collapsed(head_at(watched, layer, head));
        if (head_at(watched, layer, head)->single > head_at(watched, layer, best)->single) best = head;
    }
    double share = (double)found / watched->head_count;
    if (share < COLLAPSED_HEADS) return SCRY_OK;
    const scry__watched_head *head    = head_at(watched, layer, best);
    scry_finding              finding = {
                     .kind     = SCRY_DIAGNOSIS_COLLAPSE,
                     .severity = SCRY_SEVERITY_WARNING,
                     .place    = {layer, best, -1, -1},
                     .evidence = {{"share of the layer's heads", share, COLLAPSED_HEADS},
                                  {"share of the head's rows with a weight above 0.95", head->single, COLLAPSED_ROWS},
                                  {"spread of a row's scores", head->spread, NAN},
                                  {"size of a query's entry", head->query_size, NAN},
                                  {"size of a key's entry", head->key_size, NAN}}};
    finding.advice =
        "Scores grew until each query sees one key, and gradients through the softmax vanish: query and key "
        "norms, a soft-cap, weight decay on both projections or a lower learning rate prevent it.";
    return scry__diagnose_add(diagnosing, finding,
                              "layer %d: %d of %d heads put a weight above 0.95 on a single key in nearly every "
                              "row; head %d in %.0f %% of them",
                              layer, found, watched->head_count, best, 100 * head->single);
}

/* Why a prompt shows nothing about heads; NULL where it does. */
static const char *too_little(const scry__diagnosing *diagnosing)
{
    const scry_tokens *tokens = diagnosing->result->tokens;
    bool               differ = !tokens;
    for (int i = 1; tokens && i < tokens->count; i++) differ |= tokens->ids[i] != tokens->ids[0];
    if (diagnosing->watched.token_count < LEAST_TOKENS) return "the prompt is too short: it takes four tokens";
    return differ ? NULL : "all tokens of the prompt are the same, which every head attends to alike";
}

scry_status scry__diagnose_heads(scry__diagnosing *diagnosing)
{
    static const scry_diagnosis_kind kinds[] = {SCRY_DIAGNOSIS_SCALE, SCRY_DIAGNOSIS_UNIFORM, SCRY_DIAGNOSIS_COLLAPSE};
    const char                      *missing = too_little(diagnosing);
    scry_status                      status  = missing || !diagnosing->model ? SCRY_OK : check_scale(diagnosing);
    if (!missing && diagnosing->result->checks[SCRY_DIAGNOSIS_SCALE].outcome == SCRY_OUTCOME_FINDING)
        missing = "the scale of the scores comes before it";
    for (int layer = 0; layer < diagnosing->watched.layer_count && !status && !missing; layer++) {
        status = add_uniform(diagnosing, layer);
        if (!status) status = add_collapse(diagnosing, layer);
    }
    for (size_t i = diagnosing->model ? 0 : 1; i < sizeof kinds / sizeof *kinds && !status; i++)
        if (!diagnosing->result->checks[kinds[i]].detail)
            status =
                scry__diagnose_settle(diagnosing, kinds[i], missing ? SCRY_OUTCOME_NOT_APPLICABLE : SCRY_OUTCOME_CLEAR,
                                      "%s", missing ? missing : "no layer is beyond the thresholds");
    return status;
}
