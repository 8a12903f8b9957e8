/* Check of a given part of the prompt: does the prediction rest on it, and if not, why not? What decides is measured:
 * the keys of a span are cut from all queries behind it, and KL(with || without) of the prediction is read. */
#include "analysis/diagnose.h"
#include "base/alloc.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* docs/definitions.md says what they mean. */
#define USED_KL   0.1 /* nats of KL from which on a span matters */
#define OUTWEIGHS 10  /* times as much: another span, or the same one nearer, matters in its stead */
#define THIN      1   /* attention relative to uniform attention below which a span is hardly looked at */
enum { MOST_SPANS = 16 };

/* What was measured. */
struct measured {
    double     kl;           /* of the context */
    double     other_kl;     /* the largest of the other spans */
    scry_range other;        /* that span */
    double     near_kl;      /* of the context where it stands right before the question; NaN: it does */
    int        between;      /* tokens left out for that */
    double     attention;    /* mean weight of the last query on the context / uniform attention's */
    double     largest;      /* the largest of these ratios over heads */
    scry_place largest_head; /* where */
    double     elsewhere;    /* mean weight of the last query on the other span / uniform attention's */
};

/* The last query's mean weight on a span, over what uniform attention would put there. */
static double attention_to(const scry__watched *watched, scry_range span, double *largest, scry_place *place)
{
    int    count = watched->token_count, heads = watched->layer_count * watched->head_count;
    double null = (double)(span.end - span.begin) / count, mean = 0;
    for (int i = 0; i < heads; i++) {
        double sum = 0;
        for (int key = span.begin; key < span.end; key++) sum += (double)watched->last[(int64_t)i * count + key];
        mean += sum / null / heads;
        if (!largest || !(sum / null > *largest)) continue;
        *largest = sum / null;
        *place   = (scry_place){i / watched->head_count, i % watched->head_count, count - 1, span.begin};
    }
    return mean;
}

/* KL of the prediction `with` everything from the one without the cut. */
static scry_status kl_without(double *kl, const scry__diagnosing *diagnosing, scry__variant variant, scry_range cut,
                              const scry__prediction *with)
{
    scry__prediction without;
    variant.cut        = cut;
    scry_status status = scry__predict(&without, diagnosing, &variant, with, NULL);
    *kl                = without.kl;
    scry__prediction_finish(&without);
    return status;
}

static bool ends_sentence(const char *text)
{
    size_t size = strlen(text);
    return size && (strchr(".?!", text[size - 1]) || strstr(text, "\\n"));
}

/* Where the last sentence behind the context begins: that is what asks. Without sentences, the last token does. */
static int last_sentence(const scry_tokens *tokens, scry_range context)
{
    int at = tokens->count - 1;
    while (at > context.end && !ends_sentence(tokens->texts[at - 1])) at--;
    return ends_sentence(tokens->texts[at - 1]) ? at : tokens->count - 1;
}

/* The rest of the prompt, in spans as long as the context, or longer where there would be many; neither the first token
 * (where models rest their attention) nor the question is part of one. */
static scry_status measure_others(struct measured *out, const scry__diagnosing *diagnosing, int question,
                                  const scry__prediction *with)
{
    const scry_range context = diagnosing->result->context;
    int              least = (question + MOST_SPANS - 1) / MOST_SPANS, size = context.end - context.begin;
    scry_status      status = SCRY_OK;
    if (size < least) size = least;
    for (int begin = 1; begin < question && !status;) {
        if (begin >= context.begin && begin < context.end) {
            begin = context.end;
            continue;
        }
        int        limit = begin < context.begin ? context.begin : question, end = begin + size;
        scry_range span = {begin, end < limit ? end : limit};
        double     kl;
        status = kl_without(&kl, diagnosing, (scry__variant){0}, span, with);
        if (!status && kl > out->other_kl) {
            out->other_kl = kl;
            out->other    = span;
        }
        begin = span.end;
    }
    return status;
}

/* The prompt without what stands between the context and the question. */
static scry_status measure_near(struct measured *out, const scry__diagnosing *diagnosing, int question)
{
    const scry_range   context = diagnosing->result->context;
    const scry_tokens *tokens  = diagnosing->result->tokens;
    out->near_kl               = NAN;
    out->between               = question - context.end;
    if (out->between < 1 || !ends_sentence(tokens->texts[question - 1])) return SCRY_OK;
    int              count = tokens->count - out->between;
    int32_t         *ids   = scry__alloc((size_t)count, sizeof *ids);
    scry__prediction with  = {0};
    if (!ids) return SCRY_OUT_OF_MEMORY;
    memcpy(ids, tokens->ids, (size_t)context.end * sizeof *ids);
    memcpy(ids + context.end, tokens->ids + question, (size_t)(tokens->count - question) * sizeof *ids);
    const scry__variant nearer = {.ids = ids, .count = count};
    scry_status         status = scry__predict(&with, diagnosing, &nearer, NULL, NULL);
    if (!status) status = kl_without(&out->near_kl, diagnosing, nearer, context, &with);
    scry__prediction_finish(&with);
    scry__free(ids);
    return status;
}

