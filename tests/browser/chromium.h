/* A headless Chromium driven from a test: started with two pipes (descriptors 3 and 4), over which commands go and
 * answers and events come as JSON, each closed by a NUL (the Chrome DevTools Protocol). It listens on no port, resolves
 * no name, and ends when the pipes close, so that a crashed test leaves no browser behind. */
#ifndef SCRY_TESTS_BROWSER_CHROMIUM_H
#define SCRY_TESTS_BROWSER_CHROMIUM_H

#include <jansson.h>
#include <stdbool.h>

struct chromium;

/* Called for every event that comes while a command's answer or an event is waited for. `params` is the caller's. */
typedef void (*chromium_listener)(void *user, const char *session, const char *method, json_t *params);

/* Starts $SCRY_TEST_CHROMIUM, else `chromium`, with a profile of its own under `folder`, where downloads go too. Fails
 * the test where it does not start. */
struct chromium *chromium_start(const char *folder, chromium_listener listener, void *user);
void             chromium_stop(struct chromium **chromium);

/* Sends a command and waits for its answer, which is the caller's; fails the test where that is an error. `params` is
 * taken over, NULL stands for none; `session` is NULL for the browser itself. */
json_t *chromium_call(struct chromium *chromium, const char *session, const char *method, json_t *params);
/* The same, with the answer of no interest. */
void chromium_do(struct chromium *chromium, const char *session, const char *method, json_t *params);
/* Sends and does not wait: what a listener may do. */
void chromium_send(struct chromium *chromium, const char *session, const char *method, json_t *params);

/* Takes in events until *done; fails the test, naming `what`, where that takes longer than two minutes. */
void chromium_wait(struct chromium *chromium, const bool *done, const char *what);

#endif
