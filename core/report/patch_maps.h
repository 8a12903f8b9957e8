/* Grids of patching as heat maps, for terminal and pictures alike. */
#ifndef SCRY_REPORT_PATCH_MAPS_H
#define SCRY_REPORT_PATCH_MAPS_H

#include "report/heatmap.h"
#include "scry/patch.h"

typedef struct scry__patch_view {
    const char        *title, *subtitle; /* of the first map; NULL: none */
    scry_patch_metric  metric;
    const char *const *labels;    /* of positions; NULL: numbers */
    bool               estimates; /* behind its panels a grid's estimates; patterns have none */
    bool               apart; /* a map for each grid and its estimates; else grids of one shape are panels of one map */
    bool               positions_down; /* in rows, and layers in columns; else the other way round */
} scry__patch_view;

/* The maps share one scale. Heads by position have a panel for each layer. */
typedef struct scry__patch_maps {
    int            count;
    scry__heatmap *maps;
    /* What they point to: */
    scry__heatmap_panel *panels;
    char (*titles)[48];
    float *values;
} scry__patch_maps;

/* The view's texts stay the caller's, and are needed as long as the maps. */
scry_status scry__patch_maps_create(scry__patch_maps *maps, const scry_patch_grid *grids, int count,
                                    const scry__patch_view *view);
void        scry__patch_maps_finish(scry__patch_maps *maps);

/* Unit, colours and the scale that maps of these values, all of one metric, share. */
void scry__patch_set_scale(scry__heatmap *maps, int count, const float *values, size_t cells, scry_patch_metric metric);

/* What stands at each of the baseline's positions: its token, and where the prompts differ both, "Paris|Rome", the
 * clean one first. `position_count` texts, to be released with scry__patch_labels_free. */
scry_status scry__patch_labels_create(char ***out, const scry_patching *patching);
void        scry__patch_labels_free(char **labels, int count);

/* A mean grid's means, or its deviations, as a grid, whose cells are to be released with scry__free. */
scry_status scry__patch_spread_grid(scry_patch_grid *out, const scry_patch_mean_grid *mean, bool deviation);

#endif
