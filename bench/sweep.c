/* Times activation patching for compare_patching.py: the residual stream before each layer at each position, taken from
 * one prompt into another. Prints one line of JSON: times, cost, and the grid of logit differences.
 *
 *   scry-bench-sweep engine|naive --model DIR --ids FILE [--device D] [--count T] [--repeat N] [--threads N]
 *
 * FILE holds two prompts of T ids each, the one that values come from first, then the two tokens whose logits are
 * compared; i32. Its trace is made before the clock starts, as TransformerLens' cache is; the baseline is in it. */
#include "bench/measure.h"
#include "bench/options.h"
#include "scry/scry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bench {
    struct bench_options asked;
    int32_t             *ids;
    scry_device         *device;
    scry_model          *model;
    scry_trace          *source;
    int                  patches;
    scry_edit           *edits;
    scry_patch          *grid; /* [layer, position] */
    scry_outcome        *outcomes;
};

/* A patch for every layer and position. */
static scry_status prepare(struct bench *bench)
{
    const scry_model_info   *info    = scry_model_get_info(bench->model);
    const scry_trace_options options = {
        .ids = bench->ids, .id_count = bench->asked.count, .hooks = "blocks.*.hook_resid_pre"};
    scry_status status = scry_trace_run(&bench->source, bench->model, NULL, &options);
    if (status) return status;
    bench->patches  = info->layer_count * bench->asked.count;
    bench->edits    = calloc((size_t)bench->patches, sizeof *bench->edits);
    bench->grid     = calloc((size_t)bench->patches, sizeof *bench->grid);
    bench->outcomes = calloc((size_t)bench->patches, sizeof *bench->outcomes);
    if (!bench->edits || !bench->grid || !bench->outcomes) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < bench->patches; i++) {
        const scry_capture *from = &bench->source->captures[i / bench->asked.count];
        int                 at   = i % bench->asked.count;
        bench->edits[i]          = (scry_edit){.hook      = from->name,
                                               .kind      = SCRY_EDIT_REPLACE,
                                               .positions = {at, at + 1},
                                               .values    = {from->data, bench->asked.count, 1, info->hidden_size}};
        bench->grid[i]           = (scry_patch){&bench->edits[i], 1};
    }
    return SCRY_OK;
}

/* The baseline and the first patches of the grid. */
static scry_status run_once(struct bench *bench, int patches, double *ms, scry_sweep_cost *cost)
{
    const scry_sweep_options options = {.ids          = bench->ids + bench->asked.count,
                                        .id_count     = bench->asked.count,
                                        .targets      = bench->ids + 2 * bench->asked.count,
                                        .target_count = 2,
                                        .naive        = !strcmp(bench->asked.mode, "naive")};
    scry_sweep              *sweep   = NULL;
    double                   begin   = bench_now_ms();
    scry_status              status  = scry_sweep_create(&sweep, bench->model, NULL, &options);
    if (!status) status = scry_sweep_run(sweep, bench->grid, patches, bench->outcomes);
    *ms = bench_now_ms() - begin;
    if (!status) *cost = scry_sweep_get_cost(sweep);
    scry_sweep_destroy(&sweep);
    return status;
}

static void print(const struct bench *bench, const double *ms, const scry_sweep_cost *cost)
{
    printf("{\"mode\":\"%s\",\"tokens\":%d,\"threads\":%d,\"device\":\"%s\",\"version\":\"%s\",\"layer_tokens\":%lld,"
           "\"naive_layer_tokens\":%lld,\"patches\":%d,\"skipped\":%d,\"passes\":%d,\"times_ms\":[",
           bench->asked.mode, bench->asked.count, bench->asked.threads,
           scry_device_get_info(bench->device)->description, scry_version(), (long long)cost->layer_tokens,
           (long long)cost->naive_layer_tokens, cost->patches, cost->skipped, cost->passes);
    for (int i = 0; i < bench->asked.repeat; i++) printf("%s%.3f", i ? "," : "", ms[i]);
    fputs("],\"grid\":[", stdout);
    for (int i = 0; i < bench->patches; i++)
        printf("%s%.9g", i ? "," : "", (double)bench->outcomes[i].logits[0] - (double)bench->outcomes[i].logits[1]);
    puts("]}");
}

/* The first layer's patches alone go first, untimed: libraries prepare what they need at their first call. */
static scry_status measure(struct bench *bench)
{
    double          ms[BENCH_MAX_REPEAT];
    scry_sweep_cost cost   = {0};
    scry_status     status = prepare(bench);
    if (!status) status = run_once(bench, bench->asked.count, ms, &cost);
    for (int i = 0; i < bench->asked.repeat && !status; i++) status = run_once(bench, bench->patches, &ms[i], &cost);
    if (!status) print(bench, ms, &cost);
    return status;
}

static int usage(void)
{
    fputs("usage: scry-bench-sweep engine|naive --model DIR --ids FILE [--device D] [--count T] [--repeat N]\n"
          "                        [--threads N]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {"engine", "naive", NULL};
    struct bench             bench   = {.asked = {.count = 15, .repeat = 3, .threads = 2, .device_name = "cpu"}};
    struct bench_options    *asked   = &bench.asked;
    if (!bench_parse(asked, modes, argc, argv) || !asked->model_path || asked->dump_path || asked->repeat < 1)
        return usage();
    bench.ids = bench_read(asked->data_path, (2 * (size_t)asked->count + 2) * sizeof *bench.ids);
    if (!bench.ids) return 3;
    scry_status status =
        scry_device_open(&bench.device, &(scry_device_options){.name = asked->device_name, .threads = asked->threads});
    if (!status) status = scry_model_open(&bench.model, bench.device, asked->model_path, NULL);
    if (!status) status = measure(&bench);
    if (status) fprintf(stderr, "%s: %s\n", scry_status_text(status), scry_last_error());
    free(bench.outcomes);
    free(bench.grid);
    free(bench.edits);
    scry_trace_destroy(&bench.source);
    scry_model_destroy(&bench.model);
    scry_device_destroy(&bench.device);
    free(bench.ids);
    return scry_status_exit_code(status);
}
