/* Times one op of any size through the public API and prints one line of JSON; the scry side of bench/compare_gpu.py
 * and bench/compare_training.py.
 *
 *   scry-bench-op matmul M N K [option ...]         c [M, N] = a [M, K] b [K, N]; b as weights lie: [N, K] transposed
 *   scry-bench-op attention B H T D [option ...]    causal, H heads of D
 *   scry-bench-op lens N T V D [option ...]         N x T rows of D, top 10, lse, entropy and a target's rank
 *   scry-bench-op KIND SIZES [option ...]           an op of training with every gradient that it has: sum T N,
 *                                                   activation_backward T D, norm_backward T D, embed_backward T V D,
 *                                                   attention_backward B H T D, loss T V D, adamw N, sgd N
 *
 *   --device D         (default: the best)
 *   --kernel NAME      instead of the device's choice
 *   --precision P      strict (default), tf32, f16 or bf16: what the op is allowed
 *   --weights TYPE     f32 (default), f16 or bf16: of b, and of the unembedding
 *   --gradient         matmul: the gradient of weights: a and b as activations lie, [K, M] transposed and [K, N]
 *   --statistics SOME  attention: rows (every statistic of a row), or all (mass received, and by distance, too)
 *   --threads N        of the cpu device (all)
 *   --dump FILE        what the operands hold before and after the first run, one behind the other in the order in
 *                      which they are made: the op's make function says it
 *   --repeat N         samples (10), each one run and one wait, after three that are not counted
 *
 * Operands are uniform random numbers. What the numbers are worth is the matter of `scry conform`. */
#include "bench/op.h"

#include "bench/measure.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REPEAT = 1000, WARM_UP = 3, TOP = 10, PIECE = 1 << 22 };

/* --- operands --- */

/* xorshift64*; in [-1, 1). */
static float next_random(struct bench *bench)
{
    bench->random ^= bench->random >> 12;
    bench->random ^= bench->random << 25;
    bench->random ^= bench->random >> 27;
    return (float)((int64_t)(bench->random * 0x2545F4914F6CDD1DU) >> 40) / 0x1p23F;
}

static uint16_t to_half(float x, scry_dtype dtype)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (dtype == SCRY_BF16) return (uint16_t)(bits >> 16);
    uint32_t sign = bits >> 16 & 0x8000, exponent = bits >> 23 & 0xff;
    return exponent < 113 ? (uint16_t)sign : (uint16_t)(sign | (exponent - 112) << 10 | (bits >> 13 & 0x3ff));
}

static scry_status fill_random(struct bench *bench, scry_buffer *buffer, size_t bytes, scry_dtype dtype)
{
    scry_status status = SCRY_OK;
    uint16_t   *half   = (uint16_t *)bench->piece;
    for (size_t i = 0; i < PIECE; i++) {
        float x = next_random(bench);
        if (dtype == SCRY_F32)
            bench->piece[i] = x;
        else
            half[i] = to_half(x, dtype);
    }
    size_t most = PIECE * scry_dtype_size(dtype);
    for (size_t at = 0; at < bytes && !status; at += most)
        status = scry_buffer_write(buffer, at, bench->piece, bytes - at < most ? bytes - at : most);
    return status;
}

static size_t bytes_of(const scry_tensor *x)
{
    size_t bytes = scry_dtype_size(x->dtype);
    for (int i = 0; i < x->rank; i++) bytes *= (size_t)x->shape[i];
    return bytes;
}

scry_tensor bench_make(struct bench *bench, scry_status *status, bool input, scry_dtype dtype, int rank,
                       const int64_t *shape)
{
    scry_tensor  shaped = scry_tensor_of(NULL, 0, dtype, rank, shape);
    scry_buffer *buffer = NULL;
    if (*status || bench->operand_count == BENCH_MAX_OPERANDS) return shaped;
    *status = scry_buffer_create(&buffer, bench->device, bytes_of(&shaped));
    if (*status) return shaped;
    shaped.buffer                           = buffer;
    bench->operands[bench->operand_count++] = shaped;
    if (input) *status = fill_random(bench, buffer, bytes_of(&shaped), dtype);
    return shaped;
}

