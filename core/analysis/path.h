/* Path patching, its parts: ends of paths as people write them, and the edits of its two runs. */
#ifndef SCRY_ANALYSIS_PATH_H
#define SCRY_ANALYSIS_PATH_H

#include "analysis/patch.h"
#include "base/text.h"
#include "scry/path.h"
#include "scry/trace.h"

/* --- ends --- */

/* Fills in paths and their senders, and receivers, each once, as scry_path_options has them; what was made before a
 * failure belongs to `paths` too. */
scry_status scry__path_parse_senders(scry_paths *paths, const scry_model_info *info, const char *text);
scry_status scry__path_parse_receivers(scry_paths *paths, const scry_model_info *info, const char *text);

/* "0.7", "2.3.q", "mlp4", "embed", "logits". */
void scry__path_add_end(scry__text *out, const scry_path_end *end);

/* --- outputs --- */

/* What senders and frozen parts write, in both runs. */
typedef struct scry__path_outputs {
    const scry_model *model;
    bool              mlps_frozen, parallel; /* parallel: a layer's MLP does not read its heads */
    int               layer_count, position_count;
    char (*names)[SCRY__HOOK_NAME_SIZE]; /* [layer, 2]: z and mlp_out */
    scry_trace *base, *source;           /* the same hook points */
    float     **moved;                   /* [capture]: the source's rows in the baseline's positions */
} scry__path_outputs;

/* Runs both prompts of the pair; released with scry__path_outputs_finish, also after a failure. */
scry_status scry__path_outputs_run(scry__path_outputs *outputs, scry_model *model, const scry_paths *paths);
void        scry__path_outputs_finish(scry__path_outputs *outputs);

/* Does the source write other bits than the baseline in one of the path's senders? */
bool scry__path_differs(const scry__path_outputs *outputs, const scry_path *path);

/* --- the first run: senders from the source, what is behind them frozen --- */

/* How many edits that takes at most. */
int scry__path_most_edits(const scry__path_outputs *outputs, const scry_path *path);

/* Puts them at `edits`, of which the senders' are the last; returns how many. Values are the outputs'. */
int scry__path_freeze(scry_edit *edits, const scry__path_outputs *outputs, const scry_path *path);

/* --- the second run: receivers' inputs --- */

/* Can the receiver hear one of the path's senders? */
bool scry__path_reaches(const scry__path_outputs *outputs, const scry_path *path, const scry_path_end *receiver);

/* The hook points of a receiver's input, full names; returns how many, 1 or 2. */
enum { SCRY__PATH_MOST_INPUTS = 2 };
int scry__path_inputs(char names[SCRY__PATH_MOST_INPUTS][SCRY__HOOK_NAME_SIZE], const scry_model *model,
                      const scry_path_end *receiver);

#endif
