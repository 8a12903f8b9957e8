/* Whole passes on a device that reaches little of its memory at once, and runs ops only when somebody waits for them:
 * what the program prints is to the last digit what the reference gives, and nothing runs elsewhere. */
#include "program.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define LLAMA "tests/fixtures/models/llama"
#define IDS   "1,2,3,4,5,6,7,8,9,10,11,12"

/* What a command prints as JSON on a device, less what it says of the device. */
static json_t *run_on(const char *device, const char *const *arguments, struct outcome *outcome)
{
    const char *all[16] = {0};
    int         count   = 0;
    while (arguments[count]) {
        all[count] = arguments[count];
        count++;
    }
    all[count++]   = "--json";
    all[count++]   = "-v";
    all[count++]   = "-d";
    all[count++]   = device;
    *outcome       = run_scry(all);
    json_t *object = outcome_json(outcome);
    cr_expect_eq(json_integer_value(json_object_get(json_object_get(object, "device"), "fallbacks")), 0);
    json_object_del(object, "device");
    return object;
}

Test(pieces, commands__print_what_they_print_of_the_whole)
{
    static const struct {
        const char *reach, *arguments[10];
    } cases[] = {
        {"16384", {"lens", "-m", "models/demo", "--ids", IDS, "--next"}},
        {"16384", {"attn", "-m", "models/demo", "--ids", IDS}},
        {"16384", {"run", "-m", "models/demo", "--ids", IDS, "-n", "4"}},
        {"8192", {"lens", "-m", LLAMA, "--ids", IDS, "--next"}},
        {"8192", {"attn", "-m", LLAMA, "--ids", IDS}},
        {"8192", {"run", "-m", LLAMA, "--ids", IDS, "-n", "4"}},
        {"1000:8192", {"lens", "-m", "tests/fixtures/models/gpt_neox", "--ids", IDS}},
    };
    setenv("SCRY_TEST_PLUGINS", SCRY_BUILD_DIR "/tests/plugins", 1);
    setenv("SCRY_FAKE_REMOTE", "1", 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome outcomes[2];
        setenv("SCRY_FAKE_REACH", cases[i].reach, 1);
        json_t *pieces = run_on("fake", cases[i].arguments, &outcomes[0]);
        json_t *whole  = run_on("reference", cases[i].arguments, &outcomes[1]);
        cr_expect(strstr(outcomes[0].err, " pieces, each within what one op can reach"), "%s: nothing was cut",
                  cases[i].arguments[0]);
        cr_expect(json_equal(pieces, whole), "%s of %s, reach %s", cases[i].arguments[0], cases[i].arguments[2],
                  cases[i].reach);
        json_decref(whole);
        json_decref(pieces);
        outcome_free(&outcomes[0]);
        outcome_free(&outcomes[1]);
    }
}
