/* The scry side of bench/compare_torch.py: times one kind of run through the public API and prints one line of JSON.
 *
 *   scry-bench-forward MODE --model DIR --ids FILE [--device D] [--count T] [--repeat N] [--threads N] [--dump FILE]
 *   scry-bench-forward attention --input FILE [--count T] ...
 *
 * MODE is capture (every layer's probabilities handed to a sink), kept (all of them held), statistics (row and column
 * statistics instead), heads (the scores of every head, without probe and random models), pass (the same pass with
 * nothing asked of attention), lens (every layer and position, top 10) or attention (the op alone, with statistics; 12
 * heads of 64). --ids holds int32 token ids, --input f32 q, k and v, each [T, 12, 64]. After loading, the weights are
 * touched and a pass over 16 tokens warms up; then the first run's peak memory is taken, and `repeat` more runs are
 * timed.
 * --dump writes the first run's arrays one after the other; "arrays" in the JSON says what lies where. */
#include "bench/measure.h"
#include "bench/options.h"
#include "scry/scry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATISTICS                                                                                                     \
    "blocks.*.attn.stat_lse,blocks.*.attn.stat_entropy,blocks.*.attn.stat_max,blocks.*.attn.stat_argmax,"              \
    "blocks.*.attn.stat_received"

enum { WARM_UP = 16, HEADS = 12, HEAD_SIZE = 64, TOP = 10 };

struct bench {
    struct bench_options asked;
    void                *data; /* ids, or q, k and v */
    scry_device         *device;
    scry_model          *model;
    scry_buffer         *operands, *results; /* of the attention op */
    scry_op              op;
    FILE                *dump;
    long                 dumped;    /* bytes */
    size_t               delivered; /* bytes handed over by the last run */
    char                *arrays;    /* JSON of what was dumped */
    size_t               arrays_size;
    FILE                *arrays_text;
};

static void dump_array(struct bench *bench, const char *name, scry_dtype dtype, int rank, const int64_t *shape,
                       const void *data, size_t bytes)
{
    if (!bench->dump) return;
    fprintf(bench->arrays_text, "%s{\"name\":\"%s\",\"dtype\":\"%s\",\"offset\":%ld,\"shape\":[",
            bench->dumped ? "," : "", name, scry_dtype_text(dtype), bench->dumped);
    for (int axis = 0; axis < rank; axis++)
        fprintf(bench->arrays_text, "%s%lld", axis ? "," : "", (long long)shape[axis]);
    fputs("]}", bench->arrays_text);
    bench->dumped += (long)fwrite(data, 1, bytes, bench->dump);
}

static scry_status take_capture(void *user, const scry_capture *capture)
{
    struct bench *bench = user;
    size_t        bytes = scry_dtype_size(capture->dtype);
    for (int axis = 0; axis < capture->rank; axis++) bytes *= (size_t)capture->shape[axis];
    bench->delivered += bytes;
    dump_array(bench, capture->name, capture->dtype, capture->rank, capture->shape, capture->data, bytes);
    return SCRY_OK;
}

/* The result is given back to the caller, who lets it live until the clock has stopped. */
static scry_status run_trace(struct bench *bench, int count, scry_trace **trace)
{
    bool               kept    = !strcmp(bench->asked.mode, "kept");
    bool               maps    = kept || !strcmp(bench->asked.mode, "capture");
    scry_trace_options options = {.ids      = bench->data,
                                  .id_count = count,
                                  .hooks    = maps ? "blocks.*.attn.hook_pattern" : STATISTICS,
                                  .sink     = kept ? NULL : take_capture,
                                  .user     = bench};
    scry_status        status  = scry_trace_run(trace, bench->model, NULL, &options);
    for (int i = 0; !status && kept && i < (*trace)->count; i++) status = take_capture(bench, &(*trace)->captures[i]);
    return status;
}

