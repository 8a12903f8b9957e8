/* Path patching: which part of a model speaks to which. As in activation patching (scry/patch.h) a part's output comes
 * from another prompt's run, but only chosen receivers take notice of it.
 *
 * A sender's output is replaced by that of the source, while all other heads write what they write in the baseline: so
 * what the sender says goes through the residual stream and the MLPs only, to the receivers, whose inputs are kept.
 * Then the baseline is run once more with these inputs alone. MLPs on the way are computed anew, as Wang et al. (2022)
 * do, or frozen as heads are, which leaves the direct path. docs/definitions.md has the formulas. */
#ifndef SCRY_PATH_H
#define SCRY_PATH_H

#include "scry/patch.h"
#include "scry/sweep.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Ends of a path. X(name, text) */
#define SCRY_PATH_END_LIST(X)                                                                                          \
    X(EMBED, "embed")   /* sender: the embedding of tokens */                                                          \
    X(HEAD, "head")     /* sender: its z */                                                                            \
    X(MLP, "mlp")       /* sender: its output; receiver: its input */                                                  \
    X(QUERY, "q")       /* receivers: a head's input as queries, */                                                    \
    X(KEY, "k")         /* keys, */                                                                                    \
    X(VALUE, "v")       /* and values, of a key/value head */                                                          \
    X(LOGITS, "logits") /* receiver: what the final norm reads */

typedef enum scry_path_end_kind {
#define SCRY_PATH_END_ENUM(name, text) SCRY_PATH_END_##name,
    SCRY_PATH_END_LIST(SCRY_PATH_END_ENUM)
#undef SCRY_PATH_END_ENUM
        SCRY_PATH_END_COUNT
} scry_path_end_kind;

SCRY_API const char *scry_path_end_text(scry_path_end_kind kind);

typedef struct scry_path_end {
    scry_path_end_kind kind;
    int                layer, head; /* -1 where it has none */
} scry_path_end;

typedef struct scry_path_options {
    scry_patch_options
        pair; /* prompts, tokens, position, direction, align, naive, batch, progress; the rest is unused */
    /* Senders, each patched in a run of its own: "0.7,mlp2,embed"; those joined by + are patched together,
     * "0.7+0.3,mlp0+mlp1"; "heads" and "mlps" are each of all of them. NULL: "heads". */
    const char *from;
    const char *to;          /* receivers, all of them in each run: "2.3.q,2.3.k,mlp4,logits"; NULL: "logits" */
    bool        freeze_mlps; /* MLPs too write what they write in the baseline */
} scry_path_options;

typedef struct scry_path {
    int             sender_count;
    scry_path_end  *senders; /* patched together */
    scry_patch_cell cell;    /* as of a patch */
    bool            changed; /* false: nothing can come to the receivers from there, and the run is the baseline */
} scry_path;

typedef struct scry_paths {
    scry_patching  *pair; /* both prompts and their own runs; without grids */
    bool            mlps_frozen;
    int             layer_count, head_count;
    int             receiver_count;
    scry_path_end  *receivers;
    int             count;
    scry_path      *paths; /* in the order of `from` */
    scry_sweep_cost cost;  /* of all passes but the prompts' own */
} scry_paths;

SCRY_API scry_status scry_paths_run(scry_paths **out, scry_model *model, const char *clean, const char *corrupt,
                                    const scry_path_options *options);
SCRY_API void        scry_paths_destroy(scry_paths **paths);

#ifdef __cplusplus
}
#endif
#endif
