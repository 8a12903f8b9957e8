/* What a Vulkan device says of an op, and the way from an op to its function. */
#include "vk.h"

#include <stdarg.h>
#include <stdio.h>

void scry__vk_refuse(scry_op_info *info, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    info->support = SCRY_NOT_SUPPORTED;
    vsnprintf(info->reason, sizeof info->reason, format, arguments);
    va_end(arguments);
}

scry_status scry__vk_query(scry_device *device, const scry_op *op, scry_op_info *info)
{
    const struct scry__vk *vk = device->impl;
    info->support             = SCRY_SUPPORTED;
    info->precision           = SCRY_STRICT_F32;
    switch (op->kind) {
#define QUERY_CASE(KIND, name, type)                                                                                   \
    case SCRY_OP_##KIND:                                                                                               \
        scry__vk_##name##_query(vk, &op->name, info);                                                                  \
        break;
        SCRY__VK_OP_LIST(QUERY_CASE)
#undef QUERY_CASE
    default:
        scry__vk_refuse(info, "the Vulkan backend has no kernel for it");
    }
    /* Scratch lies in one part. */
    if (info->support != SCRY_NOT_SUPPORTED && info->scratch_bytes > vk->limits.most_allocated)
        scry__vk_refuse(info, "it takes %zu bytes of scratch, where the device allocates %zu at once",
                        info->scratch_bytes, vk->limits.most_allocated);
    return SCRY_OK;
}

scry_status scry__vk_run(scry_device *device, const scry_op *op)
{
    struct scry__vk *vk = device->impl;
    switch (op->kind) {
#define RUN_CASE(KIND, name, type)                                                                                     \
    case SCRY_OP_##KIND:                                                                                               \
        return scry__vk_##name(vk, &op->name);
        SCRY__VK_OP_LIST(RUN_CASE)
#undef RUN_CASE
    default:
        return scry__vk_host->fail(SCRY_UNSUPPORTED, "vulkan: unknown op %d", (int)op->kind);
    }
}

const char *const *scry__vk_kernels(const scry_device *device, scry_op_kind kind)
{
    static const char *const none[] = {NULL};
    (void)device;
    switch ((int)kind) {
#define KERNELS_CASE(KIND, names)                                                                                      \
    case SCRY_OP_##KIND:                                                                                               \
        return names;
        SCRY__VK_KERNELS_LIST(KERNELS_CASE)
#undef KERNELS_CASE
    default:
        return none;
    }
}