/* The cheapest capture there is stands for none. */
static scry_status run_pass(struct bench *bench, int count, scry_trace **trace)
{
    const scry_trace_options options = {.ids = bench->data, .id_count = count, .hooks = "ln_final.hook_scale"};
    return scry_trace_run(trace, bench->model, NULL, &options);
}

static scry_status run_heads(struct bench *bench, int count, scry_heads **heads)
{
    return scry_heads_run(
        heads, bench->model, NULL,
        &(scry_heads_options){.ids = bench->data, .id_count = count, .skip_probe = true, .skip_random = true});
}

/* Each score of all heads, and for offset and sink where it is. */
static void dump_heads(struct bench *bench, const scry_heads *heads)
{
    const int64_t shape[] = {heads->layer_count, heads->head_count};
    int           count   = heads->layer_count * heads->head_count;
    float        *values  = calloc((size_t)count, sizeof *values);
    int32_t      *places  = calloc((size_t)count, sizeof *places);
    for (int kind = 0; values && places && kind < SCRY_HEAD_SCORE_COUNT; kind++) {
        const char *name = scry_head_score_name((scry_head_score_kind)kind);
        char        at[32];
        snprintf(at, sizeof at, "%s_at", name);
        for (int i = 0; i < count; i++) {
            values[i] = heads->heads[i].scores[kind].value;
            places[i] = heads->heads[i].scores[kind].at;
        }
        dump_array(bench, name, SCRY_F32, 2, shape, values, (size_t)count * sizeof *values);
        if (*places >= 0) dump_array(bench, at, SCRY_I32, 2, shape, places, (size_t)count * sizeof *places);
    }
    free(values);
    free(places);
}

static scry_status run_lens(struct bench *bench, int count, scry_lens **lens)
{
    return scry_lens_run(lens, bench->model, NULL,
                         &(scry_lens_options){.ids = bench->data, .id_count = count, .top = TOP, .skip_kl = true});
}

static void dump_lens(struct bench *bench, const scry_lens *lens)
{
    const int64_t shape[] = {lens->layer_count, lens->token_count, lens->top_count};
    size_t        cells = (size_t)shape[0] * (size_t)shape[1], candidates = cells * (size_t)shape[2];
    int32_t      *ids    = calloc(candidates, sizeof *ids);
    float        *values = calloc(candidates, sizeof *values);
    if (ids && values) {
        for (size_t i = 0; i < candidates; i++) {
            ids[i]    = lens->candidates[i].id;
            values[i] = lens->candidates[i].logit;
        }
        dump_array(bench, "top_id", SCRY_I32, 3, shape, ids, candidates * sizeof *ids);
        dump_array(bench, "top_logit", SCRY_F32, 3, shape, values, candidates * sizeof *values);
        for (size_t i = 0; i < cells; i++) values[i] = lens->cells[i].lse;
        dump_array(bench, "lse", SCRY_F32, 2, shape, values, cells * sizeof *values);
        for (size_t i = 0; i < cells; i++) values[i] = lens->cells[i].entropy;
        dump_array(bench, "entropy", SCRY_F32, 2, shape, values, cells * sizeof *values);
    }
    free(ids);
    free(values);
}

static scry_tensor next_of(scry_buffer *buffer, size_t *offset, scry_dtype dtype, int rank, const int64_t *shape)
{
    scry_tensor tensor = scry_tensor_of(buffer, *offset, dtype, rank, shape);
    *offset += (size_t)scry_tensor_count(&tensor) * scry_dtype_size(dtype);
    return tensor;
}

