/* The demo model with some of its tokens called what a page, a table or a screen might trip over. */
#ifndef SCRY_TESTS_BROWSER_HOSTILE_MODEL_H
#define SCRY_TESTS_BROWSER_HOSTILE_MODEL_H

#include <stdbool.h>
#include <stddef.h>

struct hostile_token {
    const char *was;   /* in the demo model's vocabulary */
    const char *text;  /* what it is called instead */
    const char *label; /* how a page shows that */
};

/* The first HOSTILE_PROMPT of them in a row, each as one token, are a prompt that was "The capital of France is". */
enum { HOSTILE_PROMPT = 5, HOSTILE_COUNT = 16 };
extern const struct hostile_token hostile_tokens[HOSTILE_COUNT];

/* That prompt, or its tokens in reverse; valid until the next call of that. */
const char *hostile_prompt(bool reverse);

/* Makes the model's folder inside the test's (program.h) and gives its path. */
const char *hostile_model(void);

#endif
