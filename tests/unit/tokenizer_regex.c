/* Tests of regular expressions: that PCRE2 finds what Oniguruma finds, and that hostile patterns end. */
#include "model/tokenizer_regex.h"
#include "scry/status.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* All matches as "begin-end begin-end", in bytes. */
static scry_status find_all(const char *pattern, const char *text, char *out, size_t room)
{
    scry__regex  *regex   = NULL;
    scry__matches matches = {0};
    scry_status   status  = scry__regex_create(&regex, pattern, strlen(pattern), false);
    size_t        begin, end, used = 0;
    bool          found = true;
    *out                = 0;
    if (!status) status = scry__matches_open(&matches, regex);
    if (!status) scry__matches_begin(&matches, text, strlen(text));
    while (!status && found) {
        status = scry__matches_next(&matches, &found, &begin, &end);
        if (!status && found && used < room)
            used += (size_t)snprintf(out + used, room - used, "%s%zu-%zu", used ? " " : "", begin, end);
    }
    if (matches.data) scry__matches_close(&matches);
    scry__regex_destroy(&regex);
    return status;
}

Test(tokenizer_regex, matches__are_those_of_oniguruma)
{
    static const struct {
        const char *pattern, *text, *matches;
    } cases[] = {
        {"\\s+(?!\\S)|\\s+", "a   b ", "1-3 3-4 5-6"},
        {"\\s", "\xe1\xa0\x8e", ""},                /* U+180E is no space */
        {"\\s", "\xc2\x85\xe2\x80\xa8", "0-2 2-5"}, /* U+0085 and U+2028 are */
        {"[^\\s\\p{L}]+", "a1 ?b", "1-2 3-4"},
        {"\\S+", "ab c", "0-2 3-4"},
        {"\\w+", "e\xcc\x81_1\xe2\x80\x8d", "0-5"}, /* marks belong to words, joiners do not */
        {"\\w", "\xc2\xbd", "0-2"},                 /* one half is a word character ... */
        {"[\\w]", "\xc2\xbd", ""},                  /* ... outside a class only */
        {"\\W", "a-\xc2\xbd", "1-2"},
        {"\\d+", "12\xd9\xa1\xc2\xb2", "0-4"},
        {"^.", "a\nb\n", "0-1 2-3"},
        {".$", "a\nb\n", "0-1 2-3"},
        {"a*", "baac", "0-0 1-3 4-4"},
        {"(?i:'s|'ll)", "'S'LL'\xc5\xbf", "0-2 2-5 5-8"},
        {"a{,2}b", "aaab", "1-4"},
        {"a{b", "a{b", "0-3"},
        {"a{}", "a{}", "0-3"},
        {"\\p{Han}+", "\xe4\xb8\x96\xe3\x83\xbc", "0-3"}, /* the script, not its extensions */
        {"[\\u00e9-\\x{4e00}]", "\xc3\xa9z", "0-2"},
        {"\\x41\\v", "A\x0b", "0-2"},
        {"(?<=a)b(?>c+)", "abcc", "1-4"},
        {"a++b|a", "aac", "0-1 1-2"},
        {"\\p{^L}", "a1", "1-2"},
        {"[]]", "", NULL},
        {"(?#note)a", "", NULL},
        {"(?m)a", "", NULL},
        {"(*UTF)a", "", NULL},
        {"\\1(a)", "", NULL},
        {"\\bA", "", NULL},
        {"\\xE3", "", NULL},
        {"a\\", "", NULL},
        {"[a", "", NULL},
        {"a**", "", NULL},
        {"\\p{L", "", NULL},
        {"[^\\W]", "", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char        out[128];
        scry_status status = find_all(cases[i].pattern, cases[i].text, out, sizeof out);
        if (!cases[i].matches) {
            cr_expect_eq(status, SCRY_BAD_INPUT, "%s is taken", cases[i].pattern);
            continue;
        }
        cr_expect_eq(status, SCRY_OK, "%s: %s", cases[i].pattern, scry_last_error());
        cr_expect_str_eq(out, cases[i].matches, "%s: found \"%s\", expected \"%s\"", cases[i].pattern, out,
                         cases[i].matches);
    }
}

Test(tokenizer_regex, matches__give_up_on_hostile_patterns, .timeout = 20)
{
    char out[16], text[64];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    cr_expect_eq(find_all("(?:a+)+b|(?:a|aa)+c", text, out, sizeof out), SCRY_BAD_INPUT);
    cr_expect(strstr(scry_last_error(), "gives up at byte 0"), "%s", scry_last_error());
}
