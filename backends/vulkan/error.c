/* From Vulkan's results to statuses with a reason. */
#include "vk.h"

/* Results that a reader may meet. Whatever else comes is a call that the driver should have taken. */
#define CODE(name, status)                                                                                             \
    {                                                                                                                  \
        name, #name, status                                                                                            \
    }
static const struct code {
    VkResult    code;
    const char *text;
    scry_status status;
} codes[] = {
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

static scry_status report(struct scry__vk *vk, scry_status status, VkResult code, const char *text, const char *what)
{
    if (vk && status == SCRY_DEVICE_LOST) vk->lost = true;
    return scry__vk_host->fail(status, "vulkan: %s: %s (%d)", what, text, (int)code);
}

scry_status scry__vk_check(struct scry__vk *vk, VkResult code, const char *what)
{
    if (code == VK_SUCCESS) return SCRY_OK;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].code == code) return report(vk, codes[i].status, code, codes[i].text, what);
    return report(vk, SCRY_UNSUPPORTED, code, "a result that Vulkan 1.2 does not name here", what);
}
