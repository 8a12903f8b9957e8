/* Parsing options by table. See options.h. */
#include "cli/options.h"

#include "base/error.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_option *by_name(const struct cli_syntax *syntax, const char *name, size_t size)
{
    for (int i = 0; i < syntax->option_count; i++)
        if (strlen(syntax->options[i].name) == size && !strncmp(syntax->options[i].name, name, size))
            return &syntax->options[i];
    return NULL;
}

static const struct cli_option *by_letter(const struct cli_syntax *syntax, char letter)
{
    for (int i = 0; i < syntax->option_count; i++)
        if (syntax->options[i].letter == letter) return &syntax->options[i];
    return NULL;
}

/* Sets the error detail, printf-like. */
static enum cli_parsed wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
static enum cli_parsed wrong(const char *format, ...)
{
    char    line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    scry__fail(SCRY_BAD_ARGUMENT, "%s", line);
    return CLI_WRONG;
}

static bool parse_range(const char *text, int out[2])
{
    char *end;
    long  begin, last;
    errno = 0;
    begin = strtol(text, &end, 10);
    if (end == text || *end != ':') return false;
    text = end + 1;
    last = strtol(text, &end, 10);
    if (end == text || *end || errno || begin < 0 || last <= begin || last > 1000000000) return false;
    out[0] = (int)begin;
    out[1] = (int)last;
    return true;
}

/* A whole number of bytes, or of KiB, MiB, GiB or TiB by its letter. */
static bool parse_bytes(const char *text, uint64_t *out)
{
    static const char letters[] = "KMGT";
    char             *end;
    uint64_t          number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || errno || !number) return false;
    const char *letter = *end ? strchr(letters, *end) : NULL;
    int         shift  = letter ? 10 * (int)(letter - letters + 1) : 0;
    if ((*end && !letter) || (letter && end[1]) || number > UINT64_MAX >> shift) return false;
    *out = number << shift;
    return true;
}

static bool parse_seed(const char *text, uint64_t *out)
{
    char *end;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && !errno;
}

static bool add_item(struct cli_list *list, const char *text)
{
    if (list->count == CLI_LIST_MOST) return false;
    list->items[list->count++] = text;
    return true;
}

/* Stores `text` where the option points; false where it is not what the option takes. */
static bool store(const struct cli_option *option, const char *text)
{
    char *end;
    errno = 0;
    switch (option->kind) {
    case CLI_FLAG:
        *(bool *)option->value = true;
        return true;
    case CLI_STRING:
        *(const char **)option->value = text;
        return true;
    case CLI_RANGE:
        return parse_range(text, option->value);
    case CLI_LIST:
        return add_item(option->value, text);
    case CLI_SEED:
        return parse_seed(text, option->value);
    case CLI_GIVEN_SEED:
        ((struct cli_seed *)option->value)->given = true;
        return parse_seed(text, &((struct cli_seed *)option->value)->value);
    case CLI_BYTES:
        return parse_bytes(text, option->value);
    case CLI_INT:
    case CLI_REAL:
        break;
    }
    double value = strtod(text, &end);
    if (end == text || *end || errno || !isfinite(value) || value < option->minimum || value > option->maximum)
        return false;
    if (option->kind == CLI_REAL) {
        *(double *)option->value = value;
        return true;
    }
    *(int *)option->value = (int)value;
    return value == floor(value);
}

static enum cli_parsed wrong_value(const struct cli_option *option, const char *text)
{
    switch (option->kind) {
    case CLI_RANGE:
        return wrong("--%s \"%s\": expected BEGIN:END with BEGIN < END", option->name, text);
    case CLI_LIST:
        return wrong("--%s \"%s\": expected at most %d of them", option->name, text, CLI_LIST_MOST);
    case CLI_SEED:
    case CLI_GIVEN_SEED:
        return wrong("--%s \"%s\": expected a whole number from 0", option->name, text);
    case CLI_BYTES:
        return wrong("--%s \"%s\": expected bytes, or a number of K, M, G or T such as 2G", option->name, text);
    default:
        return wrong("--%s \"%s\": expected %s from %g to %g", option->name, text,
                     option->kind == CLI_INT ? "a whole number" : "a number", option->minimum, option->maximum);
    }
}

/* Handles argv[*at], which begins with a dash; takes the next argument where the option needs one. */
static enum cli_parsed parse_option(const struct cli_syntax *syntax, int argc, char **argv, int *at)
{
    const char              *argument = argv[*at], *value = NULL;
    const struct cli_option *option;
    if (!strcmp(argument, "--help") || !strcmp(argument, "-h")) {
        cli_help(syntax, stdout);
        return CLI_HELP_SHOWN;
    }
    if (argument[1] == '-') {
        const char *equals = strchr(argument, '=');
        option = by_name(syntax, argument + 2, equals ? (size_t)(equals - argument - 2) : strlen(argument + 2));
        value  = equals ? equals + 1 : NULL;
    } else {
        option = by_letter(syntax, argument[1]);
        value  = option && argument[2] ? argument + 2 : NULL;
    }
    if (!option) return wrong("there is no option %s", argument);
    if (option->kind == CLI_FLAG && value) return wrong("--%s: takes no value", option->name);
    if (option->kind != CLI_FLAG && !value) {
        if (*at + 1 >= argc) return wrong("--%s: expected a value after it", option->name);
        value = argv[++*at];
    }
    return store(option, value) ? CLI_GO_ON : wrong_value(option, value);
}

enum cli_parsed cli_parse(const struct cli_syntax *syntax, int argc, char **argv, const char **positional, int *count)
{
    bool options_ended = false;
    *count             = 0;
    for (int i = 1; i < argc; i++) {
        if (!options_ended && !strcmp(argv[i], "--")) {
            options_ended = true;
        } else if (!options_ended && argv[i][0] == '-' && argv[i][1]) {
            enum cli_parsed parsed = parse_option(syntax, argc, argv, &i);
            if (parsed != CLI_GO_ON) return parsed;
        } else if (*count == syntax->most) {
            return wrong("unexpected argument %s%s", argv[i],
                         syntax->most == 1 ? ": expected one TEXT, in quotes where it has spaces" : "");
        } else {
            positional[(*count)++] = argv[i];
        }
    }
    if (*count < syntax->least) return wrong("expected %d arguments, found %d", syntax->least, *count);
    return CLI_GO_ON;
}

void cli_help(const struct cli_syntax *syntax, FILE *out)
{
    fprintf(out, "Usage: %s\n\n%s\n\nOptions:\n", syntax->usage, syntax->about);
    for (int i = 0; i < syntax->option_count; i++) {
        const struct cli_option *option = &syntax->options[i];
        char                     left[64];
        snprintf(left, sizeof left, "%c%c%s --%s%s%s", option->letter ? '-' : ' ',
                 option->letter ? option->letter : ' ', option->letter ? "," : " ", option->name,
                 option->argument ? " " : "", option->argument ? option->argument : "");
        fprintf(out, "  %-26s  %s\n", left, option->help);
    }
    fprintf(out, "  %-26s  %s\n", "-h, --help", "this text");
}
