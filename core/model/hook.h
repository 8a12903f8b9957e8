/* Hook points of the forward pass, with TransformerLens' names. */
#ifndef SCRY_MODEL_HOOK_H
#define SCRY_MODEL_HOOK_H

#include "scry/tensor.h"

/* hook_q and hook_k stand before query/key norms and rotation, hook_rot_q and hook_rot_k behind both.
 *
 * X(id, name inside its block or whole, in a block?). Shapes (B sequences of T new rows, K = rows seen so far): see
 * scry/trace.h, with a leading axis B; scores and patterns are [B, H, T, K].
 *
 * All are live but stat_* and logits: what ops do to the value takes effect on all that follows. Most are the very
 * tensors that the pass goes on with. The norms' hook_scale and hook_normalized, scores and patterns are copies, which
 * the pass takes up again where scry__hooks.edited says that they change. */
#define SCRY__HOOK_LIST(X)                                                                                             \
    X(EMBED, "hook_embed", 0)                                                                                          \
    X(POS_EMBED, "hook_pos_embed", 0)                                                                                  \
    X(RESID_PRE, "hook_resid_pre", 1)                                                                                  \
    X(LN1_SCALE, "ln1.hook_scale", 1)                                                                                  \
    X(LN1_NORMALIZED, "ln1.hook_normalized", 1)                                                                        \
    X(Q, "attn.hook_q", 1)                                                                                             \
    X(K, "attn.hook_k", 1)                                                                                             \
    X(V, "attn.hook_v", 1)                                                                                             \
    X(ROT_Q, "attn.hook_rot_q", 1)                                                                                     \
    X(ROT_K, "attn.hook_rot_k", 1)                                                                                     \
    X(ATTN_SCORES, "attn.hook_attn_scores", 1)                                                                         \
    X(PATTERN, "attn.hook_pattern", 1)                                                                                 \
    X(STAT_LSE, "attn.stat_lse", 1)                                                                                    \
    X(STAT_ENTROPY, "attn.stat_entropy", 1)                                                                            \
    X(STAT_MAX, "attn.stat_max", 1)                                                                                    \
    X(STAT_ARGMAX, "attn.stat_argmax", 1)                                                                              \
    X(STAT_PREVIOUS, "attn.stat_previous", 1)                                                                          \
    X(STAT_SELF, "attn.stat_self", 1)                                                                                  \
    X(STAT_FIRST, "attn.stat_first", 1)                                                                                \
    X(STAT_RECEIVED, "attn.stat_received", 1)                                                                          \
    X(STAT_DISTANCE, "attn.stat_distance", 1)                                                                          \
    X(Z, "attn.hook_z", 1)                                                                                             \
    X(ATTN_OUT, "hook_attn_out", 1)                                                                                    \
    X(RESID_MID, "hook_resid_mid", 1) /* not in parallel blocks */                                                     \
    X(LN2_SCALE, "ln2.hook_scale", 1)                                                                                  \
    X(LN2_NORMALIZED, "ln2.hook_normalized", 1)                                                                        \
    X(MLP_PRE, "mlp.hook_pre", 1)                                                                                      \
    X(MLP_PRE_LINEAR, "mlp.hook_pre_linear", 1) /* gated MLPs */                                                       \
    X(MLP_POST, "mlp.hook_post", 1)                                                                                    \
    X(MLP_OUT, "hook_mlp_out", 1)                                                                                      \
    X(RESID_POST, "hook_resid_post", 1)                                                                                \
    X(LN_FINAL_SCALE, "ln_final.hook_scale", 0)                                                                        \
    X(LN_FINAL_NORMALIZED, "ln_final.hook_normalized", 0)                                                              \
    X(LOGITS, "logits", 0)

typedef enum scry__hook {
#define SCRY__HOOK_ENUM(id, name, in_block) SCRY__HOOK_##id,
    SCRY__HOOK_LIST(SCRY__HOOK_ENUM)
#undef SCRY__HOOK_ENUM
        SCRY__HOOK_COUNT
} scry__hook;

/* The name inside its block, whether it lies in a block, and whether it is live. */
const char *scry__hook_name(scry__hook hook);
bool        scry__hook_in_block(scry__hook hook);
bool        scry__hook_is_live(scry__hook hook);

/* "blocks.3.attn.hook_q" into `out`; layer is ignored outside the blocks. */
enum { SCRY__HOOK_NAME_SIZE = 64 };
void scry__hook_full_name(scry__hook hook, int layer, char out[SCRY__HOOK_NAME_SIZE]);

#endif
