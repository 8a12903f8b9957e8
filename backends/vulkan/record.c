/* Recording and submitting: a ring of command buffers, each with its descriptor pool, its memory for parameters and its
 * fence, barriers between commands that touch the same bytes, and submissions that the plan keeps short. */
#include "record.h"
#include "validation.h"

#include <stdlib.h>
#include <string.h>

enum {
    FRAMES       = 4,   /* in flight, one of them being recorded */
    SETS         = 256, /* dispatches of a frame */
    DESCRIPTORS  = SETS * 6,
    ARENA        = SETS * SCRY__VK_PARAMETER_BYTES,
    MOST_TOUCHED = 96,
};

/* One command buffer and what goes with it. Frame t % FRAMES belongs to submission t. */
struct frame {
    VkCommandPool          pool;
    VkCommandBuffer        commands;
    VkFence                fence;
    VkDescriptorPool       sets;
    VkQueryPool            times; /* its begin and its end */
    struct scry__vk_mapped arena;
    size_t                 arena_used;
    int                    set_count, descriptor_count;
    double                 planned; /* seconds */
};

struct scry__vk_recorder {
    struct frame            frame[FRAMES];
    uint64_t                handed, done; /* submissions */
    bool                    recording;    /* number handed + 1 */
    bool                    drained;
    double                  timeout;               /* seconds */
    double                  operations_per_second; /* that the device was seen to do */
    struct scry__vk_touched touched[MOST_TOUCHED]; /* since the last barrier */
    int                     touched_count;
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
    scry_status                 status =
        scry__vk_check(vk, vkCreateCommandPool(vk->device, &pool, NULL, &frame->pool), "vkCreateCommandPool");
    if (status) return status;
    buffer.commandPool = frame->pool;
    return scry__vk_check(vk, vkAllocateCommandBuffers(vk->device, &buffer, &frame->commands),
                          "vkAllocateCommandBuffers");
}

static scry_status create_frame(struct scry__vk *vk, struct frame *frame)
{
    VkFenceCreateInfo     fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VkQueryPoolCreateInfo times = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO, .queryType = VK_QUERY_TYPE_TIMESTAMP, .queryCount = 2};
    scry_status status = create_commands(vk, frame);
    if (!status) status = create_sets(vk, frame);
    if (!status) status = scry__vk_check(vk, vkCreateFence(vk->device, &fence, NULL, &frame->fence), "vkCreateFence");
    if (!status && vk->limits.timestamp_bits)
        status = scry__vk_check(vk, vkCreateQueryPool(vk->device, &times, NULL, &frame->times), "vkCreateQueryPool");
    return status ? status : scry__vk_mapped_create(&frame->arena, vk, ARENA);
}

static double timeout_seconds(void)
{
    const char *text = secure_getenv("SCRY_VULKAN_TIMEOUT");
    char       *end  = NULL;
    double      told = text ? strtod(text, &end) : 0;
    return told > 0 && told < 1e9 && !*end ? told : 120;
}

/* Operations a second, at first: slower than devices of that type are, so that no early submission takes too long. */
static double cautious_rate(VkPhysicalDeviceType type)
{
    switch ((int)type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return 5e10;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return 1e10;
    default:
        return 1e9;
    }
}

scry_status scry__vk_recorder_create(struct scry__vk *vk)
{
    vk->recorder = scry__vk_host->allocate(1, sizeof *vk->recorder);
    if (!vk->recorder) return SCRY_OUT_OF_MEMORY;
    vk->recorder->timeout               = timeout_seconds();
    vk->recorder->operations_per_second = cautious_rate(vk->limits.type);
    scry_status status                  = SCRY_OK;
    for (int i = 0; i < FRAMES && !status; i++) status = create_frame(vk, &vk->recorder->frame[i]);
    return status;
}

static VkResult wait_fence(struct scry__vk *vk, uint64_t ticket)
{
    struct scry__vk_recorder *recorder = vk->recorder;
    return vkWaitForFences(vk->device, 1, &recorder->frame[ticket % FRAMES].fence, VK_TRUE,
                           (uint64_t)(recorder->timeout * 1e9));
}

void scry__vk_drain(struct scry__vk *vk)
{
    struct scry__vk_recorder *recorder = vk->recorder;
    if (!recorder || recorder->drained) return;
    for (uint64_t ticket = recorder->done + 1; ticket <= recorder->handed; ticket++) wait_fence(vk, ticket);
    recorder->drained = vk->lost;
}

