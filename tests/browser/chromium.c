/* Starting Chromium, sending commands, taking in answers and events. See chromium.h. */
#include "browser/chromium.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_SECONDS = 120, PATH_SIZE = 256 };

struct chromium {
    pid_t             process;
    int               to, from;
    char             *data; /* what has come and is not yet read as messages */
    size_t            size, capacity;
    int               last_id;
    int               awaited; /* id of the command under way, 0: none */
    json_t           *answer;
    chromium_listener listener;
    void             *user;
    char              log[PATH_SIZE];
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* --- starting and stopping --- */

static void be_chromium(int commands, int answers, const char *folder, const char *log)
{
    char        profile[PATH_SIZE + 32];
    const char *program = getenv("SCRY_TEST_CHROMIUM");
    const char *argv[]  = {program ? program : "chromium",
                          "--headless",
                          "--remote-debugging-pipe",
                          profile,
                          "--no-first-run",
                          "--no-startup-window",
                          "--no-default-browser-check",
                          "--disable-background-networking",
                          "--disable-component-update",
                          "--disable-default-apps",
                          "--disable-dev-shm-usage",
                          "--disable-extensions",
                          "--disable-gpu",
                          "--disable-sync",
                          "--font-render-hinting=none",
                          "--force-device-scale-factor=1",
                          "--hide-scrollbars",
                          "--host-resolver-rules=MAP * ~NOTFOUND",
                          "--mute-audio",
                          geteuid() ? NULL : "--no-sandbox", /* its sandbox refuses to run as root */
                          NULL};
    int null = open("/dev/null", O_RDWR), err = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    snprintf(profile, sizeof profile, "--user-data-dir=%s/profile", folder);
    setpgid(0, 0);
    setenv("HOME", folder, 1);
    /* Out of the way of 3 and 4 first, which either may be. */
    commands = fcntl(commands, F_DUPFD_CLOEXEC, 10);
    answers  = fcntl(answers, F_DUPFD_CLOEXEC, 10);
    if (null < 0 || err < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(err, 2) < 0 || dup2(commands, 3) < 0 ||
        dup2(answers, 4) < 0)
        _exit(126);
    execvp(argv[0], (char **)argv);
    dprintf(2, "%s: %s: expected a Chromium, from $SCRY_TEST_CHROMIUM or the package chromium\n", argv[0],
            strerror(errno));
    _exit(127);
}

struct chromium *chromium_start(const char *folder, chromium_listener listener, void *user)
{
    int              commands[2], answers[2];
    struct chromium *chromium = calloc(1, sizeof *chromium);
    cr_assert_not_null(chromium);
    snprintf(chromium->log, sizeof chromium->log, "%s/chromium.log", folder);
    signal(SIGPIPE, SIG_IGN); /* a browser that is gone shows as an error of write */
    cr_assert(!pipe2(commands, O_CLOEXEC) && !pipe2(answers, O_CLOEXEC));
    chromium->process = fork();
    cr_assert_geq(chromium->process, 0);
    if (!chromium->process) be_chromium(commands[0], answers[1], folder, chromium->log);
    close(commands[0]);
    close(answers[1]);
    chromium->to       = commands[1];
    chromium->from     = answers[0];
    chromium->listener = listener;
    chromium->user     = user;
    chromium_do(
        chromium, NULL, "Browser.setDownloadBehavior",
        json_pack("{s:s, s:s, s:b}", "behavior", "allowAndName", "downloadPath", folder, "eventsEnabled", true));
    return chromium;
}

void chromium_stop(struct chromium **at)
{
    struct chromium *chromium = *at;
    int              status;
    double           limit = now() + 10;
    if (!chromium) return;
    chromium_send(chromium, NULL, "Browser.close", NULL);
    close(chromium->to);
    while (!waitpid(chromium->process, &status, WNOHANG) && now() < limit) usleep(10000);
    kill(-chromium->process, SIGKILL); /* its helpers, and itself where it did not end */
    waitpid(chromium->process, &status, 0);
    close(chromium->from);
    json_decref(chromium->answer);
    free(chromium->data);
    free(chromium);
    *at = NULL;
}

/* --- messages --- */

/* The end of what the browser said on stderr, for the message of a failed test. */
static const char *last_words(const struct chromium *chromium)
{
    static char text[1024];
    FILE       *file = fopen(chromium->log, "rb");
    size_t      size = 0;
    if (file) {
        fseek(file, 0, SEEK_END);
        long end = ftell(file), begin = end > (long)sizeof text - 1 ? end - (long)sizeof text + 1 : 0;
        fseek(file, begin, SEEK_SET);
        size = fread(text, 1, sizeof text - 1, file);
        fclose(file);
    }
    text[size] = 0;
    return text;
}

static int send_message(struct chromium *chromium, const char *session, const char *method, json_t *params)
{
    int     id = ++chromium->last_id;
    json_t *message =
        json_pack("{s:i, s:s, s:o}", "id", id, "method", method, "params", params ? params : json_object());
    cr_assert_not_null(message, "%s: parameters that are no JSON", method);
    if (session) json_object_set_new(message, "sessionId", json_string(session));
    char  *text = json_dumps(message, JSON_COMPACT);
    size_t size = strlen(text) + 1; /* its NUL closes the message */
    for (size_t done = 0; done < size;) {
        ssize_t written = write(chromium->to, text + done, size - done);
        if (written < 0 && errno == EINTR) continue;
        cr_assert_gt(written, 0, "%s: the browser is gone: %s", method, last_words(chromium));
        done += (size_t)written;
    }
    free(text);
    json_decref(message);
    return id;
}

static void take_message(struct chromium *chromium, const char *text, size_t size)
{
    json_error_t error;
    /* A page may hold lone surrogates and NUL: what it said is of interest all the same. */
    json_t *message = json_loadb(text, size, JSON_ALLOW_NUL, &error);
    cr_assert_not_null(message, "the browser sent no JSON: %s: %.200s", error.text, text);
    json_t     *id      = json_object_get(message, "id");
    const char *method  = json_string_value(json_object_get(message, "method"));
    const char *session = json_string_value(json_object_get(message, "sessionId"));
    if (id && json_integer_value(id) == chromium->awaited) {
        chromium->answer  = json_incref(message);
        chromium->awaited = 0;
    } else if (method)
        chromium->listener(chromium->user, session, method, json_object_get(message, "params"));
    json_decref(message);
}

/* Reads what has come, waiting for it at most until `limit`, and takes in the whole messages in it. */
static void read_messages(struct chromium *chromium, double limit, const char *what)
{
    struct pollfd watched = {chromium->from, POLLIN, 0};
    double        left    = limit - now();
    int           ready   = poll(&watched, 1, left > 0 ? (int)(left * 1000) + 1 : 0);
    cr_assert(ready > 0 || (ready < 0 && errno == EINTR), "%s: nothing came within %d s: %s", what, PATIENCE_SECONDS,
              last_words(chromium));
    if (ready < 0) return;
    if (chromium->capacity - chromium->size < 65536) {
        chromium->capacity = 2 * chromium->capacity + 65536;
        chromium->data     = realloc(chromium->data, chromium->capacity);
        cr_assert_not_null(chromium->data);
    }
    ssize_t got = read(chromium->from, chromium->data + chromium->size, chromium->capacity - chromium->size);
    cr_assert(got > 0 || (got < 0 && errno == EINTR), "%s: the browser is gone: %s", what, last_words(chromium));
    if (got < 0) return;
    size_t begin = 0, seen = chromium->size;
    chromium->size += (size_t)got;
    for (char *end; (end = memchr(chromium->data + seen, 0, chromium->size - seen)); begin = seen) {
        seen = (size_t)(end - chromium->data) + 1;
        take_message(chromium, chromium->data + begin, seen - 1 - begin);
    }
    chromium->size -= begin;
    memmove(chromium->data, chromium->data + begin, chromium->size);
}

json_t *chromium_call(struct chromium *chromium, const char *session, const char *method, json_t *params)
{
    double limit      = now() + PATIENCE_SECONDS;
    chromium->awaited = send_message(chromium, session, method, params);
    while (chromium->awaited) read_messages(chromium, limit, method);
    json_t *answer = chromium->answer, *error = json_object_get(answer, "error");
    chromium->answer = NULL;
    cr_assert_null(error, "%s: %s", method, json_string_value(json_object_get(error, "message")));
    json_t *result = json_incref(json_object_get(answer, "result"));
    json_decref(answer);
    return result;
}

void chromium_do(struct chromium *chromium, const char *session, const char *method, json_t *params)
{
    json_decref(chromium_call(chromium, session, method, params));
}

void chromium_send(struct chromium *chromium, const char *session, const char *method, json_t *params)
{
    send_message(chromium, session, method, params);
}

void chromium_wait(struct chromium *chromium, const bool *done, const char *what)
{
    double limit = now() + PATIENCE_SECONDS;
    while (!*done) read_messages(chromium, limit, what);
}
