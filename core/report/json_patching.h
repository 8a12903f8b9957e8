/* Activation patching as JSON; keys are described in docs/json.md. */
#ifndef SCRY_REPORT_JSON_PATCHING_H
#define SCRY_REPORT_JSON_PATCHING_H

#include "base/json_build.h"
#include "report/json_out.h"
#include "scry/patch.h"

/* One prompt and what its own run predicts: {"tokens", "position", "answer", "wrong", "logit_difference"}. */
json_t *scry__json_patch_side(scry__json_builder *builder, const scry_patch_side *side);

/* scry.patching/1: one pair of prompts, in `count` directions, which have the same kinds. */
scry_status scry__json_patching(json_t **out, scry_patching *const *patchings, int count,
                                const scry__json_source *source);

/* The patchings of such an object, one for each direction, at most `most`; each is to be destroyed. `origin` names the
 * object in errors (SCRY_BAD_INPUT). Where it fails, none are there. */
scry_status scry__json_read_patching(scry_patching **patchings, int *count, int most, const json_t *object,
                                     const char *origin);

/* scry.patching-pairs/1 */
scry_status scry__json_patch_summary(json_t **out, const scry_patch_summary *summary, const scry__json_source *source);

#endif