void scry__vk_recorder_destroy(struct scry__vk *vk)
{
    struct scry__vk_recorder *recorder = vk->recorder;
    if (!recorder) return;
    scry__vk_drain(vk);
    for (int i = 0; i < FRAMES; i++) {
        struct frame *frame = &recorder->frame[i];
        scry__vk_mapped_destroy(vk, &frame->arena);
        vkDestroyQueryPool(vk->device, frame->times, NULL);
        vkDestroyFence(vk->device, frame->fence, NULL);
        vkDestroyDescriptorPool(vk->device, frame->sets, NULL);
        vkDestroyCommandPool(vk->device, frame->pool, NULL);
    }
    scry__vk_host->release(recorder);
    vk->recorder = NULL;
}

/* --- Waiting --- */

/* How long a submission took on the device; 0 where that is not known. */
static double measured_seconds(struct scry__vk *vk, const struct frame *frame)
{
    uint64_t times[2];
    if (!frame->times) return 0;
    VkResult code = vkGetQueryPoolResults(vk->device, frame->times, 0, 2, sizeof times, times, sizeof *times,
                                          VK_QUERY_RESULT_64_BIT);
    if (code != VK_SUCCESS) return 0;
    uint64_t mask = vk->limits.timestamp_bits < 64 ? ((uint64_t)1 << vk->limits.timestamp_bits) - 1 : UINT64_MAX;
    return (double)((times[1] - times[0]) & mask) * vk->limits.timestamp_period * 1e-9;
}

/* Faster only by and by, slower at once. */
static void learn(struct scry__vk *vk, const struct frame *frame)
{
    double seconds = measured_seconds(vk, frame);
    if (seconds <= 0 || frame->planned <= 0) return;
    double factor = frame->planned / seconds;
    if (factor > 2) factor = 2;
    if (seconds > 1e-3 || factor > 1) vk->recorder->operations_per_second *= factor;
}

/* Everything up to `ticket`, which was handed over. */
static scry_status wait_done(struct scry__vk *vk, uint64_t ticket)
{
    struct scry__vk_recorder *recorder = vk->recorder;
    while (recorder->done < ticket) {
        scry_status status = scry__vk_check(vk, wait_fence(vk, recorder->done + 1), "vkWaitForFences");
        if (status) return status;
        recorder->done++;
        learn(vk, &recorder->frame[recorder->done % FRAMES]);
    }
    return scry__vk_validation_check(vk->validation);
}

uint64_t scry__vk_ticket(const struct scry__vk *vk)
{
    return vk->recorder->handed + 1;
}

scry_status scry__vk_wait_for(struct scry__vk *vk, uint64_t ticket)
{
    scry_status status = ticket > vk->recorder->handed ? scry__vk_submit(vk) : SCRY_OK;
    if (status) return status;
    return wait_done(vk, ticket < vk->recorder->handed ? ticket : vk->recorder->handed);
}

bool scry__vk_is_idle(const struct scry__vk *vk)
{
    return !vk->recorder->recording && vk->recorder->done == vk->recorder->handed;
}

scry_status scry__vk_wait(struct scry__vk *vk)
{
    scry_status status = scry__vk_submit(vk);
    return status ? status : wait_done(vk, vk->recorder->handed);
}

/* --- Recording --- */

static struct frame *current(struct scry__vk *vk)
{
    return &vk->recorder->frame[scry__vk_ticket(vk) % FRAMES];
}

/* Begins the next submission's commands, once its frame is free. */
static scry_status begin(struct scry__vk *vk)
{
    struct scry__vk_recorder *recorder = vk->recorder;
    uint64_t                  ticket   = scry__vk_ticket(vk);
    struct frame             *frame    = current(vk);
    VkCommandBufferBeginInfo  info     = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                          .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    scry_status               status   = ticket > FRAMES ? wait_done(vk, ticket - FRAMES) : SCRY_OK;
    if (!status) status = scry__vk_check(vk, vkResetCommandPool(vk->device, frame->pool, 0), "vkResetCommandPool");
    if (!status)
        status = scry__vk_check(vk, vkResetDescriptorPool(vk->device, frame->sets, 0), "vkResetDescriptorPool");
    if (!status) status = scry__vk_check(vk, vkResetFences(vk->device, 1, &frame->fence), "vkResetFences");
    if (!status) status = scry__vk_check(vk, vkBeginCommandBuffer(frame->commands, &info), "vkBeginCommandBuffer");
    if (status) return status;
    frame->arena_used = 0;
    frame->set_count = frame->descriptor_count = 0;
    frame->planned                             = 0;
    recorder->recording                        = true;
    if (frame->times) {
        vkCmdResetQueryPool(frame->commands, frame->times, 0, 2);
        vkCmdWriteTimestamp(frame->commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, frame->times, 0);
    }
    return SCRY_OK;
}

