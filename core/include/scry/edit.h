/* Edits: activations changed on their way through a forward pass, by hook point, head, position and sequence.
 *
 * An edit names one hook point by its full name (scry/trace.h lists them). Every one can be edited but stat_* and
 * logits; edits of ln_final.* reach `logits` of a trace, and are refused where the residual stream is read otherwise
 * (the lens, generation). Edits are made in the order given; what is captured of a hook point is its edited value.
 *
 * Edited scores go through the softmax again, under the model's own mask, and an edited pattern through its product
 * with the values: of these heads and rows only. All other attention stays the fused op. What no edit reaches keeps
 * its bits. */
#ifndef SCRY_EDIT_H
#define SCRY_EDIT_H

#include "scry/op.h"
#include "scry/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, text, what becomes of x) */
#define SCRY_EDIT_LIST(X)                                                                                              \
    X(ZERO, "zero", "0")                                                                                               \
    X(SCALE, "scale", "factor x")                                                                                      \
    X(ADD, "add", "x + factor values")                                                                                 \
    X(REPLACE, "replace", "values")

typedef enum scry_edit_kind {
#define SCRY_EDIT_ENUM(name, text, formula) SCRY_EDIT_##name,
    SCRY_EDIT_LIST(SCRY_EDIT_ENUM)
#undef SCRY_EDIT_ENUM
        SCRY_EDIT_COUNT
} scry_edit_kind;

/* Values of a hook point, f32, row-major: [rows, heads, columns], of scores and patterns [heads, rows, columns], as a
 * trace has them. Each size is the hook point's own, or 1: then the same everywhere. Hook points without heads have
 * one; row t is of position t. */
typedef struct scry_edit_values {
    const float *data;
    int          rows, heads, columns;
} scry_edit_values;

typedef struct scry_edit {
    const char      *hook; /* "blocks.3.attn.hook_z" */
    scry_edit_kind   kind;
    uint64_t         heads[SCRY_MAX_HEADS / 64]; /* set bits; all zero: every head */
    scry_range       positions;                  /* rows; of scores and patterns, queries */
    scry_range       keys;                       /* columns of scores and patterns */
    scry_range       sequences;                  /* of a batch */
    float            factor;                     /* of SCALE and ADD */
    scry_edit_values values;                     /* of ADD and REPLACE; the caller's */
} scry_edit;

typedef struct scry_edits {
    int              count;
    const scry_edit *edits;
} scry_edits;

#ifdef __cplusplus
}
#endif
#endif
