/* How long kernels take: record.c's view of timing.c. Each command buffer has one of these. */
#ifndef SCRY_VK_TIMING_H
#define SCRY_VK_TIMING_H

#include "vk.h"

enum { SCRY__VK_TIMED = 64 }; /* dispatches of one submission that are looked at */

struct scry__vk_timing {
    VkQueryPool stamps; /* the begin and the end of each; none where the device has no timestamps */
    int         count;
    struct {
        double *pace; /* of the dispatch's kernel */
        double  operations;
    } timed[SCRY__VK_TIMED];
    double handed; /* when the submission was handed over */
};

scry_status scry__vk_timing_create(struct scry__vk_timing *out, struct scry__vk *vk);
void        scry__vk_timing_destroy(struct scry__vk_timing *timing, struct scry__vk *vk);

/* Seconds that a kernel with this pace is expected to take for that many operations. */
double scry__vk_timing_expect(const struct scry__vk *vk, double pace, double operations);

/* Around a dispatch. Those too short to tell anything are left alone: `begin` says whether this one is timed. */
bool scry__vk_timing_begin(struct scry__vk_timing *timing, const struct scry__vk *vk, VkCommandBuffer commands,
                           double *pace, double operations);
void scry__vk_timing_end(struct scry__vk_timing *timing, VkCommandBuffer commands);

/* Learns from a submission that is done. `waited`: seconds from when the device could begin with it until it was seen
 * to end; 0: nobody looked. */
void scry__vk_timing_learn(struct scry__vk_timing *timing, struct scry__vk *vk, double waited);

#endif
