/* Two prompts over a fixture, and what patching makes of them. */
#ifndef TESTS_UNIT_PROMPTS_H
#define TESTS_UNIT_PROMPTS_H

#include "fixture.h"
#include "scry/patch.h"

enum { PROMPTS_MOST = 64, PROMPTS_ANSWER = 3, PROMPTS_WRONG = 11 };

/* The fixture's prompt, and one that has another token at `at` and `more` of them put in before it. */
struct prompts {
    int32_t clean[PROMPTS_MOST], corrupt[PROMPTS_MOST];
    int     clean_count, corrupt_count, at;
};

struct prompts prompts_make(const struct fixture *f, int at, int more);

/* Of the prompts, which must stay, and the tokens PROMPTS_ANSWER and PROMPTS_WRONG. */
scry_patch_options prompts_options(const struct prompts *prompts, scry_patch_direction direction);

/* Fails the test where it fails. */
scry_patching *patching_of(const struct fixture *f, const scry_patch_options *options);

const scry_patch_grid *patching_grid(const scry_patching *patching, scry_patch_kind kind); /* NULL: none */
const scry_patch_cell *patching_cell(const scry_patch_grid *grid, int layer, int head, int position);

#endif
