/* What a dispatch takes of the submission that it goes into: launch.c's view of record.c. */
#ifndef SCRY_VK_RECORD_H
#define SCRY_VK_RECORD_H

#include "vk.h"

/* Valid until the next call that records. */
struct scry__vk_room {
    VkCommandBuffer commands;
    VkDescriptorSet set;
    VkBuffer        buffer; /* of `bytes` of parameters, from `offset` on, at `host` */
    size_t          offset;
    void           *host;
};

/* As scry__vk_commands, for a dispatch with a descriptor set of that layout, for `bindings` storage buffers, and
 * `bytes` of parameters, at most SCRY__VK_PARAMETER_BYTES. */
scry_status scry__vk_room(struct scry__vk *vk, struct scry__vk_room *out, VkDescriptorSetLayout layout, int bindings,
                          size_t bytes, const struct scry__vk_touched *touched, int count, double seconds);

/* Seconds that one submission, and so one command, is planned to take at most. */
#define SCRY__VK_PLANNED 0.25

#endif
