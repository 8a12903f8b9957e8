/* norm and its gradient: what their kernels take besides tensors. */
#ifndef SCRY_OPENCL_NORM_H
#define SCRY_OPENCL_NORM_H

#include "opencl.h"

/* `norm_of` of kernels_cl/norm.cl. */
struct scry__cl_norm_of {
    cl_long  shape[SCRY_MAX_RANK];
    cl_long  each; /* left to the caller */
    cl_int   kind;
    cl_float epsilon, weight_offset, per_entry;
};

/* Of rows of x, with axes of size 1 in front of its own. */
struct scry__cl_norm_of scry__cl_norm_of(const scry_norm_parameters *parameters, const scry_tensor *x);

#endif
