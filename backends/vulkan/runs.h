/* Kernels that walk a shape in runs of four elements of a row (shaders/runs.glsl), and those that number their items or
 * work row by row: which of an op's two kernels runs, and the launch. */
#ifndef SCRY_VK_RUNS_H
#define SCRY_VK_RUNS_H

#include "vk.h"

/* Whether the op's "block" kernel runs: asked for by name, or the one for this device. */
bool scry__vk_is_block(const struct scry__vk *vk, scry_op_kind kind);

/* query's answer for an op with these kernels. */
void scry__vk_runs_query(const struct scry__vk *vk, scry_op_kind kind, scry_op_info *info);

/* Kernel shaders/NAME.comp, which includes runs.glsl; its own constants are 3, 4, ... */
struct scry__vk_call scry__vk_runs_call(struct scry__vk *vk, scry_op_kind kind, const char *name);

/* Passes the shape as the kernel's last parameter and launches it over all of its elements, each of which takes that
 * many operations. in_fours: the kernel may take elements in fours as far as the tensors' places allow it. */
scry_status scry__vk_runs_launch(struct scry__vk_call *call, scry_op_kind kind, const int64_t shape[SCRY_MAX_RANK],
                                 bool in_fours, double operations);

enum { SCRY__VK_RUN = 4 }; /* elements of a run */

/* Kernel shaders/NAME.comp, which numbers its items; it may include fours.glsl, and its own constants are 2, 3, ... */
struct scry__vk_call scry__vk_items_call(struct scry__vk *vk, scry_op_kind kind, const char *name);

/* The tensors passed so far may be taken in fours where their rows, of `size` elements, allow it. */
void scry__vk_in_fours(struct scry__vk_call *call, int64_t size);

/* Passes the number of items as the kernel's last parameter and launches that many, each of which takes that many
 * operations. */
scry_status scry__vk_items_launch(struct scry__vk_call *call, int64_t items, double operations);

#endif
