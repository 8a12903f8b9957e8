/* Command lines and input files of the programs that time runs of a model (forward.c, sweep.c). */
#ifndef SCRY_BENCH_OPTIONS_H
#define SCRY_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum { BENCH_MAX_REPEAT = 1000 };

/* What is not given stays as the caller set it. */
struct bench_options {
    const char *mode, *model_path, *device_name;
    const char *data_path; /* --ids or --input */
    const char *dump_path;
    int         count, repeat, threads;
};

/* False where an option is unknown or a number out of range, and unless there is one of the modes (up to a NULL) and
 * data. */
bool bench_parse(struct bench_options *options, const char *const *modes, int argc, char **argv);

/* The file's first bytes, to be freed; NULL, and a line on stderr, where it does not have as many. */
void *bench_read(const char *path, size_t bytes);

#endif
