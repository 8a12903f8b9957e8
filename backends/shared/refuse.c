/* What plugins say no with. See refuse.h. */
#include "refuse.h"

#include <stdarg.h>
#include <stdio.h>

void scry__op_refuse(scry_op_info *info, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    info->support = SCRY_NOT_SUPPORTED;
    vsnprintf(info->reason, sizeof info->reason, format, arguments);
    va_end(arguments);
}

void scry__limit_scratch(scry_op_info *info, size_t most_allocated)
{
    if (info->support != SCRY_NOT_SUPPORTED && info->scratch_bytes > most_allocated)
        scry__op_refuse(info, "it takes %zu bytes of scratch, where the device allocates %zu at once",
                        info->scratch_bytes, most_allocated);
}
