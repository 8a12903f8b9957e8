/* Staging: a tensor across two parts of its buffer is copied together before a kernel and, where the kernel wrote it,
 * apart again behind it.
 *
 * The front door cuts ops until each range lies in one part or takes at most SCRY_REACHABLE_BYTES. Parts are at least
 * that long, so a staged range crosses one boundary. */
#include "part.h"

struct scry__vk_staging {
    struct scry__vk_part slot[SCRY__VK_BINDINGS];
};

scry_status scry__vk_staging_create(struct scry__vk *vk)
{
    if (vk->staging) return SCRY_OK;
    scry_status status = SCRY_OK;
    vk->staging        = scry__vk_host->allocate(1, sizeof *vk->staging);
    if (!vk->staging) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < SCRY__VK_BINDINGS && !status; i++)
        status = scry__vk_part_create(&vk->staging->slot[i], vk, SCRY_REACHABLE_BYTES, SCRY__VK_FOR_DEVICE);
    if (status) scry__vk_staging_destroy(vk);
    return status;
}

void scry__vk_staging_destroy(struct scry__vk *vk)
{
    if (!vk->staging) return;
    for (int i = 0; i < SCRY__VK_BINDINGS; i++) scry__vk_part_destroy(vk, &vk->staging->slot[i]);
    scry__vk_host->release(vk->staging);
    vk->staging = NULL;
}

static struct scry__vk_place slot_place(const struct scry__vk *vk, int slot, size_t offset)
{
    return (struct scry__vk_place){vk->staging->slot[slot].buffer, offset, SCRY_REACHABLE_BYTES - offset};
}

/* Copies the staged range to (or, `back`, from) slot `slot`. */
static scry_status move_range(struct scry__vk *vk, int slot, const scry_tensor *x, bool back)
{
    size_t      bytes  = scry__extent_bytes(x);
    scry_status status = SCRY_OK;
    for (size_t done = 0, some; done < bytes && !status; done += some) {
        struct scry__vk_place own    = scry__vk_place(x->buffer, x->offset + done);
        struct scry__vk_place staged = slot_place(vk, slot, done);
        some                         = (size_t)least((int64_t)(bytes - done), (int64_t)own.left);
        status                       = scry__vk_part_copy(vk, back ? &own : &staged, back ? &staged : &own, some);
    }
    return status;
}

scry_status scry__vk_stage(struct scry__vk_call *call, const scry_tensor *x, unsigned access,
                           struct scry__vk_place *place)
{
    size_t bytes = scry__extent_bytes(x);
    *place       = scry__vk_place(x->buffer, x->offset);
    if (bytes <= place->left) return SCRY_OK;
    if (bytes > SCRY_REACHABLE_BYTES)
        return scry__vk_host->fail(SCRY_UNSUPPORTED,
                                   "vulkan: %zu bytes across the parts of a buffer: expected at most %d", bytes,
                                   (int)SCRY_REACHABLE_BYTES);
    int slot = 0;
    while (slot < call->staged_count && !scry__is_same_view(&call->staged[slot].tensor, x)) slot++;
    if (slot == SCRY__VK_BINDINGS)
        return scry__vk_host->fail(SCRY_UNSUPPORTED, "vulkan: more than %d tensors across parts",
                                   (int)SCRY__VK_BINDINGS);
    *place = slot_place(call->vk, slot, 0);
    if (access & SCRY__VK_WRITE) call->staged[slot].written = true;
    if (slot < call->staged_count) return SCRY_OK;
    call->staged[call->staged_count++].tensor = *x;
    /* What is written is read too: a kernel may leave elements out, and what lies between them is another's. */
    return move_range(call->vk, slot, x, false);
}

/* Adds a binding that begins where bindings may, at or before the place; how many bytes before it. */
static size_t bind(struct scry__vk_call *call, const struct scry__vk_place *place, size_t bytes, unsigned access)
{
    size_t before                         = place->offset % call->vk->limits.alignment;
    call->bindings[call->binding_count++] = (struct scry__vk_touched){
        .buffer = place->buffer,
        .offset = place->offset - before,
        .bytes  = (size_t)round_up((int64_t)(before + bytes), 4),
        .access = access,
    };
    return before;
}

/* The parameters of shaders/scatter_4.comp and scatter_2.comp. */
struct scatter {
    uint32_t shape[SCRY_MAX_RANK], stride[SCRY_MAX_RANK];
    uint32_t count, low_begin, low_count;
};

/* Element by element: another output of the same kernel may lie between them. */
static scry_status scatter(struct scry__vk *vk, int slot, const scry_tensor *x)
{
    enum { ITEMS = 64 };
    size_t                size = scry__element_bytes(x->dtype), bytes = scry__extent_bytes(x);
    struct scry__vk_place low     = scry__vk_place(x->buffer, x->offset);
    struct scry__vk_place high    = scry__vk_place(x->buffer, x->offset + low.left);
    struct scry__vk_place staged  = slot_place(vk, slot, 0);
    struct scry__walk     walk    = {.count = 1, .operand = {*x}};
    struct scatter        facts   = {.count = 1, .low_count = (uint32_t)(low.left / size)};
    unsigned              written = size == 2 ? SCRY__VK_READ | SCRY__VK_WRITE : SCRY__VK_WRITE;
    struct scry__vk_call  call    = scry__vk_call(vk, size == 2 ? "scatter_2" : "scatter_4", ITEMS);
    scry__walk_prepare(&walk);
    for (int i = 0; i < SCRY_MAX_RANK; i++) {
        facts.shape[i]  = (uint32_t)walk.shape[i];
        facts.stride[i] = (uint32_t)walk.operand[0].stride[i];
        facts.count *= facts.shape[i];
    }
    bind(&call, &staged, bytes, SCRY__VK_READ);
    facts.low_begin = (uint32_t)(bind(&call, &low, low.left, written) / size);
    bind(&call, &high, bytes - low.left, written);
    scry__vk_bytes(&call, &facts, sizeof facts);
    return scry__vk_launch(&call, units_of(facts.count, ITEMS), facts.count);
}

scry_status scry__vk_unstage(struct scry__vk_call *call)
{
    scry_status status = SCRY_OK;
    for (int slot = 0; slot < call->staged_count && !status; slot++) {
        const scry_tensor *x = &call->staged[slot].tensor;
        if (!call->staged[slot].written) continue;
        status = scry__is_dense(x) ? move_range(call->vk, slot, x, true) : scatter(call->vk, slot, x);
    }
    call->staged_count = 0;
    return status;
}
