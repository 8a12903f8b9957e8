/* What every command shares. See command.h. */
#include "cli/command.h"
#include "cli/output.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The most verbose level that is printed, or -1. */
static int log_threshold;

static void print_log(void *user, scry_log_level level, const char *line)
{
    (void)user;
    if ((int)level <= log_threshold) fprintf(stderr, "scry: %s\n", line);
}

/* Routes the library's log to stderr as --quiet and --verbose ask. */
static void start_log(const struct cli_common *common)
{
    log_threshold = common->quiet ? -1 : common->verbose ? SCRY_LOG_DEBUG : SCRY_LOG_WARNING;
    scry_set_log_sink(print_log, NULL);
}

/* Notes under --verbose what work begins with. */
static void log_opened(const struct cli_common *common)
{
    const scry_device_info *device = scry_device_get_info(common->opened_device);
    const scry_model_info  *model  = scry_model_get_info(common->model);
    scry__log(SCRY_LOG_INFO, "device %s: %s, %s", device->name, device->description, device->driver);
    scry__log(SCRY_LOG_INFO,
              "model %s: %s, %d layers, %d heads of %d, residual stream of %d, vocabulary %d, context %d, %s",
              model->path, model->family, model->layer_count, model->head_count, model->head_size, model->hidden_size,
              model->vocabulary, model->context, scry_dtype_text(model->weight_dtype));
    if (model->random_init)
        scry__log(SCRY_LOG_INFO, "its weights are drawn anew, seed %llu", (unsigned long long)model->random_seed);
    if (model->streamed)
        scry__log(SCRY_LOG_INFO, "weights: %llu MiB, whose layers take turns in the device's memory",
                  (unsigned long long)(model->weight_bytes >> 20));
}

/* Says what failed (on stderr, and with --json as an object on stdout) and gives the exit code. */
static int end(const struct cli_common *common, scry_status status)
{
    json_t *object = NULL;
    if (!status) return 0;
    const char *detail = scry_last_error();
    fprintf(stderr, "scry: error: %s\n", *detail ? detail : scry_status_text(status));
    if (common->json && !scry__json_error(&object, status)) cli_print_json(object);
    return scry_status_exit_code(status);
}

/* Also where parsing ended before --json was reached. */
static bool asks_for_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--json")) return true;
    return false;
}

int cli_main(const struct cli_syntax *syntax, struct cli_common *common, int argc, char **argv,
             scry_status (*run)(void *state, const char *text), void *state)
{
    const char  *text      = NULL;
    const char **arguments = syntax->arguments ? syntax->arguments : &text;
    int          count, exit_code;
    switch (cli_parse(syntax, argc, argv, arguments, &count)) {
    case CLI_HELP_SHOWN:
        return 0;
    case CLI_WRONG:
        common->json = asks_for_json(argc, argv);
        exit_code    = end(common, SCRY_BAD_ARGUMENT);
        fprintf(stderr, "Usage: %s   (--help tells more)\n", syntax->usage);
        return exit_code;
    case CLI_GO_ON:
        break;
    }
    if (syntax->argument_count) *syntax->argument_count = count;
    start_log(common);
    scry_status status = run(state, text);
    exit_code          = end(common, status); /* before closing: the detail is still the failure's */
    cli_close(common);
    return exit_code;
}

scry_status cli_bad(const char *format, ...)
{
    char    line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    return scry__fail(SCRY_BAD_ARGUMENT, "%s", line);
}

scry_status cli_check_token(scry_token_choice *choice, const char *name)
{
    choice->has_id = choice->id >= 0;
    if (choice->text && choice->has_id)
        return cli_bad("--%s and --%s-id were given together: expected one of them", name, name);
    return SCRY_OK;
}

scry_status cli_check_suffix(const char *path, const char *suffixes)
{
    const char *dot  = path ? strrchr(path, '.') : NULL;
    size_t      size = dot ? strlen(dot) : 0;
    if (!path) return SCRY_OK;
    for (const char *at = dot ? strstr(suffixes, dot) : NULL; at; at = strstr(at + 1, dot))
        if (!at[size] || at[size] == ' ') return SCRY_OK;
    return cli_bad("%s: expected a name that ends in %s%s", path, strchr(suffixes, ' ') ? "one of " : "", suffixes);
}

bool cli_is_listed(const char *names, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = names; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (!strncmp(at, word, length) && (!at[length] || at[length] == ',')) return true;
    }
    return false;
}

bool cli_has_op(const char *names, scry_op_kind kind)
{
    return !names || cli_is_listed(names, scry_op_text(kind));
}

