/* Keeping pipelines and verdicts on disk. See cache.h.
 *
 * A driver may trust its own data blindly. So it sees them only behind the store's checksum and key, and where their
 * header is whole and its own. */
#include "cache.h"

#include "shaders.h"

#include <string.h>

static const char kind_pipelines[] = "pipelines";

static struct scry__vk_key key_of(const struct scry__vk *vk, const char *kind)
{
    const struct scry__vk_limits *limits = &vk->limits;
    struct scry__vk_key           key;
    memset(&key, 0, sizeof key);
    memcpy(key.kind, kind, strlen(kind));
    key.vendor         = limits->vendor;
    key.device         = limits->device;
    key.driver_version = limits->driver_version;
    key.api_version    = limits->api_version;
    key.shaders        = scry__vk_shaders_digest();
    memcpy(key.cache_id, limits->cache_id, sizeof key.cache_id);
    memcpy(key.name, limits->name, strlen(limits->name));
    memcpy(key.driver, limits->driver, strlen(limits->driver));
    return key;
}

struct scry__found scry__vk_cache_load(struct scry__vk *vk, const char *kind)
{
    struct scry__vk_key key = key_of(vk, kind);
    if (scry__vk_shaders_replaced()) return (struct scry__found){0};
    return scry__store_load(&vk->store, (struct scry__key){(const char *)&key, sizeof key});
}

void scry__vk_cache_save(struct scry__vk *vk, const char *kind, const void *content, size_t size)
{
    struct scry__vk_key key = key_of(vk, kind);
    if (scry__vk_shaders_replaced()) return;
    scry__store_save(&vk->store, (struct scry__key){(const char *)&key, sizeof key}, content, size);
}

/* Whether the data begin as the standard says that this device's do. */
static bool is_own(const struct scry__vk_limits *limits, const char *data, size_t size)
{
    VkPipelineCacheHeaderVersionOne header;
    if (size < sizeof header) return false;
    memcpy(&header, data, sizeof header);
    return header.headerSize == sizeof header && header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
           header.vendorID == limits->vendor && header.deviceID == limits->device &&
           !memcmp(header.pipelineCacheUUID, limits->cache_id, sizeof limits->cache_id);
}

scry_status scry__vk_pipelines_open(VkPipelineCache *out, struct scry__vk *vk)
{
    struct scry__found        found = scry__vk_cache_load(vk, kind_pipelines);
    VkPipelineCacheCreateInfo info  = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    if (found.content && is_own(&vk->limits, found.content, found.size)) {
        info.pInitialData    = found.content;
        info.initialDataSize = found.size;
    } else if (found.content) {
        scry__vk_host->log(SCRY_LOG_DEBUG, "vulkan: kept pipelines are not usable: they are another driver's");
    }
    VkResult code = vkCreatePipelineCache(vk->device, &info, NULL, out);
    if (code != VK_SUCCESS && info.initialDataSize) {
        info.initialDataSize = 0;
        code                 = vkCreatePipelineCache(vk->device, &info, NULL, out);
    }
    vk->kept_pipelines = scry__hash(SCRY__HASH_SEED, info.pInitialData, info.initialDataSize);
    scry__vk_host->release(found.file);
    return scry__vk_check(vk, code, "vkCreatePipelineCache");
}

void scry__vk_pipelines_close(struct scry__vk *vk, VkPipelineCache pipelines)
{
    char  *data = NULL;
    size_t size = 0;
    if (!pipelines) return;
    if (!vk->lost && vkGetPipelineCacheData(vk->device, pipelines, &size, NULL) == VK_SUCCESS && size)
        data = scry__vk_host->allocate(size, 1);
    if (data && vkGetPipelineCacheData(vk->device, pipelines, &size, data) == VK_SUCCESS &&
        scry__hash(SCRY__HASH_SEED, data, size) != vk->kept_pipelines)
        scry__vk_cache_save(vk, kind_pipelines, data, size);
    scry__vk_host->release(data);
    vkDestroyPipelineCache(vk->device, pipelines, NULL);
}
