/* One forward pass for all families, run over a session: B sequences of equal length, their key/value cache and the
 * workspace. forward.c knows nothing of traces or edits: it offers hook points through callbacks. */
#ifndef SCRY_MODEL_FORWARD_H
#define SCRY_MODEL_FORWARD_H

#include "model/hook.h"
#include "scry/model.h"

/* A part of scores and patterns [B, H, T, K]: whole rows of some heads of some sequences. */
typedef struct scry__edited_rows {
    const uint64_t *heads;                          /* set bits, SCRY_MAX_HEADS of them */
    int64_t         sequence, sequences, row, rows; /* first and how many, of this pass */
} scry__edited_rows;

/* Callbacks of one pass; each may be NULL. `layer` is -1 outside the blocks. */
typedef struct scry__hooks {
    void *user;
    /* Asked before the pass uses a hook point: is it wanted? What is not wanted need not be materialised. */
    bool (*wants)(void *user, scry__hook hook, int layer);
    /* Called at a wanted or edited hook point once its value is enqueued. The tensor is the live one (strides as they
     * come): ops enqueued on it, in place too, take effect on all that follows where hook.h says so. */
    scry_status (*at)(void *user, scry__hook hook, int layer, const scry_tensor *value);
    /* Will `at` change the value of this hook point, wanted or not? The index-th part that changes, from 0 on, until
     * there are no more; *rows is filled for scores and patterns, which are then captured whole. With this callback,
     * what it does not name must stay, and being watched changes no bit of what follows. NULL: `at` may change only
     * what is not a copy, and a watched branch is rounded before it is added to the stream. */
    bool (*edited)(void *user, scry__hook hook, int layer, int index, scry__edited_rows *rows);
    /* Called before a layer's attention where scores or pattern are wanted: narrows capture->heads, query_begin,
     * key_begin, and the tile's sizes (*queries, *keys; preset to everything). Not asked where they are edited. */
    void (*tile)(void *user, int layer, scry_attention_capture *capture, int64_t *queries, int64_t *keys);
    /* Called before each layer's attention; *mask holds what the model itself masks (causality, the layer's window,
     * query_offset). May add to it, such as an additive tensor, which must last until the pass is over. */
    scry_status (*mask)(void *user, int layer, scry_mask *mask);
    /* Sequences that join on the way: how many of the session's, the first ones, take part in this layer and those
     * behind it (-1: in the embedding), never fewer than before; the last layer has at least one. NULL: all, always. */
    int (*active)(void *user, int layer);
    /* Called where some join at a layer: fills their residual streams [joining, T, d] in front of it. */
    scry_status (*join)(void *user, int layer, const scry_tensor *streams);
    int layers; /* that are run, the first ones; 0: all. Those behind leave their cache as it is */
} scry__hooks;

/* Does this model's family have the hook point at all? */
bool scry__model_has_hook(const scry_model *model, scry__hook hook);

/* A session: owned by the caller, tied to its model. */
typedef struct scry__session scry__session;

typedef struct scry__session_options {
    int  batch;      /* sequences; 0: 1 */
    int  capacity;   /* most positions per sequence, at most the model's context */
    int  rows;       /* most new rows per sequence in one pass; 0: capacity */
    bool keep_cache; /* keep every layer's keys and values, for later passes; otherwise one layer's at a time */
} scry__session_options;

scry_status scry__session_create(scry__session **out, scry_model *model, const scry__session_options *options);
void        scry__session_destroy(scry__session **session);

/* Positions filled so far. With keep_cache, passes continue there; `rewind` forgets positions from `length` on. */
int  scry__session_length(const scry__session *session);
void scry__session_rewind(scry__session *session, int length);

/* Adds [B, H, T, K] to every layer's scaled scores in the passes to come, all of T rows; NULL: nothing. The tensor has
 * to stay. */
void scry__session_set_additive(scry__session *session, const scry_tensor *additive);

/* Copies the first `length` positions of one sequence of `source` into every sequence of `session`, which then holds
 * these positions and no others. Both keep their caches and belong to one model. */
scry_status scry__session_copy_cache(scry__session *session, const scry__session *source, int sequence, int length);

/* Runs `count` new rows (ids [batch, count], checked against the vocabulary and the capacity) through all blocks. hooks
 * may be NULL. LN_FINAL_* and LOGITS hooks are served too where wanted. Layers without an active sequence cost nothing.
 */
scry_status scry__session_forward(scry__session *session, const int32_t *ids, int count, const scry__hooks *hooks);

/* The same from a layer on: `stream` [batch, count, d] is what enters it, not the session's own residual stream. What
 * the layers before it have in the cache stays as it is. */
scry_status scry__session_forward_from(scry__session *session, int layer, const scry_tensor *stream, int count,
                                       const scry__hooks *hooks);

/* The final residual stream of the last pass, before the final norm: [batch, count, d]; valid until the next pass. */
scry_tensor scry__session_residual(const scry__session *session);

/* logits of rows [begin, begin + count) of the last pass: out is f32 [batch, count, V] of the caller's. */
scry_status scry__session_logits(scry__session *session, int begin, int count, const scry_tensor *out);

/* out [B, T, V] = what the model's own final norm and unembedding make of any rows of a residual stream [B, T, d];
 * `normed`, of the rows' shape, is scratch. */
scry_status scry__model_logits(const scry_model *model, const scry_tensor *rows, const scry_tensor *normed,
                               const scry_tensor *out);

/* The lens op's model half: final norm, unembedding, bias, soft-cap and scale filled in; the rest zero. */
scry_lens_op scry__model_lens_op(const scry_model *model);

/* The loss op's model half, likewise. */
scry_loss scry__model_loss_op(const scry_model *model);

#endif
