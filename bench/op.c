/* Times one op of any size through the public API and prints one line of JSON; the scry side of bench/compare_gpu.py.
 *
 *   scry-bench-op matmul M N K [option ...]         c [M, N] = a [M, K] b [K, N]; b as weights lie: [N, K] transposed
 *   scry-bench-op attention B H T D [option ...]    causal, H heads of D
 *   scry-bench-op lens N T V D [option ...]         N x T rows of D, top 10, lse, entropy and a target's rank
 *
 *   --device D         (default: the best)
 *   --kernel NAME      instead of the device's choice
 *   --precision P      strict (default), tf32, f16 or bf16: what the op is allowed
 *   --weights TYPE     f32 (default), f16 or bf16: of b, and of the unembedding
 *   --statistics       attention: lse, entropy, largest probability and its key per row, received mass per key
 *   --repeat N         samples (10), each one run and one wait, after three that are not counted
 *
 * Operands are uniform random numbers. What the numbers are worth is the matter of `scry conform`. */
#include "bench/measure.h"

#include "scry/scry.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REPEAT = 1000, WARM_UP = 3, MAX_BUFFERS = 24, TOP = 10, PIECE = 1 << 22 };

struct bench {
    const char    *kind, *device_name, *kernel;
    int64_t        size[4];
    scry_precision precision;
    scry_dtype     weights;
    bool           statistics;
    int            repeat;
    scry_device   *device;
    scry_buffer   *buffers[MAX_BUFFERS];
    int            buffer_count;
    uint64_t       random;
    float         *piece; /* PIECE numbers on the host */
    scry_op        op;
};

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

/* A tensor in a buffer of its own, random where it is an `input`. */
static scry_tensor make(struct bench *bench, scry_status *status, bool input, scry_dtype dtype, int rank,
                        const int64_t *shape)
{
    scry_tensor shaped = scry_tensor_of(NULL, 0, dtype, rank, shape);
    size_t      bytes  = scry_dtype_size(dtype);
    for (int i = 0; i < rank; i++) bytes *= (size_t)shape[i];
    if (*status || bench->buffer_count == MAX_BUFFERS) return shaped;
    scry_buffer **buffer = &bench->buffers[bench->buffer_count];
    *status              = scry_buffer_create(buffer, bench->device, bytes);
    if (*status) return shaped;
    bench->buffer_count++;
    if (input) *status = fill_random(bench, *buffer, bytes, dtype);
    return scry_tensor_of(*buffer, 0, dtype, rank, shape);
}

#define SHAPE(...)                                                                                                     \
    (const int64_t[])                                                                                                  \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

static scry_status make_matmul(struct bench *bench)
{
    int64_t     m = bench->size[0], n = bench->size[1], k = bench->size[2];
    scry_status status = SCRY_OK;
    bench->op          = (scry_op){.kind = SCRY_OP_MATMUL, .matmul = {.alpha = 1}};
    bench->op.matmul.a = make(bench, &status, true, SCRY_F32, 2, SHAPE(m, k));
    bench->op.matmul.b = scry_tensor_swap(make(bench, &status, true, bench->weights, 2, SHAPE(n, k)), 0, 1);
    bench->op.matmul.c = make(bench, &status, false, SCRY_F32, 2, SHAPE(m, n));
    return status;
}

static scry_status make_attention(struct bench *bench)
{
    int64_t         batches = bench->size[0], heads = bench->size[1], tokens = bench->size[2], size = bench->size[3];
    const int64_t  *shape = SHAPE(batches, tokens, heads, size), *rows = SHAPE(batches, heads, tokens);
    scry_status     status    = SCRY_OK;
    scry_attention *attention = &bench->op.attention;
    bench->op                 = (scry_op){.kind = SCRY_OP_ATTENTION};
    attention->q              = make(bench, &status, true, SCRY_F32, 4, shape);
    attention->k              = make(bench, &status, true, SCRY_F32, 4, shape);
    attention->v              = make(bench, &status, true, SCRY_F32, 4, shape);
    attention->out            = make(bench, &status, false, SCRY_F32, 4, shape);
    attention->scale          = 1 / sqrtf((float)size);
    attention->mask.causal    = true;
    if (!bench->statistics) return status;
    attention->capture.rows.lse     = make(bench, &status, false, SCRY_F32, 3, rows);
    attention->capture.rows.entropy = make(bench, &status, false, SCRY_F32, 3, rows);
    attention->capture.rows.max     = make(bench, &status, false, SCRY_F32, 3, rows);
    attention->capture.rows.argmax  = make(bench, &status, false, SCRY_I32, 3, rows);
    attention->capture.received     = make(bench, &status, false, SCRY_F32, 3, rows);
    return status;
}

static scry_status make_lens(struct bench *bench)
{
    int64_t       layers = bench->size[0], tokens = bench->size[1], vocabulary = bench->size[2], size = bench->size[3];
    scry_status   status = SCRY_OK;
    scry_lens_op *lens   = &bench->op.lens;
    bench->op            = (scry_op){.kind = SCRY_OP_LENS};
    lens->norm           = (scry_norm_parameters){.kind = SCRY_NORM_RMS, .epsilon = 1e-5F};
    lens->x              = make(bench, &status, true, SCRY_F32, 3, SHAPE(layers, tokens, size));
    lens->unembedding    = make(bench, &status, true, bench->weights, 2, SHAPE(vocabulary, size));
    lens->target         = make(bench, &status, false, SCRY_I32, 1, SHAPE(tokens));
    lens->top_id         = make(bench, &status, false, SCRY_I32, 3, SHAPE(layers, tokens, TOP));
    lens->top_logit      = make(bench, &status, false, SCRY_F32, 3, SHAPE(layers, tokens, TOP));
    lens->lse            = make(bench, &status, false, SCRY_F32, 2, SHAPE(layers, tokens));
    lens->entropy        = make(bench, &status, false, SCRY_F32, 2, SHAPE(layers, tokens));
    lens->target_rank    = make(bench, &status, false, SCRY_I32, 2, SHAPE(layers, tokens));
    if (status) return status;
    return scry_device_run(bench->device, &(scry_op){.kind = SCRY_OP_FILL, .fill = {.out = lens->target, .value = 1}});
}

