/* What a session holds: device buffers by purpose, and which rotary rows are ready. */
#ifndef SCRY_MODEL_SESSION_H
#define SCRY_MODEL_SESSION_H

#include "model/forward.h"
#include "model/model.h"

/* Buffers of a session. Those of the first group are made with the session; the rest when somebody first wants what
 * they hold. */
typedef enum scry__slot {
    SCRY__SLOT_IDS,
    SCRY__SLOT_RESID,  /* [B, T, d] */
    SCRY__SLOT_NORMED, /* [B, T, d] */
    SCRY__SLOT_WIDE,   /* queries, keys, values and z of one layer; then its MLP's activations */
    SCRY__SLOT_KEYS,   /* [L, B, capacity, G, D] where every layer's are kept */
    SCRY__SLOT_VALUES,
    SCRY__SLOT_COSINE, /* [capacity, R / 2], one slot per rope */
    SCRY__SLOT_COSINE_2,
    SCRY__SLOT_SINE,
    SCRY__SLOT_SINE_2,

    SCRY__SLOT_BRANCH, /* [B, T, d]: what a branch adds to the residual stream */
    SCRY__SLOT_SCALE,
    SCRY__SLOT_BARE,   /* [B, T, d]: an edited norm or branch before its edits */
    SCRY__SLOT_FACTOR, /* [B, T]: by how much more of it an edited denominator gives */
    SCRY__SLOT_EDITED, /* the softmax of edited scores */
    SCRY__SLOT_SCORES,
    SCRY__SLOT_PATTERN,
    SCRY__SLOT_STATISTICS, /* this one and those behind it: one per statistic */
    SCRY__SLOT_LOGITS = SCRY__SLOT_STATISTICS + 9,
    SCRY__SLOT_COUNT
} scry__slot;

struct scry__session {
    scry_model           *model;
    scry__session_options options;  /* defaults filled in */
    int                   length;   /* positions filled */
    int                   rows;     /* rows of the last pass */
    scry_tensor           additive; /* of every layer's mask, [B, H, T, K], for passes of T rows; absent: none */
    scry_buffer          *slots[SCRY__SLOT_COUNT];
    struct {
        int64_t regime, begin, end; /* rows [begin, end) of the tables hold this regime's angles */
    } ropes[SCRY__MAX_ROPES];
};

/* A contiguous tensor in a slot, whose buffer is made (or made larger) as needed. */
scry_status scry__session_tensor(scry_tensor *out, scry__session *session, scry__slot slot, scry_dtype dtype, int rank,
                                 const int64_t *shape);

/* Makes the rotary tables hold rows [begin, end) for a pass that ends at `end`. */
scry_status scry__session_prepare_ropes(scry__session *session, int64_t begin, int64_t end);

#endif