static scry_status make_matmul(struct bench *bench)
{
    int64_t     m = bench->size[0], n = bench->size[1], k = bench->size[2];
    scry_status status = SCRY_OK;
    bench->op          = (scry_op){.kind = SCRY_OP_MATMUL, .matmul = {.alpha = 1}};
    if (bench->gradient) {
        bench->op.matmul.a = scry_tensor_swap(bench_make(bench, &status, true, SCRY_F32, 2, SHAPE(k, m)), 0, 1);
        bench->op.matmul.b = bench_make(bench, &status, true, bench->weights, 2, SHAPE(k, n));
    } else {
        bench->op.matmul.a = bench_make(bench, &status, true, SCRY_F32, 2, SHAPE(m, k));
        bench->op.matmul.b = scry_tensor_swap(bench_make(bench, &status, true, bench->weights, 2, SHAPE(n, k)), 0, 1);
    }
    bench->op.matmul.c = bench_make(bench, &status, false, SCRY_F32, 2, SHAPE(m, n));
    return status;
}

scry_status bench_make_attention(struct bench *bench)
{
    int64_t         batches = bench->size[0], heads = bench->size[1], tokens = bench->size[2], size = bench->size[3];
    const int64_t  *shape = SHAPE(batches, tokens, heads, size), *rows = SHAPE(batches, heads, tokens);
    scry_status     status    = SCRY_OK;
    scry_attention *attention = &bench->op.attention;
    bench->op                 = (scry_op){.kind = SCRY_OP_ATTENTION};
    attention->q              = bench_make(bench, &status, true, SCRY_F32, 4, shape);
    attention->k              = bench_make(bench, &status, true, SCRY_F32, 4, shape);
    attention->v              = bench_make(bench, &status, true, SCRY_F32, 4, shape);
    attention->out            = bench_make(bench, &status, false, SCRY_F32, 4, shape);
    attention->scale          = 1 / sqrtf((float)size);
    attention->mask.causal    = true;
    if (bench->statistics == BENCH_BARE) return status;
    scry_row_statistics *of_rows  = &attention->capture.rows;
    scry_tensor         *floats[] = {&of_rows->lse,      &of_rows->entropy, &of_rows->max,     &of_rows->self,
                                     &of_rows->previous, &of_rows->first,   &of_rows->key_mass};
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        *floats[i] = bench_make(bench, &status, false, SCRY_F32, 3, rows);
    of_rows->argmax = bench_make(bench, &status, false, SCRY_I32, 3, rows);
    of_rows->key    = tokens / 2;
    if (bench->statistics == BENCH_ROWS) return status;
    attention->capture.received = bench_make(bench, &status, false, SCRY_F32, 3, rows);
    attention->capture.distance = bench_make(bench, &status, false, SCRY_F32, 3, rows);
    return status;
}

static scry_status make_lens(struct bench *bench)
{
    int64_t       layers = bench->size[0], tokens = bench->size[1], vocabulary = bench->size[2], size = bench->size[3];
    scry_status   status = SCRY_OK;
    scry_lens_op *lens   = &bench->op.lens;
    bench->op            = (scry_op){.kind = SCRY_OP_LENS};
    lens->norm           = (scry_norm_parameters){.kind = SCRY_NORM_RMS, .epsilon = 1e-5F};
    lens->x              = bench_make(bench, &status, true, SCRY_F32, 3, SHAPE(layers, tokens, size));
    lens->unembedding    = bench_make(bench, &status, true, bench->weights, 2, SHAPE(vocabulary, size));
    lens->target         = bench_make(bench, &status, false, SCRY_I32, 1, SHAPE(tokens));
    lens->top_id         = bench_make(bench, &status, false, SCRY_I32, 3, SHAPE(layers, tokens, TOP));
    lens->top_logit      = bench_make(bench, &status, false, SCRY_F32, 3, SHAPE(layers, tokens, TOP));
    lens->lse            = bench_make(bench, &status, false, SCRY_F32, 2, SHAPE(layers, tokens));
    lens->entropy        = bench_make(bench, &status, false, SCRY_F32, 2, SHAPE(layers, tokens));
    lens->target_rank    = bench_make(bench, &status, false, SCRY_I32, 2, SHAPE(layers, tokens));
    if (status) return status;
    return scry_device_run(bench->device, &(scry_op){.kind = SCRY_OP_FILL, .fill = {.out = lens->target, .value = 1}});
}

