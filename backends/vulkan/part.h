/* Parts: a VkBuffer each, over the device's memory or over the host's own, and copies between them. For the files that
 * hold memory; ops see buffers. */
#ifndef SCRY_VK_PART_H
#define SCRY_VK_PART_H

#include "vk.h"

static inline size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* --- Parts (part.c) --- */

/* Who touches a part's memory most. */
enum scry__vk_use {
    SCRY__VK_FOR_DEVICE,   /* mapped where the device shares its memory */
    SCRY__VK_FOR_UPLOAD,   /* mapped: the host writes, the device reads */
    SCRY__VK_FOR_READBACK, /* mapped: the device writes, the host reads */
};

/* A part of `bytes`, for kernels and copies. */
scry_status scry__vk_part_create(struct scry__vk_part *out, struct scry__vk *vk, size_t bytes, enum scry__vk_use use);
/* A part over memory of the host, whole units of limits.import_alignment, that is never written. */
scry_status scry__vk_part_import(struct scry__vk_part *out, struct scry__vk *vk, char *host, size_t bytes);
/* Clears it; one of zeros is left alone. No work uses it any more. */
void scry__vk_part_destroy(struct scry__vk *vk, struct scry__vk_part *part);

/* Where the host sees the part; NULL where it does not. */
char *scry__vk_part_host(const struct scry__vk_part *part);
/* Whether the host reads it as fast as memory of its own. */
bool scry__vk_part_is_cached(const struct scry__vk_part *part);
/* Whether what one of both writes needs no flush or invalidation for the other. */
bool scry__vk_part_is_coherent(const struct scry__vk_part *part);
/* Bytes that the host wrote become the device's; bytes that the device wrote become the host's. */
scry_status scry__vk_part_flush(struct scry__vk *vk, const struct scry__vk_part *part, size_t offset, size_t bytes);
scry_status scry__vk_part_invalidate(struct scry__vk *vk, const struct scry__vk_part *part, size_t offset,
                                     size_t bytes);

/* Records a copy between two parts. */
scry_status scry__vk_part_copy(struct scry__vk *vk, const struct scry__vk_place *to, const struct scry__vk_place *from,
                               size_t bytes);

/* --- The ring (ring.c) --- */

/* Records that `data`, which is taken, is written to a part. */
scry_status scry__vk_upload(struct scry__vk *vk, const struct scry__vk_place *to, const void *data, size_t bytes);
/* Reads a part, behind all that was recorded. */
scry_status scry__vk_download(struct scry__vk *vk, const struct scry__vk_place *from, void *data, size_t bytes);
void        scry__vk_ring_destroy(struct scry__vk *vk);

/* --- Staging (stage.c) --- */

/* Made before the first buffer that has several parts. */
scry_status scry__vk_staging_create(struct scry__vk *vk);
void        scry__vk_staging_destroy(struct scry__vk *vk);

#endif
