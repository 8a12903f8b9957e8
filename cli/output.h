/* What commands print and write: text, JSON, tables of numbers, progress. */
#ifndef SCRY_CLI_OUTPUT_H
#define SCRY_CLI_OUTPUT_H

#include "cli/command.h"

#include "base/text.h"
#include "report/json_out.h"
#include "report/npz.h"
#include "report/terminal.h"

/* Prints on stdout and releases; SCRY_IO where stdout does not take it. */
scry_status cli_print(scry__text *text);
scry_status cli_print_json(json_t *object);

/* On one line into a file, whole or not at all; the object stays. */
scry_status cli_write_json(const char *path, const json_t *object);

/* "WHAT Paris: logit 11.204, probability 0.9971" and a line's end. */
void cli_add_candidate(scry__text *out, const char *what, const scry_candidate *candidate);

/* The terminal on stdout: its width (a wide page where stdout is none) and colours. */
scry__terminal cli_terminal(void);

/* Where JSON results say they come from. */
scry__json_source cli_source(const struct cli_common *common);

/* "PREFIXwith edits: HOOK=WHAT; HOOK=WHATSUFFIX", so that no result passes for the model's own; nothing without --edit.
 */
void cli_add_edits(scry__text *out, const char *prefix, const struct cli_common *common, const char *suffix);

/* Beside captures, a file says which tokens they belong to: `tokens` (ids) and `token_texts`. */
scry_status cli_add_tokens(scry__npz *npz, const scry_tokens *tokens);

/* "PREFIX2 of 15 classes of shapes run another kernel ..., FILE" and a line's end; nothing where nothing was tuned. */
void cli_add_tuning(scry__text *out, const char *prefix, const scry_device_tuning *tuning);

/* Notes each fallback on stderr once the work is done. */
void cli_note_fallbacks(const struct cli_common *common);

/* Seconds on a clock that only goes forward. */
double cli_now(void);

/* A progress line on stderr for work of more than a second; only on a terminal and without --quiet. Zero-initialise. */
struct cli_progress {
    const char *label;
    double      started, shown;
    int64_t     before; /* steps that were done at the start, and took no time */
    bool        on;
};
void cli_progress_start(struct cli_progress *progress, const struct cli_common *common, const char *label);
void cli_progress_step(struct cli_progress *progress, int64_t done, int64_t total);
void cli_progress_end(struct cli_progress *progress);

#endif
