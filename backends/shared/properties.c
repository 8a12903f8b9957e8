/* Lists of what was probed. See properties.h. */
#include "properties.h"

#include <stdarg.h>
#include <stdio.h>

void scry__property_add(struct scry__properties *list, const char *name, const char *format, ...)
{
    if (list->count >= list->capacity) return;
    scry_device_property *property = &list->out[list->count++];
    va_list               arguments;
    va_start(arguments, format);
    snprintf(property->name, sizeof property->name, "%s", name);
    vsnprintf(property->value, sizeof property->value, format, arguments);
    va_end(arguments);
}

const char *scry__yes(bool value)
{
    return value ? "yes" : "no";
}
