/* What a physical device is and may, and opening it with what it offers.
 *
 * The floor is Vulkan 1.2 with infinities and NaN kept in f32. Whatever is beyond it is used where it is there. */
#include "probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, LEAST_SHARED = 16384 };

/* X(member, extension): device extensions that matter. */
#define EXTENSION_LIST(X)                                                                                              \
    X(subgroup_size, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)                                                      \
    X(host_memory, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME)                                                         \
    X(float_atomics, VK_EXT_SHADER_ATOMIC_FLOAT_EXTENSION_NAME)                                                        \
    X(cooperative_matrix, "VK_KHR_cooperative_matrix")                                                                 \
    X(feedback, VK_EXT_PIPELINE_CREATION_FEEDBACK_EXTENSION_NAME)                                                      \
    X(portability, "VK_KHR_portability_subset")

struct extensions {
#define MEMBER(member, name) bool member;
    EXTENSION_LIST(MEMBER)
#undef MEMBER
};

static scry_status list_extensions(struct extensions *out, VkPhysicalDevice physical)
{
    uint32_t               count  = 0;
    VkExtensionProperties *listed = NULL;
    VkResult               code   = vkEnumerateDeviceExtensionProperties(physical, NULL, &count, NULL);
    scry_status            status = scry__vk_check(NULL, code, "vkEnumerateDeviceExtensionProperties");
    *out                          = (struct extensions){0};
    if (status || !count) return status;
    listed = scry__vk_host->allocate(count, sizeof *listed);
    if (!listed) return SCRY_OUT_OF_MEMORY;
    code = vkEnumerateDeviceExtensionProperties(physical, NULL, &count, listed);
    if (code != VK_INCOMPLETE) status = scry__vk_check(NULL, code, "vkEnumerateDeviceExtensionProperties");
    for (uint32_t i = 0; i < count && !status; i++) {
#define FIND(member, name)                                                                                             \
    if (!strcmp(listed[i].extensionName, name)) out->member = true;
        EXTENSION_LIST(FIND)
#undef FIND
    }
    scry__vk_host->release(listed);
    return status;
}

/* Everything that is asked about, in one chain. */
struct properties {
    VkPhysicalDeviceProperties2                      two;
    VkPhysicalDeviceVulkan11Properties               eleven;
    VkPhysicalDeviceVulkan12Properties               twelve;
    VkPhysicalDeviceSubgroupSizeControlPropertiesEXT subgroup;
    VkPhysicalDeviceExternalMemoryHostPropertiesEXT  host;
};

struct features {
    VkPhysicalDeviceFeatures2                      two;
    VkPhysicalDeviceVulkan11Features               eleven;
    VkPhysicalDeviceVulkan12Features               twelve;
    VkPhysicalDeviceSubgroupSizeControlFeaturesEXT subgroup;
    VkPhysicalDeviceShaderAtomicFloatFeaturesEXT   atomics;
#ifdef VK_KHR_cooperative_matrix
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix;
#endif
};

/* Puts `next` behind what `last` ends with. */
static void chain(void **last, void *next)
{
    VkBaseOutStructure *end = *last;
    end->pNext              = next;
    *last                   = next;
}

static void chain_properties(struct properties *all, const struct extensions *has)
{
    void *last          = &all->two;
    *all                = (struct properties){0};
    all->two            = (VkPhysicalDeviceProperties2){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    all->eleven.sType   = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES;
    all->twelve.sType   = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES;
    all->subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES_EXT;
    all->host.sType     = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT;
    chain(&last, &all->eleven);
    chain(&last, &all->twelve);
    if (has->subgroup_size) chain(&last, &all->subgroup);
    if (has->host_memory) chain(&last, &all->host);
}

static void chain_features(struct features *all, const struct extensions *has)
{
    void *last          = &all->two;
    *all                = (struct features){0};
    all->two.sType      = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    all->eleven.sType   = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
    all->twelve.sType   = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    all->subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT;
    all->atomics.sType  = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_ATOMIC_FLOAT_FEATURES_EXT;
    chain(&last, &all->eleven);
    chain(&last, &all->twelve);
    if (has->subgroup_size) chain(&last, &all->subgroup);
    if (has->float_atomics) chain(&last, &all->atomics);
#ifdef VK_KHR_cooperative_matrix
    all->matrix.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR;
    if (has->cooperative_matrix) chain(&last, &all->matrix);
#endif
}

/* --- Filling the limits --- */

/* No more than the environment variable `name` says, for tests and for drivers that promise too much. */
static uint64_t at_most_told(uint64_t given, const char *name)
{
    const char        *text = secure_getenv(name);
    char              *end  = NULL;
    unsigned long long told = text ? strtoull(text, &end, 10) : 0;
    return told && !*end && told < given ? told : given;
}

/* The same for bytes: at least `least_bytes`, in whole pages. */
static size_t bounded(uint64_t given, const char *name, size_t least_bytes)
{
    given = at_most_told(given, name);
    if (given > SIZE_MAX / 2) given = SIZE_MAX / 2;
    given -= given % PAGE;
    return (size_t)(given < least_bytes ? least_bytes : given);
}

static void fill_memory(struct scry__vk_limits *out, VkPhysicalDevice physical)
{
    const VkMemoryPropertyFlags shared = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                         VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    VkPhysicalDeviceMemoryProperties memory;
    bool                             mapped = false;
    vkGetPhysicalDeviceMemoryProperties(physical, &memory);
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++)
        if (memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)
            out->memory_bytes += memory.memoryHeaps[i].size;
    for (uint32_t i = 0; i < memory.memoryTypeCount; i++)
        mapped |= (memory.memoryTypes[i].propertyFlags & shared) == shared;
    /* For tests: memory as a card's own, which the host does not touch. */
    bool apart         = secure_getenv("SCRY_VULKAN_DISCRETE");
    out->shares_memory = mapped && !apart && (out->is_cpu || out->type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU);
}

