/* What commands over two prompts share: CLEAN and CORRUPT, the two next tokens, and what both runs say of them. */
#ifndef SCRY_CLI_PAIR_H
#define SCRY_CLI_PAIR_H

#include "cli/command.h"

#include "base/text.h"
#include "scry/patch.h"

struct cli_pair {
    const char *arguments[2]; /* the clean prompt and the corrupt one */
    int         argument_count;
    const char *ids_text[2]; /* of --clean-ids and --corrupt-ids */
    int32_t    *ids[2];      /* filled by cli_pair_read */
};

/* Rows for a command's option table; a struct cli_pair and a scry_patch_options in scope. The options' position and
 * tokens' ids are -1 before. */
#define CLI_PAIR_OPTIONS(pair, options)                                                                                \
    {'a',        "answer",                                                                                             \
     CLI_STRING, &(options).answer.text,                                                                               \
     "TOKEN",    "the clean prompt's next token, e.g. \" Paris\" (its likeliest)",                                     \
     0,          0},                                                                                                   \
        {0, "answer-id", CLI_INT, &(options).answer.id, "ID", "the same, by id", 0, 1e9},                              \
        {'w',        "wrong",                                                                                          \
         CLI_STRING, &(options).wrong.text,                                                                            \
         "TOKEN",    "the corrupt prompt's next token, e.g. \" Rome\" (its likeliest)",                                \
         0,          0},                                                                                               \
        {0, "wrong-id", CLI_INT, &(options).wrong.id, "ID", "the same, by id", 0, 1e9},                                \
        {'p',     "position",                                                                                          \
         CLI_INT, &(options).position,                                                                                 \
         "N",     "position of the clean prompt whose prediction is read (the last)",                                  \
         0,       1e9},                                                                                                \
        {0,        "align",                                                                                            \
         CLI_FLAG, &(options).align,                                                                                   \
         NULL,     "prompts of unequal length: match their common beginning, and the rest from the end",               \
         0,        0},                                                                                                 \
        {0, "clean-ids", CLI_STRING, &(pair).ids_text[0], "5,17,3", "token ids instead of CLEAN", 0, 0},               \
        {0, "corrupt-ids", CLI_STRING, &(pair).ids_text[1], "5,9,3", "token ids instead of CORRUPT", 0, 0},            \
        {0, "batch", CLI_INT, &(options).batch, "N", "patches side by side at most (as memory allows)", 1, 4096},      \
    {                                                                                                                  \
        0, "naive", CLI_FLAG, &(options).naive, NULL, "every patch as a whole pass: slow, for checks", 0, 0            \
    }

/* How effects are found; a string in scope, NULL before. */
#define CLI_METHOD_OPTION(name)                                                                                        \
    {                                                                                                                  \
        0, "method", CLI_STRING, &(name), "WHICH",                                                                     \
            "exact (every patch is run), estimate (effects to first order, from one gradient: fast) or both, and how " \
            "far the estimate is off (exact)",                                                                         \
            0, 0                                                                                                       \
    }

/* The position and the tokens, before any work: fills in has_position and has_id. */
scry_status cli_pair_check(scry_patch_options *options);
/* Two texts, or two lists of ids. */
scry_status cli_pair_check_prompts(const struct cli_pair *pair);

/* Puts the lists of ids into the options; release with cli_pair_finish, also after a failure. */
scry_status cli_pair_read(struct cli_pair *pair, scry_patch_options *options);
void        cli_pair_finish(struct cli_pair *pair);

/* --method, by its name; NULL: exact. */
scry_status cli_pair_method(scry_patch_method *method, const char *name);
/* --metric, by its name; one that the method has. */
scry_status cli_pair_metric(scry_patch_metric *metric, const char *name, scry_patch_method method);

/* A table of both runs: the two tokens' logits, their difference, the answer's probability. */
scry_status cli_pair_add_sides(scry__text *out, const scry_patching *pair);

#endif
