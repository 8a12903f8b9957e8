/* Pinned memory through which uploads and readbacks pass, in slots: the host fills or empties one while the device
 * copies others. */
#ifndef SCRY_CUDA_RING_H
#define SCRY_CUDA_RING_H

#include "cuda.h"

scry_status scry__cuda_ring_create(struct scry__cuda *cuda);
/* After all copies. */
void scry__cuda_ring_destroy(struct scry__cuda *cuda);

/* Enqueues the copy of `bytes` of the host's `data` to the device's memory `to` on `stream`; `data` has been taken on
 * return. */
scry_status scry__cuda_upload(struct scry__cuda *cuda, void *to, const void *data, size_t bytes, cudaStream_t stream);

/* Copies from the device's memory, behind everything that `stream` was given, and waits for it. */
scry_status scry__cuda_download(struct scry__cuda *cuda, void *data, const void *from, size_t bytes,
                                cudaStream_t stream);

#endif
