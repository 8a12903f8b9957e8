/* The emulated device's memory, pinned memory, and copies. Memory is of exactly the size that was asked for, so that
 * AddressSanitizer sees what lies beyond, and begins as NaN. */
#include "runtime.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 256 }; /* as cudaMalloc's */

struct block {
    char         *data;
    size_t        bytes;
    struct block *next;
};

static struct block *on_device, *pinned;

struct CUmemPoolHandle_st {
    char unused;
};

/* The block that holds these bytes. */
static struct block **find(struct block **list, const void *memory, size_t bytes)
{
    const char *first = memory;
    while (*list) {
        const struct block *block = *list;
        if (first >= block->data && first <= block->data + block->bytes &&
            bytes <= (size_t)(block->data + block->bytes - first))
            break;
        list = &(*list)->next;
    }
    return list;
}

static cudaError_t create(struct block **list, void **out, size_t bytes)
{
    struct block *block = calloc(1, sizeof *block);
    void         *data;
    if (!block || posix_memalign(&data, ALIGNMENT, bytes ? bytes : 1)) {
        free(block);
        return cudaErrorMemoryAllocation;
    }
    memset(data, 0xff, bytes);
    *block = (struct block){data, bytes, *list};
    *list  = block;
    *out   = data;
    scry__emulated_count(1);
    return cudaSuccess;
}

static cudaError_t destroy(struct block **list, void *data)
{
    struct block **at = list;
    if (!data) return cudaSuccess;
    while (*at && (*at)->data != data) at = &(*at)->next;
    struct block *block = *at;
    if (!block) return cudaErrorInvalidValue;
    *at = block->next;
    free(block->data);
    free(block);
    scry__emulated_count(-1);
    return cudaSuccess;
}

void scry__memory_release(void *memory)
{
    destroy(&on_device, memory);
}

cudaError_t cudaMalloc(void **out, size_t bytes)
{
    ENTER();
    return scry__emulated_leave(create(&on_device, out, bytes));
}

cudaError_t cudaFree(void *memory)
{
    ENTER();
    scry__streams_drain();
    return scry__emulated_leave(destroy(&on_device, memory));
}

cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned flags)
{
    ENTER();
    (void)flags;
    return scry__emulated_leave(create(&pinned, out, bytes));
}

cudaError_t cudaFreeHost(void *memory)
{
    ENTER();
    scry__streams_drain();
    return scry__emulated_leave(destroy(&pinned, memory));
}

/* --- pools: all memory is of one --- */

cudaError_t cudaMemPoolCreate(cudaMemPool_t *out, const struct cudaMemPoolProps *properties)
{
    ENTER();
    (void)properties;
    *out = calloc(1, sizeof **out);
    if (!*out) return scry__emulated_leave(cudaErrorMemoryAllocation);
    scry__emulated_count(1);
    return scry__emulated_leave(cudaSuccess);
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool)
{
    ENTER();
    free(pool);
    scry__emulated_count(-1);
    return scry__emulated_leave(cudaSuccess);
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, enum cudaMemPoolAttr attribute, void *value)
{
    ENTER();
    (void)pool, (void)attribute, (void)value;
    return scry__emulated_leave(cudaSuccess);
}

cudaError_t cudaMallocFromPoolAsync(void **out, size_t bytes, cudaMemPool_t pool, cudaStream_t stream)
{
    ENTER();
    (void)pool, (void)stream;
    return scry__emulated_leave(create(&on_device, out, bytes));
}

cudaError_t cudaFreeAsync(void *memory, cudaStream_t stream)
{
    ENTER();
    return scry__emulated_leave(scry__stream_push(stream, &(struct scry__work){.kind = WORK_FREE, .to = memory}));
}

/* --- copies --- */

static bool is_on_device(const void *memory, size_t bytes)
{
    return *find(&on_device, memory, bytes) != NULL;
}

/* What the host gives unpinned is taken at once, and what it is to get unpinned is there when the call returns. */
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    ENTER();
    bool              takes = kind == cudaMemcpyHostToDevice, gives = kind == cudaMemcpyDeviceToHost;
    struct scry__work work = {.kind = WORK_COPY, .to = to, .from = from, .bytes = bytes};
    if (!takes && !gives && kind != cudaMemcpyDeviceToDevice)
        return scry__emulated_leave(cudaErrorInvalidMemcpyDirection);
    if ((!takes && !is_on_device(from, bytes)) || (!gives && !is_on_device(to, bytes)))
        return scry__emulated_leave(cudaErrorInvalidValue);
    if (takes && !*find(&pinned, from, bytes)) {
        work.from = work.owned = malloc(bytes ? bytes : 1);
        if (!work.owned) return scry__emulated_leave(cudaErrorMemoryAllocation);
        memcpy(work.owned, from, bytes);
    }
    code = scry__stream_push(stream, &work);
    if (code) free(work.owned);
    if (!code && gives && !*find(&pinned, to, bytes)) scry__stream_drain(stream);
    return scry__emulated_leave(code);
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream)
{
    ENTER();
    if (!is_on_device(memory, bytes)) return scry__emulated_leave(cudaErrorInvalidValue);
    return scry__emulated_leave(scry__stream_push(
        stream, &(struct scry__work){.kind = WORK_SET, .to = memory, .bytes = bytes, .value = value}));
}
