/* Command-line options as tables: parsing and --help come from the same rows. */
#ifndef SCRY_CLI_OPTIONS_H
#define SCRY_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum cli_option_kind {
    CLI_FLAG,       /* bool */
    CLI_INT,        /* int, from minimum to maximum */
    CLI_REAL,       /* double, from minimum to maximum */
    CLI_SEED,       /* uint64_t */
    CLI_GIVEN_SEED, /* struct cli_seed */
    CLI_BYTES,      /* uint64_t: "512M", "2G", "1000000" */
    CLI_STRING,     /* const char * */
    CLI_RANGE,      /* int[2]: "A:B", half open */
    CLI_LIST,       /* struct cli_list: given again, it adds one */
};

/* A seed, and whether it was on the command line. */
struct cli_seed {
    bool     given;
    uint64_t value;
};

/* Texts in the order given. */
enum { CLI_LIST_MOST = 256 };
struct cli_list {
    const char *items[CLI_LIST_MOST];
    int         count;
};

struct cli_option {
    char                 letter; /* 0: none */
    const char          *name;   /* without dashes */
    enum cli_option_kind kind;
    void                *value;
    const char          *argument; /* what --help calls it; NULL for flags */
    const char          *help;
    double               minimum, maximum;
};

/* What a command takes. */
struct cli_syntax {
    const char              *usage; /* "scry lens [options] TEXT" */
    const char              *about; /* paragraphs for --help */
    const struct cli_option *options;
    int                      option_count;
    int                      least, most; /* positional arguments */
    const char             **arguments;   /* where they go, `most` places; NULL: `run` gets the only one */
    int                     *argument_count;
};

enum cli_parsed { CLI_GO_ON, CLI_HELP_SHOWN, CLI_WRONG };

/* Parses argv[1..]; positional arguments go to `positional` (syntax->most places), their number to *count. "--" ends
 * the options. CLI_WRONG leaves the error's detail. */
enum cli_parsed cli_parse(const struct cli_syntax *syntax, int argc, char **argv, const char **positional, int *count);

void cli_help(const struct cli_syntax *syntax, FILE *out);

#endif
