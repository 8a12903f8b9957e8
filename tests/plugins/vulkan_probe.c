/* A made-up Vulkan device under the backend's probing. See vulkan_probe.h. */
#include "vulkan_probe.h"

#include "vulkan/probe.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct probe_device made_up;
static char                wrong[256];

static void complain(const char *format, ...)
{
    va_list list;
    if (*wrong) return;
    va_start(list, format);
    vsnprintf(wrong, sizeof wrong, format, list);
    va_end(list);
}

/* --- The device --- */

/* The extensions that it has. */
static uint32_t extensions(const char *names[4])
{
    uint32_t count = 0;
    if (made_up.subgroup_least) names[count++] = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME;
    if (made_up.host_memory) names[count++] = VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME;
    if (made_up.portable_only) names[count++] = "VK_KHR_portability_subset";
    names[count++] = "VK_EXT_that_nobody_asked_for";
    return count;
}

VkResult vkEnumerateDeviceExtensionProperties(VkPhysicalDevice physical, const char *layer, uint32_t *count,
                                              VkExtensionProperties *out)
{
    const char *names[4];
    (void)physical, (void)layer;
    *count = extensions(names);
    for (uint32_t i = 0; out && i < *count; i++)
        snprintf(out[i].extensionName, sizeof out[i].extensionName, "%s", names[i]);
    return VK_SUCCESS;
}

void vkGetPhysicalDeviceProperties(VkPhysicalDevice physical, VkPhysicalDeviceProperties *out)
{
    (void)physical;
    *out = (VkPhysicalDeviceProperties){.apiVersion = VK_MAKE_API_VERSION(0, 1, made_up.minor, 0),
                                        .deviceType = (VkPhysicalDeviceType)made_up.type};
    snprintf(out->deviceName, sizeof out->deviceName, "%s", made_up.name);
    VkPhysicalDeviceLimits *limits              = &out->limits;
    limits->maxStorageBufferRange               = UINT32_MAX;
    limits->maxPerStageDescriptorStorageBuffers = limits->maxDescriptorSetStorageBuffers = made_up.storage_buffers;
    limits->maxPerStageResources                                                         = 128;
    limits->maxComputeSharedMemorySize                                                   = made_up.shared_bytes;
    limits->maxComputeWorkGroupCount[0]                                                  = UINT32_MAX;
    limits->maxComputeWorkGroupSize[0] = limits->maxComputeWorkGroupInvocations = 1024;
    limits->minStorageBufferOffsetAlignment                                     = 4;
}

void vkGetPhysicalDeviceProperties2(VkPhysicalDevice physical, VkPhysicalDeviceProperties2 *out)
{
    if (made_up.minor < 2) complain("asked what Vulkan 1.2 alone knows");
    vkGetPhysicalDeviceProperties(physical, &out->properties);
    for (VkBaseOutStructure *at = out->pNext; at; at = at->pNext) {
        VkPhysicalDeviceVulkan11Properties               *eleven   = (void *)at;
        VkPhysicalDeviceVulkan12Properties               *twelve   = (void *)at;
        VkPhysicalDeviceSubgroupSizeControlPropertiesEXT *subgroup = (void *)at;
        if (at->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES)
            eleven->maxMemoryAllocationSize = UINT64_MAX;
        else if (at->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES)
            twelve->shaderSignedZeroInfNanPreserveFloat32 = !made_up.changes_nan;
        else if (at->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES_EXT) {
            if (!made_up.subgroup_least) complain("asked of an extension that it has not");
            subgroup->minSubgroupSize = made_up.subgroup_least;
            subgroup->maxSubgroupSize = made_up.subgroup_most;
            subgroup->requiredSubgroupSizeStages =
                made_up.requires_in_compute ? VK_SHADER_STAGE_COMPUTE_BIT : VK_SHADER_STAGE_VERTEX_BIT;
        } else if (at->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT &&
                   !made_up.host_memory)
            complain("asked of an extension that it has not");
    }
}

void vkGetPhysicalDeviceFeatures2(VkPhysicalDevice physical, VkPhysicalDeviceFeatures2 *out)
{
    (void)physical;
    for (VkBaseOutStructure *at = out->pNext; at; at = at->pNext) {
        VkPhysicalDeviceVulkan12Features               *twelve   = (void *)at;
        VkPhysicalDeviceSubgroupSizeControlFeaturesEXT *subgroup = (void *)at;
        if (at->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES)
            twelve->shaderFloat16 = made_up.float16;
        else if (at->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT)
            subgroup->subgroupSizeControl = VK_TRUE;
    }
}

