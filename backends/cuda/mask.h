/* What softmax_capture and attention share on the host: masks and row statistics as their kernels take them. */
#ifndef SCRY_CUDA_HOST_MASK_H
#define SCRY_CUDA_HOST_MASK_H

#include "cuda.h"
#include "kernels_cuda/mask.h"

struct cuda_mask scry__cuda_mask(struct scry__cuda *cuda, const scry_mask *mask);
struct cuda_rows scry__cuda_rows(struct scry__cuda *cuda, const scry_row_statistics *rows);

#endif
