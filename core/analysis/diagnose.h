/* What the checks of a diagnosis share: findings under construction, what one watched pass showed, and passes with one
 * thing changed. See scry/diagnose.h for what comes out. */
#ifndef SCRY_ANALYSIS_DIAGNOSE_H
#define SCRY_ANALYSIS_DIAGNOSE_H

#include "device/observe.h"
#include "model/forward.h"
#include "scry/diagnose.h"

/* --- The watched pass (diagnose_watch.c) --- */

/* One query head, over the rows that see at least two keys; NaN where there are none. */
typedef struct scry__watched_head {
    double entropy;   /* mean of row entropy / its largest possible */
    double saturated; /* share of rows with a weight above SCRY__SATURATED on another key than the first */
    double single;    /* the same, the first key counted */
    double spread;    /* mean over sampled rows of the standard deviation of the scores that it sees */
    double future;    /* sum of weights on keys after their query */
    int    empty;     /* rows that see no key */
    double query_size, query_spread; /* root mean square; what of it differs between positions, as a share */
    double key_size, key_spread;     /* of its key head */
} scry__watched_head;

#define SCRY__SATURATED 0.95

/* Scores below this hide a key as -inf does: in f32, its weight is 0 beside any score of a usual size. */
#define SCRY__HIDDEN_SCORE (-5000.0F)

/* Who sees whom, counted over the sampled rows of all heads and layers, against causality and the layer's window. */
typedef struct scry__visibility {
    int64_t    future, future_next, future_all; /* pairs seen that lie ahead; of these, next keys; all such pairs */
    int64_t    beyond;                          /* pairs seen that lie behind the layer's window */
    int64_t    hidden, hidden_self, own;        /* pairs hidden that should be seen; on the diagonal; all of those */
    int64_t   *hidden_at, *allowed_at;          /* [T] by key, where the row sees any key at all */
    int64_t    nearest_hidden, farthest_seen;   /* distances */
    scry_place first_future, first_beyond, first_hidden;
} scry__visibility;

typedef struct scry__watched {
    int                 layer_count, head_count, token_count;
    bool                from_file; /* weights alone: what hides a key is not known, only that nobody looks at it */
    int                 sampled;   /* rows whose scores were kept: the last ones */
    scry__watched_head *heads;     /* [L, H] */
    float              *last;      /* [L, H, T]: weights of the last query; not from a file */
    scry__visibility    sight;
    int64_t             empty_heads;     /* rows of a head that see no key */
    int                *empty_at;        /* [T]: in how many heads */
    bool                empty_by_number; /* by large finite scores instead of -inf */
    scry_place          first_empty;
} scry__watched;

/* --- A diagnosis under way --- */

typedef struct scry__diagnosing {
    scry_diagnosis              *result;
    scry_model                  *model; /* NULL: only attention is known */
    const scry_diagnose_options *options;
    int                          capacity; /* of result->findings */
    scry_buffer                 *mask;     /* options->mask on the device */
    scry__watched                watched;
    bool                         finite; /* no op made NaN or infinity */
} scry__diagnosing;

/* Adds a finding, whose text is printf-like; evidence ends at the first without a name. */
scry_status scry__diagnose_add(scry__diagnosing *diagnosing, scry_finding finding, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Says how a check ended; where there is a finding of that kind, that stands. */
scry_status scry__diagnose_settle(scry__diagnosing *diagnosing, scry_diagnosis_kind kind,
                                  scry_diagnosis_outcome outcome, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Runs the prompt once with every op observed, and fills diagnosing->watched and ->finite. Adds what is found of
 * values that are not finite, for only here is known where they come from; what is behind the first is not watched. */
scry_status scry__diagnose_watch(scry__diagnosing *diagnosing);

/* Room for what is watched, all zero but for what says where it comes from; and its release. */
scry_status scry__watched_create(scry__watched *watched, int layers, int heads, int tokens);
void        scry__watched_finish(scry__watched *watched);

/* Counts whom the row at `place` sees, by its scores of all keys; it may see the last `allowed` of those up to itself.
 * A row that sees nobody counts for nothing. */
void scry__watched_count(scry__watched *watched, const float *scores, int64_t allowed, scry_place place);

/* A row of a head that sees no key. */
void scry__watched_empty(scry__watched *watched, scry_place place, bool by_number);

/* The observer of the watched pass, which finds the first op that leaves NaN or infinity (diagnose_finite.c). */
typedef struct scry__finite_watch {
    scry_model *model;
    int         layer; /* of the pass; -1 outside the blocks */
    bool        found;
    scry_place  place;
    const char *op, *operand; /* the op, and its output that is not finite */
    char        weight[128];  /* the checkpoint's name of the weight that the op reads, or "" */
    char        source[160];  /* which operand was not finite before, or "" */
    int64_t     bad, count;   /* values of that output */
    bool        is_nan;       /* the first of them; else infinite */
    double      largest;      /* of the magnitudes that the op read */
    void       *scratch;
    size_t      scratch_bytes;
} scry__finite_watch;

scry_status scry__finite_after(void *user, const scry_op *op);
void        scry__finite_finish(scry__finite_watch *watch);

/* --- Passes with one thing changed (diagnose_predict.c) --- */

typedef struct scry__variant {
    const int32_t *ids; /* NULL: the prompt's */
    int            count;
    float          query_factor; /* queries, and with them scores, times this; 0: 1 */
    scry_range     cut;          /* keys that no query behind them sees; {0, 0}: none */
} scry__variant;

/* What the model says at the last position, and its mean loss over the rest. */
typedef struct scry__prediction {
    scry_buffer *last;                 /* the final residual stream's last row */
    double       loss;                 /* NaN with a single token */
    double       entropy, probability; /* of the largest, which is `top` */
    int32_t      top;
    double       kl; /* from `reference` to this one; NaN without one */
} scry__prediction;

/* `surprises`, where not NULL, takes -log p of each token but the first: [count - 1]. */
scry_status scry__predict(scry__prediction *out, const scry__diagnosing *diagnosing, const scry__variant *variant,
                          const scry__prediction *reference, float *surprises);
void        scry__prediction_finish(scry__prediction *prediction);

/* The mask callback of a pass over the prompt: options->mask in the place of the model's own. */
scry_status scry__diagnose_mask(const scry__diagnosing *diagnosing, int layer, scry_mask *mask);

/* What no check has settled does not apply, for this reason. */
scry_status scry__diagnose_settle_rest(scry__diagnosing *diagnosing, const char *why);

/* --- The checks; each settles its kinds. --- */

scry_status scry__diagnose_rows(scry__diagnosing *diagnosing);    /* masked-row, mask */
scry_status scry__diagnose_heads(scry__diagnosing *diagnosing);   /* scale, uniform, collapse */
scry_status scry__diagnose_context(scry__diagnosing *diagnosing); /* context */
scry_status scry__diagnose_output(scry__diagnosing *diagnosing);  /* repetition, hallucination */

#endif
