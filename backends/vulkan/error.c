/* From Vulkan's results to statuses with a reason. */
#include "shared/codes.h"
#include "vk.h"

/* Results that a reader may meet. Whatever else comes is a call that the driver should have taken. */
#define CODE(name, status)                                                                                             \
    {                                                                                                                  \
        name, #name, status                                                                                            \
    }
static const struct scry__code list[] = {
    CODE(VK_TIMEOUT, SCRY_DEVICE_LOST),
    CODE(VK_ERROR_DEVICE_LOST, SCRY_DEVICE_LOST),
    CODE(VK_ERROR_OUT_OF_HOST_MEMORY, SCRY_OUT_OF_MEMORY),
    CODE(VK_ERROR_OUT_OF_DEVICE_MEMORY, SCRY_OUT_OF_MEMORY),
    CODE(VK_ERROR_OUT_OF_POOL_MEMORY, SCRY_OUT_OF_MEMORY),
    CODE(VK_ERROR_FRAGMENTED_POOL, SCRY_OUT_OF_MEMORY),
    CODE(VK_ERROR_FRAGMENTATION, SCRY_OUT_OF_MEMORY),
    CODE(VK_ERROR_TOO_MANY_OBJECTS, SCRY_OUT_OF_MEMORY),
    CODE(VK_ERROR_MEMORY_MAP_FAILED, SCRY_OUT_OF_MEMORY),
    CODE(VK_ERROR_INVALID_EXTERNAL_HANDLE, SCRY_UNSUPPORTED),
    CODE(VK_ERROR_INITIALIZATION_FAILED, SCRY_NO_DEVICE),
    CODE(VK_ERROR_INCOMPATIBLE_DRIVER, SCRY_NO_DEVICE),
    CODE(VK_ERROR_LAYER_NOT_PRESENT, SCRY_NO_DEVICE),
    CODE(VK_ERROR_EXTENSION_NOT_PRESENT, SCRY_NO_DEVICE),
    CODE(VK_ERROR_FEATURE_NOT_PRESENT, SCRY_NO_DEVICE),
    CODE(VK_ERROR_INVALID_SHADER_NV, SCRY_UNSUPPORTED),
    CODE(VK_ERROR_UNKNOWN, SCRY_UNSUPPORTED),
};

static const struct scry__codes codes = {
    .api     = "vulkan",
    .unnamed = "a result that Vulkan 1.2 does not name here",
    .list    = list,
    .count   = sizeof list / sizeof *list,
};

scry_status scry__vk_check(struct scry__vk *vk, VkResult code, const char *what)
{
    if (code == VK_SUCCESS) return SCRY_OK;
    return scry__codes_fail(&codes, scry__vk_host, code, what, vk ? &vk->lost : NULL);
}
