/* Pictures from the command line. */
#include "program.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(pictures, .init = make_folder, .fini = remove_folder);

Test(pictures, lens__is_drawn_in_each_format)
{
    static const struct {
        const char *name, *begin;
    } kinds[] = {{"lens.png", "\x89PNG\r\n\x1a\n"}, {"lens.pdf", "%PDF-"}, {"lens.svg", "<?xml"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char    *path    = in_folder(kinds[i].name);
        struct outcome outcome = SCRY("lens", "The capital of France is", "-o", path);
        cr_assert_eq(outcome.exit_code, 0, "%s", outcome.err);
        char *bytes = read_file(path, NULL);
        cr_expect(!strncmp(bytes, kinds[i].begin, strlen(kinds[i].begin)), "%s", kinds[i].name);
        free(bytes);
        outcome_free(&outcome);
    }
}

/* The lens' picture of these positions as SVG text. */
static char *lens_svg(const char *prompt, const char *positions)
{
    const char    *path = in_folder("lens.svg");
    struct outcome outcome =
        positions ? SCRY("lens", prompt, "-o", path, "--positions", positions) : SCRY("lens", prompt, "-o", path);
    cr_assert_eq(outcome.exit_code, 0, "%s", outcome.err);
    outcome_free(&outcome);
    return read_file(path, NULL);
}

Test(pictures, lens__says_its_cells_in_words)
{
    char *all = lens_svg("The capital of France is", NULL), *part = lens_svg("The capital of France is", "4:6");
    cr_expect(strstr(all, "Columns: &lt;|bos|> The "), "all positions");
    cr_expect(strstr(part, "Columns: \xe2\x90\xa3"
                           "France \xe2\x90\xa3is\n"),
              "those asked for");
    cr_expect(strstr(part, "\n6: \xe2\x90\xa3is \xe2\x90\xa3Paris</desc>"), "the last layer's are the model's own");
    free(all);
    free(part);
}

Test(pictures, lens__of_a_long_prompt_is_colours_only)
{
    char prompt[2048] = "The end.";
    for (int i = 0; i < 10; i++) strcat(prompt, " Anna put the key in the box. Bob put the coin in the drawer.");
    char *all = lens_svg(prompt, NULL), *part = lens_svg(prompt, "1:65");
    cr_expect(strstr(all, "Probability of the token") && !strstr(all, "\n6: "));
    cr_expect(strstr(part, "coloured by its probability") && strstr(part, "\n6: "));
    free(all);
    free(part);
}
