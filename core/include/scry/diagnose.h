/* Diagnoses: what is wrong with a model on one prompt. Each finding says what was seen, by which numbers and beyond
 * which thresholds, where, and what to try. docs/definitions.md has the rule of each check. */
#ifndef SCRY_DIAGNOSE_H
#define SCRY_DIAGNOSE_H

#include "scry/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(id, name, the question it answers); causes before what they cause. */
#define SCRY_DIAGNOSIS_LIST(X)                                                                                         \
    X(NOT_FINITE, "not-finite", "does an op make NaN or infinity of finite numbers?")                                  \
    X(MASKED_ROW, "masked-row", "is there a query that sees no key?")                                                  \
    X(MASK, "mask", "does each query see its own and earlier keys, and none after it?")                                \
    X(SCALE, "scale", "are the attention scores scaled as the weights expect?")                                        \
    X(UNIFORM, "uniform", "is there a head that attends to everything alike?")                                         \
    X(COLLAPSE, "collapse", "is there a layer whose heads see single keys only?")                                      \
    X(CONTEXT, "context", "does the prediction rest on the given part of the prompt?")                                 \
    X(REPETITION, "repetition", "does the continuation run in a loop?")                                                \
    X(HALLUCINATION, "hallucination", "are there signs that the answer is made up?")

typedef enum scry_diagnosis_kind {
#define SCRY_DIAGNOSIS_ENUM(id, name, question) SCRY_DIAGNOSIS_##id,
    SCRY_DIAGNOSIS_LIST(SCRY_DIAGNOSIS_ENUM)
#undef SCRY_DIAGNOSIS_ENUM
        SCRY_DIAGNOSIS_COUNT
} scry_diagnosis_kind;

/* X(id, name): results are wrong; are likely to be; are to be read with care. */
#define SCRY_SEVERITY_LIST(X)                                                                                          \
    X(ERROR, "error")                                                                                                  \
    X(WARNING, "warning")                                                                                              \
    X(NOTE, "note")

typedef enum scry_severity {
#define SCRY_SEVERITY_ENUM(id, name) SCRY_SEVERITY_##id,
    SCRY_SEVERITY_LIST(SCRY_SEVERITY_ENUM)
#undef SCRY_SEVERITY_ENUM
} scry_severity;

typedef enum scry_diagnosis_outcome {
    SCRY_OUTCOME_NOT_APPLICABLE,
    SCRY_OUTCOME_CLEAR,
    SCRY_OUTCOME_FINDING
} scry_diagnosis_outcome;

/* Static texts. */
SCRY_API const char *scry_diagnosis_text(scry_diagnosis_kind kind);     /* "not-finite" */
SCRY_API const char *scry_diagnosis_question(scry_diagnosis_kind kind); /* "does an op ...?" */
SCRY_API const char *scry_severity_text(scry_severity severity);        /* "error", "warning", "note" */
SCRY_API const char *
scry_diagnosis_outcome_text(scry_diagnosis_outcome outcome); /* "not applicable", "clear", "finding" */

typedef struct scry_evidence {
    const char *name;             /* static */
    double      value, threshold; /* threshold NaN: the value explains, and decides nothing */
} scry_evidence;

/* -1 where it does not apply. */
typedef struct scry_place {
    int layer, head, query, key;
} scry_place;

enum { SCRY_MAX_EVIDENCE = 8 };

typedef struct scry_finding {
    scry_diagnosis_kind kind;
    scry_severity       severity;
    scry_place          place; /* the clearest, where it is in several */
    char               *text;
    const char         *advice; /* what to try; static */
    int                 evidence_count;
    scry_evidence       evidence[SCRY_MAX_EVIDENCE];
} scry_finding;

typedef struct scry_check {
    scry_diagnosis_outcome outcome;
    char                  *detail; /* why it does not apply, or what was looked at */
} scry_check;

typedef struct scry_diagnose_options {
    const int32_t *ids; /* the prompt where text is NULL */
    int            id_count;
    const char    *context;        /* a part of the prompt's text that the prediction is to rest on; NULL: see below */
    scry_range     context_tokens; /* that part as tokens; {0, 0}: none */
    int            max_tokens;     /* generated for repetition and hallucination; 0: 128; below 0: none */
    /* Added to the scores instead of what the model itself masks, as a host array of -inf, 0 or other numbers:
     * [mask_layers, mask_heads, mask_tokens, mask_tokens], where layers and heads are 1 or as many as the model has.
     * NULL: none. Nothing is generated behind it. */
    const float *mask;
    int          mask_layers, mask_heads, mask_tokens;
} scry_diagnose_options;

typedef struct scry_diagnosis {
    scry_tokens  *tokens;  /* NULL: an attention file does not say */
    scry_range    context; /* the tokens of the context; {0, 0}: none was given */
    int           finding_count;
    scry_finding *findings; /* by kind, in the order of the list */
    scry_check    checks[SCRY_DIAGNOSIS_COUNT];
} scry_diagnosis;

/* Runs the model on the prompt a few times, one op after the other, which is slower than other analyses. A context that
 * the prompt does not contain is SCRY_BAD_ARGUMENT. */
SCRY_API scry_status scry_diagnose_run(scry_diagnosis **out, scry_model *model, const char *text,
                                       const scry_diagnose_options *options);
/* The same of attention patterns alone, from a file as scry attn, TransformerLens or NumPy write it; checks that need a
 * model do not apply. Queries are the last of the keys where there are fewer. */
SCRY_API scry_status scry_diagnose_attention(scry_diagnosis **out, const char *path);
SCRY_API void        scry_diagnosis_destroy(scry_diagnosis **diagnosis);

#ifdef __cplusplus
}
#endif
#endif
