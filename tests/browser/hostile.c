/* A report whose tokens are markup, scripts, quotes, controls and bidirectional overrides shows them as text. */
#include "browser/hostile_model.h"
#include "browser/page.h"
#include "e2e/program.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(hostile, .init = make_folder, .fini = remove_folder);

static struct page *open_report(void)
{
    const char *model = hostile_model(), *path = in_folder("report.html");
    char        prompt[512] = "";
    for (int i = 0; i < HOSTILE_PROMPT; i++) strcat(prompt, hostile_tokens[i].text);
    struct outcome outcome = SCRY("report", "--model", model, "-o", path, "--", prompt);
    cr_assert_eq(outcome.exit_code, 0, "%s", outcome.err);
    outcome_free(&outcome);
    struct page *page = page_start();
    page_open(page, path, NULL);
    return page;
}

Test(hostile, tokens__are_whole_and_are_shown_as_text)
{
    struct page *page = open_report();
    json_t      *data = page_value(page, "JSON.parse(document.getElementById('data').textContent).tokens"), *token;
    size_t       at;
    cr_assert_eq(json_array_size(data), HOSTILE_PROMPT + 1, "one token each, after the first of all prompts");
    json_array_foreach(data, at, token)
    {
        if (!at) continue;
        cr_expect_str_eq(json_string_value(json_object_get(token, "label")), hostile_tokens[at - 1].label);
    }
    json_decref(data);
    char *shown = page_text(page, "['overview', 'text', 'lens'].map(view => { scry.update({ view }); return "
                                  "document.body.innerText; }).join()");
    for (int i = 0; i < HOSTILE_COUNT; i++)
        cr_expect(strstr(shown, hostile_tokens[i].label), "%s is nowhere on the page", hostile_tokens[i].label);
    free(shown);
    page_screenshot(page, "hostile", true);
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

Test(hostile, tokens__do_nothing)
{
    struct page *page = open_report();
    cr_expect(page_holds(page, "window.hacked === undefined"));
    cr_expect_eq(page_number(page, "document.scripts.length"), 2, "only the page's own");
    cr_expect_eq(page_number(page, "document.querySelectorAll('img, iframe, object, embed, form, base').length"), 0);
    cr_expect(page_holds(page, "[...document.querySelectorAll('*')].every(each => [...each.attributes].every("
                               "attribute => !attribute.name.startsWith('on')))"));
    page_close(&page);
}

/* Bidirectional overrides, controls and other characters that command what shows them: neither in a text nor in an
 * attribute, such as a tool tip. The data of the page are no text. */
Test(hostile, characters__that_command_are_replaced)
{
    static const char ordered[] =
        "(() => { const commands = /[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u061c\\u200b\\u200e\\u200f"
        "\\u2028-\\u202e\\u2066-\\u2069\\ufeff]/u; const found = [];"
        "const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_ELEMENT | "
        "NodeFilter.SHOW_TEXT);"
        "for (let node = walker.currentNode; node; node = walker.nextNode()) {"
        "  if (node.nodeType === Node.TEXT_NODE && node.parentElement.tagName !== 'SCRIPT' && "
        "commands.test(node.data)) found.push('text of ' + node.parentElement.outerHTML.slice(0, 200));"
        "  for (const each of node.attributes ?? []) if (commands.test(each.value)) found.push(each.name + ' of ' + "
        "node.outerHTML.slice(0, 200)); }"
        "return found.join('\\n'); })()";
    struct page *page  = open_report();
    char        *found = page_text(page, ordered);
    cr_expect_str_eq(found, "");
    free(found);
    page_close(&page);
}
