/* A page used and watched. See page.h. */
#include "browser/page.h"

#include "browser/chromium.h"
#include "e2e/program.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct page {
    struct chromium *chromium;
    char             session[64], target[64], url[512];
    char            *noted;
    bool             loaded, saved;
    int              downloads;
    char            *saved_id, *saved_name; /* of the last download */
};

static void note(struct page *page, const char *what, const char *detail)
{
    char *longer = NULL;
    cr_assert_geq(asprintf(&longer, "%s%s: %s\n", page->noted ? page->noted : "", what, detail ? detail : ""), 0);
    free(page->noted);
    page->noted = longer;
}

/* --- watching --- */

static const char *text_of(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* May the page ask for this? Its own file, and what it holds or makes itself. */
static bool is_inside(const struct page *page, const char *url)
{
    size_t own = strcspn(page->url, "#");
    return (own && !strncmp(url, page->url, own) && (!url[own] || url[own] == '#')) || !strncmp(url, "data:", 5) ||
           !strncmp(url, "blob:", 5) || !strcmp(url, "about:blank");
}

static void hear_console(struct page *page, json_t *params)
{
    static const char *const quiet[] = {"log", "info", "debug", "timeEnd"};
    const char              *type    = text_of(params, "type");
    for (size_t i = 0; i < sizeof quiet / sizeof *quiet; i++)
        if (!strcmp(type, quiet[i])) return;
    json_t     *first = json_array_get(json_object_get(params, "args"), 0);
    const char *value = text_of(first, "value");
    note(page, "console", value ? value : text_of(first, "description"));
}

static void hear_log(struct page *page, json_t *params)
{
    json_t     *entry = json_object_get(params, "entry");
    const char *level = text_of(entry, "level");
    if (!strcmp(level, "error") || !strcmp(level, "warning")) note(page, "log", text_of(entry, "text"));
}

static void hear_exception(struct page *page, json_t *params)
{
    json_t     *details = json_object_get(params, "exceptionDetails");
    const char *said    = text_of(json_object_get(details, "exception"), "description");
    note(page, "exception", said ? said : text_of(details, "text"));
}

static void hear_request(struct page *page, json_t *params)
{
    const char *url = text_of(json_object_get(params, "request"), "url");
    if (!is_inside(page, url)) note(page, "request", url);
}

/* Every request stops here first: one to the outside fails, and so never gets as far as a name to resolve. */
static void hear_pause(struct page *page, json_t *params)
{
    const char *url = text_of(json_object_get(params, "request"), "url"), *id = text_of(params, "requestId");
    if (is_inside(page, url))
        chromium_send(page->chromium, page->session, "Fetch.continueRequest", json_pack("{s:s}", "requestId", id));
    else
        chromium_send(page->chromium, page->session, "Fetch.failRequest",
                      json_pack("{s:s, s:s}", "requestId", id, "errorReason", "BlockedByClient"));
}

static void hear_socket(struct page *page, json_t *params)
{
    note(page, "socket", text_of(params, "url"));
}

static void hear_target(struct page *page, json_t *params)
{
    json_t *info = json_object_get(params, "targetInfo");
    if (*page->target && strcmp(text_of(info, "targetId"), page->target) && !strcmp(text_of(info, "type"), "page"))
        note(page, "window", text_of(info, "url"));
}

static void hear_loaded(struct page *page, json_t *params)
{
    (void)params;
    page->loaded = true;
}

static void hear_crash(struct page *page, json_t *params)
{
    (void)params;
    note(page, "crash", page->url);
}

static void hear_download(struct page *page, json_t *params)
{
    free(page->saved_id);
    free(page->saved_name);
    page->saved_id   = strdup(text_of(params, "guid"));
    page->saved_name = strdup(text_of(params, "suggestedFilename"));
    if (!is_inside(page, text_of(params, "url"))) note(page, "download", text_of(params, "url"));
}

static void hear_progress(struct page *page, json_t *params)
{
    if (!strcmp(text_of(params, "state"), "completed")) page->saved = true;
    if (!strcmp(text_of(params, "state"), "canceled")) note(page, "download canceled", page->saved_name);
}

static const struct {
    const char *method;
    void (*hear)(struct page *page, json_t *params);
} events[] = {
    {"Runtime.consoleAPICalled", hear_console},
    {"Runtime.exceptionThrown", hear_exception},
    {"Log.entryAdded", hear_log},
    {"Network.requestWillBeSent", hear_request},
    {"Network.webSocketCreated", hear_socket},
    {"Network.webTransportCreated", hear_socket},
    {"Fetch.requestPaused", hear_pause},
    {"Target.targetCreated", hear_target},
    {"Inspector.targetCrashed", hear_crash},
    {"Page.loadEventFired", hear_loaded},
    {"Browser.downloadWillBegin", hear_download},
    {"Browser.downloadProgress", hear_progress},
};

static void hear(void *user, const char *session, const char *method, json_t *params)
{
    (void)session; /* there is one page */
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (!strcmp(method, events[i].method)) events[i].hear(user, params);
}

/* --- opening and closing --- */

static void act(struct page *page, const char *method, json_t *params)
{
    chromium_do(page->chromium, page->session, method, params);
}

struct page *page_start(void)
{
    struct page *page = calloc(1, sizeof *page);
    cr_assert_not_null(page);
    page->chromium = chromium_start(in_folder(""), hear, page);
    json_t *made = chromium_call(page->chromium, NULL, "Target.createTarget", json_pack("{s:s}", "url", "about:blank"));
    snprintf(page->target, sizeof page->target, "%s", text_of(made, "targetId"));
    json_t *attached = chromium_call(page->chromium, NULL, "Target.attachToTarget",
                                     json_pack("{s:s, s:b}", "targetId", page->target, "flatten", true));
    snprintf(page->session, sizeof page->session, "%s", text_of(attached, "sessionId"));
    json_decref(attached);
    json_decref(made);
    static const char *const parts[] = {"Page.enable", "Runtime.enable", "Log.enable", "Network.enable",
                                        "Inspector.enable"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) act(page, parts[i], NULL);
    act(page, "Fetch.enable", NULL);
    chromium_do(page->chromium, NULL, "Target.setDiscoverTargets", json_pack("{s:b}", "discover", true));
    page_size(page, 1280, 900);
    page_theme(page, false);
    return page;
}

static void go(struct page *page, const char *url)
{
    page->loaded      = false;
    json_t     *went  = chromium_call(page->chromium, page->session, "Page.navigate", json_pack("{s:s}", "url", url));
    const char *error = text_of(went, "errorText");
    cr_assert_null(error, "%s: %s", url, error);
    json_decref(went);
    chromium_wait(page->chromium, &page->loaded, url);
}

void page_open(struct page *page, const char *path, const char *hash)
{
    go(page, "about:blank"); /* from the same file, another hash would be no new page */
    snprintf(page->url, sizeof page->url, "file://%s%s%s", path, hash ? "#" : "", hash ? hash : "");
    go(page, page->url);
    page_wait(page, "!document.querySelector('[data-view]') || document.documentElement.dataset.ready === '1'");
}

void page_close(struct page **at)
{
    struct page *page = *at;
    if (!page) return;
    if (page->chromium) page_value(page, "0"); /* whatever is still on its way has come before this answer */
    cr_expect_null(page->noted, "%s: %s", page->url, page->noted);
    chromium_stop(&page->chromium);
    free(page->noted);
    free(page->saved_id);
    free(page->saved_name);
    free(page);
    *at = NULL;
}

char *page_noted(struct page *page)
{
    char *noted = page->noted ? page->noted : strdup("");
    page->noted = NULL;
    return noted;
}

/* --- asking --- */

static json_t *evaluate(struct page *page, const char *format, va_list arguments)
{
    char *script = NULL;
    cr_assert_geq(vasprintf(&script, format, arguments), 0);
    json_t *answer =
        chromium_call(page->chromium, page->session, "Runtime.evaluate",
                      json_pack("{s:s, s:b, s:b}", "expression", script, "returnByValue", true, "awaitPromise", true));
    json_t *thrown = json_object_get(json_object_get(answer, "exceptionDetails"), "exception");
    cr_assert_null(thrown, "%s: %s", script, text_of(thrown, "description"));
    json_t *value = json_object_get(json_object_get(answer, "result"), "value");
    value         = value ? json_incref(value) : json_null();
    json_decref(answer);
    free(script);
    return value;
}

#define EVALUATE(value)                                                                                                \
    va_list arguments;                                                                                                 \
    va_start(arguments, script);                                                                                       \
    json_t *value = evaluate(page, script, arguments);                                                                 \
    va_end(arguments)

json_t *page_value(struct page *page, const char *script, ...)
{
    EVALUATE(value);
    return value;
}

char *page_text(struct page *page, const char *script, ...)
{
    EVALUATE(value);
    cr_assert(json_is_string(value), "%s: expected a text", script);
    char *text = strdup(json_string_value(value));
    json_decref(value);
    return text;
}

double page_number(struct page *page, const char *script, ...)
{
    EVALUATE(value);
    cr_assert(json_is_number(value) || json_is_null(value), "%s: expected a number", script);
    double number = json_is_number(value) ? json_number_value(value) : NAN;
    json_decref(value);
    return number;
}

bool page_holds(struct page *page, const char *script, ...)
{
    EVALUATE(value);
    cr_assert(json_is_boolean(value), "%s: expected true or false", script);
    bool holds = json_is_true(value);
    json_decref(value);
    return holds;
}

void page_wait(struct page *page, const char *script, ...)
{
    char   *expression = NULL;
    va_list arguments;
    va_start(arguments, script);
    cr_assert_geq(vasprintf(&expression, script, arguments), 0);
    va_end(arguments);
    for (int tries = 0; !page_holds(page, "!!(%s)", expression); tries++) {
        cr_assert_lt(tries, 1200, "waited a minute for: %s", expression);
        usleep(50000);
    }
    free(expression);
}

/* --- doing --- */

static void send_mouse(struct page *page, const char *type, double x, double y, int buttons)
{
    act(page, "Input.dispatchMouseEvent",
        json_pack("{s:s, s:f, s:f, s:s, s:i, s:i}", "type", type, "x", x, "y", y, "button", buttons ? "left" : "none",
                  "buttons", buttons, "clickCount", buttons));
}

/* Where in the window that place of the element is, once it is in view. */
static void find_place(struct page *page, const char *selector, double share_x, double share_y, double place[2])
{
    json_t *found = page_value(page,
                               "(() => { const found = document.querySelector(`%s`); if (!found) return null;"
                               "found.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });"
                               "const box = found.getBoundingClientRect();"
                               "return [box.left + %.6f * box.width, box.top + %.6f * box.height]; })()",
                               selector, share_x, share_y);
    cr_assert(json_is_array(found), "%s: the page has no %s", page->url, selector);
    for (size_t i = 0; i < 2; i++) place[i] = json_number_value(json_array_get(found, i));
    json_decref(found);
}

void page_point_at(struct page *page, const char *selector, double x, double y)
{
    double place[2];
    find_place(page, selector, x, y, place);
    send_mouse(page, "mouseMoved", place[0], place[1], 0);
}

void page_click_at(struct page *page, const char *selector, double x, double y)
{
    double place[2];
    find_place(page, selector, x, y, place);
    send_mouse(page, "mouseMoved", place[0], place[1], 0);
    send_mouse(page, "mousePressed", place[0], place[1], 1);
    act(page, "Input.dispatchMouseEvent",
        json_pack("{s:s, s:f, s:f, s:s, s:i}", "type", "mouseReleased", "x", place[0], "y", place[1], "button", "left",
                  "clickCount", 1));
}

void page_point(struct page *page, const char *selector)
{
    page_point_at(page, selector, 0.5, 0.5);
}

void page_click(struct page *page, const char *selector)
{
    page_click_at(page, selector, 0.5, 0.5);
}

/* What keys other than letters say besides their name. */
static const struct {
    const char *name, *text;
    int         code;
} keys[] = {{"Tab", NULL, 9},        {"Enter", "\r", 13},    {"Escape", NULL, 27},     {" ", " ", 32},
            {"PageUp", NULL, 33},    {"PageDown", NULL, 34}, {"End", NULL, 35},        {"Home", NULL, 36},
            {"ArrowLeft", NULL, 37}, {"ArrowUp", NULL, 38},  {"ArrowRight", NULL, 39}, {"ArrowDown", NULL, 40}};

void page_press(struct page *page, const char *key)
{
    static const char shift[] = "Shift+";
    bool              shifted = !strncmp(key, shift, sizeof shift - 1);
    const char       *name = shifted ? key + sizeof shift - 1 : key, *text = name;
    int               code = *name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(name, keys[i].name)) {
            code = keys[i].code;
            text = keys[i].text;
        }
    json_t *down = json_pack("{s:s, s:s, s:i, s:i}", "type", text ? "keyDown" : "rawKeyDown", "key", name,
                             "windowsVirtualKeyCode", code, "modifiers", shifted ? 8 : 0);
    if (text) json_object_set_new(down, "text", json_string(text));
    act(page, "Input.dispatchKeyEvent", down);
    act(page, "Input.dispatchKeyEvent",
        json_pack("{s:s, s:s, s:i, s:i}", "type", "keyUp", "key", name, "windowsVirtualKeyCode", code, "modifiers",
                  shifted ? 8 : 0));
}

