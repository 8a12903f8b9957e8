/* Traces: captured activations of one forward pass, named as TransformerLens names them.
 *
 * Hook names (T tokens, H heads, G key/value heads, D head size, d residual size, m MLP size):
 *   hook_embed, hook_pos_embed                          [T, d]
 *   blocks.L.hook_resid_pre, hook_resid_mid, hook_resid_post, hook_attn_out, hook_mlp_out   [T, d]
 *   blocks.L.ln1.hook_scale, ln2.hook_scale             [T, 1]
 *   blocks.L.ln1.hook_normalized, ln2.hook_normalized   [T, d], before the norm's weight and bias
 *   blocks.L.attn.hook_q, hook_rot_q [T, H, D]; hook_k, hook_rot_k, hook_v [T, G, D]; hook_z [T, H, D]
 *   blocks.L.attn.hook_attn_scores, hook_pattern        [H, T, T], scores -inf where masked
 *   blocks.L.attn.stat_lse, stat_entropy, stat_max, stat_argmax, stat_previous, stat_self, stat_first    [H, T]
 *   blocks.L.attn.stat_received, stat_distance          [H, T]   (scry's own: streamed statistics, never T x T)
 *   blocks.L.mlp.hook_pre, hook_pre_linear (gated), hook_post   [T, m]
 *   ln_final.hook_scale [T, 1], ln_final.hook_normalized [T, d] (as in blocks), logits [T, V]
 * Where heads are chosen, H is how many; where queries or keys are, the T of scores and patterns. */
#ifndef SCRY_TRACE_H
#define SCRY_TRACE_H

#include "scry/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A half-open range; {0, 0} means everything. */
typedef struct scry_range {
    int begin, end;
} scry_range;

/* One captured array, always f32 or i32, row-major. */
typedef struct scry_capture {
    char      *name;
    int        layer; /* -1 outside the blocks */
    scry_dtype dtype;
    int        rank;
    int64_t    shape[SCRY_MAX_RANK];
    void      *data; /* owned by the trace; NULL once it went to a sink */
} scry_capture;

/* Takes a capture as soon as it is there; the data is valid during the call and only to be read: it may be the pass's
 * own. */
typedef scry_status (*scry_capture_sink)(void *user, const scry_capture *capture);

typedef struct scry_trace_options {
    const int32_t           *ids; /* the prompt where text is NULL */
    int                      id_count;
    const char              *hooks;   /* comma-separated names with * and ?: "blocks.*.hook_resid_post,logits" */
    const char              *layers;  /* "0-3,5"; NULL: all */
    const char              *heads;   /* "1,4-7"; NULL: all; applies to arrays with a query-head axis */
    scry_range               queries; /* rows of scores and patterns */
    scry_range               keys;    /* columns of scores and patterns */
    const struct scry_edits *edits;   /* made on the way, see scry/edit.h; NULL: none */
    scry_capture_sink        sink;    /* takes each capture instead of keeping it */
    void                    *user;
} scry_trace_options;

typedef struct scry_trace {
    scry_tokens  *tokens;
    int           count;
    scry_capture *captures; /* in order of execution */
} scry_trace;

/* Runs one forward pass and captures what is selected; options must name hooks. A hook pattern that matches nothing is
 * an error that lists near names, and so is a selection of layers that leaves nothing. */
SCRY_API scry_status         scry_trace_run(scry_trace **out, scry_model *model, const char *text,
                                            const scry_trace_options *options);
SCRY_API void                scry_trace_destroy(scry_trace **trace);
SCRY_API const scry_capture *scry_trace_find(const scry_trace *trace, const char *name); /* NULL: not captured */

#ifdef __cplusplus
}
#endif
#endif
