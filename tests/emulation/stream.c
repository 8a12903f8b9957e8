/* Streams, events, and what is enqueued. See runtime.h. */
#include "runtime.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_WAITING = 4096 }; /* then a stream begins with its work */

struct CUstream_st {
    struct scry__emulated_calls calls;
    struct scry__work          *first, **last;
    long                        asked, done;
    cudaStream_t                next; /* of all streams */
};

struct CUevent_st {
    cudaStream_t stream; /* where it was recorded last; NULL: never, or that stream is gone and all of it done */
    long         position;
    cudaEvent_t  next; /* of all events */
};

static cudaStream_t streams;
static cudaEvent_t  events;

static void drain_to(cudaStream_t stream, long position);

static void launch(const struct scry__work *work)
{
    char reason[300];
    if (scry__emulated_is_lost()) return;
    if (!scry__workers_run(&work->launch, reason, sizeof reason)) scry__emulated_lose(cudaErrorLaunchFailure, reason);
}

static void run(const struct scry__work *work)
{
    switch (work->kind) {
    case WORK_LAUNCH:
        launch(work);
        break;
    case WORK_COPY:
        memmove(work->to, work->from, work->bytes);
        break;
    case WORK_SET:
        memset(work->to, work->value, work->bytes);
        break;
    case WORK_FREE:
        scry__memory_release(work->to);
        break;
    case WORK_WAIT:
        drain_to(work->other, work->position);
        break;
    case WORK_CALL:
        work->call(work->to);
        break;
    }
}

static void drain_to(cudaStream_t stream, long position)
{
    while (stream->done < position && stream->first) {
        struct scry__work *work = stream->first;
        stream->first           = work->next;
        if (!stream->first) stream->last = &stream->first;
        run(work);
        stream->done++;
        free(work->owned);
        free(work);
    }
}

cudaError_t scry__stream_push(cudaStream_t stream, const struct scry__work *work)
{
    struct scry__work *kept = malloc(sizeof *kept);
    if (!kept) return cudaErrorMemoryAllocation;
    *kept         = *work;
    kept->next    = NULL;
    *stream->last = kept;
    stream->last  = &kept->next;
    stream->asked++;
    if (stream->asked - stream->done > MOST_WAITING) drain_to(stream, stream->asked);
    return cudaSuccess;
}

void scry__stream_drain(cudaStream_t stream)
{
    drain_to(stream, stream->asked);
}

void scry__streams_drain(void)
{
    for (cudaStream_t stream = streams; stream; stream = stream->next) scry__stream_drain(stream);
}

/* What an error found on the way means for the call that waited. */
static cudaError_t outcome(void)
{
    return scry__emulated_is_lost() ? cudaErrorLaunchFailure : cudaSuccess;
}

static int enqueue_call(void *stream, void (*call)(void *context), void *context)
{
    scry__emulated_lock();
    return scry__emulated_leave(
        scry__stream_push(stream, &(struct scry__work){.kind = WORK_CALL, .call = call, .to = context}));
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags)
{
    ENTER();
    (void)flags;
    cudaStream_t stream = calloc(1, sizeof *stream);
    if (!stream) return scry__emulated_leave(cudaErrorMemoryAllocation);
    stream->calls = (struct scry__emulated_calls){enqueue_call};
    stream->last  = &stream->first;
    stream->next  = streams;
    streams = *out = stream;
    scry__workers_hold();
    scry__emulated_count(1);
    return scry__emulated_leave(cudaSuccess);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    ENTER();
    scry__stream_drain(stream);
    cudaStream_t *at = &streams;
    while (*at != stream) at = &(*at)->next;
    *at = stream->next;
    for (cudaEvent_t event = events; event; event = event->next)
        if (event->stream == stream) event->stream = NULL;
    free(stream);
    scry__workers_release();
    scry__emulated_count(-1);
    return scry__emulated_leave(cudaSuccess);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    ENTER();
    scry__stream_drain(stream);
    return scry__emulated_leave(outcome());
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    ENTER();
    scry__stream_drain(stream);
    return scry__emulated_leave(outcome());
}

cudaError_t cudaDeviceSynchronize(void)
{
    ENTER();
    scry__streams_drain();
    return scry__emulated_leave(outcome());
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    ENTER();
    (void)flags;
    if (!event->stream || event->stream == stream || event->stream->done >= event->position)
        return scry__emulated_leave(cudaSuccess);
    return scry__emulated_leave(scry__stream_push(
        stream, &(struct scry__work){.kind = WORK_WAIT, .other = event->stream, .position = event->position}));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags)
{
    ENTER();
    (void)flags;
    cudaEvent_t event = calloc(1, sizeof *event);
    if (!event) return scry__emulated_leave(cudaErrorMemoryAllocation);
    event->next = events;
    events = *out = event;
    scry__emulated_count(1);
    return scry__emulated_leave(cudaSuccess);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    ENTER();
    cudaEvent_t *at = &events;
    while (*at != event) at = &(*at)->next;
    *at = event->next;
    free(event);
    scry__emulated_count(-1);
    return scry__emulated_leave(cudaSuccess);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    ENTER();
    event->stream   = stream;
    event->position = stream->asked;
    return scry__emulated_leave(cudaSuccess);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    ENTER();
    if (event->stream) drain_to(event->stream, event->position);
    return scry__emulated_leave(outcome());
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    ENTER();
    if (event->stream) drain_to(event->stream, event->position);
    return scry__emulated_leave(outcome());
}
