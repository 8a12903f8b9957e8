/* Bringing a tensor to the host. */
#ifndef SCRY_TRACE_READ_H
#define SCRY_TRACE_READ_H

#include "scry/tensor.h"

/* Reads a tensor of any strides into `out`, row-major and without gaps (scry_tensor_count elements of its dtype), after
 * all work enqueued before. */
scry_status scry__read_tensor(const scry_tensor *tensor, void *out);

/* Where a gapless tensor lies in the host's memory, after all work enqueued before; NULL where it does not. */
scry_status scry__tensor_on_host(void **out, const scry_tensor *tensor);

#endif
