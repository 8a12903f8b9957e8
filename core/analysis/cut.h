/* Cuts measured: one position computed again on the cached prefix, with some of its edges masked, many side by side. */
#ifndef SCRY_ANALYSIS_CUT_H
#define SCRY_ANALYSIS_CUT_H

#include "model/forward.h"
#include "scry/influence.h"

/* What is cut in one layer or in all. */
typedef struct scry__edge {
    int head; /* -1: all heads */
    int key;  /* -1: every key but the position itself */
} scry__edge;

typedef struct scry__cutter scry__cutter;

typedef struct scry__cutter_options {
    const scry__session *prompt; /* keeps its cache, and holds more positions than `position` */
    int                  position;
    int32_t              id;     /* the token there */
    int32_t              target; /* whose logit is watched */
    int                  batch;  /* most cuts at a time; 0: as scry_influence_options says */
} scry__cutter_options;

/* Copies the prefix and runs the position uncut, as often side by side as cuts will be: each is compared with the one
 * in its own place, so that a cut that changes nothing measures exactly 0. `prompt` is not needed afterwards. */
scry_status scry__cutter_create(scry__cutter **out, scry_model *model, const scry__cutter_options *options);
void        scry__cutter_destroy(scry__cutter **cutter);

/* How many cuts are measured at a time. */
int scry__cutter_batch(const scry__cutter *cutter);

/* cuts[i] = what cutting edges[i] in `layer` (-1: in all layers) changes; count is at most the batch. */
scry_status scry__cutter_measure(scry__cutter *cutter, int layer, const scry__edge *edges, int count, scry_cut *cuts);

#endif
