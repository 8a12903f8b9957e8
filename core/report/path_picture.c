/* Path patching as a picture. See path_picture.h. */
#include "report/path_picture.h"

#include "analysis/path.h"
#include "base/alloc.h"
#include "base/error.h"
#include "report/heatmap.h"
#include "report/patch_maps.h"

#include <math.h>

/* The cell of a path's only sender; -1 where it has none. */
static int cell_of(const scry_paths *paths, const scry_path *path)
{
    const scry_path_end *sender = path->senders;
    if (path->sender_count > 1 || sender->kind == SCRY_PATH_END_EMBED) return -1;
    return sender->layer * (paths->head_count + 1) + (sender->head < 0 ? paths->head_count : sender->head);
}

/* The rest stays blank. Returns how many cells there are. */
static int place(float *values, const scry_paths *paths, scry_patch_metric metric)
{
    int count = 0;
    for (int i = 0; i < paths->layer_count * (paths->head_count + 1); i++) values[i] = NAN;
    for (int i = 0; i < paths->count; i++) {
        int cell = cell_of(paths, &paths->paths[i]);
        if (cell < 0) continue;
        values[cell] = scry_patch_cell_number(&paths->paths[i].cell, metric);
        count++;
    }
    return count;
}

static scry_status describe(scry__text *out, const scry_paths *paths)
{
    bool noise = paths->pair->direction == SCRY_NOISE;
    scry__text_addf(out, "What each part says%s to ", paths->mlps_frozen ? ", directly," : "");
    for (int i = 0; i < paths->receiver_count; i++) {
        scry__text_adds(out, i ? ", " : "");
        scry__path_add_end(out, &paths->receivers[i]);
    }
    scry__text_addf(out, ", from the %s run in the %s one", noise ? "corrupt" : "clean", noise ? "clean" : "corrupt");
    return out->status;
}

scry_status scry__path_picture_write(const char *path, const scry_paths *paths, scry_patch_metric metric)
{
    int          columns  = paths->head_count + 1;
    size_t       cells    = (size_t)paths->layer_count * (size_t)columns;
    const char **labels   = scry__heatmap_head_labels(paths->head_count, (const char *const[]){"MLP"}, 1);
    float       *values   = scry__alloc(cells, sizeof *values);
    scry__text   subtitle = {0};
    scry_status  status   = labels && values ? describe(&subtitle, paths) : SCRY_OUT_OF_MEMORY;
    if (!status && !place(values, paths, metric))
        status = scry__fail(SCRY_BAD_ARGUMENT, "%s: expected a sender that is a head or an MLP by itself", path);
    const scry__heatmap_panel panel = {.values = values};
    scry__heatmap             map   = {.rows          = paths->layer_count,
                                       .columns       = columns,
                                       .column_labels = labels,
                                       .panel_count   = 1,
                                       .panels        = &panel,
                                       .title         = "Path patching",
                                       .subtitle      = subtitle.data,
                                       .row_axis      = "layer",
                                       .column_axis   = "head"};
    if (!status) scry__patch_set_scale(&map, 1, values, cells, metric);
    if (!status) status = scry__heatmap_write(path, &map);
    scry__text_finish(&subtitle);
    scry__free(values);
    scry__free(labels);
    return status;
}
