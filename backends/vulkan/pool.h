/* Parts: a VkBuffer each, over memory of the device that few allocations serve, or over the host's own. Private to the
 * files that hold memory; ops see buffers. */
#ifndef SCRY_VK_POOL_H
#define SCRY_VK_POOL_H

#include "vk.h"

/* Who touches a part's memory most. */
enum scry__vk_use {
    SCRY__VK_FOR_DEVICE,
    SCRY__VK_FOR_UPLOAD,   /* mapped: the host writes, the device reads */
    SCRY__VK_FOR_READBACK, /* mapped: the device writes, the host reads */
};

/* A part of `bytes`, for kernels and copies. */
scry_status scry__vk_part_create(struct scry__vk_part *out, struct scry__vk *vk, size_t bytes, enum scry__vk_use use);
/* Clears it; one of zeros is left alone. No work uses it any more. */
void scry__vk_part_destroy(struct scry__vk *vk, struct scry__vk_part *part);

/* Where the host sees the part; NULL where it does not. */
char *scry__vk_part_host(const struct scry__vk_part *part);
/* Bytes that the host wrote become the device's; bytes that the device wrote become the host's. */
scry_status scry__vk_part_flush(struct scry__vk *vk, const struct scry__vk_part *part, size_t offset, size_t bytes);
scry_status scry__vk_part_invalidate(struct scry__vk *vk, const struct scry__vk_part *part, size_t offset,
                                     size_t bytes);

/* Records a copy between two parts. */
scry_status scry__vk_copy_range(struct scry__vk *vk, const struct scry__vk_place *to, const struct scry__vk_place *from,
                                size_t bytes);

/* Where ranges across parts are copied together; made before the first buffer that has several. */
scry_status scry__vk_staging_create(struct scry__vk *vk);
void        scry__vk_staging_destroy(struct scry__vk *vk);

#endif
