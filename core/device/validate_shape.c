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

/* Whether `rank` axes are those that "." stands for, as far as that is known. */
static bool group_matches(const scry_tensor *tensor, int rank, const scry__sizes *sizes)
{
    if (sizes->group_rank < 0) return rank >= 0;
    return rank == sizes->group_rank && !memcmp(sizes->group, tensor->shape, (size_t)rank * sizeof *sizes->group);
}

scry_status scry__validate_shape(const scry_op *op, const scry__operand *operand, scry__sizes *sizes)
{
    const scry_tensor *tensor  = scry__operand_in(op, operand);
    bool               grouped = *operand->shape == '.';
    const char        *letters = operand->shape + grouped;
    int                rank = (int)strlen(letters), before = tensor->rank - rank;
    bool               match = grouped ? group_matches(tensor, before, sizes) : before == 0;
    for (int axis = 0; match && axis < rank; axis++) {
        int64_t known = SCRY__SIZE(sizes, letters[axis]);
        match         = known < 0 || known == tensor->shape[before + axis];
    }
    if (!match) {
        char expected[96];
        expected_text(operand->shape, sizes, expected, sizeof expected);
        return scry__refuse(op, operand, "expected %s", expected);
    }
    for (int axis = 0; axis < rank; axis++) SCRY__SIZE(sizes, letters[axis]) = tensor->shape[before + axis];
    if (grouped) {
        sizes->group_rank = before;
        memcpy(sizes->group, tensor->shape, (size_t)before * sizeof *sizes->group);
    }
    return SCRY_OK;
}
