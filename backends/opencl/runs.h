/* Kernels that walk a shape in runs of a few elements of a row, and those that work row by row: which of an op's two
 * kernels runs, and the launch. */
#ifndef SCRY_OPENCL_RUNS_H
#define SCRY_OPENCL_RUNS_H

#include "opencl.h"

/* Whether the op's "block" kernel runs: asked for by name, or the one for this device. */
bool scry__cl_is_block(const struct scry__cl *cl, scry_op_kind kind);

/* query's answer for an op with these kernels. */
void scry__cl_runs_query(const struct scry__cl *cl, scry_op_kind kind, scry_op_info *info);

/* Elements that an item takes at a time. */
int scry__cl_lanes(const struct scry__cl *cl, scry_op_kind kind);

/* Kernel `name` of kernels_cl/FILE.cl, built with these lanes. */
struct scry__cl_call scry__cl_lanes_call(struct scry__cl *cl, scry_op_kind kind, const char *file, const char *name);

/* How many of `count` pieces of work, of `size` elements each, an item takes, where items take consecutive ones: enough
 * to be worth an item, few enough to keep every compute unit busy. */
int64_t scry__cl_share(const struct scry__cl *cl, scry_op_kind kind, int64_t count, int64_t size);

/* Passes the shape as the kernel's last parameter (`runs` of common.cl) and launches it over all of its elements. */
scry_status scry__cl_runs_launch(struct scry__cl_call *call, scry_op_kind kind, const int64_t shape[SCRY_MAX_RANK]);

#endif