/* --- measuring --- */

static const struct bench_kind kinds[] = {
    {"matmul", 3, make_matmul},
    {"attention", 4, bench_make_attention},
    {"lens", 4, make_lens},
    {"sum", 2, bench_make_sum},
    {"activation_backward", 2, bench_make_activation_backward},
    {"norm_backward", 2, bench_make_norm_backward},
    {"embed_backward", 3, bench_make_embed_backward},
    {"attention_backward", 4, bench_make_attention_backward},
    {"loss", 3, bench_make_loss},
    {"adamw", 1, bench_make_adamw},
    {"sgd", 1, bench_make_sgd},
};

static const struct bench_kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, name)) return &kinds[i];
    return NULL;
}

static scry_status run_once(struct bench *bench, double *ms)
{
    double      begin  = bench_now_ms();
    scry_status status = scry_device_run(bench->device, &bench->op);
    if (!status) status = scry_device_finish(bench->device);
    *ms = bench_now_ms() - begin;
    return status;
}

/* What every operand holds, one behind the other. */
static scry_status dump(struct bench *bench, FILE *file)
{
    scry_status status = SCRY_OK;
    for (int i = 0; i < bench->operand_count && !status; i++) {
        scry_tensor *x     = &bench->operands[i];
        void        *bytes = malloc(bytes_of(x));
        if (!bytes) return SCRY_OUT_OF_MEMORY;
        status = scry_buffer_read(x->buffer, 0, bytes, bytes_of(x));
        if (!status && fwrite(bytes, 1, bytes_of(x), file) != bytes_of(x)) status = SCRY_IO;
        free(bytes);
    }
    return status;
}

/* The first run, between two dumps. */
static scry_status dump_run(struct bench *bench)
{
    double ms;
    FILE  *file = fopen(bench->dump_path, "wb");
    if (!file) return SCRY_IO;
    scry_status status = dump(bench, file);
    if (!status) status = run_once(bench, &ms);
    if (!status) status = dump(bench, file);
    if (fclose(file) && !status) status = SCRY_IO;
    return status;
}

static scry_status measure(struct bench *bench)
{
    static const char *const precisions[] = {"strict", "tf32", "f16", "bf16"};
    double                   ms[MAX_REPEAT];
    scry_op_info             info   = {0};
    scry_status              status = scry_device_query(bench->device, &bench->op, &info);
    if (bench->dump_path && !status) status = dump_run(bench);
    for (int i = 0; i < WARM_UP && !status; i++) status = run_once(bench, ms);
    for (int i = 0; i < bench->repeat && !status; i++) status = run_once(bench, &ms[i]);
    if (status) return status;
    printf("{\"op\":\"%s\",\"device\":\"%s\",\"kernel\":\"%s\",\"precision\":\"%s\",\"scratch_bytes\":%zu,"
           "\"flops\":%.0f,\"times_ms\":[",
           bench->kind->name, scry_device_get_info(bench->device)->name, info.kernel, precisions[info.precision],
           info.scratch_bytes, info.flops);
    for (int i = 0; i < bench->repeat; i++) printf("%s%.4f", i ? "," : "", ms[i]);
    puts("]}");
    return SCRY_OK;
}

