/* scry trace: any activations of a forward pass, to .npz. */
#include "cli/command.h"
#include "cli/output.h"

#include "report/npz.h"

#include <stdio.h>

struct trace {
    struct cli_common   common;
    scry_trace_options  options;
    const char         *output;
    int                 queries[2], keys[2];
    scry__npz          *npz;
    struct cli_progress progress;
};

static scry_status write_capture(void *user, const scry_capture *capture)
{
    struct trace *trace = user;
    if (capture->layer >= 0)
        cli_progress_step(&trace->progress, capture->layer + 1, scry_model_get_info(trace->common.model)->layer_count);
    return scry__npz_add_capture(trace->npz, capture);
}

static scry_status print_summary(const struct cli_common *common, const scry_trace *trace, const char *output)
{
    json_t    *object = NULL;
    scry__text text   = {0};
    if (common->json) {
        scry__json_source source = cli_source(common);
        scry_status       status = scry__json_trace(&object, trace, output, &source);
        return status ? status : cli_print_json(object);
    }
    if (common->quiet) return SCRY_OK;
    cli_add_edits(&text, "", common, "\n");
    for (int i = 0; i < trace->count; i++) {
        const scry_capture *capture = &trace->captures[i];
        scry__text_addf(&text, "%-40s %s [", capture->name, scry_dtype_text(capture->dtype));
        for (int axis = 0; axis < capture->rank; axis++)
            scry__text_addf(&text, "%s%lld", axis ? ", " : "", (long long)capture->shape[axis]);
        scry__text_adds(&text, "]\n");
    }
    scry__text_addf(&text, "%d arrays of %d tokens in %s\n", trace->count, trace->tokens->count, output);
    return cli_print(&text);
}

static scry_status write_trace(void *state, const char *prompt)
{
    struct trace       *trace   = state;
    scry_trace_options *options = &trace->options;
    scry_trace         *result  = NULL;
    if (!options->hooks) return cli_bad("--hooks is missing: expected names such as 'blocks.*.hook_resid_post,logits'");
    if (!trace->output) return cli_bad("--output is missing: expected the path of the .npz file to write");
    scry_status status = cli_check_suffix(trace->output, ".npz");
    if (!status) status = cli_open(&trace->common, prompt);
    if (!status) status = scry__npz_open(&trace->npz, trace->output);
    if (status) return status;
    options->ids      = trace->common.ids;
    options->id_count = trace->common.id_count;
    options->edits    = trace->common.edits;
    options->queries  = (scry_range){trace->queries[0], trace->queries[1]};
    options->keys     = (scry_range){trace->keys[0], trace->keys[1]};
    options->sink     = write_capture;
    options->user     = trace;
    cli_progress_start(&trace->progress, &trace->common, "layers");
    status = scry_trace_run(&result, trace->common.model, prompt, options);
    cli_progress_end(&trace->progress);
    if (!status) status = cli_add_tokens(trace->npz, result->tokens);
    if (status)
        scry__npz_abort(&trace->npz);
    else
        status = scry__npz_commit(&trace->npz);
    if (!status) status = print_summary(&trace->common, result, trace->output);
    cli_note_fallbacks(&trace->common);
    scry_trace_destroy(&result);
    return status;
}

int cli_trace(int argc, char **argv)
{
    struct trace            trace     = {0};
    const struct cli_option options[] = {
        {'H', "hooks", CLI_STRING, &trace.options.hooks, "NAMES", "hook points, comma-separated, with * and ?", 0, 0},
        {'o', "output", CLI_STRING, &trace.output, "F.npz", "the file to write", 0, 0},
        {'l', "layers", CLI_STRING, &trace.options.layers, "0-3,5", "layers (all)", 0, 0},
        {0, "heads", CLI_STRING, &trace.options.heads, "1,4-7", "heads of arrays with an axis of query heads (all)", 0,
         0},
        {0, "queries", CLI_RANGE, trace.queries, "A:B", "rows of scores and patterns (all)", 0, 0},
        {0, "keys", CLI_RANGE, trace.keys, "A:B", "columns of scores and patterns (all)", 0, 0},
        CLI_EDIT_OPTION(trace.common),
        CLI_MODEL_OPTIONS(trace.common),
        CLI_COMMON_OPTIONS(trace.common),
    };
    const struct cli_syntax syntax = {
        .usage = "scry trace [options] --hooks NAMES -o F.npz TEXT",
        .about =
            "Runs one forward pass and writes the chosen activations, layer by layer, with the tokens. Hook points "
            "have\n"
            "TransformerLens' names: hook_embed, blocks.3.hook_resid_pre, blocks.*.attn.hook_pattern, "
            "blocks.*.attn.hook_z,\n"
            "blocks.*.mlp.hook_post, ln_final.hook_normalized, logits, ...; a wrong name lists what the model has.\n"
            "blocks.*.attn.stat_* are statistics of the attention rows that never store T x T. docs/hooks.md lists "
            "all.",
        .options      = options,
        .option_count = sizeof options / sizeof *options,
        .most         = 1,
    };
    return cli_main(&syntax, &trace.common, argc, argv, write_trace, &trace);
}
