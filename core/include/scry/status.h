/* Status codes, the thread-local detail of the last error, the log, and what belongs to no other header.
 *
 * Every fallible function returns a scry_status; zero is success. The detail (file, offset, tensor, what was
 * expected) is text that belongs to the calling thread and lives until that thread's next failing call. */
#ifndef SCRY_STATUS_H
#define SCRY_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SCRY_API __attribute__((visibility("default")))
#else
#define SCRY_API
#endif

/* X(name, exit code of the program, text) */
#define SCRY_STATUS_LIST(X)                                                                                            \
    X(OK, 0, "done")                                                                                                   \
    X(CHECK_FAILED, 1, "a check failed")                                                                               \
    X(BAD_ARGUMENT, 2, "bad argument")                                                                                 \
    X(BAD_INPUT, 3, "bad input file")                                                                                  \
    X(NO_DEVICE, 4, "no usable device")                                                                                \
    X(UNSUPPORTED, 4, "not supported by this device")                                                                  \
    X(OUT_OF_MEMORY, 5, "out of memory")                                                                               \
    X(IO, 6, "input/output error")                                                                                     \
    X(DEVICE_LOST, 7, "device lost")                                                                                   \
    X(STOPPED, 1, "stopped by the caller")

typedef enum scry_status {
#define SCRY_STATUS_ENUM(name, exit_code, text) SCRY_##name,
    SCRY_STATUS_LIST(SCRY_STATUS_ENUM)
#undef SCRY_STATUS_ENUM
        SCRY_STATUS_COUNT
} scry_status;

/* "out of memory" and the like; static text. */
SCRY_API const char *scry_status_text(scry_status status);

/* The program's exit code for a status. */
SCRY_API int scry_status_exit_code(scry_status status);

/* Detail of this thread's last failure; "" if there was none. Owned by the library. */
SCRY_API const char *scry_last_error(void);

/* Severity of a log line. */
typedef enum scry_log_level { SCRY_LOG_WARNING, SCRY_LOG_INFO, SCRY_LOG_DEBUG } scry_log_level;

/* Receives log lines (no newline at the end). The library itself never prints; without a sink, lines are dropped.
 * Set it before other threads use the library. */
typedef void (*scry_log_sink)(void *user, scry_log_level level, const char *line);
SCRY_API void scry_set_log_sink(scry_log_sink sink, void *user);

/* Releases memory that the library handed over, where its function says so; NULL is fine. */
SCRY_API void scry_free(void *memory);

/* Version of the library, "major.minor.patch". */
SCRY_API const char *scry_version(void);

#ifdef __cplusplus
}
#endif
#endif
