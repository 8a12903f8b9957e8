/* What commands print and write. See output.h. */
#include "cli/output.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

scry_status cli_print(scry__text *text)
{
    scry_status status  = text->status;
    bool        has_any = text->size > 0; /* else it may have no data either */
    if (!status && ((has_any && fwrite(text->data, 1, text->size, stdout) != text->size) || fflush(stdout)))
        status = scry__fail(SCRY_IO, "standard output: %s", strerror(errno));
    scry__text_finish(text);
    return status;
}

scry_status cli_print_json(json_t *object)
{
    scry__text text = {0};
    scry__json_dump(&text, object, isatty(STDOUT_FILENO));
    json_decref(object);
    return cli_print(&text);
}

scry_status cli_write_json(const char *path, const json_t *object)
{
    scry__text text = {0};
    scry__json_dump(&text, object, false);
    scry_status status = text.status ? text.status : scry__file_write(path, text.data, text.size);
    scry__text_finish(&text);
    return status;
}

void cli_add_candidate(scry__text *out, const char *what, const scry_candidate *candidate)
{
    scry__text_addf(out, "%s ", what);
    scry__label_add(out, candidate->text);
    scry__text_addf(out, ": logit %.3f, probability %.4g\n", (double)candidate->logit, (double)candidate->probability);
}

/* Width of the terminal on stdout, or 0 where stdout is none. */
static int terminal_width(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO)) return 0;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

static bool wants_colour(void)
{
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && !(term && !strcmp(term, "dumb"));
}

scry__terminal cli_terminal(void)
{
    const char    *depth    = getenv("COLORTERM");
    int            width    = terminal_width();
    scry__terminal terminal = {.width = width ? width : 160, .colour = SCRY__TERMINAL_PLAIN};
    if (wants_colour())
        terminal.colour = depth && (!strcmp(depth, "truecolor") || !strcmp(depth, "24bit")) ? SCRY__TERMINAL_TRUE_COLOUR
                                                                                            : SCRY__TERMINAL_256;
    return terminal;
}

scry__json_source cli_source(const struct cli_common *common)
{
    return (scry__json_source){.model         = common->model ? scry_model_get_info(common->model) : NULL,
                               .device        = scry_device_get_info(common->opened_device),
                               .fallbacks     = scry_device_fallbacks(common->opened_device),
                               .last_fallback = scry_device_last_fallback(common->opened_device),
                               .edits         = common->edit_texts.items,
                               .edit_count    = common->edit_texts.count};
}

/* Of many edits the first are named. */
enum { EDITS_NAMED = 8 };

void cli_add_edits(scry__text *out, const char *prefix, const struct cli_common *common, const char *suffix)
{
    const struct cli_list *edits = &common->edit_texts;
    if (!edits->count) return;
    scry__text_addf(out, "%swith edits: ", prefix);
    for (int i = 0; i < edits->count && i < EDITS_NAMED; i++) {
        scry__text_adds(out, i ? "; " : "");
        scry__label_prose(out, edits->items[i]);
    }
    if (edits->count > EDITS_NAMED) scry__text_addf(out, "; and %d more", edits->count - EDITS_NAMED);
    scry__text_adds(out, suffix);
}

scry_status cli_add_tokens(scry__npz *npz, const scry_tokens *tokens)
{
    const int64_t count  = tokens->count;
    scry_status   status = scry__npz_add(npz, "tokens", SCRY__NPY_I32, 1, &count, tokens->ids);
    if (!status) status = scry__npz_add_texts(npz, "token_texts", (const char *const *)tokens->texts, tokens->count);
    return status;
}

void cli_add_tuning(scry__text *out, const char *prefix, const scry_device_tuning *tuning)
{
    if (!*tuning->file) return;
    if (*tuning->reason)
        scry__text_addf(out, "%snot used: %s\n", prefix, tuning->reason);
    else
        scry__text_addf(out, "%s%d of %d classes of shapes run another kernel than the device would choose (%s, %s)\n",
                        prefix, tuning->choices, tuning->classes, tuning->date, tuning->file);
}

void cli_note_fallbacks(const struct cli_common *common)
{
    uint64_t count = scry_device_fallbacks(common->opened_device);
    if (count && !common->quiet)
        fprintf(stderr, "scry: %llu ops ran on the cpu instead; the last: %s\n", (unsigned long long)count,
                scry_device_last_fallback(common->opened_device));
}

double cli_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void cli_progress_start(struct cli_progress *progress, const struct cli_common *common, const char *label)
{
    *progress =
        (struct cli_progress){.label = label, .started = cli_now(), .on = !common->quiet && isatty(STDERR_FILENO)};
}

void cli_progress_step(struct cli_progress *progress, int64_t done, int64_t total)
{
    double         time = cli_now(), seconds = time - progress->started;
    scry__terminal terminal = {.width = 78};
    scry__text     line     = {0};
    int64_t        own      = done - progress->before;
    if (!progress->on || seconds < 1 || time - progress->shown < 0.1) return;
    progress->shown = time;
    scry__terminal_progress(&line, &terminal, progress->label, done, total, seconds,
                            own > 0 ? seconds * (double)(total - done) / (double)own : -1);
    if (!line.status) fprintf(stderr, "\r%s", line.data);
    scry__text_finish(&line);
}

void cli_progress_end(struct cli_progress *progress)
{
    if (progress->shown > 0) fprintf(stderr, "\r%78s\r", "");
}
