/* Times activation patching for compare_patching.py: the residual stream before each layer at each position, taken from
 * one prompt into another. Prints one line of JSON: times, cost, and the grid of logit differences.
 *
 *   scry-bench-sweep engine|naive --model DIR --ids FILE [--device D] [--count T] [--repeat N] [--threads N]
 *
 * FILE holds two prompts of T ids each, the one that values come from first, then the two tokens whose logits are
 * compared; i32. Its trace is made before the clock starts, as TransformerLens' cache is; the baseline is in it. */
#include "bench/measure.h"
#include "scry/scry.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REPEAT = 100 };

struct bench {
    const char   *mode, *model_path, *ids_path, *device_name;
    int           count, repeat, threads;
    int32_t      *ids;
    scry_device  *device;
    scry_model   *model;
    scry_trace   *source;
    int           patches;
    scry_edit    *edits;
    scry_patch   *grid; /* [layer, position] */
    scry_outcome *outcomes;
};

/* A patch for every layer and position. */
static scry_status prepare(struct bench *bench)
{
    const scry_model_info   *info    = scry_model_get_info(bench->model);
    const scry_trace_options options = {
        .ids = bench->ids, .id_count = bench->count, .hooks = "blocks.*.hook_resid_pre"};
    scry_status status = scry_trace_run(&bench->source, bench->model, NULL, &options);
    if (status) return status;
    bench->patches  = info->layer_count * bench->count;
    bench->edits    = calloc((size_t)bench->patches, sizeof *bench->edits);
    bench->grid     = calloc((size_t)bench->patches, sizeof *bench->grid);
    bench->outcomes = calloc((size_t)bench->patches, sizeof *bench->outcomes);
    if (!bench->edits || !bench->grid || !bench->outcomes) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < bench->patches; i++) {
        const scry_capture *from = &bench->source->captures[i / bench->count];
        int                 at   = i % bench->count;
        bench->edits[i]          = (scry_edit){.hook      = from->name,
                                               .kind      = SCRY_EDIT_REPLACE,
                                               .positions = {at, at + 1},
                                               .values    = {from->data, bench->count, 1, info->hidden_size}};
        bench->grid[i]           = (scry_patch){&bench->edits[i], 1};
    }
    return SCRY_OK;
}

/* The baseline and the first patches of the grid. */
static scry_status run_once(struct bench *bench, int patches, double *ms, scry_sweep_cost *cost)
{
    const scry_sweep_options options = {.ids          = bench->ids + bench->count,
                                        .id_count     = bench->count,
                                        .targets      = bench->ids + 2 * bench->count,
                                        .target_count = 2,
                                        .naive        = !strcmp(bench->mode, "naive")};
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
           bench->mode, bench->count, bench->threads, scry_device_get_info(bench->device)->description, scry_version(),
           (long long)cost->layer_tokens, (long long)cost->naive_layer_tokens, cost->patches, cost->skipped,
           cost->passes);
    for (int i = 0; i < bench->repeat; i++) printf("%s%.3f", i ? "," : "", ms[i]);
    fputs("],\"grid\":[", stdout);
    for (int i = 0; i < bench->patches; i++)
        printf("%s%.9g", i ? "," : "", (double)bench->outcomes[i].logits[0] - (double)bench->outcomes[i].logits[1]);
    puts("]}");
}

/* The first layer's patches alone go first, untimed: libraries prepare what they need at their first call. */
static scry_status measure(struct bench *bench)
{
    double          ms[MAX_REPEAT];
    scry_sweep_cost cost   = {0};
    scry_status     status = prepare(bench);
    if (!status) status = run_once(bench, bench->count, ms, &cost);
    for (int i = 0; i < bench->repeat && !status; i++) status = run_once(bench, bench->patches, &ms[i], &cost);
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

static bool parse(struct bench *bench, int argc, char **argv)
{
    static const struct option options[] = {{"model", required_argument, NULL, 'm'},
                                            {"ids", required_argument, NULL, 'i'},
                                            {"count", required_argument, NULL, 'c'},
                                            {"repeat", required_argument, NULL, 'r'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"device", required_argument, NULL, 'D'},
                                            {0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) switch (option) {
        case 'm':
            bench->model_path = optarg;
            break;
        case 'i':
            bench->ids_path = optarg;
            break;
        case 'c':
            bench->count = atoi(optarg);
            break;
        case 'r':
            bench->repeat = atoi(optarg);
            break;
        case 't':
            bench->threads = atoi(optarg);
            break;
        case 'D':
            bench->device_name = optarg;
            break;
        default:
            return false;
        }
    if (optind + 1 != argc || bench->count < 1 || bench->repeat < 1 || bench->repeat > MAX_REPEAT) return false;
    bench->mode = argv[optind];
    return bench->model_path && bench->ids_path && (!strcmp(bench->mode, "engine") || !strcmp(bench->mode, "naive"));
}

static bool read_ids(struct bench *bench)
{
    size_t count = 2 * (size_t)bench->count + 2;
    FILE  *file  = fopen(bench->ids_path, "rb");
    bench->ids   = malloc(count * sizeof *bench->ids);
    bool whole   = file && bench->ids && fread(bench->ids, sizeof *bench->ids, count, file) == count;
    if (file) fclose(file);
    if (!whole) fprintf(stderr, "%s: expected %zu ids\n", bench->ids_path, count);
    return whole;
}

int main(int argc, char **argv)
{
    struct bench bench = {.count = 15, .repeat = 3, .threads = 2, .device_name = "cpu"};
    if (!parse(&bench, argc, argv)) return usage();
    if (!read_ids(&bench)) return 3;
    scry_status status =
        scry_device_open(&bench.device, &(scry_device_options){.name = bench.device_name, .threads = bench.threads});
    if (!status) status = scry_model_open(&bench.model, bench.device, bench.model_path, NULL);
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