static scry_status prepare_attention(struct bench *bench)
{
    const int64_t shape[] = {1, bench->asked.count, HEADS, HEAD_SIZE}, rows[] = {1, HEADS, bench->asked.count};
    size_t        one = (size_t)bench->asked.count * HEADS * HEAD_SIZE * sizeof(float), at = 0;
    size_t        out    = one + (size_t)bench->asked.count * HEADS * sizeof(float) * 5;
    scry_status   status = scry_buffer_create(&bench->operands, bench->device, 3 * one);
    if (!status) status = scry_buffer_create(&bench->results, bench->device, out);
    if (!status) status = scry_buffer_write(bench->operands, 0, bench->data, 3 * one);
    if (status) return status;
    scry_attention *attention       = &bench->op.attention;
    bench->op.kind                  = SCRY_OP_ATTENTION;
    attention->q                    = next_of(bench->operands, &at, SCRY_F32, 4, shape);
    attention->k                    = next_of(bench->operands, &at, SCRY_F32, 4, shape);
    attention->v                    = next_of(bench->operands, &at, SCRY_F32, 4, shape);
    attention->scale                = 1.0F / 8; /* 1 / sqrt(HEAD_SIZE) */
    attention->mask.causal          = true;
    at                              = 0;
    attention->out                  = next_of(bench->results, &at, SCRY_F32, 4, shape);
    attention->capture.rows.lse     = next_of(bench->results, &at, SCRY_F32, 3, rows);
    attention->capture.rows.entropy = next_of(bench->results, &at, SCRY_F32, 3, rows);
    attention->capture.rows.max     = next_of(bench->results, &at, SCRY_F32, 3, rows);
    attention->capture.rows.argmax  = next_of(bench->results, &at, SCRY_I32, 3, rows);
    attention->capture.received     = next_of(bench->results, &at, SCRY_F32, 3, rows);
    return SCRY_OK;
}

static scry_status run_attention(struct bench *bench)
{
    scry_status status = scry_device_run(bench->device, &bench->op);
    return status ? status : scry_device_finish(bench->device);
}

static scry_status dump_attention(struct bench *bench)
{
    static const char *const names[] = {"out", "lse", "entropy", "max", "argmax", "received"};
    const scry_attention    *at      = &bench->op.attention;
    const scry_tensor       *all[]   = {&at->out,
                                        &at->capture.rows.lse,
                                        &at->capture.rows.entropy,
                                        &at->capture.rows.max,
                                        &at->capture.rows.argmax,
                                        &at->capture.received};
    size_t                   bytes   = scry_buffer_size(bench->results);
    char                    *host    = malloc(bytes);
    scry_status              status  = host ? scry_buffer_read(bench->results, 0, host, bytes) : SCRY_OUT_OF_MEMORY;
    for (size_t i = 0; !status && i < sizeof all / sizeof *all; i++)
        dump_array(bench, names[i], all[i]->dtype, all[i]->rank, all[i]->shape, host + all[i]->offset,
                   (size_t)scry_tensor_count(all[i]) * scry_dtype_size(all[i]->dtype));
    free(host);
    return status;
}

/* Runs once over `count` tokens and puts the time into *ms; releasing the result is not timed. */
static scry_status run_once(struct bench *bench, int count, double *ms)
{
    scry_trace *trace = NULL;
    scry_lens  *lens  = NULL;
    scry_heads *heads = NULL;
    scry_status status;
    bench->delivered = 0;
    double begin     = bench_now_ms();
    if (!strcmp(bench->asked.mode, "attention"))
        status = run_attention(bench);
    else if (!strcmp(bench->asked.mode, "lens"))
        status = run_lens(bench, count, &lens);
    else if (!strcmp(bench->asked.mode, "heads"))
        status = run_heads(bench, count, &heads);
    else if (!strcmp(bench->asked.mode, "pass"))
        status = run_pass(bench, count, &trace);
    else
        status = run_trace(bench, count, &trace);
    *ms = bench_now_ms() - begin;
    if (!status && lens && bench->dump) dump_lens(bench, lens);
    if (!status && heads && bench->dump) dump_heads(bench, heads);
    if (!status && bench->op.attention.q.buffer && bench->dump) status = dump_attention(bench);
    scry_heads_destroy(&heads);
    scry_lens_destroy(&lens);
    scry_trace_destroy(&trace);
    return status;
}

