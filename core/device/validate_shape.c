/* Shapes against the letters of the operand table. See validate.h and operands.h. */
#include "device/validate.h"

#include <stdio.h>
#include <string.h>

/* "[2, K, Dv]": what the letters have come to so far; letters that are still free stand for themselves. */
static void expected_text(const char *letters, const scry__sizes *sizes, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "[");
    if (*letters == '.') {
        letters++;
        for (int axis = 0; axis < sizes->group_rank; axis++)
            used +=
                (size_t)snprintf(out + used, size - used, "%s%lld", axis ? ", " : "", (long long)sizes->group[axis]);
        if (sizes->group_rank < 0) used += (size_t)snprintf(out + used, size - used, "..");
    }
    for (; *letters; letters++) {
        int64_t     known   = SCRY__SIZE(sizes, *letters);
        const char *between = used > 1 ? ", " : "";
        if (known >= 0)
            used += (size_t)snprintf(out + used, size - used, "%s%lld", between, (long long)known);
        else if (*letters == 'E')
            used += (size_t)snprintf(out + used, size - used, "%sDv", between);
        else if (*letters == 'r')
            used += (size_t)snprintf(out + used, size - used, "%sR/2", between);
        else
            used += (size_t)snprintf(out + used, size - used, "%s%c", between, *letters);
    }
    snprintf(out + used, size - used, "]");
}

/* The axes that "." stands for: noted the first time, compared from then on. */
static bool match_group(const scry_tensor *tensor, int rank, scry__sizes *sizes)
{
    if (sizes->group_rank < 0) {
        sizes->group_rank = rank;
        memcpy(sizes->group, tensor->shape, (size_t)rank * sizeof *sizes->group);
    }
    return rank == sizes->group_rank && !memcmp(sizes->group, tensor->shape, (size_t)rank * sizeof *sizes->group);
}

scry_status scry__validate_shape(const scry_op *op, const scry__operand *operand, scry__sizes *sizes)
{
    const scry_tensor *tensor  = scry__operand_in(op, operand);
    bool               grouped = *operand->shape == '.';
    const char        *letters = operand->shape + grouped;
    int                rank = (int)strlen(letters), before = tensor->rank - rank;
    scry__sizes        known = *sizes;
    bool               match = grouped ? before >= 0 && match_group(tensor, before, sizes) : before == 0;
    for (int axis = 0; match && axis < rank; axis++) {
        int64_t *size = &SCRY__SIZE(sizes, letters[axis]);
        if (*size < 0) *size = tensor->shape[before + axis];
        match = *size == tensor->shape[before + axis];
    }
    if (match) return SCRY_OK;
    char expected[96];
    expected_text(operand->shape, &known, expected, sizeof expected);
    return scry__refuse(op, operand, "expected %s", expected);
}
