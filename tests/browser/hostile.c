/* A report whose tokens are markup, scripts, quotes, controls and bidirectional overrides shows them as text, in every
 * view. */
#include "browser/hostile_model.h"
#include "browser/made.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(hostile, .init = make_folder, .fini = remove_folder);

static struct page *open_report(void)
{
    struct page *page = page_start();
    page_open(page, REPORT("--model", hostile_model(), "--corrupt", hostile_prompt(true), hostile_prompt(false)), NULL);
    return page;
}

Test(hostile, tokens__are_whole_and_are_shown_as_text)
{
    struct page *page = open_report();
    json_t      *data = page_value(page, "scry.data.tokens"), *token, *views = made_views(page), *view;
    size_t       at;
    bool         shown[HOSTILE_COUNT] = {0};
    cr_assert_eq(json_array_size(data), HOSTILE_PROMPT + 1, "one token each, after the first of all prompts");
    json_array_foreach(data, at, token) if (at)
        cr_expect_str_eq(json_string_value(json_object_get(token, "label")), hostile_tokens[at - 1].label);
    json_array_foreach(views, at, view)
    {
        char name[96];
        snprintf(name, sizeof name, "hostile-%s", json_string_value(view));
        made_view(page, json_string_value(view));
        page_screenshot(page, name, true);
        char *text = page_text(page, "document.body.innerText");
        for (int i = 0; i < HOSTILE_COUNT; i++) shown[i] = shown[i] || strstr(text, hostile_tokens[i].label);
        free(text);
    }
    for (int i = 0; i < HOSTILE_COUNT; i++) cr_expect(shown[i], "%s is in no view", hostile_tokens[i].label);
    json_decref(views);
    json_decref(data);
    page_close(&page);
}

Test(hostile, command__spells_out_what_cannot_be_shown)
{
    struct page *page    = open_report();
    char        *command = page_text(page, "document.querySelector('footer code').textContent");
    cr_expect(strstr(command, "\\xe2\\x80\\xaegnp.") && strstr(command, "\\x01\\x1b[31m\\x7f\\x09\\x0a\\x0d'"), "%s",
              command);
    cr_expect(strstr(command, " -- $'</script><script>"), "%s", command);
    cr_expect(strstr(command, "<b onclick=\\'window.hacked=3\\'>"), "%s", command);
    free(command);
    page_close(&page);
}

/* What a token may have done to the page, one finding a line: */
static const char damage[] =
    "(() => { const found = [];"
    "if (window.hacked !== undefined) found.push('a token ran: ' + window.hacked);"
    "if (document.scripts.length !== 2) found.push(document.scripts.length + ' scripts');"
    "for (const made of document.querySelectorAll('img, iframe, object, embed, form, base, svg[onload]')) "
    "  found.push('made ' + made.outerHTML.slice(0, 200));"
    /* Bidirectional overrides, controls and others that command what shows them: neither in a text nor in an attribute,
     * such as a tool tip. */
    "const commands = /[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u061c\\u200b\\u200e\\u200f"
    "\\u2028-\\u202e\\u2066-\\u2069\\ufeff]/u;"
    "const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_ELEMENT | "
    "NodeFilter.SHOW_TEXT);"
    "for (let node = walker.currentNode; node; node = walker.nextNode()) {"
    "  if (node.nodeType === Node.TEXT_NODE && node.parentElement.tagName !== 'SCRIPT' && commands.test(node.data))"
    "    found.push('text of ' + node.parentElement.outerHTML.slice(0, 200));"
    "  for (const each of node.attributes ?? []) {"
    "    if (commands.test(each.value)) found.push(each.name + ' of ' + node.outerHTML.slice(0, 200));"
    "    if (each.name.startsWith('on')) found.push('handler ' + each.name); } }"
    "return found.join('\\n'); })()";

Test(hostile, tokens__do_nothing)
{
    struct page *page  = open_report();
    json_t      *views = made_views(page), *view;
    size_t       at;
    json_array_foreach(views, at, view)
    {
        made_view(page, json_string_value(view));
        char *found = page_text(page, "%s", damage);
        cr_expect_str_eq(found, "", "%s: %s", json_string_value(view), found);
        free(found);
    }
    json_decref(views);
    page_close(&page);
}
