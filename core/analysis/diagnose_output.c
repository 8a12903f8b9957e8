/* Checks of what the model says: a continuation that runs in a loop, with the head that copies; signs that an answer is
 * made up. */
#include "analysis/diagnose.h"
#include "base/alloc.h"
#include "model/model.h"
#include "trace/read.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* docs/definitions.md says what they mean. */
#define COPYING   0.2 /* how far above uniform attention, of the room to 1, a head copies a loop */
#define UNDECIDED 0.6 /* probability of the answer's first token */
#define UNKNOWN                                                                                                        \
    1 /* nats beyond those of a guess among the whole vocabulary: a token that the model holds for wrong               \
       */
enum { DEFAULT_TOKENS = 128, LOOP_TURNS = 3, LOOP_TOKENS = 12 };

/* --- Repetition --- */

struct loop {
    int      prompt_count, count; /* tokens of the prompt, and of all; once a loop is found, those up to its end */
    int32_t *ids;
    int      period, repeated; /* tokens at its end that repeat those a period before; generated ones only */
    double   probability;      /* mean of the last turn's */
    double   copying, null;    /* of the head that copies most */
    int      layer, head;
};

/* How many tokens from `end` back, but not past `begin`, repeat those a period before. */
static int repeated_before(const int32_t *ids, int begin, int end, int period)
{
    int at = end;
    while (at > begin && at > period && ids[at - 1] == ids[at - 1 - period]) at--;
    return end - at;
}

/* Where the continuation goes round longest in one period, as long as it goes round at all. */
static bool find_turns(struct loop *loop, int period)
{
    int best = 0, best_end = 0;
    for (int end = loop->count; end > loop->prompt_count + best;) {
        int repeated = repeated_before(loop->ids, loop->prompt_count, end, period);
        if (repeated > best) {
            best     = repeated;
            best_end = end;
        }
        end -= repeated + 1;
    }
    if (best < LOOP_TURNS * period || best < LOOP_TOKENS) return false;
    loop->period   = period;
    loop->repeated = best;
    loop->count    = best_end;
    return true;
}

/* The shortest period that the continuation goes round in, if any. */
static bool find_loop(struct loop *loop)
{
    for (int period = 1; period <= (loop->count - loop->prompt_count) / LOOP_TURNS; period++)
        if (find_turns(loop, period)) return true;
    return false;
}

static bool wants_pattern(void *user, scry__hook hook, int layer)
{
    (void)user;
    (void)layer;
    return hook == SCRY__HOOK_PATTERN;
}

/* The last turn's rows. */
static void last_turn(void *user, int layer, scry_attention_capture *capture, int64_t *queries, int64_t *keys)
{
    const struct loop *loop = user;
    (void)layer;
    (void)keys;
    capture->query_begin = loop->count - loop->period;
    *queries             = loop->period;
}

/* A row's weight on the tokens that came next in earlier turns. */
static double weight_on_next(const struct loop *loop, const float *row, int query)
{
    double sum = 0;
    for (int key = query + 1 - loop->period; key >= 0; key -= loop->period) sum += (double)row[key];
    return sum;
}

static scry_status take_pattern(void *user, scry__hook hook, int layer, const scry_tensor *value)
{
    struct loop *loop  = user;
    int          heads = (int)value->shape[1], begin = loop->count - loop->period;
    float       *rows = scry__alloc((size_t)scry_tensor_count(value), sizeof *rows);
    (void)hook;
    if (!rows) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__read_tensor(value, rows);
    for (int head = 0; head < heads && !status; head++) {
        double sum = 0;
        for (int i = 0; i < loop->period; i++)
            sum += weight_on_next(loop, rows + ((int64_t)head * loop->period + i) * loop->count, begin + i);
        if (sum / loop->period <= loop->copying) continue;
        loop->copying = sum / loop->period;
        loop->layer   = layer;
        loop->head    = head;
    }
    scry__free(rows);
    return status;
}

/* The head that looks most at what came next in earlier turns. */
static scry_status find_copying(struct loop *loop, scry_model *model)
{
    scry__session    *session = NULL;
    const scry__hooks hooks   = {.user = loop, .wants = wants_pattern, .at = take_pattern, .tile = last_turn};
    for (int i = 0; i < loop->period; i++) {
        int query = loop->count - loop->period + i;
        loop->null += (double)((query + 1) / loop->period) / (query + 1) / loop->period;
    }
    scry_status status = scry__session_create(&session, model, &(scry__session_options){.capacity = loop->count});
    if (!status) status = scry__session_forward(session, loop->ids, loop->count, &hooks);
    scry__session_destroy(&session);
    return status;
}