void vkGetPhysicalDeviceMemoryProperties(VkPhysicalDevice physical, VkPhysicalDeviceMemoryProperties *out)
{
    (void)physical;
    *out                              = (VkPhysicalDeviceMemoryProperties){.memoryTypeCount = 1, .memoryHeapCount = 1};
    out->memoryHeaps[0]               = (VkMemoryHeap){(VkDeviceSize)1 << 30, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
    out->memoryTypes[0].propertyFlags = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    if (made_up.has_shared_memory)
        out->memoryTypes[0].propertyFlags |= VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
}

void vkGetPhysicalDeviceQueueFamilyProperties(VkPhysicalDevice physical, uint32_t *count, VkQueueFamilyProperties *out)
{
    (void)physical;
    for (*count = 0; *count < 3 && made_up.queues[*count]; ++*count)
        out[*count] = (VkQueueFamilyProperties){.queueFlags = made_up.queues[*count], .queueCount = 1};
}

/* Nothing is switched on that the device has not, and an extension goes with each struct of features. */
VkResult vkCreateDevice(VkPhysicalDevice physical, const VkDeviceCreateInfo *info,
                        const VkAllocationCallbacks *callbacks, VkDevice *out)
{
    const char *names[4];
    uint32_t    count = extensions(names) - 1;
    (void)physical, (void)callbacks, (void)out;
    if (info->enabledExtensionCount != count)
        complain("%u extensions are switched on: expected %u", info->enabledExtensionCount, count);
    if (info->pQueueCreateInfos->queueFamilyIndex != made_up.expected.queue_family) complain("the wrong queue");
    for (const VkBaseInStructure *at = info->pNext; at; at = at->pNext) {
        const VkPhysicalDeviceVulkan12Features               *twelve   = (const void *)at;
        const VkPhysicalDeviceSubgroupSizeControlFeaturesEXT *subgroup = (const void *)at;
        if (at->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES &&
            twelve->shaderFloat16 != made_up.float16)
            complain("shaderFloat16 is %u", twelve->shaderFloat16);
        if (at->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT &&
            (!made_up.subgroup_least || subgroup->computeFullSubgroups))
            complain("subgroups are controlled that cannot be");
        if (at->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_ATOMIC_FLOAT_FEATURES_EXT)
            complain("a struct of an extension that is not there");
    }
    return VK_SUCCESS;
}

/* --- The trial --- */

static void *allocate(size_t count, size_t size)
{
    return calloc(count, size);
}

static scry_status fail(scry_status status, const char *format, ...)
{
    (void)format;
    return status;
}

static const struct scry_host host          = {.allocate = allocate, .release = free, .fail = fail};
const struct scry_host       *scry__vk_host = &host;

static void make_up(const struct probe_device *device)
{
    made_up = *device;
    if (!made_up.minor) made_up.minor = 2;
    if (!made_up.type) made_up.type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    if (!made_up.queues[0]) made_up.queues[0] = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT;
    if (!made_up.storage_buffers) made_up.storage_buffers = SCRY__VK_BINDINGS;
    if (!made_up.shared_bytes) made_up.shared_bytes = 32768;
}

SCRY_API probe_trial_function vulkan_probe_trial;

const char *vulkan_probe_trial(const struct probe_device *device)
{
    struct scry__vk_limits limits;
    VkDevice               opened = VK_NULL_HANDLE;
    *wrong                        = 0;
    make_up(device);
    if (scry__vk_probe(&limits, VK_NULL_HANDLE)) complain("probing fails");
    if (strcmp(limits.lacks, device->expected.lacks)) complain("it lacks \"%s\"", limits.lacks);
    if (*limits.lacks) return *wrong ? wrong : NULL;
    if (limits.is_cpu != device->expected.is_cpu) complain("is_cpu is %d", limits.is_cpu);
    if (limits.shares_memory != device->expected.shares_memory) complain("shares_memory is %d", limits.shares_memory);
    if (limits.subgroup_least != device->expected.subgroup_least)
        complain("subgroups from %u on can be required", limits.subgroup_least);
    if (limits.imports_memory != device->host_memory) complain("imports_memory is %d", limits.imports_memory);
    if (limits.alignment != 16 || limits.most_groups != INT32_MAX || limits.most_bound % 4096)
        complain("limits of %u, %u, %zu", limits.alignment, limits.most_groups, limits.most_bound);
    if (scry__vk_device_create(&opened, VK_NULL_HANDLE, &limits)) complain("opening fails");
    return *wrong ? wrong : NULL;
}
