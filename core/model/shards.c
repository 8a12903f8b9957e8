/* Opening a checkpoint: one safetensors file, or the shards of an index. Checks that the index and the shards agree
 * tensor by tensor. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/json.h"
#include "model/safetensors_file.h"

#include <string.h>
#include <sys/stat.h>

enum { MAX_SHARDS = 4096 };

static const size_t max_index = (size_t)1 << 27;

/* A shard is a plain file name beside the index: nothing that could lead elsewhere. */
static bool is_plain_name(const char *name)
{
    return *name && *name != '.' && !strpbrk(name, "/\\") && strlen(name) < 256;
}

static scry_status check_name(const char *index_path, const char *tensor, const json_t *shard)
{
    if (!json_is_string(shard) || json_string_length(shard) != strlen(json_string_value(shard)))
        return scry__fail(SCRY_BAD_INPUT, "%s: weight_map: tensor %.128s: expected a file name", index_path, tensor);
    if (!is_plain_name(json_string_value(shard)))
        return scry__fail(SCRY_BAD_INPUT,
                          "%s: weight_map: tensor %.128s: \"%.128s\": expected a plain file name in the same directory",
                          index_path, tensor, json_string_value(shard));
    return SCRY_OK;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool has_file(const scry__safetensors *checkpoint, const char *name)
{
    for (int i = 0; i < checkpoint->file_count; i++)
        if (!strcmp(base_name(checkpoint->files[i].path), name)) return true;
    return false;
}

static scry_status add_shard(scry__safetensors *checkpoint, const char *directory, const char *name)
{
    if (has_file(checkpoint, name)) return SCRY_OK;
    if (checkpoint->file_count == MAX_SHARDS)
        return scry__fail(SCRY_BAD_INPUT, "%s: more than %d shards", directory, MAX_SHARDS);
    char *path = scry__path_join(directory, name);
    if (!path) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry__safetensors_add_file(checkpoint, path);
    scry__free(path);
    return status;
}

/* Every stored tensor must be mapped to the shard that holds it (which also finds a tensor stored twice), and every
 * mapped tensor stored. */
static scry_status check_map(const scry__safetensors *checkpoint, const json_t *map, const char *index_path)
{
    const char   *name;
    const json_t *shard;
    for (int i = 0; i < checkpoint->count; i++) {
        const scry__stored *tensor = &checkpoint->tensors[i];
        const char         *file   = base_name(checkpoint->files[tensor->file].path);
        const char         *mapped = json_string_value(json_object_get(map, tensor->name));
        if (!mapped)
            return scry__fail(SCRY_BAD_INPUT, "%s: tensor %s of %s is not in the weight_map", index_path, tensor->name,
                              file);
        if (strcmp(mapped, file))
            return scry__fail(SCRY_BAD_INPUT, "%s: tensor %s: the weight_map says %s, but it lies in %s", index_path,
                              tensor->name, mapped, file);
    }
    json_object_foreach((json_t *)map, name, shard)
    {
        if (!scry__safetensors_find(checkpoint, name))
            return scry__fail(SCRY_BAD_INPUT, "%s: tensor %.128s: expected in %s, found in no shard", index_path, name,
                              json_string_value(shard));
    }
    return SCRY_OK;
}

static scry_status open_index(scry__safetensors *checkpoint, const char *directory, const char *index_path)
{
    json_t       *root = NULL;
    const json_t *map, *shard;
    const char   *name;
    scry_status   status = scry__json_load(&root, index_path, max_index);
    if (status) return status;
    status = scry__json_object((scry__json_at){root, index_path}, "weight_map", true, &map);
    if (status) goto done;
    json_object_foreach((json_t *)map, name, shard)
    {
        status = check_name(index_path, name, shard);
        if (!status) status = add_shard(checkpoint, directory, json_string_value(shard));
        if (status) goto done;
    }
    scry__safetensors_sort(checkpoint);
    status = check_map(checkpoint, map, index_path);
done:
    json_decref(root);
    return status;
}

/* Where weights may lie in a directory: in one file, or in the shards of an index. */
struct places {
    char *single, *index;
};

static scry_status find_places(struct places *places, const char *directory)
{
    places->single = scry__path_join(directory, "model.safetensors");
    places->index  = scry__path_join(directory, "model.safetensors.index.json");
    return places->single && places->index ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

static void free_places(struct places *places)
{
    scry__free(places->index);
    scry__free(places->single);
}

static scry_status open_directory(scry__safetensors *checkpoint, const char *directory)
{
    struct places places;
    scry_status   status = find_places(&places, directory);
    if (!status) {
        if (scry__file_exists(places.single))
            status = scry__safetensors_add_file(checkpoint, places.single);
        else if (scry__file_exists(places.index))
            status = open_index(checkpoint, directory, places.index);
        else
            status =
                scry__fail(SCRY_BAD_INPUT, "%s: neither model.safetensors nor model.safetensors.index.json", directory);
    }
    free_places(&places);
    return status;
}

scry_status scry__safetensors_is_there(const char *directory, bool *is_there)
{
    struct places places;
    scry_status   status = find_places(&places, directory);
    if (!status) *is_there = scry__file_exists(places.single) || scry__file_exists(places.index);
    free_places(&places);
    return status;
}

scry_status scry__safetensors_open(scry__safetensors **out, const char *path)
{
    struct stat        info;
    scry__safetensors *checkpoint = scry__alloc(1, sizeof *checkpoint);
    if (!checkpoint) return SCRY_OUT_OF_MEMORY;
    bool        directory = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    scry_status status    = SCRY_OUT_OF_MEMORY;
    checkpoint->path      = scry__strdup(path);
    if (checkpoint->path)
        status = directory ? open_directory(checkpoint, path) : scry__safetensors_add_file(checkpoint, path);
    if (status) {
        scry__safetensors_close(&checkpoint);
        return status;
    }
    scry__safetensors_sort(checkpoint);
    *out = checkpoint;
    return SCRY_OK;
}
