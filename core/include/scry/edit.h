/* Edits: activations changed on their way through a forward pass, by hook point, head, position and sequence.
 *
 * An edit names one hook point by its full name (scry/trace.h lists them). Every one can be edited but stat_* and
 * logits; edits of ln_final.* reach `logits` of a trace, and are refused where the residual stream is read otherwise
 * (the lens, generation). Edits are made in the order given; what is captured of a hook point is its edited value.
 *
 * Edited scores go through the softmax again, under the model's own mask, and an edited pattern through its product
 * with the values: of these heads and rows only. All other attention stays the fused op. What no edit reaches keeps
 * its bits. Positions without an end, or none named, take in those that generation adds, where values have one row. */
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
    scry_range       positions;                  /* rows; of scores and patterns, queries; {4, 0}: from 4 on */
    scry_range       keys;                       /* columns of scores and patterns */
    scry_range       sequences;                  /* of a batch */
    float            factor;                     /* of SCALE and ADD */
    scry_edit_values values;                     /* of ADD and REPLACE; the caller's */
} scry_edit;

typedef struct scry_edits {
    int              count;
    const scry_edit *edits;
} scry_edits;

/* --- Values from other prompts --- */

/* X(name, text, what a value is) */
#define SCRY_EDIT_SAMPLE_LIST(X)                                                                                       \
    X(MEAN, "mean", "the mean over all positions of all prompts")                                                      \
    X(MEAN_AT, "mean_at", "at each position the mean over prompts, which have one length")                             \
    X(RESAMPLE, "resample", "that of one prompt at the same position")

typedef enum scry_edit_sample {
#define SCRY_EDIT_SAMPLE_ENUM(name, text, about) SCRY_EDIT_SAMPLE_##name,
    SCRY_EDIT_SAMPLE_LIST(SCRY_EDIT_SAMPLE_ENUM)
#undef SCRY_EDIT_SAMPLE_ENUM
        SCRY_EDIT_SAMPLE_COUNT
} scry_edit_sample;

typedef struct scry_edit_source {
    scry_edit_sample   sample;
    const char *const *prompts;
    int                prompt_count;
    const int32_t     *ids; /* the only prompt, where prompt_count is 0 */
    int                id_count;
    uint64_t           seed; /* of RESAMPLE: draws the prompt, the same for all edits */
} scry_edit_source;

/* Runs the prompts and makes each edit a REPLACE by what they hold at its hook point. values.data is allocated, to be
 * released with scry_free; where this fails the edits are as they were. Scores and patterns have no mean over
 * positions. */
SCRY_API scry_status scry_edit_fill(scry_edit *edits, int count, scry_model *model, const scry_edit_source *source);

/* --- Edits as text --- */

/* Parses edits as people write them, HOOK[head=0-3,5,pos=2:6,key=0:4]=WHAT, where each part in brackets may be left
 * out, `pos=4` is 4:5, `pos=4:` from 4 on, and HOOK's block is a number, a list or *: "blocks.0-3,5.attn.hook_z",
 * "blocks.*.hook_mlp_out". One text gives an edit for each block. WHAT is
 *   zero | scale:X
 *   add:FILE[*X]      a vector or array from an .npy, or from an .npz under the hook point's name
 *   replace:FILE      the same
 *   mean:FILE | mean_at:FILE | resample:FILE[#SEED]    from prompts, the lines of a text file
 * Errors (SCRY_BAD_ARGUMENT; SCRY_BAD_INPUT in a file) name the text, the place in it and what was expected. */
SCRY_API scry_status scry_edits_parse(scry_edits **out, scry_model *model, const char *const *texts, int count);

/* Of edits that were parsed; releases their names and values too. */
SCRY_API void scry_edits_destroy(scry_edits **edits);

#ifdef __cplusplus
}
#endif
#endif
