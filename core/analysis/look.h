/* Where a prompt's attention looked: one pass, of which is kept what the analyses of one position need. Nothing of the
 * size heads x rows x keys stays; a long prompt goes through in pieces. */
#ifndef SCRY_ANALYSIS_LOOK_H
#define SCRY_ANALYSIS_LOOK_H

#include "model/forward.h"

typedef struct scry__look {
    int     layer_count, head_count, key_count;
    float  *weights;  /* [layer, head, key]: the last row's; the caller's */
    float  *means;    /* [layer] lower triangles: the mean over heads, see rollout.h; NULL: not wanted */
    double *received; /* [layer, head, key]: mass summed over all rows */
} scry__look;

/* Room for `means` (if wanted) and `received`. */
scry_status scry__look_create(scry__look *look, const scry_model_info *info, int key_count, bool means);
void        scry__look_finish(scry__look *look);

/* A session that keeps its cache, for key_count positions in pieces that bound what attention leaves behind. */
scry_status scry__look_session(scry__session **out, scry_model *model, int key_count);

/* Runs the ids, key_count of them, from the start of the session. */
scry_status scry__look_run(scry__look *look, scry__session *session, const int32_t *ids);

#endif