bool cli_has_row(const char *patterns, const char *name, bool usual)
{
    if (!patterns) return usual;
    for (const char *at = patterns; at; at = strchr(at, ',')) {
        char pattern[128];
        at += *at == ',';
        snprintf(pattern, sizeof pattern, "%.*s", (int)strcspn(at, ","), at);
        if (!strcmp(pattern, name) || (usual && scry__glob(pattern, name))) return true;
    }
    return false;
}

scry_status cli_check_ops(const char *names)
{
    for (const char *at = names; at; at = strchr(at, ',')) {
        at += *at == ',';
        int    length = (int)strcspn(at, ",");
        bool   known  = false;
        char   all[256];
        size_t used = 0;
        for (int kind = 0; kind < SCRY_OP_COUNT; kind++) {
            const char *text = scry_op_text((scry_op_kind)kind);
            known            = known || ((int)strlen(text) == length && !strncmp(text, at, (size_t)length));
            used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", kind ? ", " : "", text);
        }
        if (!known) return cli_bad("--op \"%.*s\": expected one of %s", length, at, all);
    }
    return SCRY_OK;
}

scry_status cli_parse_ids(const char *option, const char *text, int32_t **ids, int *count)
{
    size_t most = 1;
    *ids        = NULL;
    *count      = 0;
    for (const char *at = text; *at; at++) most += *at == ',';
    int32_t *numbers = scry__alloc(most, sizeof *numbers);
    if (!numbers) return SCRY_OUT_OF_MEMORY;
    for (const char *at = text;;) {
        char *end;
        errno      = 0;
        long value = strtol(at, &end, 10);
        if (end == at || (*end && *end != ',') || errno || value < INT32_MIN || value > INT32_MAX) {
            scry__free(numbers);
            return cli_bad("--%s \"%.60s\": expected numbers and commas such as 5,17,3; wrong at \"%.20s\"", option,
                           text, at);
        }
        numbers[(*count)++] = (int32_t)value;
        if (!*end) break;
        at = end + 1;
    }
    *ids = numbers;
    return SCRY_OK;
}

/* The demo model: where the program lies in its build or install tree, else below the working directory. */
static char *find_demo(void)
{
    static const char *const beside[] = {"../../models/demo", "../share/scry/models/demo", NULL};
    char                     program[PATH_MAX];
    ssize_t                  size = readlink("/proc/self/exe", program, sizeof program - 1);
    char                    *path = NULL;
    if (size > 0) {
        program[size]          = 0;
        *strrchr(program, '/') = 0;
        for (int i = 0; beside[i] && !path; i++) {
            char *config = NULL;
            path         = scry__path_join(program, beside[i]);
            if (path) config = scry__path_join(path, "config.json");
            if (!config || !scry__file_exists(config)) {
                scry__free(path);
                path = NULL;
            }
            scry__free(config);
        }
    }
    return path ? path : scry__strdup("models/demo");
}

char *cli_model_path(const struct cli_common *common)
{
    return common->model_path ? scry__strdup(common->model_path) : find_demo();
}

scry_status cli_open_device(struct cli_common *common)
{
    const scry_device_options options = {
        .name     = common->device,
        .fallback = common->allow_cpu ? SCRY_FALLBACK_ALLOW_CPU : SCRY_FALLBACK_STRICT,
        .kernels  = common->kernels,
    };
    return scry_device_open(&common->opened_device, &options);
}

scry_status cli_open_model(struct cli_common *common)
{
    char       *path   = NULL;
    scry_status status = cli_open_device(common);
    if (!status && !(path = cli_model_path(common))) status = SCRY_OUT_OF_MEMORY;
    if (!status)
        status = scry_model_open(&common->model, common->opened_device, path,
                                 &(scry_model_options){.weight_memory = common->weight_memory,
                                                       .random_init   = common->random_init.given,
                                                       .random_seed   = common->random_init.value});
    if (!status) log_opened(common);
    scry__free(path);
    return status;
}

scry_status cli_open(struct cli_common *common, const char *text)
{
    scry_status status = SCRY_OK;
    if (!text == !common->ids_text)
        return cli_bad(text ? "TEXT and --ids were both given: expected one of them"
                            : "nothing to read: give a TEXT or --ids");
    if (common->ids_text) status = cli_parse_ids("ids", common->ids_text, &common->ids, &common->id_count);
    if (!status) status = cli_open_model(common);
    if (status || !common->edit_texts.count) return status;
    return scry_edits_parse(&common->edits, common->model, common->edit_texts.items, common->edit_texts.count);
}

void cli_close(struct cli_common *common)
{
    scry_free(common->ids);
    common->ids = NULL;
    scry_edits_destroy(&common->edits);
    scry_model_destroy(&common->model);
    scry_device_destroy(&common->opened_device);
}
