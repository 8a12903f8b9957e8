/* Checks of who sees whom: queries without a key, keys ahead of their query, keys that should be seen and are not. */
#include "analysis/diagnose.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>

/* A pass is watched up to the first op that is not finite. */
static bool saw_all(const scry__diagnosing *diagnosing)
{
    return diagnosing->finite || diagnosing->watched.from_file;
}

static scry_status check_empty(scry__diagnosing *diagnosing)
{
    const scry__watched *watched = &diagnosing->watched;
    int                  queries = 0;
    for (int i = 0; i < watched->token_count; i++) queries += watched->empty_at[i] > 0;
    if (!queries && !saw_all(diagnosing)) return SCRY_OK;
    if (!queries)
        return scry__diagnose_settle(diagnosing, SCRY_DIAGNOSIS_MASKED_ROW, SCRY_OUTCOME_CLEAR,
                                     "all %d queries see a key in every head", watched->token_count);
    scry_finding finding = {.kind     = SCRY_DIAGNOSIS_MASKED_ROW,
                            .severity = SCRY_SEVERITY_ERROR,
                            .place    = watched->first_empty,
                            .evidence = {{"queries without a key", queries, 0},
                                         {"rows of a head without a key", (double)watched->empty_heads, 0}}};
    const char  *how     = watched->empty_by_number
                               ? "all its keys are hidden by large finite numbers, so that its weights are arbitrary"
                               : "all its keys are masked, so that it gives 0 here, and NaN where a softmax is left to it";
    finding.advice = "Let every query see at least its own key, padded ones too, and leave padded rows out of the "
                     "result instead.";
    return scry__diagnose_add(diagnosing, finding, "query %d sees no key%s (%d such queries, %lld rows of heads): %s",
                              watched->first_empty.query, queries > 1 ? ", nor do others" : "", queries,
                              (long long)watched->empty_heads, how);
}

/* The largest share of a head's weight that lies ahead of its queries. */
static double largest_future(const scry__watched *watched)
{
    double largest = 0;
    for (int i = 0; i < watched->layer_count * watched->head_count; i++)
        largest = fmax(largest, watched->heads[i].future / watched->token_count);
    return largest;
}

static scry_status add_future(scry__diagnosing *diagnosing)
{
    const scry__visibility *sight   = &diagnosing->watched.sight;
    const scry_place        at      = sight->first_future;
    scry_finding            finding = {
                   .kind     = SCRY_DIAGNOSIS_MASK,
                   .severity = SCRY_SEVERITY_ERROR,
                   .place    = at,
                   .evidence = {{"pairs of query and later key that see each other", (double)sight->future, 0},
                                {"all such pairs", (double)sight->future_all, NAN},
                                {"largest share of a head's weight that lies ahead", largest_future(&diagnosing->watched), 0}}};
    const char *how = "part of what comes after is not masked";
    if (sight->future == sight->future_all)
        how = "there is no causal mask";
    else if (sight->future == sight->future_next)
        how = "the mask is off by one: queries see the key after their own";
    finding.advice =
        "A model trained to predict the next token must not see it: look at the comparison in the causal mask "
        "(key <= query), and at the offset of queries behind cached keys.";
    return scry__diagnose_add(diagnosing, finding,
                              "query %d sees key %d, which comes after it (%lld of %lld such pairs): %s", at.query,
                              at.key, (long long)sight->future, (long long)sight->future_all, how);
}

static scry_status add_beyond(scry__diagnosing *diagnosing)
{
    const scry__visibility *sight   = &diagnosing->watched.sight;
    const scry_place        at      = sight->first_beyond;
    int64_t                 window  = diagnosing->model->arch.layers[at.layer].window;
    scry_finding            finding = {.kind     = SCRY_DIAGNOSIS_MASK,
                                       .severity = SCRY_SEVERITY_WARNING,
                                       .place    = at,
                                       .advice = "Mask by layer: the config says which layers have a sliding window, and "
                                                            "how far it reaches (query - key < window).",
                                       .evidence = {{"pairs of query and key behind the layer's window that see each other",
                                                     (double)sight->beyond, 0}}};
    return scry__diagnose_add(
        diagnosing, finding,
        "query %d sees key %d, which lies behind the window of %lld keys that layer %d has (%lld such "
        "pairs)",
        at.query, at.key, (long long)window, at.layer, (long long)sight->beyond);
}

