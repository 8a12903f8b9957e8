/* Fails Vulkan calls on demand: see faults.h. A call that fails leaves what it was to make as it was. */
#include <vulkan/vulkan.h>

/* X(name, parameters, arguments): functions that return a result. */
#define RESULTS(X)                                                                                                     \
    X(vkEnumerateInstanceVersion, (uint32_t * a), (a))                                                                 \
    X(vkEnumerateInstanceLayerProperties, (uint32_t * a, VkLayerProperties * b), (a, b))                               \
    X(vkEnumerateInstanceExtensionProperties, (const char *a, uint32_t *b, VkExtensionProperties *c), (a, b, c))       \
    X(vkEnumeratePhysicalDevices, (VkInstance a, uint32_t * b, VkPhysicalDevice * c), (a, b, c))                       \
    X(vkEnumerateDeviceExtensionProperties,                                                                            \
      (VkPhysicalDevice a, const char *b, uint32_t *c, VkExtensionProperties *d), (a, b, c, d))                        \
    X(vkMapMemory, (VkDevice a, VkDeviceMemory b, VkDeviceSize c, VkDeviceSize d, VkMemoryMapFlags e, void **f),       \
      (a, b, c, d, e, f))                                                                                              \
    X(vkFlushMappedMemoryRanges, (VkDevice a, uint32_t b, const VkMappedMemoryRange *c), (a, b, c))                    \
    X(vkInvalidateMappedMemoryRanges, (VkDevice a, uint32_t b, const VkMappedMemoryRange *c), (a, b, c))               \
    X(vkBindBufferMemory, (VkDevice a, VkBuffer b, VkDeviceMemory c, VkDeviceSize d), (a, b, c, d))                    \
    X(vkAllocateCommandBuffers, (VkDevice a, const VkCommandBufferAllocateInfo *b, VkCommandBuffer *c), (a, b, c))     \
    X(vkAllocateDescriptorSets, (VkDevice a, const VkDescriptorSetAllocateInfo *b, VkDescriptorSet *c), (a, b, c))     \
    X(vkResetCommandPool, (VkDevice a, VkCommandPool b, VkCommandPoolResetFlags c), (a, b, c))                         \
    X(vkResetDescriptorPool, (VkDevice a, VkDescriptorPool b, VkDescriptorPoolResetFlags c), (a, b, c))                \
    X(vkResetFences, (VkDevice a, uint32_t b, const VkFence *c), (a, b, c))                                            \
    X(vkBeginCommandBuffer, (VkCommandBuffer a, const VkCommandBufferBeginInfo *b), (a, b))                            \
    X(vkEndCommandBuffer, (VkCommandBuffer a), (a))                                                                    \
    X(vkQueueSubmit, (VkQueue a, uint32_t b, const VkSubmitInfo *c, VkFence d), (a, b, c, d))                          \
    X(vkQueueWaitIdle, (VkQueue a), (a))                                                                               \
    X(vkDeviceWaitIdle, (VkDevice a), (a))                                                                             \
    X(vkWaitForFences, (VkDevice a, uint32_t b, const VkFence *c, VkBool32 d, uint64_t e), (a, b, c, d, e))            \
    X(vkGetFenceStatus, (VkDevice a, VkFence b), (a, b))                                                               \
    X(vkGetQueryPoolResults,                                                                                           \
      (VkDevice a, VkQueryPool b, uint32_t c, uint32_t d, size_t e, void *f, VkDeviceSize g, VkQueryResultFlags h),    \
      (a, b, c, d, e, f, g, h))                                                                                        \
    X(vkGetPipelineCacheData, (VkDevice a, VkPipelineCache b, size_t * c, void *d), (a, b, c, d))                      \
    X(vkMergePipelineCaches, (VkDevice a, VkPipelineCache b, uint32_t c, const VkPipelineCache *d), (a, b, c, d))

/* X(name, parameters, arguments): functions that make one object. */
#define MAKERS(X)                                                                                                      \
    X(vkCreateInstance, (const VkInstanceCreateInfo *a, const VkAllocationCallbacks *b, VkInstance *c), (a, b, c))     \
    X(vkCreateDevice, (VkPhysicalDevice a, const VkDeviceCreateInfo *b, const VkAllocationCallbacks *c, VkDevice *d),  \
      (a, b, c, d))                                                                                                    \
    X(vkAllocateMemory,                                                                                                \
      (VkDevice a, const VkMemoryAllocateInfo *b, const VkAllocationCallbacks *c, VkDeviceMemory *d), (a, b, c, d))    \
    X(vkCreateBuffer, (VkDevice a, const VkBufferCreateInfo *b, const VkAllocationCallbacks *c, VkBuffer *d),          \
      (a, b, c, d))                                                                                                    \
    X(vkCreateFence, (VkDevice a, const VkFenceCreateInfo *b, const VkAllocationCallbacks *c, VkFence *d),             \
      (a, b, c, d))                                                                                                    \
    X(vkCreateQueryPool, (VkDevice a, const VkQueryPoolCreateInfo *b, const VkAllocationCallbacks *c, VkQueryPool *d), \
      (a, b, c, d))                                                                                                    \
    X(vkCreateCommandPool,                                                                                             \
      (VkDevice a, const VkCommandPoolCreateInfo *b, const VkAllocationCallbacks *c, VkCommandPool *d), (a, b, c, d))  \
    X(vkCreateDescriptorPool,                                                                                          \
      (VkDevice a, const VkDescriptorPoolCreateInfo *b, const VkAllocationCallbacks *c, VkDescriptorPool *d),          \
      (a, b, c, d))                                                                                                    \
    X(vkCreateDescriptorSetLayout,                                                                                     \
      (VkDevice a, const VkDescriptorSetLayoutCreateInfo *b, const VkAllocationCallbacks *c,                           \
       VkDescriptorSetLayout *d),                                                                                      \
      (a, b, c, d))                                                                                                    \
    X(vkCreatePipelineLayout,                                                                                          \
      (VkDevice a, const VkPipelineLayoutCreateInfo *b, const VkAllocationCallbacks *c, VkPipelineLayout *d),          \
      (a, b, c, d))                                                                                                    \
    X(vkCreateShaderModule,                                                                                            \
      (VkDevice a, const VkShaderModuleCreateInfo *b, const VkAllocationCallbacks *c, VkShaderModule *d),              \
      (a, b, c, d))                                                                                                    \
    X(vkCreatePipelineCache,                                                                                           \
      (VkDevice a, const VkPipelineCacheCreateInfo *b, const VkAllocationCallbacks *c, VkPipelineCache *d),            \
      (a, b, c, d))                                                                                                    \
    X(vkCreateComputePipelines,                                                                                        \
      (VkDevice a, VkPipelineCache b, uint32_t c, const VkComputePipelineCreateInfo *d,                                \
       const VkAllocationCallbacks *e, VkPipeline *f),                                                                 \
      (a, b, c, d, e, f))

