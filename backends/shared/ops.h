/* The functions that a plugin has for each op, and the way to them.
 *
 * A plugin's own header, in which its open device's struct is scry__vk and its host scry__vk_host, defines SCRY__PLUGIN
 * as scry__vk, may list what it has of SCRY_TRAINING_OP_LIST in SCRY__TRAINED(X), and includes this. For each of these
 * ops and of SCRY_FORWARD_OP_LIST, by its member of scry_op, the plugin then has
 *
 *     void        scry__vk_matmul_query(const struct scry__vk *, const scry_matmul *op, scry_precision allowed,
 *                                       scry_op_info *info);
 *     scry_status scry__vk_matmul(struct scry__vk *, const scry_matmul *op, scry_precision allowed);
 *
 * The first says what query says besides "supported in strict f32": scratch bytes, the kernel's name, a precision below
 * strict, a reason against. The second is the op itself, which enqueues. `allowed` is the lowest precision that the
 * caller allows. Of other ops the plugin says that it has no kernel. */
#ifndef SCRY_SHARED_OPS_H
#define SCRY_SHARED_OPS_H

#include "refuse.h"
#include "scry/backend.h"

#define SCRY__JOIN(a, b)    a##b
#define SCRY__JOINED(a, b)  SCRY__JOIN(a, b)
#define SCRY__OWN(name)     SCRY__JOINED(SCRY__PLUGIN, _##name)
#define SCRY__OP_TYPE(name) __typeof__(((scry_op *)NULL)->name)

#ifndef SCRY__TRAINED
#define SCRY__TRAINED(X)
#endif
#define SCRY__OWN_OP_LIST(X)                                                                                           \
    SCRY_FORWARD_OP_LIST(X)                                                                                            \
    SCRY__TRAINED(X)

#define SCRY__OP_FUNCTIONS(KIND, text, name)                                                                           \
    void SCRY__OWN(name##_query)(const struct SCRY__PLUGIN *, const SCRY__OP_TYPE(name) *, scry_precision allowed,     \
                                 scry_op_info *);                                                                      \
    scry_status SCRY__OWN(name)(struct SCRY__PLUGIN *, const SCRY__OP_TYPE(name) *, scry_precision allowed);
SCRY__OWN_OP_LIST(SCRY__OP_FUNCTIONS)
#undef SCRY__OP_FUNCTIONS

/* Fills `info` for the op by its own function. */
static inline void scry__op_query(const scry_device *device, const scry_op *op, scry_op_info *info)
{
    const struct SCRY__PLUGIN *own = device->impl;
    info->support                  = SCRY_SUPPORTED;
    info->precision                = SCRY_STRICT_F32;
    switch (op->kind) {
#define QUERY_CASE(KIND, text, name)                                                                                   \
    case SCRY_OP_##KIND:                                                                                               \
        SCRY__OWN(name##_query)(own, &op->name, op->precision, info);                                                  \
        break;
        SCRY__OWN_OP_LIST(QUERY_CASE)
#undef QUERY_CASE
    default:
        scry__op_refuse(info, "the backend has no kernel for it");
    }
}

/* Runs the op by its own function. */
static inline scry_status scry__op_run(scry_device *device, const scry_op *op)
{
    struct SCRY__PLUGIN *own = device->impl;
    switch (op->kind) {
#define RUN_CASE(KIND, text, name)                                                                                     \
    case SCRY_OP_##KIND:                                                                                               \
        return SCRY__OWN(name)(own, &op->name, op->precision);
        SCRY__OWN_OP_LIST(RUN_CASE)
#undef RUN_CASE
    default:
        return SCRY__OWN(host)->fail(SCRY_UNSUPPORTED, "%s: unknown op %d", device->backend->name, (int)op->kind);
    }
}

#endif