/* What shaders and copies wrote, for the host. It holds up nothing on the device. */
static void record_host_barrier(VkCommandBuffer commands)
{
    VkMemoryBarrier barrier = {.sType         = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT};
    vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                         VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
}

scry_status scry__vk_submit(struct scry__vk *vk)
{
    struct scry__vk_recorder *recorder = vk->recorder;
    struct frame             *frame    = current(vk);
    VkSubmitInfo              info     = {
                         .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &frame->commands};
    if (vk->lost) return scry__vk_host->fail(SCRY_DEVICE_LOST, "vulkan: the device was lost");
    if (!recorder->recording) return SCRY_OK;
    record_host_barrier(frame->commands);
    if (frame->times) vkCmdWriteTimestamp(frame->commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, frame->times, 1);
    /* Where one of both fails, what was recorded is gone, and the caller knows. */
    recorder->recording = false;
    scry_status status  = scry__vk_check(vk, vkEndCommandBuffer(frame->commands), "vkEndCommandBuffer");
    if (!status) status = scry__vk_check(vk, vkQueueSubmit(vk->queue, 1, &info, frame->fence), "vkQueueSubmit");
    if (status) return status;
    recorder->handed++;
    vk->statistics.submissions++;
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

/* A barrier where one of these ranges conflicts with one touched since the last barrier, and remembers them. */
static void order(struct scry__vk *vk, VkCommandBuffer commands, const struct scry__vk_touched *touched, int count)
{
    struct scry__vk_recorder *recorder = vk->recorder;
    bool                      needed   = recorder->touched_count + count > MOST_TOUCHED;
    for (int i = 0; i < recorder->touched_count && !needed; i++)
        for (int j = 0; j < count && !needed; j++) needed = conflict(&recorder->touched[i], &touched[j]);
    if (needed) record_barrier(vk, commands);
    for (int j = 0; j < count; j++)
        if (touched[j].bytes) recorder->touched[recorder->touched_count++] = touched[j];
}

scry_status scry__vk_commands(struct scry__vk *vk, VkCommandBuffer *out, const struct scry__vk_touched *touched,
                              int count, double seconds)
{
    struct scry__vk_recorder *recorder = vk->recorder;
    scry_status               status   = SCRY_OK;
    if (vk->lost) return scry__vk_host->fail(SCRY_DEVICE_LOST, "vulkan: the device was lost");
    if (recorder->recording && current(vk)->planned > 0 && current(vk)->planned + seconds > SCRY__VK_PLANNED)
        status = scry__vk_submit(vk);
    if (!status && !recorder->recording) status = begin(vk);
    if (status) return status;
    struct frame *frame = current(vk);
    order(vk, frame->commands, touched, count);
    frame->planned += seconds;
    *out = frame->commands;
    return SCRY_OK;
}

double scry__vk_seconds(const struct scry__vk *vk, double operations)
{
    return operations / vk->recorder->operations_per_second;
}

/* --- Room for dispatches --- */

static bool has_room(const struct frame *frame, int bindings, size_t bytes)
{
    return frame->set_count < SETS && frame->descriptor_count + bindings <= DESCRIPTORS &&
           frame->arena_used + bytes <= ARENA;
}

scry_status scry__vk_room(struct scry__vk *vk, struct scry__vk_room *out, VkDescriptorSetLayout layout, int bindings,
                          size_t bytes, const struct scry__vk_touched *touched, int count, double seconds)
{
    bytes              = (size_t)round_up((int64_t)bytes, vk->limits.alignment);
    scry_status status = SCRY_OK;
    if (vk->recorder->recording && !has_room(current(vk), bindings, bytes)) status = scry__vk_submit(vk);
    if (!status) status = scry__vk_commands(vk, &out->commands, touched, count, seconds);
    if (status) return status;
    struct frame               *frame = current(vk);
    VkDescriptorSetAllocateInfo info  = {.sType              = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                         .descriptorPool     = frame->sets,
                                         .descriptorSetCount = 1,
                                         .pSetLayouts        = &layout};
    status = scry__vk_check(vk, vkAllocateDescriptorSets(vk->device, &info, &out->set), "vkAllocateDescriptorSets");
    if (status) return status;
    out->buffer = frame->arena.buffer;
    out->offset = frame->arena_used;
    out->host   = (char *)frame->arena.host + frame->arena_used;
    frame->arena_used += bytes;
    frame->set_count++;
    frame->descriptor_count += bindings;
    return SCRY_OK;
}
