/* Running the program. See program.h. */
#include "program.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_ARGUMENTS = 32, TIME_LIMIT_SECONDS = 120 };

struct stream {
    char  *data;
    size_t size;
};

/* Appends what is there to read; false at the end. */
static bool drain(int descriptor, struct stream *stream)
{
    char    bytes[65536];
    ssize_t got = read(descriptor, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) return true;
    if (got <= 0) return false;
    stream->data = realloc(stream->data, stream->size + (size_t)got + 1);
    cr_assert_not_null(stream->data);
    memcpy(stream->data + stream->size, bytes, (size_t)got);
    stream->size += (size_t)got;
    stream->data[stream->size] = 0;
    return true;
}

const char *program_path(void)
{
    const char *other = getenv("SCRY_TEST_PROGRAM");
    return other ? other : SCRY_PROGRAM;
}

static void start(const char *path, const char *const *arguments, int out, int err)
{
    char *argv[MOST_ARGUMENTS + 2] = {(char *)path};
    for (int i = 0; arguments[i] && i < MOST_ARGUMENTS; i++) argv[i + 1] = (char *)arguments[i];
    unsetenv("SCRY_DEVICE");
    setenv("SCRY_TUNED", "0", 0); /* whatever the machine was tuned to */
    unsetenv("SCRY_PLUGIN_PATH");
    if (getenv("SCRY_TEST_PLUGINS")) setenv("SCRY_PLUGIN_PATH", getenv("SCRY_TEST_PLUGINS"), 1);
    int null = open("/dev/null", O_RDONLY);
    if (chdir(SCRY_SOURCE_DIR) || null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(126);
    execv(argv[0], argv);
    _exit(127);
}

struct outcome run_scry(const char *const *arguments)
{
    return run_program(program_path(), arguments);
}

double seconds_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Runs it until it ends, or is killed after `seconds`. */
static struct outcome run_for(double seconds, const char *path, const char *const *arguments)
{
    int           pipes[2][2], status = 0;
    struct stream streams[2] = {{calloc(1, 1), 0}, {calloc(1, 1), 0}};
    double        limit      = seconds_now() + seconds;
    cr_assert(!pipe2(pipes[0], O_CLOEXEC) && !pipe2(pipes[1], O_CLOEXEC));
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (!child) start(path, arguments, pipes[0][1], pipes[1][1]);
    close(pipes[0][1]);
    close(pipes[1][1]);
    struct pollfd watched[2] = {{pipes[0][0], POLLIN, 0}, {pipes[1][0], POLLIN, 0}};
    while (watched[0].fd >= 0 || watched[1].fd >= 0) {
        double left = limit - seconds_now();
        poll(watched, 2, left > 1 ? 1000 : left > 0 ? (int)(left * 1000) + 1 : 10);
        for (int i = 0; i < 2; i++)
            if (watched[i].fd >= 0 && watched[i].revents && !drain(watched[i].fd, &streams[i])) watched[i].fd = -1;
        if (seconds_now() > limit) kill(child, SIGKILL);
    }
    close(pipes[0][0]);
    close(pipes[1][0]);
    waitpid(child, &status, 0);
    return (struct outcome){.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
                            .out       = streams[0].data,
                            .err       = streams[1].data,
                            .out_size  = streams[0].size};
}

struct outcome run_program(const char *path, const char *const *arguments)
{
    double         limit   = seconds_now() + TIME_LIMIT_SECONDS;
    struct outcome outcome = run_for(TIME_LIMIT_SECONDS, path, arguments);
    cr_assert_leq(seconds_now(), limit, "%s %s took over %d s", path, arguments[0] ? arguments[0] : "",
                  TIME_LIMIT_SECONDS);
    return outcome;
}

struct outcome run_scry_for(double seconds, const char *const *arguments)
{
    return run_for(seconds, program_path(), arguments);
}

int run_scry_killed(struct outcome *last, double *seconds, const char *const *arguments)
{
    enum { KILLED = 128 + SIGKILL };
    for (int kills = 0;; kills++) {
        struct outcome outcome = run_scry_for(*seconds * rand() / RAND_MAX, arguments);
        if (outcome.exit_code != KILLED) {
            cr_assert_eq(outcome.exit_code, 0, "%s after %d kills: %s", arguments[0], kills, outcome.err);
            if (last)
                *last = outcome;
            else
                outcome_free(&outcome);
            return kills;
        }
        outcome_free(&outcome);
        *seconds *= 1.05;
    }
}

void outcome_free(struct outcome *outcome)
{
    free(outcome->out);
    free(outcome->err);
    *outcome = (struct outcome){0};
}

json_t *outcome_json(const struct outcome *outcome)
{
    json_error_t error;
    cr_assert_eq(outcome->exit_code, 0, "exit code %d: %s", outcome->exit_code, outcome->err);
    json_t *object = json_loadb(outcome->out, outcome->out_size, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(object, "stdout is no JSON: %s", error.text);
    return object;
}

static char folder[64];

void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/scry-e2e-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

void remove_folder(void)
{
    char command[96];
    if (!*folder) return;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
    *folder = 0;
}

const char *in_folder(const char *name)
{
    static char paths[8][256];
    static int  next;
    char       *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

char *read_file(const char *path, size_t *size)
{
    struct stat   info;
    struct stream stream = {calloc(1, 1), 0};
    int           file   = open(path, O_RDONLY);
    cr_assert(file >= 0 && !fstat(file, &info), "%s: %s", path, strerror(errno));
    while (drain(file, &stream)) {
    }
    close(file);
    if (size) *size = stream.size;
    return stream.data;
}

bool same_file(const char *path, const char *other)
{
    size_t size, other_size;
    char  *a = read_file(path, &size), *b = read_file(other, &other_size);
    bool   same = size == other_size && !memcmp(a, b, size);
    free(a);
    free(b);
    return same;
}