/* --- measuring --- */

static scry_status run_once(struct bench *bench, double *ms)
{
    double      begin  = bench_now_ms();
    scry_status status = scry_device_run(bench->device, &bench->op);
    if (!status) status = scry_device_finish(bench->device);
    *ms = bench_now_ms() - begin;
    return status;
}

static scry_status measure(struct bench *bench)
{
    static const char *const precisions[] = {"strict", "tf32", "f16", "bf16"};
    double                   ms[MAX_REPEAT];
    scry_op_info             info   = {0};
    scry_status              status = scry_device_query(bench->device, &bench->op, &info);
    for (int i = 0; i < WARM_UP && !status; i++) status = run_once(bench, ms);
    for (int i = 0; i < bench->repeat && !status; i++) status = run_once(bench, &ms[i]);
    if (status) return status;
    printf("{\"op\":\"%s\",\"device\":\"%s\",\"kernel\":\"%s\",\"precision\":\"%s\",\"scratch_bytes\":%zu,"
           "\"flops\":%.0f,\"times_ms\":[",
           bench->kind, scry_device_get_info(bench->device)->name, info.kernel, precisions[info.precision],
           info.scratch_bytes, info.flops);
    for (int i = 0; i < bench->repeat; i++) printf("%s%.4f", i ? "," : "", ms[i]);
    puts("]}");
    return SCRY_OK;
}

static scry_status prepare(struct bench *bench)
{
    static const struct {
        const char *name;
        scry_status (*make)(struct bench *bench);
    } kinds[] = {{"matmul", make_matmul}, {"attention", make_attention}, {"lens", make_lens}};
    char kernels[64];
    snprintf(kernels, sizeof kernels, "%s=%s", bench->kind, bench->kernel ? bench->kernel : "");
    bench->piece = malloc(PIECE * sizeof *bench->piece);
    if (!bench->piece) return SCRY_OUT_OF_MEMORY;
    scry_status status = scry_device_open(
        &bench->device,
        &(scry_device_options){.name = bench->device_name, .kernels = bench->kernel ? kernels : NULL, .untuned = true});
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !status; i++)
        if (!strcmp(kinds[i].name, bench->kind)) status = kinds[i].make(bench);
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
    static const struct option options[]    = {{"device", required_argument, NULL, 'd'},
                                               {"kernel", required_argument, NULL, 'k'},
                                               {"precision", required_argument, NULL, 'p'},
                                               {"weights", required_argument, NULL, 'w'},
                                               {"statistics", no_argument, NULL, 's'},
                                               {"repeat", required_argument, NULL, 'r'},
                                               {0}};
    static const char *const   precisions[] = {"strict", "tf32", "f16", "bf16", NULL};
    static const char *const   weights[]    = {"f32", "f16", "bf16", NULL};
    static const char *const   kinds[]      = {"matmul", "attention", "lens", NULL};
    int                        chosen       = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'd')
            bench->device_name = optarg;
        else if (option == 'k')
            bench->kernel = optarg;
        else if (option == 's')
            bench->statistics = true;
        else if (option == 'r')
            bench->repeat = atoi(optarg);
        else if (option == 'p' && choose(optarg, precisions, &chosen))
            bench->precision = (scry_precision)chosen;
        else if (option == 'w' && choose(optarg, weights, &chosen))
            bench->weights = (scry_dtype)chosen;
        else
            return false;
    }
    if (optind == argc || !choose(argv[optind], kinds, &chosen)) return false;
    bench->kind = kinds[chosen];
    if (argc - optind != (chosen ? 5 : 4) || bench->repeat < 1 || bench->repeat > MAX_REPEAT) return false;
    for (int i = optind + 1; i < argc; i++)
        if ((bench->size[i - optind - 1] = strtoll(argv[i], NULL, 10)) < 1) return false;
    return true;
}

int main(int argc, char **argv)
{
    struct bench bench = {.repeat = 10, .weights = SCRY_F32, .random = 0x9E3779B97F4A7C15U};
    if (!parse(&bench, argc, argv)) {
        fputs("usage: scry-bench-op matmul M N K | attention B H T D | lens N T V D\n"
              "                     [--device D] [--kernel NAME] [--precision strict|tf32|f16|bf16]\n"
              "                     [--weights f32|f16|bf16] [--statistics] [--repeat N]\n",
              stderr);
        return 2;
    }
    scry_status status = prepare(&bench);
    if (!status) status = measure(&bench);
    if (status) fprintf(stderr, "%s: %s\n", scry_status_text(status), scry_last_error());
    for (int i = bench.buffer_count - 1; i >= 0; i--) scry_buffer_destroy(&bench.buffers[i]);
    scry_device_destroy(&bench.device);
    free(bench.piece);
    return scry_status_exit_code(status);
}