/* Why the prediction does not rest on the context, in order of how much that explains. */
static const char *explain(const struct measured *seen, const char **advice)
{
    if (seen->near_kl >= USED_KL && seen->near_kl >= OUTWEIGHS * seen->kl) {
        *advice = "Put what matters right before the question, or leave out what stands between.";
        return "position: it is used where it stands right before the question, but not here";
    }
    if (seen->other_kl >= USED_KL && seen->other_kl >= OUTWEIGHS * seen->kl) {
        *advice = "Ask with the words of the context, or leave out what distracts.";
        return "distracted: the prediction rests on another part of the prompt";
    }
    if (seen->attention < THIN) {
        *advice =
            "Nothing draws attention to it: name it in the question, or test whether the model can do this at all.";
        return "seen but not attended: the last query gives it less weight than uniform attention would";
    }
    *advice =
        "Its tokens are looked at, but change nothing: the model may already know the answer, or not how to use them.";
    return "attended but not used";
}

static scry_status add_unused(scry__diagnosing *diagnosing, const struct measured *seen)
{
    const scry_range context = diagnosing->result->context;
    scry_finding     finding = {
            .kind     = SCRY_DIAGNOSIS_CONTEXT,
            .severity = SCRY_SEVERITY_WARNING,
            .place    = seen->largest_head,
            .evidence = {{"KL when the context is cut", seen->kl, USED_KL},
                         {"the same for the part that matters most", seen->other_kl, USED_KL},
                         {"the same for the context right before the question", seen->near_kl, USED_KL},
                         {"attention to the context / uniform attention", seen->attention, THIN},
                         {"the same of the head that looks at it most", seen->largest, NAN},
                         {"attention to the part that matters most / uniform attention", seen->elsewhere, NAN}}};
    const char *why       = explain(seen, &finding.advice);
    char        other[64] = "";
    if (seen->other.end)
        snprintf(other, sizeof other, ", tokens %d to %d by %.3g", seen->other.begin, seen->other.end - 1,
                 seen->other_kl);
    return scry__diagnose_add(diagnosing, finding,
                              "the prediction hardly rests on the context (tokens %d to %d): cutting it changes the "
                              "prediction by %.3g nats of KL%s; %s",
                              context.begin, context.end - 1, seen->kl, other, why);
}

/* Whether the prediction rests on the context, about as much as it would without what stands between. */
static bool is_used(const struct measured *seen)
{
    return seen->kl >= USED_KL && !(seen->near_kl >= OUTWEIGHS * seen->kl);
}

static scry_status measure(struct measured *seen, const scry__diagnosing *diagnosing)
{
    const scry_range context  = diagnosing->result->context;
    int              question = last_sentence(diagnosing->result->tokens, context);
    scry__prediction with     = {0};
    scry_status      status   = scry__predict(&with, diagnosing, &(scry__variant){0}, NULL, NULL);
    if (!status) status = kl_without(&seen->kl, diagnosing, (scry__variant){0}, context, &with);
    if (!status) status = measure_near(seen, diagnosing, question);
    if (!status && !is_used(seen)) {
        seen->attention = attention_to(&diagnosing->watched, context, &seen->largest, &seen->largest_head);
        status          = measure_others(seen, diagnosing, question, &with);
        seen->elsewhere = seen->other.end ? attention_to(&diagnosing->watched, seen->other, NULL, NULL) : NAN;
    }
    scry__prediction_finish(&with);
    return status;
}

scry_status scry__diagnose_context(scry__diagnosing *diagnosing)
{
    const scry_range context = diagnosing->result->context;
    struct measured  seen    = {.near_kl = NAN};
    const char      *missing = NULL;
    if (!context.end)
        missing = "no context was given";
    else if (diagnosing->mask)
        missing = "a mask was given, which a cut would replace";
    else if (context.end == diagnosing->result->tokens->count)
        missing = "the context ends the prompt: nothing comes after it";
    if (missing)
        return scry__diagnose_settle(diagnosing, SCRY_DIAGNOSIS_CONTEXT, SCRY_OUTCOME_NOT_APPLICABLE, "%s", missing);
    scry_status status = measure(&seen, diagnosing);
    if (!status && !is_used(&seen)) status = add_unused(diagnosing, &seen);
    if (status) return status;
    return scry__diagnose_settle(diagnosing, SCRY_DIAGNOSIS_CONTEXT, SCRY_OUTCOME_CLEAR,
                                 "cutting it (tokens %d to %d) changes the prediction by %.3g nats of KL",
                                 context.begin, context.end - 1, seen.kl);
}
