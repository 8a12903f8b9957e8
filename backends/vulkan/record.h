/* What a dispatch takes of the submission that it goes into: launch.c's view of record.c. */
#ifndef SCRY_VK_RECORD_H
#define SCRY_VK_RECORD_H

#include "vk.h"

/* Seconds that one submission is planned to take at most. */
#define SCRY__VK_PLANNED 0.25

/* Seconds that a kernel is expected to take for that many operations. */
double scry__vk_expect(const struct scry__vk *vk, const struct scry__vk_pipeline *pipeline, double operations);

struct scry__vk_dispatch {
    const struct scry__vk_pipeline *pipeline;
    int                             bindings; /* storage buffers, of which the first holds the parameters */
    size_t                          parameter_bytes;
    const struct scry__vk_touched  *touched; /* as scry__vk_commands takes it */
    int                             count;
    double                          operations;
};

/* What is there for it, until the next call that records. */
struct scry__vk_room {
    VkCommandBuffer commands;
    VkDescriptorSet set;
    VkBuffer        buffer; /* of the parameters, from `offset` on, at `host` */
    size_t          offset;
    void           *host;
    bool            timed;
};

/* Begins a dispatch, behind the barrier that it needs; the caller fills the set and the parameters, records the
 * dispatch, and ends it. */
scry_status scry__vk_dispatch_begin(struct scry__vk *vk, struct scry__vk_room *out,
                                    const struct scry__vk_dispatch *dispatch);
void        scry__vk_dispatch_end(struct scry__vk *vk, const struct scry__vk_room *room);

#endif