/* The first family that computes; `found` tells whether there is one. */
static bool fill_queue(struct scry__vk_limits *out, VkPhysicalDevice physical)
{
    enum { FAMILIES = 16 };
    VkQueueFamilyProperties families[FAMILIES];
    uint32_t                count = FAMILIES;
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
    for (uint32_t i = 0; i < count; i++)
        if (families[i].queueCount && (families[i].queueFlags & VK_QUEUE_COMPUTE_BIT)) {
            out->queue_family   = i;
            out->timestamp_bits = families[i].timestampValidBits;
            return true;
        }
    return false;
}

static void fill_limits(struct scry__vk_limits *out, const struct properties *all)
{
    const VkPhysicalDeviceLimits *limits = &all->two.properties.limits;
    /* A binding may begin before the bytes that it is to reach. */
    out->most_bound = bounded(limits->maxStorageBufferRange, "SCRY_VULKAN_MAX_BINDING", SCRY_REACHABLE_BYTES + PAGE);
    out->most_allocated =
        bounded(all->eleven.maxMemoryAllocationSize, "SCRY_VULKAN_MAX_ALLOCATION", SCRY_REACHABLE_BYTES);
    /* Kernels read four words at once. */
    out->alignment        = (uint32_t)most(16, (int64_t)limits->minStorageBufferOffsetAlignment);
    out->atom             = (uint32_t)limits->nonCoherentAtomSize;
    out->most_groups      = (uint32_t)at_most_told((uint64_t)least(limits->maxComputeWorkGroupCount[0], INT32_MAX),
                                                   "SCRY_VULKAN_MAX_GROUPS");
    out->most_turns       = (int64_t)at_most_told(out->is_cpu ? SCRY__VK_TURNS : INT32_MAX, "SCRY_VULKAN_MAX_TURNS");
    out->most_items       = (uint32_t)least(limits->maxComputeWorkGroupSize[0], limits->maxComputeWorkGroupInvocations);
    out->shared_bytes     = limits->maxComputeSharedMemorySize;
    out->timestamp_period = limits->timestampPeriod;
}

