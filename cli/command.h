/* What every command shares: the common options, opening the device and the model, the prompt, and ending with the
 * documented exit code. */
#ifndef SCRY_CLI_COMMAND_H
#define SCRY_CLI_COMMAND_H

#include "cli/options.h"
#include "scry/scry.h"

struct cli_common {
    const char     *device, *kernels, *model_path, *ids_text;
    bool            json, quiet, verbose, allow_cpu;
    uint64_t        weight_memory;
    struct cli_seed random_init;
    struct cli_list edit_texts;
    /* Filled by cli_open: */
    scry_device *opened_device;
    scry_model  *model;
    scry_edits  *edits; /* of --edit; NULL: none */
    int32_t     *ids;   /* of --ids */
    int          id_count;
};

/* Rows for a command's option table; `common` is a struct cli_common in scope. */
#define CLI_COMMON_OPTIONS(common)                                                                                     \
    {'d', "device", CLI_STRING, &(common).device, "NAME", "cpu, vulkan:1, ... (default: $SCRY_DEVICE, else the best)", \
     0,   0},                                                                                                          \
        {0, "kernels", CLI_STRING, &(common).kernels, "OP=NAME,..", "kernels instead of the device's choice", 0, 0},   \
        {0, "allow-cpu", CLI_FLAG, &(common).allow_cpu, NULL, "run on the cpu what the device cannot", 0, 0},          \
        {0, "json", CLI_FLAG, &(common).json, NULL, "one JSON object on stdout", 0, 0},                                \
        {'q', "quiet", CLI_FLAG, &(common).quiet, NULL, "no progress, no notes", 0, 0},                                \
    {                                                                                                                  \
        'v', "verbose", CLI_FLAG, &(common).verbose, NULL, "say what is being done", 0, 0                              \
    }

#define CLI_CHECKPOINT_OPTIONS(common)                                                                                 \
    {'m', "model", CLI_STRING, &(common).model_path, "DIR", "checkpoint directory (default: the demo model)", 0, 0},   \
        {0,         "weight-memory",                                                                                   \
         CLI_BYTES, &(common).weight_memory,                                                                           \
         "SIZE",    "most device memory for weights, such as 2G: the rest streams",                                    \
         0,         0},                                                                                                \
    {                                                                                                                  \
        0, "random-init", CLI_GIVEN_SEED, &(common).random_init, "SEED",                                               \
            "the model's random twin: as it is before training", 0, 0                                                  \
    }

/* Of commands that take a prompt. */
#define CLI_MODEL_OPTIONS(common)                                                                                      \
    CLI_CHECKPOINT_OPTIONS(common),                                                                                    \
    {                                                                                                                  \
        0, "ids", CLI_STRING, &(common).ids_text, "5,17,3", "token ids instead of TEXT", 0, 0                          \
    }

/* Of those whose passes can be edited. */
#define CLI_EDIT_OPTION(common)                                                                                        \
    {                                                                                                                  \
        'e', "edit", CLI_LIST, &(common).edit_texts, "HOOK[..]=WHAT",                                                  \
            "edit activations on their way, such as 'blocks.3.attn.hook_z[head=5]=zero'; may be repeated", 0, 0        \
    }

/* Opens device and model, and reads --ids and --edit. `text` is the positional TEXT or NULL: exactly one of text and
 * --ids must be there. */
scry_status cli_open(struct cli_common *common, const char *text);
scry_status cli_open_device(struct cli_common *common);
scry_status cli_open_model(struct cli_common *common); /* and its device; no prompt */
void        cli_close(struct cli_common *common);

/* The directory of --model, else of the demo model; release with scry__free. NULL when memory is refused. */
char *cli_model_path(const struct cli_common *common);

/* Sets the error detail of a bad argument, printf-like. */
scry_status cli_bad(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* After --NAME and --NAME-id went to text and id, which was -1 before: fills has_id; both at once are refused. */
scry_status cli_check_token(scry_token_choice *choice, const char *name);

/* Whether `path` ends in one of the suffixes ".png .svg", separated by spaces; else a bad argument that lists them.
 * Asked before any work, so that a long run does not end with it. NULL passes. */
scry_status cli_check_suffix(const char *path, const char *suffixes);

/* Is `word` one of the names, which have commas between them? */
bool cli_is_listed(const char *names, const char *word);

/* "--op matmul,lens": whether every name is an op's, and whether one of them is this op's. NULL is every op. */
scry_status cli_check_ops(const char *names);
bool        cli_has_op(const char *names, scry_op_kind kind);

/* "--only matmul/1x1x1,lens/top-?": whether the row of that name is asked for, by its whole name or, if it is `usual`,
 * by a pattern. NULL is every usual row. */
bool cli_has_row(const char *patterns, const char *name, bool usual);

/* "5,17,3", which --OPTION was given, to numbers; release with scry_free. */
scry_status cli_parse_ids(const char *option, const char *text, int32_t **ids, int *count);

/* A command's main: parses by `syntax`, starts the log, calls run(state, TEXT or NULL), closes what `common` opened,
 * and gives the exit code. `common` lies inside `state`. */
int cli_main(const struct cli_syntax *syntax, struct cli_common *common, int argc, char **argv,
             scry_status (*run)(void *state, const char *text), void *state);

/* Each command's entry: argv[0] is its name. Gives the exit code. */
int cli_devices(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_tune(int argc, char **argv);
int cli_run(int argc, char **argv);
int cli_trace(int argc, char **argv);
int cli_attn(int argc, char **argv);
int cli_lens(int argc, char **argv);
int cli_heads(int argc, char **argv);
int cli_induction(int argc, char **argv);
int cli_influence(int argc, char **argv);
int cli_ablate(int argc, char **argv);
int cli_attribute(int argc, char **argv);
int cli_path(int argc, char **argv);
int cli_patch(int argc, char **argv);
int cli_steer(int argc, char **argv);
int cli_diagnose(int argc, char **argv);
int cli_diff(int argc, char **argv);
int cli_train(int argc, char **argv);
int cli_tune_lens(int argc, char **argv);
int cli_report(int argc, char **argv);
int cli_conform(int argc, char **argv);

#endif