void page_choose(struct page *page, const char *selector, const char *value)
{
    cr_assert(
        page_holds(page,
                   "(() => { const found = document.querySelector(`%s`); if (!found) return false;"
                   "found.focus(); found.value = `%s`;"
                   "for (const type of ['input', 'change']) found.dispatchEvent(new Event(type, { bubbles: true }));"
                   "return true; })()",
                   selector, value),
        "%s: the page has no %s", page->url, selector);
}

void page_size(struct page *page, int width, int height)
{
    act(page, "Emulation.setDeviceMetricsOverride",
        json_pack("{s:i, s:i, s:i, s:b}", "width", width, "height", height, "deviceScaleFactor", 1, "mobile", false));
}

void page_theme(struct page *page, bool dark)
{
    act(page, "Emulation.setEmulatedMedia",
        json_pack("{s:[{s:s, s:s}]}", "features", "name", "prefers-color-scheme", "value", dark ? "dark" : "light"));
}

/* --- keeping --- */

static int place_of(char letter)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char       *found     = letter ? strchr(letters, letter) : NULL;
    return found ? (int)(found - letters) : -1;
}

void page_screenshot(struct page *page, const char *name, bool whole)
{
    char    path[512];
    json_t *wanted = json_pack("{s:s, s:b}", "format", "png", "captureBeyondViewport", whole);
    if (whole) {
        json_t *metrics = chromium_call(page->chromium, page->session, "Page.getLayoutMetrics", NULL);
        json_t *clip    = json_copy(json_object_get(metrics, "cssContentSize")); /* x, y, width, height */
        json_object_set_new(clip, "scale", json_integer(1));
        json_object_set_new(wanted, "clip", clip);
        json_decref(metrics);
    }
    json_t *shot = chromium_call(page->chromium, page->session, "Page.captureScreenshot", wanted);
    cr_assert(!mkdir(SCRY_SCREENSHOTS, 0777) || errno == EEXIST);
    snprintf(path, sizeof path, SCRY_SCREENSHOTS "/%s.png", name);
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file, "%s: %s", path, strerror(errno));
    unsigned held = 0, bits = 0;
    for (const char *at = text_of(shot, "data"); place_of(*at) >= 0; at++) { /* base64 */
        held = held << 6 | (unsigned)place_of(*at);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            fputc((int)(held >> bits & 255), file);
        }
    }
    cr_assert_eq(fclose(file), 0, "%s", path);
    json_decref(shot);
}

char *page_download(struct page *page, const char *selector, size_t *size, char **name)
{
    /* Chromium drops what a page saves beyond ten files within a second. */
    if (++page->downloads % 9 == 0) usleep(1200000);
    page->saved = false;
    page_click(page, selector);
    chromium_wait(page->chromium, &page->saved, selector);
    const char *path  = in_folder(page->saved_id);
    char       *bytes = read_file(path, size);
    unlink(path);
    *name            = page->saved_name;
    page->saved_name = NULL;
    return bytes;
}

double page_processor_time(struct page *page)
{
    json_t *answer = chromium_call(page->chromium, NULL, "SystemInfo.getProcessInfo", NULL), *process;
    double  time   = 0;
    size_t  i;
    json_array_foreach(json_object_get(answer, "processInfo"), i, process)
    {
        if (!strcmp(text_of(process, "type"), "renderer"))
            time += json_number_value(json_object_get(process, "cpuTime"));
    }
    json_decref(answer);
    return time;
}
