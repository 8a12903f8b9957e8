/* Using a page as a person does, and keeping what it shows and saves. See page.h. */
#include "browser/page_parts.h"

#include "e2e/program.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void send_mouse(struct page *page, const char *type, double x, double y, int buttons)
{
    page__act(page, "Input.dispatchMouseEvent",
              json_pack("{s:s, s:f, s:f, s:s, s:i, s:i}", "type", type, "x", x, "y", y, "button",
                        buttons ? "left" : "none", "buttons", buttons, "clickCount", buttons));
}

/* Where in the window that place of the element is, once it is in view and at rest: keys may have set the page
 * scrolling. */
static void find_place(struct page *page, const char *selector, double share_x, double share_y, double place[2])
{
    json_t *found =
        page_value(page,
                   "(async () => { const found = document.querySelector(`%s`); if (!found) return null;"
                   "const frame = () => new Promise(done => requestAnimationFrame(done)); let before = '';"
                   "for (let frames = 0; frames < 120; frames++) {"
                   "  found.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });"
                   "  await frame();"
                   "  const box = found.getBoundingClientRect(), now = JSON.stringify(box);"
                   "  if (now === before) return [box.left + %.6f * box.width, box.top + %.6f * box.height];"
                   "  before = now; }"
                   "return 0; })()",
                   selector, share_x, share_y);
    cr_assert(!json_is_null(found), "%s: the page has no %s", page->url, selector);
    cr_assert(json_is_array(found), "%s: %s does not come to rest", page->url, selector);
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
    page__act(page, "Input.dispatchMouseEvent",
              json_pack("{s:s, s:f, s:f, s:s, s:i}", "type", "mouseReleased", "x", place[0], "y", place[1], "button",
                        "left", "clickCount", 1));
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
    page__act(page, "Input.dispatchKeyEvent", down);
    page__act(page, "Input.dispatchKeyEvent",
              json_pack("{s:s, s:s, s:i, s:i}", "type", "keyUp", "key", name, "windowsVirtualKeyCode", code,
                        "modifiers", shifted ? 8 : 0));
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
    page__act(
        page, "Emulation.setDeviceMetricsOverride",
        json_pack("{s:i, s:i, s:i, s:b}", "width", width, "height", height, "deviceScaleFactor", 1, "mobile", false));
}

void page_theme(struct page *page, bool dark)
{
    page__act(
        page, "Emulation.setEmulatedMedia",
        json_pack("{s:[{s:s, s:s}]}", "features", "name", "prefers-color-scheme", "value", dark ? "dark" : "light"));
}

void page_without_scripts(struct page *page)
{
    page__act(page, "Emulation.setScriptExecutionDisabled", json_pack("{s:b}", "value", true));
    page->scriptless = true;
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
    for (const char *at = page__text(shot, "data"); place_of(*at) >= 0; at++) { /* base64 */
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
        if (!strcmp(page__text(process, "type"), "renderer"))
            time += json_number_value(json_object_get(process, "cpuTime"));
    }
    json_decref(answer);
    return time;
}