static scry_status measure(struct bench *bench)
{
    double ms[BENCH_MAX_REPEAT + 1];
    bool   attention = !strcmp(bench->asked.mode, "attention");
    if (attention) {
        scry_status status = prepare_attention(bench);
        if (status) return status;
    } else {
        FILE *dump         = bench->dump;
        bench->dump        = NULL;
        scry_status status = run_once(bench, bench->asked.count < WARM_UP ? bench->asked.count : WARM_UP, ms);
        bench->dump        = dump;
        if (status) return status;
    }
    bench_touch_maps(".safetensors");
    long        baseline = bench_memory_reset();
    scry_status status   = run_once(bench, bench->asked.count, ms);
    long        peak     = bench_memory_kib("VmHWM");
    if (bench->dump) {
        fclose(bench->dump);
        bench->dump = NULL;
    }
    for (int i = 1; !status && i <= bench->asked.repeat; i++) status = run_once(bench, bench->asked.count, &ms[i]);
    if (status) return status;

    printf("{\"mode\":\"%s\",\"tokens\":%d,\"threads\":%d,\"device\":\"%s\",\"version\":\"%s\",\"baseline_kib\":%ld,"
           "\"peak_kib\":%ld,\"delivered_bytes\":%zu,\"first_ms\":%.3f,\"times_ms\":[",
           bench->asked.mode, bench->asked.count, bench->asked.threads,
           scry_device_get_info(bench->device)->description, scry_version(), baseline, peak, bench->delivered, ms[0]);
    for (int i = 1; i <= bench->asked.repeat; i++) printf("%s%.3f", i > 1 ? "," : "", ms[i]);
    fflush(bench->arrays_text);
    printf("],\"arrays\":[%s]}\n", bench->arrays);
    return SCRY_OK;
}

static int usage(void)
{
    fputs("usage: scry-bench-forward capture|kept|statistics|heads|pass|lens --model DIR --ids FILE [--device D] "
          "[--count T]\n"
          "                          [--repeat N] [--threads N] [--dump FILE]\n"
          "       scry-bench-forward attention --input FILE [--device D] [--count T] [--repeat N] [--threads N]\n"
          "                          [--dump FILE]\n",
          stderr);
    return 2;
}

static size_t data_bytes(const struct bench_options *asked)
{
    size_t tokens = (size_t)asked->count;
    return !strcmp(asked->mode, "attention") ? 3 * tokens * HEADS * HEAD_SIZE * sizeof(float)
                                             : tokens * sizeof(int32_t);
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {"capture", "kept", "statistics", "heads", "pass", "lens", "attention", NULL};
    struct bench             bench   = {.asked = {.count = 128, .repeat = 5, .threads = 2, .device_name = "cpu"}};
    struct bench_options    *asked   = &bench.asked;
    if (!bench_parse(asked, modes, argc, argv) || (!asked->model_path && strcmp(asked->mode, "attention") != 0))
        return usage();
    bench.data = bench_read(asked->data_path, data_bytes(asked));
    if (!bench.data) return 3;
    bench.arrays_text = open_memstream(&bench.arrays, &bench.arrays_size);
    if (!bench.arrays_text) return 5;
    if (asked->dump_path && !(bench.dump = fopen(asked->dump_path, "wb"))) {
        perror(asked->dump_path);
        return 6;
    }
    scry_status status =
        scry_device_open(&bench.device, &(scry_device_options){.name = asked->device_name, .threads = asked->threads});
    if (!status && asked->model_path) status = scry_model_open(&bench.model, bench.device, asked->model_path, NULL);
    if (!status) status = measure(&bench);
    if (status) fprintf(stderr, "%s: %s\n", scry_status_text(status), scry_last_error());
    scry_buffer_destroy(&bench.results);
    scry_buffer_destroy(&bench.operands);
    scry_model_destroy(&bench.model);
    scry_device_destroy(&bench.device);
    fclose(bench.arrays_text);
    free(bench.arrays);
    free(bench.data);
    return scry_status_exit_code(status);
}
