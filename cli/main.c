/* scry: the program. Finds the command and runs it. */
#include "cli/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"report", "everything below for a prompt, in one offline HTML file", cli_report},
    {"lens", "predictions by layer and position", cli_lens},
    {"attn", "attention of chosen layers and heads: terminal, PNG, SVG, .npz", cli_attn},
    {"heads", "every attention head scored, beside its nulls", cli_heads},
    {"induction", "which heads let it say a sequence again, and what feeds them", cli_induction},
    {"influence", "what a position drew on: weights, rollout, and what cutting each edge changes", cli_influence},
    {"ablate", "what changes without each head, attention block, MLP and layer", cli_ablate},
    {"attribute", "a logit, or a difference of two, split over embedding, heads, MLPs and biases", cli_attribute},
    {"patch", "which activations carry the answer from one prompt's run to another's", cli_patch},
    {"path", "path patching: what each part says to chosen receivers", cli_path},
    {"steer", "continuations with a vector added at a layer, by strength", cli_steer},
    {"diagnose", "what is wrong: masks, scale, NaN, ignored context, loops", cli_diagnose},
    {"diff", "two checkpoints, prompts or attention files side by side; a series", cli_diff},
    {"trace", "any activations of a forward pass, to .npz", cli_trace},
    {"run", "generate, with the candidates of each step", cli_run},
    {"train", "train a tiny model, with checkpoints", cli_train},
    {"tune-lens", "train and evaluate a tuned lens, which reads earlier layers better", cli_tune_lens},
    {"conform", "check devices against the reference, op by op", cli_conform},
    {"devices", "backends and devices, and why one is not usable", cli_devices},
    {"bench", "how fast each op is, beside roofline and libraries", cli_bench},
    {"tune", "the fastest kernels of a device, measured and kept", cli_tune},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static void help(FILE *out)
{
    fprintf(out, "scry %s: looks inside transformer language models on any GPU\n\nUsage: scry COMMAND [options]\n\n",
            scry_version());
    for (int i = 0; i < COMMAND_COUNT; i++) fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].about);
    fprintf(out, "\nEach command has --help. Exit codes: 0 done, 1 a check failed, 2 bad arguments, 3 bad input file,\n"
                 "4 no usable device, 5 out of memory, 6 input/output error, 7 device lost.\n");
}

static int run_command(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (!strcmp(name, commands[i].name)) return commands[i].run(argc - 1, argv + 1);
    for (int i = 0; i < COMMAND_COUNT && argc > 2 && !strcmp(name, "help"); i++)
        if (!strcmp(argv[2], commands[i].name))
            return commands[i].run(2, (char *[]){argv[2], (char[]){"--help"}, NULL});
    if (!strcmp(name, "--version")) {
        printf("scry %s\n", scry_version());
        return 0;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        help(stdout);
        return 0;
    }
    fprintf(stderr, "scry: error: there is no command \"%s\"\n\n", name);
    help(stderr);
    return scry_status_exit_code(SCRY_BAD_ARGUMENT);
}

int main(int argc, char **argv)
{
    int exit_code = run_command(argc, argv);
    if (exit_code || (!fflush(stdout) && !ferror(stdout))) return exit_code;
    fprintf(stderr, "scry: error: standard output: %s\n", strerror(errno));
    return scry_status_exit_code(SCRY_IO);
}
