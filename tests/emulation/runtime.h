/* What the functions of the emulated runtime share. Each begins with ENTER and ends with scry__emulated_leave, between
 * which it alone runs. */
#ifndef SCRY_EMULATION_RUNTIME_H
#define SCRY_EMULATION_RUNTIME_H

#include "cuda_runtime_api.h"
#include "emulation.h"

/* X(name, releases): functions that are counted and may be told to fail; what releases works on a lost device too. */
#define SCRY__EMULATED_CALL_LIST(X)                                                                                    \
    X(cudaDriverGetVersion, false)                                                                                     \
    X(cudaRuntimeGetVersion, false)                                                                                    \
    X(cudaGetDeviceCount, false)                                                                                       \
    X(cudaGetDeviceProperties, false)                                                                                  \
    X(cudaDeviceGetAttribute, false)                                                                                   \
    X(cudaSetDevice, false)                                                                                            \
    X(cudaDeviceSynchronize, false)                                                                                    \
    X(cudaMemGetInfo, false)                                                                                           \
    X(cudaStreamCreateWithFlags, false)                                                                                \
    X(cudaStreamDestroy, true)                                                                                         \
    X(cudaStreamSynchronize, false)                                                                                    \
    X(cudaStreamQuery, false)                                                                                          \
    X(cudaStreamWaitEvent, false)                                                                                      \
    X(cudaEventCreateWithFlags, false)                                                                                 \
    X(cudaEventDestroy, true)                                                                                          \
    X(cudaEventRecord, false)                                                                                          \
    X(cudaEventSynchronize, false)                                                                                     \
    X(cudaEventQuery, false)                                                                                           \
    X(cudaMalloc, false)                                                                                               \
    X(cudaFree, true)                                                                                                  \
    X(cudaMemPoolCreate, false)                                                                                        \
    X(cudaMemPoolDestroy, true)                                                                                        \
    X(cudaMemPoolSetAttribute, false)                                                                                  \
    X(cudaMallocFromPoolAsync, false)                                                                                  \
    X(cudaFreeAsync, true)                                                                                             \
    X(cudaHostAlloc, false)                                                                                            \
    X(cudaFreeHost, true)                                                                                              \
    X(cudaMemcpyAsync, false)                                                                                          \
    X(cudaMemsetAsync, false)                                                                                          \
    X(cudaFuncSetAttribute, false)                                                                                     \
    X(cudaLaunchKernel, false)

/* Takes the runtime's lock and counts the call. An error where the call is to fail or the device is lost: then the
 * function leaves. */
cudaError_t scry__emulated_enter(const char *function);
cudaError_t scry__emulated_leave(cudaError_t code);
/* The lock alone, for what is no function of the runtime; given back by scry__emulated_leave too. */
void scry__emulated_lock(void);

#define ENTER()                                                                                                        \
    cudaError_t code = scry__emulated_enter(__func__);                                                                 \
    if (code) return scry__emulated_leave(code)

/* The device is lost from here on; `reason` becomes part of the error's text. */
void scry__emulated_lose(cudaError_t code, const char *reason);
bool scry__emulated_is_lost(void);

/* Objects that were made, and those that were released: +1, -1. */
void scry__emulated_count(int change);

/* --- Streams (stream.c). Nothing runs before somebody waits for it, so that whoever forgets to wait sees it --- */

struct scry__work {
    enum { WORK_LAUNCH, WORK_COPY, WORK_SET, WORK_FREE, WORK_WAIT, WORK_CALL } kind;
    struct scry__emulated_launch launch; /* WORK_LAUNCH; parameters are owned */
    void                        *to;     /* of COPY, SET, FREE */
    const void                  *from;   /* of COPY */
    void                        *owned;  /* given back when it is done */
    size_t                       bytes;
    int                          value; /* of SET */
    cudaStream_t                 other; /* of WAIT: until so much of it is done */
    long                         position;
    void (*call)(void *); /* of CALL, with `to` */
    struct scry__work *next;
};

/* Enqueues a copy of it. */
cudaError_t scry__stream_push(cudaStream_t stream, const struct scry__work *work);
/* Runs all that was enqueued so far, or all of all streams. */
void scry__stream_drain(cudaStream_t stream);
void scry__streams_drain(void);

/* --- Memory (memory.c) --- */

/* Gives back what cudaFreeAsync was given. */
void scry__memory_release(void *memory);

#endif
