/* Validation: the order of the checks, and how a refusal reads. See validate.h. */
#include "device/validate.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static size_t shape_text(const scry_tensor *tensor, char *out, size_t size)
{
    size_t used = 0;
    int    rank = tensor->rank >= 0 && tensor->rank <= SCRY_MAX_RANK ? tensor->rank : 0;
    for (int axis = 0; axis < rank; axis++)
        used += (size_t)snprintf(out + used, size - used, "%s%lld", axis ? ", " : "", (long long)tensor->shape[axis]);
    return used;
}

scry_status scry__refuse(const scry_op *op, const scry__operand *operand, const char *format, ...)
{
    char    detail[256], shape[96] = ""; /* four signed 64-bit numbers and commas fit */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    const scry_tensor *tensor = scry__operand_in(op, operand);
    if (!tensor->buffer)
        return scry__fail(SCRY_BAD_ARGUMENT, "%s: %s: %s", scry_op_text(op->kind), operand->name, detail);
    shape_text(tensor, shape, sizeof shape);
    return scry__fail(SCRY_BAD_ARGUMENT, "%s: %s [%s]: %s", scry_op_text(op->kind), operand->name, shape, detail);
}

/* Sizes that no operand's shape tells. */
static scry__sizes sizes_begin(void)
{
    scry__sizes sizes;
    memset(&sizes, 0xff, sizeof sizes);
    return sizes;
}

scry_status scry__validate(const scry_device *device, const scry_op *op)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands);
    scry__sizes          sizes = sizes_begin();
    if (!count) return scry__fail(SCRY_BAD_ARGUMENT, "op: kind %d: expected 0 to %d", (int)op->kind, SCRY_OP_COUNT - 1);
    if ((unsigned)op->precision > SCRY_ALLOW_BF16)
        return scry__fail(SCRY_BAD_ARGUMENT, "%s: precision %d: expected 0 to %d", scry_op_text(op->kind),
                          (int)op->precision, SCRY_ALLOW_BF16);
    for (int i = 0; i < count; i++) {
        const scry_tensor *tensor = scry__operand_in(op, &operands[i]);
        if (!tensor->buffer) {
            if (operands[i].flags & SCRY__OPTIONAL) continue;
            return scry__refuse(op, &operands[i], "absent: expected a tensor");
        }
        scry_status status = scry__validate_view(device, op, &operands[i]);
        if (!status) status = scry__validate_shape(op, &operands[i], &sizes);
        if (!status) status = scry__validate_output(op, &operands[i]);
        if (status) return status;
    }
    scry_status status = scry__validate_rules(op, &sizes);
    return status ? status : scry__validate_alias(op);
}

bool scry__op_is_empty(const scry_op *op)
{
    const scry__operand *operands;
    int                  count = scry__operands(op->kind, &operands);
    for (int i = 0; i < count; i++)
        if (operands[i].flags & SCRY__WRITE && scry_tensor_count(scry__operand_in(op, &operands[i])) > 0) return false;
    return true;
}
