/* Asking the validation layer, and counting what it finds. See validation.h. */
#include "validation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scry__vk_validation {
    VkDebugUtilsMessengerEXT           messenger;
    VkDebugUtilsMessengerCreateInfoEXT watch;
    VkValidationFeaturesEXT            features;
    unsigned                           errors; /* since they were asked for last */
    char                               first[400];
};

static const char *const layer = "VK_LAYER_KHRONOS_validation";

/* The layer itself calls this, within the call that it complains of. */
static VKAPI_ATTR VkBool32 VKAPI_CALL take(VkDebugUtilsMessageSeverityFlagBitsEXT      severity,
                                           VkDebugUtilsMessageTypeFlagsEXT             types,
                                           const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    struct scry__vk_validation *validation = user;
    const char                 *text       = data->pMessage ? data->pMessage : "";
    const char                 *name       = data->pMessageIdName ? data->pMessageIdName : "";
    const char                 *number     = strstr(text, "MessageID = ");
    const char                 *what       = number ? strstr(number, " | ") : NULL; /* behind the objects' handles */
    (void)severity;
    (void)types;
    if (!validation->errors++)
        snprintf(validation->first, sizeof validation->first, "%s: %s", name, what ? what + strlen(" | ") : text);
    scry__vk_host->log(SCRY_LOG_WARNING, "vulkan: validation: %s", text);
    return VK_FALSE;
}

scry_status scry__vk_validation_create(struct scry__vk *vk)
{
    static const VkValidationFeatureEnableEXT enabled[] = {
        VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT, VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_EXT,
        VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_RESERVE_BINDING_SLOT_EXT};
    const char *asked = secure_getenv("SCRY_VULKAN_VALIDATION");
    if (!asked || !*asked || !strcmp(asked, "0")) return SCRY_OK;
    bool instruments = !strcmp(asked, "1");
    if (!instruments && strcmp(asked, "sync"))
        return scry__vk_host->fail(SCRY_NO_DEVICE, "SCRY_VULKAN_VALIDATION is \"%s\": expected 1, sync or 0", asked);
    struct scry__vk_validation *validation = scry__vk_host->allocate(1, sizeof *validation);
    if (!validation) return SCRY_OUT_OF_MEMORY;
    validation->features =
        (VkValidationFeaturesEXT){.sType                         = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
                                  .enabledValidationFeatureCount = instruments ? sizeof enabled / sizeof *enabled : 1,
                                  .pEnabledValidationFeatures    = enabled};
    /* Other types of messages are the loader's, of drivers that it cannot load. */
    validation->watch =
        (VkDebugUtilsMessengerCreateInfoEXT){.sType           = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
                                             .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
                                             .messageType     = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
                                             .pfnUserCallback = take,
                                             .pUserData       = validation};
    vk->validation = validation;
    return SCRY_OK;
}

bool scry__vk_is_instrumented(const struct scry__vk *vk)
{
    return vk->validation && vk->validation->features.enabledValidationFeatureCount > 1;
}

void scry__vk_validation_destroy(struct scry__vk *vk)
{
    scry__vk_host->release(vk->validation);
    vk->validation = NULL;
}

void scry__vk_validation_ask(struct scry__vk_validation *validation, VkInstanceCreateInfo *info, const char **names)
{
    if (!validation) return;
    validation->watch.pNext              = &validation->features;
    info->pNext                          = &validation->watch;
    info->enabledLayerCount              = 1;
    info->ppEnabledLayerNames            = &layer;
    names[info->enabledExtensionCount++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
}

scry_status scry__vk_validation_begin(struct scry__vk_validation *validation, VkInstance instance, VkResult code)
{
    if (!validation) return SCRY_OK;
    if (code == VK_ERROR_LAYER_NOT_PRESENT)
        return scry__vk_host->fail(SCRY_NO_DEVICE,
                                   "vulkan: SCRY_VULKAN_VALIDATION asks for %s, which is not installed: expected a "
                                   "package such as vulkan-validationlayers",
                                   layer);
    if (code != VK_SUCCESS) return SCRY_OK;
    PFN_vkCreateDebugUtilsMessengerEXT create =
        (PFN_vkCreateDebugUtilsMessengerEXT)vkGetInstanceProcAddr(instance, "vkCreateDebugUtilsMessengerEXT");
    validation->watch.pNext = NULL; /* the rest was the instance's */
    code = create ? create(instance, &validation->watch, NULL, &validation->messenger) : VK_ERROR_EXTENSION_NOT_PRESENT;
    return scry__vk_check(NULL, code, "vkCreateDebugUtilsMessengerEXT");
}

void scry__vk_validation_name(struct scry__vk *vk, VkShaderModule module, const char *name)
{
    VkDebugUtilsObjectNameInfoEXT info = {.sType        = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
                                          .objectType   = VK_OBJECT_TYPE_SHADER_MODULE,
                                          .objectHandle = (uint64_t)module,
                                          .pObjectName  = name};
    if (!vk->validation) return;
    PFN_vkSetDebugUtilsObjectNameEXT set =
        (PFN_vkSetDebugUtilsObjectNameEXT)vkGetInstanceProcAddr(vk->instance, "vkSetDebugUtilsObjectNameEXT");
    if (set) set(vk->device, &info);
}

void scry__vk_validation_end(struct scry__vk_validation *validation, VkInstance instance)
{
    if (!validation || !validation->messenger) return;
    PFN_vkDestroyDebugUtilsMessengerEXT destroy =
        (PFN_vkDestroyDebugUtilsMessengerEXT)vkGetInstanceProcAddr(instance, "vkDestroyDebugUtilsMessengerEXT");
    if (destroy) destroy(instance, validation->messenger, NULL);
    validation->messenger = VK_NULL_HANDLE;
}

scry_status scry__vk_validation_check(struct scry__vk_validation *validation)
{
    unsigned errors = validation ? validation->errors : 0;
    if (!errors) return SCRY_OK;
    validation->errors = 0;
    return scry__vk_host->fail(SCRY_CHECK_FAILED, "vulkan: validation: errors: %u, the first: %s", errors,
                               validation->first);
}
