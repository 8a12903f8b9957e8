/* Status texts, the thread's error detail, and the log. See scry/status.h and error.h. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef SCRY_VERSION
#error "the build defines SCRY_VERSION"
#endif

enum { DETAIL_SIZE = 1024 };

static _Thread_local char detail[DETAIL_SIZE];

static scry_log_sink log_sink;
static void         *log_user;

static const struct {
    const char *text;
    int         exit_code;
} statuses[] = {
#define STATUS_ROW(name, exit_code, text) {text, exit_code},
    SCRY_STATUS_LIST(STATUS_ROW)
#undef STATUS_ROW
};

const char *scry_status_text(scry_status status)
{
    return (unsigned)status < SCRY_STATUS_COUNT ? statuses[status].text : "unknown status";
}

int scry_status_exit_code(scry_status status)
{
    return (unsigned)status < SCRY_STATUS_COUNT ? statuses[status].exit_code : 1;
}

const char *scry_last_error(void)
{
    return detail;
}

const char *scry_version(void)
{
    return SCRY_VERSION;
}

void scry_set_log_sink(scry_log_sink sink, void *user)
{
    log_sink = sink;
    log_user = user;
}

scry_status scry__fail(scry_status status, const char *format, ...)
{
    /* Formatted aside first: an argument may be the present detail itself. */
    char    line[DETAIL_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    memcpy(detail, line, sizeof detail);
    return status;
}

scry_status scry__fail_memory(size_t count, size_t size)
{
    return scry__fail(SCRY_OUT_OF_MEMORY, "out of memory: %zu x %zu bytes", count, size);
}

scry_status scry__fail_prefix(scry_status status, const char *format, ...)
{
    char    line[DETAIL_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int used = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (used >= 0 && used < DETAIL_SIZE) snprintf(line + used, sizeof line - (size_t)used, ": %s", detail);
    memcpy(detail, line, sizeof detail);
    return status;
}

void scry__log(scry_log_level level, const char *format, ...)
{
    if (!log_sink) return;
    char    line[DETAIL_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    log_sink(log_user, level, line);
}