static scry_status prepare(struct bench *bench)
{
    char kernels[64];
    snprintf(kernels, sizeof kernels, "%s=%s", bench->kind->name, bench->kernel ? bench->kernel : "");
    bench->piece = malloc(PIECE * sizeof *bench->piece);
    if (!bench->piece) return SCRY_OUT_OF_MEMORY;
    scry_status status =
        scry_device_open(&bench->device, &(scry_device_options){.name    = bench->device_name,
                                                                .kernels = bench->kernel ? kernels : NULL,
                                                                .threads = bench->threads,
                                                                .untuned = true});
    if (!status) status = bench->kind->make(bench);
    bench->op.precision = bench->precision;
    return status;
}

static bool choose(const char *text, const char *const *names, int *chosen)
{
    for (int i = 0; names[i]; i++)
        if (!strcmp(names[i], text)) {
            *chosen = i;
            return true;
        }
    return false;
}

static bool parse(struct bench *bench, int argc, char **argv)
{
    static const struct option options[] = {
        {"device", required_argument, NULL, 'd'},     {"kernel", required_argument, NULL, 'k'},
        {"precision", required_argument, NULL, 'p'},  {"weights", required_argument, NULL, 'w'},
        {"statistics", required_argument, NULL, 's'}, {"gradient", no_argument, NULL, 'g'},
        {"dump", required_argument, NULL, 'D'},       {"threads", required_argument, NULL, 't'},
        {"repeat", required_argument, NULL, 'r'},     {0}};
    static const char *const precisions[] = {"strict", "tf32", "f16", "bf16", NULL};
    static const char *const weights[]    = {"f32", "f16", "bf16", NULL};
    static const char *const statistics[] = {"none", "rows", "all", NULL};
    int                      chosen       = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'd')
            bench->device_name = optarg;
        else if (option == 'k')
            bench->kernel = optarg;
        else if (option == 'D')
            bench->dump_path = optarg;
        else if (option == 'g')
            bench->gradient = true;
        else if (option == 't')
            bench->threads = atoi(optarg);
        else if (option == 'r')
            bench->repeat = atoi(optarg);
        else if (option == 'p' && choose(optarg, precisions, &chosen))
            bench->precision = (scry_precision)chosen;
        else if (option == 'w' && choose(optarg, weights, &chosen))
            bench->weights = (scry_dtype)chosen;
        else if (option == 's' && choose(optarg, statistics, &chosen))
            bench->statistics = chosen;
        else
            return false;
    }
    if (optind == argc || !(bench->kind = find_kind(argv[optind]))) return false;
    if (argc - optind != 1 + bench->kind->sizes || bench->repeat < 1 || bench->repeat > MAX_REPEAT) return false;
    for (int i = optind + 1; i < argc; i++)
        if ((bench->size[i - optind - 1] = strtoll(argv[i], NULL, 10)) < 1) return false;
    return true;
}

int main(int argc, char **argv)
{
    struct bench bench = {.repeat = 10, .weights = SCRY_F32, .random = 0x9E3779B97F4A7C15U};
    if (!parse(&bench, argc, argv)) {
        fputs("usage: scry-bench-op KIND SIZE ... [--device D] [--kernel NAME] [--precision strict|tf32|f16|bf16]\n"
              "                     [--weights f32|f16|bf16] [--gradient] [--statistics rows|all] [--threads N]\n"
              "                     [--dump FILE] [--repeat N]\n"
              "kinds and numbers of sizes:",
              stderr);
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            fprintf(stderr, " %s %d%s", kinds[i].name, kinds[i].sizes,
                    i + 1 < sizeof kinds / sizeof *kinds ? "," : "\n");
        return 2;
    }
    scry_status status = prepare(&bench);
    if (!status) status = measure(&bench);
    if (status) fprintf(stderr, "%s: %s\n", scry_status_text(status), scry_last_error());
    for (int i = bench.operand_count - 1; i >= 0; i--) scry_buffer_destroy(&bench.operands[i].buffer);
    scry_device_destroy(&bench.device);
    free(bench.piece);
    return scry_status_exit_code(status);
}
