/* Recording and submitting: a ring of command buffers, each with its descriptor pool, its memory for parameters and its
 * fence, barriers between commands that touch the same bytes, and submissions that the plan keeps short. */
#include "record.h"
#include "timing.h"
#include "validation.h"

#include <stdlib.h>

enum {
    FRAMES       = 4,   /* in flight, one of them being recorded */
    SETS         = 256, /* dispatches of a frame */
    DESCRIPTORS  = SETS * 6,
    ARENA        = SETS * SCRY__VK_PARAMETER_BYTES,
    MOST_TOUCHED = 192,
};

/* Seconds of recorded work that an idle device is given. */
#define WORTH_BEGINNING 0.005

/* Seconds that a lost device is given, at least, to come to an end before its memory goes. */
#define LEAST_PATIENCE 10.

/* One command buffer and what goes with it. Submission t is that of frame t % FRAMES. */
struct frame {
    VkCommandPool          pool;
    VkCommandBuffer        commands;
    VkFence                fence;
    VkDescriptorPool       sets;
    struct scry__vk_mapped arena; /* of parameters */
    size_t                 arena_used;
    int                    set_count, descriptor_count;
    double                 planned; /* seconds */
    double                 handed;  /* when it was handed over */
    struct scry__vk_timing timing;
};

struct scry__vk_recorder {
    struct frame            frame[FRAMES];
    uint64_t                handed, done; /* submissions */
    bool                    recording;    /* number handed + 1 */
    bool                    drained;
    double                  done_at; /* when the last of them was seen to be done */
    double                  timeout; /* seconds */
    int                     touched_count;
    struct scry__vk_touched touched[MOST_TOUCHED]; /* since the last barrier */
};

/* --- Making and taking down --- */

static scry_status create_sets(struct scry__vk *vk, struct frame *frame)
{
    VkDescriptorPoolSize       size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, DESCRIPTORS};
    VkDescriptorPoolCreateInfo info = {.sType         = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                       .maxSets       = SETS,
                                       .poolSizeCount = 1,
                                       .pPoolSizes    = &size};
    return scry__vk_check(vk, vkCreateDescriptorPool(vk->device, &info, NULL, &frame->sets), "vkCreateDescriptorPool");
}

static scry_status create_commands(struct scry__vk *vk, struct frame *frame)
{
    VkCommandPoolCreateInfo     pool   = {.sType            = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .flags            = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
                                          .queueFamilyIndex = vk->limits.queue_family};
    VkCommandBufferAllocateInfo buffer = {.sType              = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                          .level              = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                          .commandBufferCount = 1};
    VkResult                    code   = vkCreateCommandPool(vk->device, &pool, NULL, &frame->pool);
    scry_status                 status = scry__vk_check(vk, code, "vkCreateCommandPool");
    if (status) return status;
    buffer.commandPool = frame->pool;
    code               = vkAllocateCommandBuffers(vk->device, &buffer, &frame->commands);
    return scry__vk_check(vk, code, "vkAllocateCommandBuffers");
}

static scry_status create_frame(struct scry__vk *vk, struct frame *frame)
{
    VkFenceCreateInfo fence  = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    scry_status       status = create_commands(vk, frame);
    if (!status) status = create_sets(vk, frame);
    if (!status) status = scry__vk_check(vk, vkCreateFence(vk->device, &fence, NULL, &frame->fence), "vkCreateFence");
    if (!status) status = scry__vk_timing_create(&frame->timing, vk);
    return status ? status : scry__vk_mapped_create(&frame->arena, vk, ARENA);
}

static double timeout_seconds(void)
{
    const char *text = secure_getenv("SCRY_VULKAN_TIMEOUT");
    char       *end  = NULL;
    double      told = text ? strtod(text, &end) : 0;
    return told > 0 && told < 1e9 && !*end ? told : 120;
}

scry_status scry__vk_recorder_create(struct scry__vk *vk)
{
    scry_status status = SCRY_OK;
    vk->recorder       = scry__vk_host->allocate(1, sizeof *vk->recorder);
    if (!vk->recorder) return SCRY_OUT_OF_MEMORY;
    vk->recorder->timeout = timeout_seconds();
    for (int i = 0; i < FRAMES && !status; i++) status = create_frame(vk, &vk->recorder->frame[i]);
    return status;
}

