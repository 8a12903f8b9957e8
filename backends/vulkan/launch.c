/* Launching kernels: bindings and parameters as shaders/common.glsl lays them out, and the dispatches. */
#include "record.h"

#include <math.h>
#include <string.h>

/* `view` of common.glsl. */
struct view {
    uint32_t offset, dtype, present, unused;
    uint32_t stride[SCRY_MAX_RANK];
};

_Static_assert(sizeof(struct view) == 32, "as common.glsl lays it out");

struct scry__vk_call scry__vk_call(struct scry__vk *vk, const char *name, uint32_t items)
{
    struct scry__vk_call call = {.vk = vk, .name = name, .constant_count = 1, .binding_count = 1};
    call.constants[0]         = items;
    return call;
}

static void fail(struct scry__vk_call *call, const char *what)
{
    if (!call->status)
        call->status = scry__vk_host->fail(SCRY_UNSUPPORTED, "vulkan: kernel \"%s\": %s", call->name, what);
}

void scry__vk_constant(struct scry__vk_call *call, uint32_t value)
{
    if (call->constant_count == SCRY__VK_CONSTANTS) fail(call, "too many constants");
    if (!call->status) call->constants[call->constant_count++] = value;
}

void scry__vk_bytes(struct scry__vk_call *call, const void *value, size_t bytes)
{
    if (call->parameter_bytes + bytes > SCRY__VK_PARAMETER_BYTES) fail(call, "too many parameters");
    if (call->status) return;
    memcpy(call->parameters + call->parameter_bytes, value, bytes);
    call->parameter_bytes += bytes;
}

void scry__vk_int(struct scry__vk_call *call, int64_t value)
{
    uint32_t bits = (uint32_t)value;
    if (value < INT32_MIN || value > UINT32_MAX) fail(call, "a parameter that does not fit 32 bits");
    scry__vk_bytes(call, &bits, sizeof bits);
}

void scry__vk_float(struct scry__vk_call *call, float value)
{
    scry__vk_bytes(call, &value, sizeof value);
}

/* The next binding: `bytes` from `offset` on, in whole words. bytes 0: the parameters' own place, which every launch
 * has; launch() puts it in. */
static void bind(struct scry__vk_call *call, VkBuffer buffer, size_t offset, size_t bytes, unsigned access)
{
    bytes = (bytes + 3) / 4 * 4;
    if (call->binding_count == SCRY__VK_BINDINGS) fail(call, "too many bindings");
    if (bytes > call->vk->limits.most_bound) fail(call, "a range that exceeds the device's largest binding");
    if (!call->status) call->bindings[call->binding_count++] = (struct scry__vk_touched){buffer, offset, bytes, access};
}

static bool lies_in_fours(const struct view *view, int rank)
{
    uint32_t places = view->offset;
    for (int i = 0; i < rank - 1; i++) places |= view->stride[i];
    return places % 4 == 0 && view->stride[rank - 1] == 1;
}

void scry__vk_tensor(struct scry__vk_call *call, const scry_tensor *tensor, unsigned access)
{
    struct view           view  = {.dtype = (uint32_t)tensor->dtype, .present = present(tensor)};
    struct scry__vk_place place = {0};
    size_t                extra = 0, bytes = 0;
    if (present(tensor) && !call->status) {
        call->status = scry__vk_stage(call, tensor, access, &place);
        extra        = place.offset % call->vk->limits.alignment;
        bytes        = scry__extent_bytes(tensor);
        view.offset  = (uint32_t)(extra / scry__element_bytes(tensor->dtype));
        for (int i = 0; i < tensor->rank; i++) view.stride[i] = tensor->shape[i] == 1 ? 0 : (uint32_t)tensor->stride[i];
        call->uneven |= tensor->dtype != SCRY_I32 && !lies_in_fours(&view, tensor->rank);
    }
    bind(call, place.buffer, place.offset - extra, bytes ? extra + bytes : 0, access);
    scry__vk_bytes(call, &view, sizeof view);
}

