/* What is kept on disk of a device: its driver's pipelines, and what its self-tests said. */
#ifndef SCRY_VK_CACHE_H
#define SCRY_VK_CACHE_H

#include "shared/store.h"
#include "vk.h"

/* Everything that they depend on. Compared as bytes. */
struct scry__vk_key {
    char     kind[16]; /* "pipelines" */
    uint32_t vendor, device, driver_version, api_version;
    uint8_t  cache_id[VK_UUID_SIZE];
    uint64_t shaders; /* their digest */
    char     name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE];
    char     driver[VK_MAX_DRIVER_NAME_SIZE + VK_MAX_DRIVER_INFO_SIZE];
};

/* The content of that kind; release `file` through the host. Nothing is kept of shaders that are not scry's own. */
struct scry__found scry__vk_cache_load(struct scry__vk *vk, const char *kind);
void               scry__vk_cache_save(struct scry__vk *vk, const char *kind, const void *content, size_t size);

/* The driver's pipelines, as they were kept; empty where they were not, or where they cannot be this driver's. */
scry_status scry__vk_pipelines_open(VkPipelineCache *out, struct scry__vk *vk);
/* Keeps them, where there are others than before. */
void scry__vk_pipelines_close(struct scry__vk *vk, VkPipelineCache pipelines);

#endif