static VkResult wait_fence(struct scry__vk *vk, uint64_t ticket, double seconds)
{
    const VkFence *fence = &vk->recorder->frame[ticket % FRAMES].fence;
    return vkWaitForFences(vk->device, 1, fence, VK_TRUE, (uint64_t)(seconds * 1e9));
}

void scry__vk_drain(struct scry__vk *vk)
{
    struct scry__vk_recorder *recorder = vk->recorder;
    if (!recorder || recorder->drained) return;
    double patience = recorder->timeout > LEAST_PATIENCE ? recorder->timeout : LEAST_PATIENCE;
    for (uint64_t ticket = recorder->done + 1; ticket <= recorder->handed; ticket++) wait_fence(vk, ticket, patience);
    recorder->drained = vk->lost;
}

void scry__vk_recorder_destroy(struct scry__vk *vk)
{
    if (!vk->recorder) return;
    scry__vk_drain(vk);
    for (int i = 0; i < FRAMES; i++) {
        struct frame *frame = &vk->recorder->frame[i];
        scry__vk_mapped_destroy(vk, &frame->arena);
        scry__vk_timing_destroy(&frame->timing, vk);
        vkDestroyFence(vk->device, frame->fence, NULL);
        vkDestroyDescriptorPool(vk->device, frame->sets, NULL);
        vkDestroyCommandPool(vk->device, frame->pool, NULL);
    }
    scry__vk_host->release(vk->recorder);
    vk->recorder = NULL;
}

/* --- Submitting and waiting --- */

uint64_t scry__vk_ticket(const struct scry__vk *vk)
{
    return vk->recorder->handed + 1;
}

static struct frame *current(struct scry__vk *vk)
{
    return &vk->recorder->frame[scry__vk_ticket(vk) % FRAMES];
}

/* What shaders and copies wrote, for the host. It holds up nothing on the device. */
static void record_host_barrier(VkCommandBuffer commands)
{
    const VkMemoryBarrier barrier = {.sType         = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT};
    vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                         VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
}

scry_status scry__vk_submit(struct scry__vk *vk)
{
    struct scry__vk_recorder *recorder = vk->recorder;
    struct frame             *frame    = current(vk);
    const VkSubmitInfo        info     = {
                   .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &frame->commands};
    if (vk->lost) return scry__vk_host->fail(SCRY_DEVICE_LOST, "vulkan: the device was lost");
    if (!recorder->recording) return SCRY_OK;
    record_host_barrier(frame->commands);
    recorder->recording = false;
    scry_status status  = scry__vk_check(vk, vkEndCommandBuffer(frame->commands), "vkEndCommandBuffer");
    if (!status) status = scry__vk_check(vk, vkQueueSubmit(vk->queue, 1, &info, frame->fence), "vkQueueSubmit");
    /* What was recorded is gone then: the call that hears of it speaks for all of it. */
    if (status) return status;
    frame->handed = scry__vk_now();
    recorder->handed++;
    vk->statistics.submissions++;
    return SCRY_OK;
}

/* One submission, behind all before it. */
static scry_status wait_one(struct scry__vk *vk, uint64_t ticket)
{
    struct scry__vk_recorder *recorder = vk->recorder;
    struct frame             *frame    = &recorder->frame[ticket % FRAMES];
    bool                      running  = vkGetFenceStatus(vk->device, frame->fence) == VK_NOT_READY;
    double                    begun    = frame->handed > recorder->done_at ? frame->handed : recorder->done_at;
    VkResult                  code     = wait_fence(vk, ticket, recorder->timeout);
    if (code == VK_TIMEOUT) {
        vk->lost = true;
        return scry__vk_host->fail(SCRY_DEVICE_LOST, "vulkan: vkWaitForFences: no answer within %g seconds",
                                   recorder->timeout);
    }
    scry_status status = scry__vk_check(vk, code, "vkWaitForFences");
    if (status) return status;
    recorder->done    = ticket;
    recorder->done_at = scry__vk_now();
    scry__vk_timing_learn(&frame->timing, vk, running ? recorder->done_at - begun : 0);
    return SCRY_OK;
}