void scry__vk_scratch(struct scry__vk_call *call, size_t offset, size_t bytes, unsigned access)
{
    scry_buffer          *scratch = call->vk->front->scratch;
    struct scry__vk_place place   = {0};
    if (scratch && bytes) place = scry__vk_place(scratch, offset);
    if (bytes > place.left) fail(call, "more scratch than there is");
    bind(call, place.buffer, place.offset, bytes, access);
}

static void write_set(struct scry__vk *vk, const struct scry__vk_call *call, const struct scry__vk_room *room)
{
    VkDescriptorBufferInfo info[SCRY__VK_BINDINGS];
    VkWriteDescriptorSet   write = {.sType           = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                    .dstSet          = room->set,
                                    .descriptorCount = (uint32_t)call->binding_count,
                                    .descriptorType  = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                    .pBufferInfo     = info};
    info[0]                      = (VkDescriptorBufferInfo){room->buffer, room->offset, call->parameter_bytes};
    for (int i = 1; i < call->binding_count; i++) {
        const struct scry__vk_touched *bound = &call->bindings[i];
        info[i] = bound->bytes ? (VkDescriptorBufferInfo){bound->buffer, bound->offset, bound->bytes} : info[0];
    }
    vkUpdateDescriptorSets(vk->device, 1, &write, 0, NULL);
}

/* One dispatch. The slices of a launch do not depend on each other: only the first says what all of them touch. */
static scry_status dispatch(struct scry__vk_call *call, const struct scry__vk_pipeline *pipeline, uint32_t first,
                            uint32_t groups, double operations)
{
    const struct scry__vk_dispatch dispatch = {.pipeline        = pipeline,
                                               .bindings        = call->binding_count,
                                               .parameter_bytes = call->parameter_bytes,
                                               .touched         = call->bindings + 1,
                                               .count           = first ? 0 : call->binding_count - 1,
                                               .operations      = operations};
    struct scry__vk               *vk       = call->vk;
    struct scry__vk_room           room;
    scry_status                    status = scry__vk_dispatch_begin(vk, &room, &dispatch);
    if (status) return status;
    memcpy(room.host, call->parameters, call->parameter_bytes);
    write_set(vk, call, &room);
    vkCmdBindPipeline(room.commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->pipeline);
    vkCmdBindDescriptorSets(room.commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->layout, 0, 1, &room.set, 0, NULL);
    vkCmdPushConstants(room.commands, pipeline->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof first, &first);
    vkCmdDispatch(room.commands, groups, 1, 1);
    scry__vk_dispatch_end(vk, &room);
    return SCRY_OK;
}

/* Groups of one dispatch: as many as the device takes at once, and no more than half a submission is planned for. */
static int64_t slice_of(const struct scry__vk *vk, int64_t groups, double seconds)
{
    double slices = ceil(seconds / (SCRY__VK_PLANNED / 2));
    if (slices > (double)groups) slices = (double)groups;
    int64_t slice = slices > 1 ? units_of(groups, (int64_t)slices) : groups;
    return least(slice, vk->limits.most_groups);
}

scry_status scry__vk_launch(struct scry__vk_call *call, int64_t groups, double operations)
{
    struct scry__vk_pipeline pipeline;
    if (!call->parameter_bytes) scry__vk_int(call, 0); /* a binding is never empty */
    if (groups > UINT32_MAX) fail(call, "more than 2^32 groups");
    if (call->status || groups <= 0) return call->status;
    scry_status status = scry__vk_pipeline(&pipeline, call->vk, call->name, call->constants, call->constant_count,
                                           call->binding_count, call->subgroup_size);
    if (status) return status;
    int64_t slice = slice_of(call->vk, groups, scry__vk_expect(call->vk, &pipeline, operations));
    for (int64_t done = 0, some; done < groups && !status; done += some) {
        some   = least(slice, groups - done);
        status = dispatch(call, &pipeline, (uint32_t)done, (uint32_t)some, operations * (double)some / (double)groups);
    }
    return status || !call->staged_count ? status : scry__vk_unstage(call);
}
