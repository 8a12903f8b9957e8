/* Path patching as JSON. See json_path.h. */
#include "report/json_path.h"

#include "report/json_parts.h"
#include "report/json_patching.h"

static json_t *end_array(scry__json_builder *builder, const scry_path_end *ends, int count)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < count && !builder->status; i++) {
        json_t *object = scry__json_new_object(builder);
        scry__json_set_text(builder, object, "kind", scry_path_end_text(ends[i].kind));
        scry__json_set_place(builder, object, "layer", ends[i].layer);
        scry__json_set_place(builder, object, "head", ends[i].head);
        scry__json_append(builder, array, object);
    }
    return array;
}

static json_t *path_array(scry__json_builder *builder, const scry_paths *paths)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < paths->count && !builder->status; i++) {
        const scry_path *path   = &paths->paths[i];
        json_t          *object = scry__json_new_object(builder);
        scry__json_set(builder, object, "senders", end_array(builder, path->senders, path->sender_count));
        for (int metric = 0; metric < SCRY_PATCH_METRIC_COUNT; metric++)
            if (scry_patch_method_gives(SCRY_PATCH_METHOD_EXACT, (scry_patch_metric)metric))
                scry__json_set_number(builder, object, scry_patch_metric_text((scry_patch_metric)metric),
                                      scry_patch_cell_number(&path->cell, (scry_patch_metric)metric));
        scry__json_set_bool(builder, object, "changed", path->changed);
        scry__json_append(builder, array, object);
    }
    return array;
}

scry_status scry__json_paths(json_t **out, const scry_paths *paths, const scry__json_source *source)
{
    scry__json_builder   builder = {0};
    const scry_patching *pair    = paths->pair;
    json_t              *object  = scry__json_result(&builder, "scry.path/1", source);
    *out                         = NULL;
    scry__json_set(&builder, object, "clean", scry__json_patch_side(&builder, &pair->clean));
    scry__json_set(&builder, object, "corrupt", scry__json_patch_side(&builder, &pair->corrupt));
    scry__json_set_text(&builder, object, "direction", scry_patch_direction_text(pair->direction));
    scry__json_set_bool(&builder, object, "defined", pair->defined);
    scry__json_set_bool(&builder, object, "mlps_frozen", paths->mlps_frozen);
    scry__json_set(&builder, object, "receivers", end_array(&builder, paths->receivers, paths->receiver_count));
    scry__json_set(&builder, object, "paths", path_array(&builder, paths));
    scry__json_set(&builder, object, "cost", scry__json_cost(&builder, &paths->cost));
    return scry__json_finish(&builder, object, out);
}