/* Keys that are hidden from every query that could see them; *first is the first such key. */
static int count_hidden_keys(const scry__watched *watched, int64_t *pairs, int *first)
{
    int count = 0;
    *pairs    = 0;
    for (int key = watched->token_count - 1; key >= 0; key--) {
        if (!watched->sight.hidden_at[key] || watched->sight.hidden_at[key] != watched->sight.allowed_at[key]) continue;
        *pairs += watched->sight.hidden_at[key];
        *first = key;
        count++;
    }
    return count;
}

/* What the hidden pairs have in common. */
enum hidden { OWN_KEY, WHOLE_KEYS, WINDOW, NO_RULE };

static enum hidden describe_hidden(const scry__watched *watched, char *how, size_t size)
{
    const scry__visibility *sight = &watched->sight;
    int64_t                 pairs;
    int                     first = -1, keys = count_hidden_keys(watched, &pairs, &first);
    if (sight->hidden == sight->hidden_self && sight->hidden == sight->own) {
        snprintf(how, size, "the mask is off by one: queries do not see their own key");
        return OWN_KEY;
    }
    if (keys && pairs == sight->hidden) {
        snprintf(how, size, "%d key%s hidden from all queries, the first is key %d", keys, keys > 1 ? "s are" : " is",
                 first);
        return WHOLE_KEYS;
    }
    if (sight->farthest_seen < sight->nearest_hidden) {
        snprintf(how, size, "queries see the last %lld keys only, a window that the model does not have",
                 (long long)sight->farthest_seen + 1);
        return WINDOW;
    }
    snprintf(how, size, "no simple rule describes which");
    return NO_RULE;
}

static scry_status add_hidden(scry__diagnosing *diagnosing)
{
    const scry__watched    *watched = &diagnosing->watched;
    const scry__visibility *sight   = &watched->sight;
    int64_t                 allowed = 0;
    char                    how[160];
    enum hidden             rule = describe_hidden(watched, how, sizeof how);
    for (int key = 0; key < watched->token_count; key++) allowed += sight->allowed_at[key];
    if (watched->from_file && rule != OWN_KEY && rule != WHOLE_KEYS) return SCRY_OK; /* weights may just be small */
    scry_finding finding = {
        .kind     = SCRY_DIAGNOSIS_MASK,
        .severity = SCRY_SEVERITY_WARNING,
        .place    = sight->first_hidden,
        .evidence = {{"pairs of query and own or earlier key that do not see each other", (double)sight->hidden, 0},
                     {"pairs that the model's own mask leaves", (double)allowed, NAN}}};
    finding.advice =
        "Compare the mask with the model's own: causal, and windowed where its config says so; padding belongs "
        "before or behind the text, not into it.";
    return scry__diagnose_add(diagnosing, finding, "query %d does not see key %d (%lld of %lld pairs are hidden): %s",
                              sight->first_hidden.query, sight->first_hidden.key, (long long)sight->hidden,
                              (long long)allowed, how);
}

scry_status scry__diagnose_rows(scry__diagnosing *diagnosing)
{
    const scry__watched *watched = &diagnosing->watched;
    scry_status          status  = check_empty(diagnosing);
    if (!status && watched->sight.future) status = add_future(diagnosing);
    if (!status && watched->sight.beyond) status = add_beyond(diagnosing);
    if (!status && watched->sight.hidden) status = add_hidden(diagnosing);
    if (status || !saw_all(diagnosing)) return status;
    return scry__diagnose_settle(diagnosing, SCRY_DIAGNOSIS_MASK, SCRY_OUTCOME_CLEAR,
                                 watched->from_file
                                     ? "in none of %d queries does a weight lie ahead"
                                     : "the scores of the last %d queries, in every head, are masked as the model does",
                                 watched->sampled);
}