/* X(name, type): functions that release an object of a device; none may fail. */
#define RELEASERS(X)                                                                                                   \
    X(vkFreeMemory, VkDeviceMemory)                                                                                    \
    X(vkDestroyBuffer, VkBuffer)                                                                                       \
    X(vkDestroyFence, VkFence)                                                                                         \
    X(vkDestroyQueryPool, VkQueryPool)                                                                                 \
    X(vkDestroyCommandPool, VkCommandPool)                                                                             \
    X(vkDestroyDescriptorPool, VkDescriptorPool)                                                                       \
    X(vkDestroyDescriptorSetLayout, VkDescriptorSetLayout)                                                             \
    X(vkDestroyPipelineLayout, VkPipelineLayout)                                                                       \
    X(vkDestroyShaderModule, VkShaderModule)                                                                           \
    X(vkDestroyPipelineCache, VkPipelineCache)                                                                         \
    X(vkDestroyPipeline, VkPipeline)

/* Found by vkGetDeviceProcAddr alone. */
#define FOUND(X) X(vkGetMemoryHostPointerPropertiesEXT)

#define FAULTS_LOADER  "libvulkan.so.1"
#define FAULTS_LIST(X) RESULTS(X) MAKERS(X) FOUND(X)
#include "faults.h"

static VkDevice device; /* the one that was made last and is there */

static void drain(void)
{
    if (device) REAL(vkDeviceWaitIdle)(device);
}

#define WRAP_RESULT(name, parameters, arguments)                                                                       \
    FAULTS_SEEN VkResult VKAPI_CALL name parameters                                                                    \
    {                                                                                                                  \
        int fault;                                                                                                     \
        if (fails(CALL_##name, false, &fault)) return (VkResult)fault;                                                 \
        return REAL(name) arguments;                                                                                   \
    }
RESULTS(WRAP_RESULT)

#define WRAP_MAKER(name, parameters, arguments)                                                                        \
    FAULTS_SEEN VkResult VKAPI_CALL name parameters                                                                    \
    {                                                                                                                  \
        int fault;                                                                                                     \
        if (fails(CALL_##name, false, &fault)) return (VkResult)fault;                                                 \
        VkResult result = REAL(name) arguments;                                                                        \
        if (result == VK_SUCCESS) left++;                                                                              \
        return result;                                                                                                 \
    }
MAKERS(WRAP_MAKER)

#define WRAP_RELEASER(name, type)                                                                                      \
    FAULTS_SEEN void VKAPI_CALL name(VkDevice owner, type object, const VkAllocationCallbacks *callbacks)              \
    {                                                                                                                  \
        if (object) left--;                                                                                            \
        REAL(name)(owner, object, callbacks);                                                                          \
    }
RELEASERS(WRAP_RELEASER)

FAULTS_SEEN void VKAPI_CALL vkDestroyInstance(VkInstance object, const VkAllocationCallbacks *callbacks)
{
    if (object) left--;
    REAL(vkDestroyInstance)(object, callbacks);
}

FAULTS_SEEN void VKAPI_CALL vkDestroyDevice(VkDevice object, const VkAllocationCallbacks *callbacks)
{
    if (object) left--;
    device = NULL;
    REAL(vkDestroyDevice)(object, callbacks);
}

FAULTS_SEEN void VKAPI_CALL vkGetDeviceQueue(VkDevice owner, uint32_t family, uint32_t index, VkQueue *queue)
{
    device = owner;
    REAL(vkGetDeviceQueue)(owner, family, index, queue);
}

static PFN_vkGetMemoryHostPointerPropertiesEXT host_pointer;

static VkResult VKAPI_CALL wrapped_host_pointer(VkDevice owner, VkExternalMemoryHandleTypeFlagBits type,
                                                const void *pointer, VkMemoryHostPointerPropertiesEXT *properties)
{
    int fault;
    if (fails(CALL_vkGetMemoryHostPointerPropertiesEXT, false, &fault)) return (VkResult)fault;
    return host_pointer(owner, type, pointer, properties);
}

FAULTS_SEEN PFN_vkVoidFunction VKAPI_CALL vkGetDeviceProcAddr(VkDevice owner, const char *name)
{
    PFN_vkVoidFunction found = REAL(vkGetDeviceProcAddr)(owner, name);
    if (!found || strcmp(name, "vkGetMemoryHostPointerPropertiesEXT")) return found;
    host_pointer = (PFN_vkGetMemoryHostPointerPropertiesEXT)found;
    return (PFN_vkVoidFunction)wrapped_host_pointer;
}
