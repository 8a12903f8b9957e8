/* Running the program as a user does, for end-to-end tests. */
#ifndef SCRY_TESTS_E2E_PROGRAM_H
#define SCRY_TESTS_E2E_PROGRAM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What a run left: exit code (128 + signal where it was killed), and what it printed, NUL-terminated. */
struct outcome {
    int    exit_code;
    char  *out, *err;
    size_t out_size;
};

/* The program under test: another build of it where $SCRY_TEST_PROGRAM says so. */
const char *program_path(void);

/* Runs scry with the arguments (NULL-terminated list), in the source folder, without SCRY_DEVICE and with the plugins
 * of $SCRY_TEST_PLUGINS, if any. Fails the test where it cannot be started or takes over two minutes. */
struct outcome run_scry(const char *const *arguments);
/* The same for another program. */
struct outcome run_program(const char *path, const char *const *arguments);
/* run_scry, killed (SIGKILL) after so many seconds. */
struct outcome run_scry_for(double seconds, const char *const *arguments);
/* Runs scry until it is done, which has to be with 0, killed again and again: each time at some moment of the first
 * `*seconds`, which grow, so that it gets on at last. Returns the kills; *last (optional) is the last run's. */
int run_scry_killed(struct outcome *last, double *seconds, const char *const *arguments);
/* Of a clock that only goes forward. */
double seconds_now(void);
#define SCRY(...) run_scry((const char *const[]){__VA_ARGS__, NULL})

void outcome_free(struct outcome *outcome);

/* stdout as one JSON object; fails the test where it is none, or where the exit code is not 0. */
json_t *outcome_json(const struct outcome *outcome);

/* A fresh folder for a test's files, removed with everything in it. */
void make_folder(void);
void remove_folder(void);
/* "folder/name", valid until the next eight calls. */
const char *in_folder(const char *name);

/* The file's bytes with a NUL behind; fails the test where it cannot be read. */
char *read_file(const char *path, size_t *size);
bool  same_file(const char *path, const char *other);

#endif