static scry_status add_loop(scry__diagnosing *diagnosing, const struct loop *loop)
{
    double enough     = loop->null + COPYING * (1 - loop->null); /* with one token in the loop no head can stand out */
    bool   copies     = loop->null < 1 && loop->copying >= enough;
    char   copier[96] = "";
    scry_finding finding = {
        .kind     = SCRY_DIAGNOSIS_REPETITION,
        .severity = SCRY_SEVERITY_WARNING,
        .place    = {copies ? loop->layer : -1, copies ? loop->head : -1, -1, -1},
        .evidence = {{"turns of the loop", 1.0 + (double)loop->repeated / loop->period, 1 + LOOP_TURNS},
                     {"tokens of the loop", loop->period, NAN},
                     {"mean probability of the last turn", loop->probability, NAN},
                     {"largest weight of a head on what came next in earlier turns", loop->copying, enough},
                     {"the same of uniform attention", loop->null, NAN}}};
    finding.advice =
        "Sampling at a temperature or a penalty on repetition breaks the loop; whether the end-of-text token can "
        "still be predicted, and whether training data repeats itself, tells why it began.";
    if (copies)
        snprintf(copier, sizeof copier, "; layer %d head %d puts %.2f of its weight on what came next in earlier turns",
                 loop->layer, loop->head, loop->copying);
    return scry__diagnose_add(diagnosing, finding,
                              "the continuation does not end and goes round in %d token%s, %.1f turns%s", loop->period,
                              loop->period > 1 ? "s" : "", 1.0 + (double)loop->repeated / loop->period, copier);
}

static scry_status collect(struct loop *loop, const scry_tokens *prompt, const scry_generation *generation)
{
    loop->prompt_count = prompt->count;
    loop->count        = prompt->count + generation->step_count;
    loop->ids          = scry__alloc((size_t)loop->count, sizeof *loop->ids);
    if (!loop->ids) return SCRY_OUT_OF_MEMORY;
    memcpy(loop->ids, prompt->ids, (size_t)prompt->count * sizeof *loop->ids);
    for (int i = 0; i < generation->step_count; i++) loop->ids[prompt->count + i] = generation->steps[i].chosen.id;
    return SCRY_OK;
}

static scry_status look_for_loop(scry__diagnosing *diagnosing, const scry_generation *generation)
{
    struct loop loop   = {0};
    scry_status status = collect(&loop, diagnosing->result->tokens, generation);
    bool        ended  = !strcmp(generation->stop_reason, "end of text");
    bool        found  = !status && !ended && find_loop(&loop);
    bool        asked  = found && 2 * repeated_before(loop.ids, 0, loop.prompt_count, loop.period) >= loop.period;
    if (found && !asked) {
        for (int i = loop.count - loop.period - loop.prompt_count; i < loop.count - loop.prompt_count; i++)
            loop.probability += (double)generation->steps[i].chosen.probability / loop.period;
        status = find_copying(&loop, diagnosing->model);
        if (!status) status = add_loop(diagnosing, &loop);
    }
    if (!status)
        status = scry__diagnose_settle(diagnosing, SCRY_DIAGNOSIS_REPETITION, SCRY_OUTCOME_CLEAR,
                                       asked ? "the continuation goes on with what the prompt repeats (%d tokens, %s)"
                                             : "%d tokens were generated (%s) without a loop",
                                       generation->step_count, generation->stop_reason);
    scry__free(loop.ids);
    return status;
}

static scry_status check_repetition(scry__diagnosing *diagnosing)
{
    const scry_tokens *prompt     = diagnosing->result->tokens;
    scry_generation   *generation = NULL;
    int                room       = scry_model_get_info(diagnosing->model)->context - prompt->count;
    int                most       = diagnosing->options->max_tokens ? diagnosing->options->max_tokens : DEFAULT_TOKENS;
    if (most > room) most = room;
    if (diagnosing->mask || most < LOOP_TOKENS)
        return scry__diagnose_settle(diagnosing, SCRY_DIAGNOSIS_REPETITION, SCRY_OUTCOME_NOT_APPLICABLE,
                                     diagnosing->mask ? "the mask ends with the prompt: nothing is generated behind it"
                                                      : "it takes at least %d generated tokens",
                                     LOOP_TOKENS);
    scry_status status = scry_generate(
        &generation, diagnosing->model, NULL,
        &(scry_generation_options){.ids = prompt->ids, .id_count = prompt->count, .max_tokens = most, .top = 1});
    if (!status) status = look_for_loop(diagnosing, generation);
    scry_generation_destroy(&generation);
    return status;
}