static void fill_subgroups(struct scry__vk_limits *out, const struct properties *all, const struct features *features)
{
    const VkSubgroupFeatureFlags needed =
        VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | VK_SUBGROUP_FEATURE_BALLOT_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    out->subgroup_size       = all->eleven.subgroupSize;
    out->subgroup_arithmetic = (all->eleven.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
                               (all->eleven.subgroupSupportedOperations & needed) == needed;
    if (!features->subgroup.subgroupSizeControl ||
        !(all->subgroup.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT))
        return;
    out->subgroup_least = all->subgroup.minSubgroupSize;
    out->subgroup_most  = all->subgroup.maxSubgroupSize;
    out->full_subgroups = features->subgroup.computeFullSubgroups;
}

static void fill_features(struct scry__vk_limits *out, const struct features *features)
{
    out->float16       = features->twelve.shaderFloat16;
    out->storage16     = features->eleven.storageBuffer16BitAccess;
    out->float_atomics = features->atomics.shaderBufferFloat32AtomicAdd;
#ifdef VK_KHR_cooperative_matrix
    out->cooperative_matrix = features->matrix.cooperativeMatrix && features->twelve.vulkanMemoryModel;
#endif
}

static const char *lacking(const struct scry__vk_limits *out, const struct properties *all, bool has_queue)
{
    const VkPhysicalDeviceLimits *limits = &all->two.properties.limits;
    if (!has_queue) return "a queue that computes";
    if (!all->twelve.shaderSignedZeroInfNanPreserveFloat32) return "infinities and NaN in f32";
    if (limits->maxPerStageDescriptorStorageBuffers < SCRY__VK_BINDINGS ||
        limits->maxDescriptorSetStorageBuffers < SCRY__VK_BINDINGS || limits->maxPerStageResources < SCRY__VK_BINDINGS)
        return "16 storage buffers for a shader";
    if (out->shared_bytes < LEAST_SHARED) return "16 KiB of shared memory";
    return "";
}

_Static_assert(SCRY__VK_BINDINGS == 16, "the text above says so");

static void fill_name(struct scry__vk_limits *out, const VkPhysicalDeviceProperties *properties)
{
    memcpy(out->name, properties->deviceName, sizeof out->name);
    memcpy(out->cache_id, properties->pipelineCacheUUID, sizeof out->cache_id);
    out->type           = properties->deviceType;
    out->is_cpu         = properties->deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    out->vendor         = properties->vendorID;
    out->device         = properties->deviceID;
    out->driver_version = properties->driverVersion;
    out->api_version    = properties->apiVersion;
}

scry_status scry__vk_probe(struct scry__vk_limits *out, VkPhysicalDevice physical)
{
    VkPhysicalDeviceProperties first;
    struct properties          all;
    struct features            features;
    struct extensions          has;
    *out = (struct scry__vk_limits){0};
    vkGetPhysicalDeviceProperties(physical, &first);
    fill_name(out, &first);
    if (first.apiVersion < VK_API_VERSION_1_2) {
        snprintf(out->lacks, sizeof out->lacks, "Vulkan 1.2 (it has %u.%u)", VK_API_VERSION_MAJOR(first.apiVersion),
                 VK_API_VERSION_MINOR(first.apiVersion));
        return SCRY_OK;
    }
    scry_status status = list_extensions(&has, physical);
    if (status) return status;
    chain_properties(&all, &has);
    chain_features(&features, &has);
    vkGetPhysicalDeviceProperties2(physical, &all.two);
    vkGetPhysicalDeviceFeatures2(physical, &features.two);
    snprintf(out->driver, sizeof out->driver, "%s %s", all.twelve.driverName, all.twelve.driverInfo);
    fill_memory(out, physical);
    bool has_queue = fill_queue(out, physical);
    fill_limits(out, &all);
    fill_subgroups(out, &all, &features);
    fill_features(out, &features);
    out->tells_hits       = has.feedback;
    out->imports_memory   = has.host_memory;
    out->import_alignment = has.host_memory ? (uint32_t)all.host.minImportedHostPointerAlignment : 0;
    snprintf(out->lacks, sizeof out->lacks, "%s", lacking(out, &all, has_queue));
    return SCRY_OK;
}

/* --- Opening --- */

/* Keeps on what is used, of what the device has. */
static void choose_features(struct features *wanted, const struct scry__vk_limits *limits)
{
    wanted->eleven.storageBuffer16BitAccess      = limits->storage16;
    wanted->twelve.shaderFloat16                 = limits->float16;
    wanted->subgroup.subgroupSizeControl         = limits->subgroup_least > 0;
    wanted->subgroup.computeFullSubgroups        = limits->full_subgroups;
    wanted->atomics.shaderBufferFloat32AtomicAdd = limits->float_atomics;
#ifdef VK_KHR_cooperative_matrix
    wanted->matrix.cooperativeMatrix = limits->cooperative_matrix;
    wanted->twelve.vulkanMemoryModel = limits->cooperative_matrix;
#endif
}

scry_status scry__vk_device_create(VkDevice *out, VkPhysicalDevice physical, const struct scry__vk_limits *limits)
{
    const float             priority = 1;
    const char             *names[8];
    uint32_t                count = 0;
    struct extensions       has;
    struct features         wanted;
    VkDeviceQueueCreateInfo queue  = {.sType            = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                      .queueFamilyIndex = limits->queue_family,
                                      .queueCount       = 1,
                                      .pQueuePriorities = &priority};
    scry_status             status = list_extensions(&has, physical);
    if (status) return status;
#ifndef VK_KHR_cooperative_matrix
    has.cooperative_matrix = false;
#endif
#define TAKE(member, name)                                                                                             \
    if (has.member) names[count++] = name;
    EXTENSION_LIST(TAKE)
#undef TAKE
    chain_features(&wanted, &has);
    choose_features(&wanted, limits);
    VkDeviceCreateInfo info = {.sType                   = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .pNext                   = &wanted.two,
                               .queueCreateInfoCount    = 1,
                               .pQueueCreateInfos       = &queue,
                               .enabledExtensionCount   = count,
                               .ppEnabledExtensionNames = names};
    return scry__vk_check(NULL, vkCreateDevice(physical, &info, NULL, out), "vkCreateDevice");
}
