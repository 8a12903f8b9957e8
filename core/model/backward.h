/* The backward pass: gradients of one scalar, such as the mean loss, in a model's weights and at its hook points, one
 * for all families.
 *
 * A tape keeps what backward needs of a forward pass; backward then goes from the last block to the first. It may be
 * run several times for one forward pass. All is f32 on the model's device, which needs the training ops. */
#ifndef SCRY_MODEL_BACKWARD_H
#define SCRY_MODEL_BACKWARD_H

#include "model/forward.h"
#include "model/weights.h"

/* What one forward pass leaves for backward: the streams that norms read, queries and keys (before and behind rotation
 * where both count), values, z, lse, and the MLP's inputs. Owned by the caller, tied to its session. */
typedef struct scry__tape scry__tape;

/* `session` keeps no cache, and outlives the tape. */
scry_status scry__tape_create(scry__tape **out, scry__session *session);
void        scry__tape_destroy(scry__tape **tape);

/* scry__session_forward, kept on the tape in place of the pass before it. The same bits as without a tape. */
scry_status scry__tape_forward(scry__tape *tape, const int32_t *ids, int count);

/* What is wanted of a backward pass. */
typedef struct scry__gradients {
    /* Where weights' gradients are added to what is there; those absent in it are not computed. NULL: none. */
    const scry__weights *weights;
    /* Asked, then called, with the gradient at each hook point: resid_post, mlp_out, mlp.post, mlp.pre_linear, mlp.pre,
     * resid_mid, attn_out, z, rot_q, rot_k, q, k, v, resid_pre, in about this order. The tensor has the shape of the
     * hook point's value; ops may read it, and it is gone behind the call. NULL: none. */
    bool (*wants)(void *user, scry__hook hook, int layer);
    scry_status (*at)(void *user, scry__hook hook, int layer, const scry_tensor *gradient);
    void *user;
    int   first_layer; /* layers before it are left out, and so are the embeddings' gradients unless it is 0 */
} scry__gradients;

/* From the gradient of the final residual stream, before the final norm: [B, T, d]. */
scry_status scry__backward_stream(scry__tape *tape, const scry_tensor *d_stream, const scry__gradients *gradients);

/* From the gradient of what the unembedding reads, behind the final norm: [B, T, d]. */
scry_status scry__backward_normed(scry__tape *tape, const scry_tensor *d_normed, const scry__gradients *gradients);

/* The rows' loss, see scry_loss; rows are those of all sequences, B * T of them. */
typedef struct scry__row_loss {
    scry_tensor target;  /* i32 [B * T]; or */
    scry_tensor teacher; /* [B * T, d] */
    scry_tensor loss;    /* [B * T], optional */
    float       factor;  /* of the gradients: 1 / the rows that count, for those of the mean */
} scry__row_loss;

scry_status scry__backward_loss(scry__tape *tape, const scry__row_loss *loss, const scry__gradients *gradients);

/* The loss alone, of the session's last pass, with or without a tape. */
scry_status scry__session_loss(scry__session *session, const scry__row_loss *loss);

#endif