/* --- Hallucination --- */

/* Signs that an answer is made up. The first two say that the model has nothing to go by; alone, the others are what
 * any open sentence shows. */
struct signs {
    bool   unknown, ungrounded;    /* the prompt has a token worse than a guess; its context is not used */
    bool   undecided, unsupported; /* no candidate leads; the answer is not in the prompt */
    double surprise, limit;        /* of the worst token, and that of a guess plus UNKNOWN */
    int    worst;
};

static scry_status add_signs(scry__diagnosing *diagnosing, const struct signs *signs, const scry__prediction *answer)
{
    const scry_tokens *tokens  = diagnosing->result->tokens;
    scry_finding       finding = {
              .kind     = SCRY_DIAGNOSIS_HALLUCINATION,
              .severity = SCRY_SEVERITY_WARNING,
              .place    = {-1, -1, tokens->count - 1, signs->unknown ? signs->worst : -1},
              .evidence = {{"surprise at the prompt's oddest token, in nats", signs->surprise, signs->limit},
                           {"probability of the answer's first token", answer->probability, UNDECIDED},
                           {"entropy of the prediction", answer->entropy, NAN},
                           {"the answer's first token is in the prompt", signs->unsupported ? 0 : 1, 1}}};
    char       *text   = NULL;
    scry_status status = scry_token_text(diagnosing->model, answer->top, &text);
    if (status) return status;
    finding.advice =
        "Do not take the answer for knowledge: give the facts in the prompt, and see with --context whether it "
        "rests on them.";
    status = scry__diagnose_add(
        diagnosing, finding, "the answer \"%s\" (probability %.2f) has little to go by: %s%s%s%s", text,
        answer->probability,
        signs->unknown ? "the prompt has a token that the model holds for less likely than a random one"
                       : "it does not rest on the context given",
        signs->unknown && signs->ungrounded ? ", it does not rest on the context given" : "",
        signs->unsupported ? ", it does not stand in the prompt" : "", signs->undecided ? ", no candidate leads" : "");
    scry_free(text);
    return status;
}

static scry_status check_hallucination(scry__diagnosing *diagnosing)
{
    const scry_tokens *tokens    = diagnosing->result->tokens;
    struct signs       signs     = {.unsupported = true, .worst = -1};
    scry__prediction   answer    = {0};
    float             *surprises = scry__alloc((size_t)tokens->count, sizeof *surprises);
    scry_status        status =
        surprises ? scry__predict(&answer, diagnosing, &(scry__variant){0}, NULL, surprises) : SCRY_OUT_OF_MEMORY;
    signs.limit = log(scry_model_get_info(diagnosing->model)->vocabulary) + UNKNOWN;
    for (int i = 2; i < tokens->count && !status; i++) { /* how a text begins is nobody's knowledge */
        if (!((double)surprises[i - 1] > signs.surprise)) continue;
        signs.surprise = (double)surprises[i - 1];
        signs.worst    = i;
    }
    for (int i = 0; i < tokens->count; i++) signs.unsupported &= tokens->ids[i] != answer.top;
    signs.unknown    = signs.surprise > signs.limit;
    signs.undecided  = answer.probability < UNDECIDED;
    signs.ungrounded = diagnosing->result->checks[SCRY_DIAGNOSIS_CONTEXT].outcome == SCRY_OUTCOME_FINDING;
    if (!status && (signs.unknown || signs.ungrounded) && (signs.undecided || signs.unsupported))
        status = add_signs(diagnosing, &signs, &answer);
    if (!status)
        status = scry__diagnose_settle(
            diagnosing, SCRY_DIAGNOSIS_HALLUCINATION, SCRY_OUTCOME_CLEAR,
            "the prompt's oddest token costs %.1f nats (a guess: %.1f), the answer has probability "
            "%.2f%s",
            signs.surprise, signs.limit - UNKNOWN, answer.probability,
            signs.unsupported ? "" : " and stands in the prompt");
    scry__prediction_finish(&answer);
    scry__free(surprises);
    return status;
}

scry_status scry__diagnose_output(scry__diagnosing *diagnosing)
{
    scry_status status = check_repetition(diagnosing);
    return status ? status : check_hallucination(diagnosing);
}
