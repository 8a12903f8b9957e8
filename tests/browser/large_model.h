/* A model with the shape of GPT-2 small where pages feel it (12 layers of 12 heads, 512 tokens) and next to no weights.
 */
#ifndef SCRY_TESTS_BROWSER_LARGE_MODEL_H
#define SCRY_TESTS_BROWSER_LARGE_MODEL_H

#include <stdbool.h>

enum { LARGE_LAYERS = 12, LARGE_HEADS = 12, LARGE_CONTEXT = 512, LARGE_VOCABULARY = 64 };

/* Makes its folder inside the test's (program.h) and gives its path: zeros for weights, to be run with --random-init.
 * With `broken`, token 0's embedding is NaN. */
const char *large_model(bool broken);
/* "5,17,3,...": as many ids as it takes, for --ids. */
const char *large_prompt(void);

#endif
