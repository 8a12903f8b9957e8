/* What the host writes into buffers and reads from them, through mapped memory of a fixed size. It has slots, each free
 * again once the submission that copies from or to it is done, so that the host fills or empties one while the device
 * copies others. See part.h. */
#include "part.h"

#include <string.h>

enum { SLOTS = 4, SLOT_BYTES = 2 << 20, STEP = 16 /* a write begins at a multiple of it */ };

struct scry__vk_ring {
    struct scry__vk_part up, down;
    uint64_t             ticket[SLOTS]; /* the last submission that copies from each slot of `up` */
    int                  slot;          /* that is being filled */
    size_t               used;          /* bytes of it */
};

/* The ring, with the part that is asked for. */
static scry_status need_part(struct scry__vk *vk, enum scry__vk_use use)
{
    if (!vk->ring) vk->ring = scry__vk_host->allocate(1, sizeof *vk->ring);
    if (!vk->ring) return SCRY_OUT_OF_MEMORY;
    struct scry__vk_part *part = use == SCRY__VK_FOR_UPLOAD ? &vk->ring->up : &vk->ring->down;
    return part->buffer ? SCRY_OK : scry__vk_part_create(part, vk, (size_t)SLOTS * SLOT_BYTES, use);
}

void scry__vk_ring_destroy(struct scry__vk *vk)
{
    if (!vk->ring) return;
    scry__vk_part_destroy(vk, &vk->ring->up);
    scry__vk_part_destroy(vk, &vk->ring->down);
    scry__vk_host->release(vk->ring);
    vk->ring = NULL;
}

/* The next slot, once no copy reads it any more. Its copies so far are handed over, so that the device works while the
 * host fills it. */
static scry_status next_slot(struct scry__vk *vk)
{
    struct scry__vk_ring *ring   = vk->ring;
    scry_status           status = scry__vk_submit(vk);
    if (status) return status;
    ring->slot = (ring->slot + 1) % SLOTS;
    ring->used = 0;
    return scry__vk_wait_for(vk, ring->ticket[ring->slot]);
}

scry_status scry__vk_upload(struct scry__vk *vk, const struct scry__vk_place *to, const void *data, size_t bytes)
{
    scry_status status = need_part(vk, SCRY__VK_FOR_UPLOAD);
    for (size_t done = 0, some; done < bytes && !status; done += some) {
        struct scry__vk_ring *ring = vk->ring;
        if (ring->used == SLOT_BYTES) status = next_slot(vk);
        if (status) break;
        some                         = lesser(bytes - done, SLOT_BYTES - ring->used);
        size_t                begin  = (size_t)ring->slot * SLOT_BYTES + ring->used;
        struct scry__vk_place from   = {ring->up.buffer, begin, some};
        struct scry__vk_place target = {to->buffer, to->offset + done, to->left - done};
        memcpy(scry__vk_part_host(&ring->up) + begin, (const char *)data + done, some);
        status = scry__vk_part_flush(vk, &ring->up, begin, some);
        if (!status) status = scry__vk_part_copy(vk, &target, &from, some);
        ring->used += (size_t)round_up((int64_t)some, STEP);
        ring->ticket[ring->slot] = scry__vk_ticket(vk);
    }
    return status;
}

/* Copies into slot `slot` are handed over; their submission. */
static scry_status fetch(struct scry__vk *vk, const struct scry__vk_place *from, int slot, size_t bytes,
                         uint64_t *ticket)
{
    struct scry__vk_place to     = {vk->ring->down.buffer, (size_t)slot * SLOT_BYTES, SLOT_BYTES};
    scry_status           status = scry__vk_part_copy(vk, &to, from, bytes);
    *ticket                      = scry__vk_ticket(vk);
    return status ? status : scry__vk_submit(vk);
}

scry_status scry__vk_download(struct scry__vk *vk, const struct scry__vk_place *from, void *data, size_t bytes)
{
    uint64_t    ticket[SLOTS];
    size_t      asked = 0, done = 0;
    scry_status status = need_part(vk, SCRY__VK_FOR_READBACK);
    while (done < bytes && !status) {
        for (; asked < bytes && asked - done < (size_t)SLOTS * SLOT_BYTES && !status; asked += SLOT_BYTES) {
            struct scry__vk_place source = {from->buffer, from->offset + asked, from->left - asked};
            int                   slot   = (int)(asked / SLOT_BYTES % SLOTS);
            status                       = fetch(vk, &source, slot, lesser(bytes - asked, SLOT_BYTES), &ticket[slot]);
        }
        int    slot  = (int)(done / SLOT_BYTES % SLOTS);
        size_t begin = (size_t)slot * SLOT_BYTES, some = lesser(bytes - done, SLOT_BYTES);
        if (!status) status = scry__vk_wait_for(vk, ticket[slot]);
        if (!status) status = scry__vk_part_invalidate(vk, &vk->ring->down, begin, some);
        if (!status) memcpy((char *)data + done, scry__vk_part_host(&vk->ring->down) + begin, some);
        done += some;
    }
    return status;
}