/* Everything up to `ticket`, which was handed over. */
static scry_status wait_done(struct scry__vk *vk, uint64_t ticket)
{
    scry_status status = SCRY_OK;
    while (vk->recorder->done < ticket && !status) status = wait_one(vk, vk->recorder->done + 1);
    return status ? status : scry__vk_validation_check(vk->validation);
}

scry_status scry__vk_wait_for(struct scry__vk *vk, uint64_t ticket)
{
    struct scry__vk_recorder *recorder = vk->recorder;
    scry_status               status   = ticket > recorder->handed ? scry__vk_submit(vk) : SCRY_OK;
    return status ? status : wait_done(vk, ticket < recorder->handed ? ticket : recorder->handed);
}

bool scry__vk_is_idle(const struct scry__vk *vk)
{
    return !vk->recorder->recording && vk->recorder->done == vk->recorder->handed;
}

scry_status scry__vk_wait(struct scry__vk *vk)
{
    return scry__vk_wait_for(vk, UINT64_MAX);
}

/* --- Recording --- */

/* Begins the next submission's commands, once its frame is free. */
static scry_status begin(struct scry__vk *vk)
{
    const VkCommandBufferBeginInfo info   = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                             .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    uint64_t                       ticket = scry__vk_ticket(vk);
    struct frame                  *frame  = current(vk);
    scry_status                    status = ticket > FRAMES ? wait_done(vk, ticket - FRAMES) : SCRY_OK;
    if (!status) status = scry__vk_check(vk, vkResetCommandPool(vk->device, frame->pool, 0), "vkResetCommandPool");
    if (!status)
        status = scry__vk_check(vk, vkResetDescriptorPool(vk->device, frame->sets, 0), "vkResetDescriptorPool");
    if (!status) status = scry__vk_check(vk, vkResetFences(vk->device, 1, &frame->fence), "vkResetFences");
    if (!status) status = scry__vk_check(vk, vkBeginCommandBuffer(frame->commands, &info), "vkBeginCommandBuffer");
    if (status) return status;
    frame->arena_used = 0;
    frame->set_count = frame->descriptor_count = frame->timing.count = 0;
    frame->planned                                                   = 0;
    vk->recorder->recording                                          = true;
    return SCRY_OK;
}

static bool conflict(const struct scry__vk_touched *a, const struct scry__vk_touched *b)
{
    return a->buffer == b->buffer && ((a->access | b->access) & SCRY__VK_WRITE) && a->offset < b->offset + b->bytes &&
           b->offset < a->offset + a->bytes;
}

static void record_barrier(struct scry__vk *vk, VkCommandBuffer commands)
{
    const VkPipelineStageFlags stages  = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    const VkAccessFlags        writes  = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    const VkAccessFlags        reads   = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT;
    const VkMemoryBarrier      barrier = {
             .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = writes, .dstAccessMask = reads | writes};
    vkCmdPipelineBarrier(commands, stages, stages, 0, 1, &barrier, 0, NULL, 0, NULL);
    vk->recorder->touched_count = 0;
    vk->statistics.barriers++;
}

/* Adds a range to those touched since the last barrier, unless it is one of them. */
static void remember(struct scry__vk_recorder *recorder, const struct scry__vk_touched *range)
{
    if (!range->bytes) return;
    for (int i = 0; i < recorder->touched_count; i++) {
        struct scry__vk_touched *known = &recorder->touched[i];
        if (known->buffer != range->buffer || known->offset != range->offset || known->bytes != range->bytes) continue;
        known->access |= range->access;
        return;
    }
    recorder->touched[recorder->touched_count++] = *range;
}

/* A barrier where one of these ranges conflicts with one touched since the last barrier. The memory is the queue's, so
 * it outlives submissions. */
