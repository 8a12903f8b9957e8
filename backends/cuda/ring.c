/* Pinned memory through which uploads and readbacks pass. See ring.h.
 *
 * Slots are used in turn. Each has an event, recorded behind its last copy: the host waits for it before it touches the
 * slot again. */
#include "ring.h"

#include <string.h>

enum { SLOTS = 4, SLOT_BYTES = 4 << 20 };

struct scry__cuda_ring {
    char       *memory;
    cudaEvent_t copied[SLOTS];
    int         next;
};

scry_status scry__cuda_ring_create(struct scry__cuda *cuda)
{
    struct scry__cuda_ring *ring = cuda->ring = scry__cuda_host->allocate(1, sizeof *ring);
    if (!ring) return SCRY_OUT_OF_MEMORY;
    cudaError_t code   = cudaHostAlloc((void **)&ring->memory, (size_t)SLOTS * SLOT_BYTES, cudaHostAllocDefault);
    scry_status status = scry__cuda_check(cuda, code, "cudaHostAlloc");
    for (int i = 0; i < SLOTS && !status; i++)
        status = scry__cuda_check(cuda, cudaEventCreateWithFlags(&ring->copied[i], cudaEventDisableTiming),
                                  "cudaEventCreateWithFlags");
    return status;
}

void scry__cuda_ring_destroy(struct scry__cuda *cuda)
{
    struct scry__cuda_ring *ring = cuda->ring;
    if (!ring) return;
    for (int i = 0; i < SLOTS; i++)
        if (ring->copied[i]) cudaEventDestroy(ring->copied[i]);
    if (ring->memory) cudaFreeHost(ring->memory);
    scry__cuda_host->release(ring);
    cuda->ring = NULL;
}

static size_t slot_bytes(size_t left)
{
    return left < SLOT_BYTES ? left : SLOT_BYTES;
}

/* Takes the next slot, once its last copy is done. An event that was never recorded is done. */
static scry_status take_slot(struct scry__cuda *cuda, int *slot)
{
    *slot            = cuda->ring->next;
    cuda->ring->next = (*slot + 1) % SLOTS;
    return scry__cuda_check(cuda, cudaEventSynchronize(cuda->ring->copied[*slot]), "cudaEventSynchronize");
}

static scry_status copy(struct scry__cuda *cuda, int slot, void *to, const void *from, size_t bytes,
                        enum cudaMemcpyKind kind, cudaStream_t stream)
{
    scry_status status = scry__cuda_check(cuda, cudaMemcpyAsync(to, from, bytes, kind, stream), "cudaMemcpyAsync");
    return status ? status
                  : scry__cuda_check(cuda, cudaEventRecord(cuda->ring->copied[slot], stream), "cudaEventRecord");
}

scry_status scry__cuda_upload(struct scry__cuda *cuda, void *to, const void *data, size_t bytes, cudaStream_t stream)
{
    scry_status status = SCRY_OK;
    for (size_t done = 0, some; done < bytes && !status; done += some) {
        int slot;
        some       = slot_bytes(bytes - done);
        status     = take_slot(cuda, &slot);
        char *from = cuda->ring->memory + (size_t)slot * SLOT_BYTES;
        if (status) break;
        memcpy(from, (const char *)data + done, some);
        status = copy(cuda, slot, (char *)to + done, from, some, cudaMemcpyHostToDevice, stream);
    }
    return status;
}

scry_status scry__cuda_download(struct scry__cuda *cuda, void *data, const void *from, size_t bytes,
                                cudaStream_t stream)
{
    int         slots[SLOTS];
    size_t      asked = 0, done = 0;
    scry_status status = SCRY_OK;
    while (done < bytes && !status) {
        for (; asked < bytes && asked - done < (size_t)SLOTS * SLOT_BYTES && !status; asked += SLOT_BYTES) {
            int *slot = &slots[asked / SLOT_BYTES % SLOTS];
            status    = take_slot(cuda, slot);
            if (!status)
                status = copy(cuda, *slot, cuda->ring->memory + (size_t)*slot * SLOT_BYTES, (const char *)from + asked,
                              slot_bytes(bytes - asked), cudaMemcpyDeviceToHost, stream);
        }
        int    slot = slots[done / SLOT_BYTES % SLOTS];
        size_t some = slot_bytes(bytes - done);
        if (!status)
            status = scry__cuda_check(cuda, cudaEventSynchronize(cuda->ring->copied[slot]), "cudaEventSynchronize");
        if (!status) memcpy((char *)data + done, cuda->ring->memory + (size_t)slot * SLOT_BYTES, some);
        done += some;
    }
    return status;
}
