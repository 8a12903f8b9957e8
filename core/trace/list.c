/* Lists of small numbers. See list.h. */
#include "trace/list.h"

#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool read_number(const char **text, int *number)
{
    char *end;
    if (**text < '0' || **text > '9') return false;
    errno      = 0;
    long value = strtol(*text, &end, 10);
    if (errno || value > 1000000000) return false;
    *text   = end;
    *number = (int)value;
    return true;
}

scry_status scry__list_parse(const char *text, const char *what, int count, bool *member)
{
    bool all = !text || !strcmp(text, "all");
    for (int i = 0; i < count; i++) member[i] = all;
    for (const char *at = text; !all;) {
        int first, last;
        if (!read_number(&at, &first)) goto malformed;
        last = first;
        if (*at == '-' && (at++, !read_number(&at, &last))) goto malformed;
        if (first > last) goto malformed;
        if (last >= count)
            return scry__fail(SCRY_BAD_ARGUMENT, "%s list \"%s\": there is no %s %d: they run from 0 to %d", what, text,
                              what, last, count - 1);
        for (int i = first; i <= last; i++) member[i] = true;
        if (!*at) break;
        if (*at++ != ',') goto malformed;
    }
    return SCRY_OK;
malformed:
    return scry__fail(SCRY_BAD_ARGUMENT, "%s list \"%s\": expected numbers and ranges such as 0-3,5", what, text);
}