static void order(struct scry__vk *vk, VkCommandBuffer commands, const struct scry__vk_touched *touched, int count)
{
    struct scry__vk_recorder *recorder = vk->recorder;
    bool                      needed   = recorder->touched_count + count > MOST_TOUCHED;
    for (int i = 0; i < recorder->touched_count && !needed; i++)
        for (int j = 0; j < count && !needed; j++) needed = conflict(&recorder->touched[i], &touched[j]);
    if (needed) record_barrier(vk, commands);
    for (int j = 0; j < count; j++) remember(recorder, &touched[j]);
}

/* Whether the device has nothing to do until something is handed over. */
static bool is_waiting(struct scry__vk *vk)
{
    const struct scry__vk_recorder *recorder = vk->recorder;
    return recorder->done == recorder->handed ||
           vkGetFenceStatus(vk->device, recorder->frame[recorder->handed % FRAMES].fence) == VK_SUCCESS;
}

/* Whether what was recorded goes before a command of so many seconds: it would take too long with it, or is worth
 * beginning with. */
static bool is_due(struct scry__vk *vk, double seconds)
{
    double planned = current(vk)->planned;
    if (!vk->recorder->recording || planned <= 0) return false;
    return planned + seconds > SCRY__VK_PLANNED || (planned > WORTH_BEGINNING && is_waiting(vk));
}

scry_status scry__vk_commands(struct scry__vk *vk, VkCommandBuffer *out, const struct scry__vk_touched *touched,
                              int count, double seconds)
{
    scry_status status = SCRY_OK;
    if (vk->lost) return scry__vk_host->fail(SCRY_DEVICE_LOST, "vulkan: the device was lost");
    if (is_due(vk, seconds)) status = scry__vk_submit(vk);
    if (!status && !vk->recorder->recording) status = begin(vk);
    if (status) return status;
    struct frame *frame = current(vk);
    order(vk, frame->commands, touched, count);
    frame->planned += seconds;
    *out = frame->commands;
    return SCRY_OK;
}

double scry__vk_seconds(const struct scry__vk *vk, double operations)
{
    return scry__vk_timing_expect(vk, 0, operations);
}

/* --- Dispatches --- */

double scry__vk_expect(const struct scry__vk *vk, const struct scry__vk_pipeline *pipeline, double operations)
{
    return scry__vk_timing_expect(vk, *pipeline->pace, operations);
}

static bool has_room(const struct frame *frame, int bindings, size_t bytes)
{
    return frame->set_count < SETS && frame->descriptor_count + bindings <= DESCRIPTORS &&
           frame->arena_used + bytes <= ARENA;
}

scry_status scry__vk_dispatch_begin(struct scry__vk *vk, struct scry__vk_room *out,
                                    const struct scry__vk_dispatch *dispatch)
{
    size_t      bytes   = (size_t)round_up((int64_t)dispatch->parameter_bytes, vk->limits.alignment);
    double      seconds = scry__vk_expect(vk, dispatch->pipeline, dispatch->operations);
    scry_status status  = SCRY_OK;
    if (vk->recorder->recording && !has_room(current(vk), dispatch->bindings, bytes)) status = scry__vk_submit(vk);
    if (!status) status = scry__vk_commands(vk, &out->commands, dispatch->touched, dispatch->count, seconds);
    if (status) return status;
    struct frame               *frame = current(vk);
    VkDescriptorSetAllocateInfo info  = {.sType              = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                         .descriptorPool     = frame->sets,
                                         .descriptorSetCount = 1,
                                         .pSetLayouts        = &dispatch->pipeline->set};
    status = scry__vk_check(vk, vkAllocateDescriptorSets(vk->device, &info, &out->set), "vkAllocateDescriptorSets");
    if (status) return status;
    out->buffer = frame->arena.buffer;
    out->offset = frame->arena_used;
    out->host   = (char *)frame->arena.host + frame->arena_used;
    out->timed =
        scry__vk_timing_begin(&frame->timing, vk, out->commands, dispatch->pipeline->pace, dispatch->operations);
    frame->arena_used += bytes;
    frame->set_count++;
    frame->descriptor_count += dispatch->bindings;
    vk->statistics.dispatches++;
    return SCRY_OK;
}

void scry__vk_dispatch_end(struct scry__vk *vk, const struct scry__vk_room *room)
{
    if (room->timed) scry__vk_timing_end(&current(vk)->timing, room->commands);
}
