/* Times single ops through the public API: one line each with median, least and spread of the times, and GFLOP/s.
 *
 * scry-bench-ops [--device NAME] [--threads N] [--only TEXT] [--repeat N] [--clock wall|cpu]
 *
 * --clock cpu counts the process' own processor time: with --threads 1, what a busy machine can still measure.
 *
 * OpenBLAS, where it is installed, is timed beside the matmuls as the yardstick. Its OPENBLAS_CORETYPE and
 * OPENBLAS_L2_SIZE, where a machine sets them, can halve its speed: the program starts itself again without them. */
#include "scry/device.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(BENCH_OPENBLAS)
#include <cblas.h>
#endif

enum { MAX_BUFFERS = 32, MAX_REPEATS = 1000 };

struct options {
    const char *device, *only;
    int         threads, repeats;
    clockid_t   clock;
};

/* A device, and the buffers of the case under way. */
struct bench {
    struct options options;
    scry_device   *device;
    scry_buffer   *buffers[MAX_BUFFERS];
    int            count;
};

static void check(scry_status status)
{
    if (!status) return;
    fprintf(stderr, "scry-bench-ops: %s\n", scry_last_error());
    exit(scry_status_exit_code(status));
}

/* --- operands --- */

static double random_next(void)
{
    static uint64_t state = 88172645463325252u; /* xorshift64: the same numbers in every run */
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) * 0x1p-53 - 0.5;
}

/* A contiguous tensor of random numbers in [-scale / 2, scale / 2], of zeros where scale is 0. */
static scry_tensor tensor(struct bench *bench, scry_dtype dtype, float scale, int rank, const int64_t *shape)
{
    scry_buffer *buffer = NULL;
    int64_t      count  = 1;
    for (int axis = 0; axis < rank; axis++) count *= shape[axis];
    size_t    bytes  = (size_t)count * scry_dtype_size(dtype);
    float    *values = malloc((size_t)count * sizeof *values);
    uint16_t *halves = (uint16_t *)values;
    for (int64_t i = 0; values && i < count; i++) {
        float    value = scale * (float)random_next();
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        if (dtype == SCRY_BF16)
            halves[i] = (uint16_t)(bits >> 16);
        else
            values[i] = value;
    }
    check(scry_buffer_create(&buffer, bench->device, bytes));
    if (values) check(scry_buffer_write(buffer, 0, values, bytes));
    free(values);
    bench->buffers[bench->count++] = buffer;
    return scry_tensor_of(buffer, 0, dtype, rank, shape);
}

#define SHAPE(...)                                                                                                     \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[])                                             \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

/* --- timing --- */

static double now(const struct bench *bench)
{
    struct timespec time;
    clock_gettime(bench->options.clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int compare_times(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print_times(const char *name, double *times, int count, double flops)
{
    qsort(times, (size_t)count, sizeof *times, compare_times);
    double median = times[count / 2], spread = times[count * 9 / 10] - times[count / 10];
    printf("%-36s %10.3f ms  least %10.3f  spread %8.3f  %7.1f GFLOP/s\n", name, median * 1e3, times[0] * 1e3,
           spread * 1e3, flops / median * 1e-9);
    fflush(stdout);
}

/* About a second of runs, three at least. */
static int repeats_of(const struct bench *bench, double once)
{
    if (bench->options.repeats) return bench->options.repeats;
    int repeats = (int)(1 / (once + 1e-7));
    return repeats < 3 ? 3 : repeats > MAX_REPEATS ? MAX_REPEATS : repeats;
}

static void time_op(struct bench *bench, const char *name, const scry_op *op)
{
    double       times[MAX_REPEATS];
    scry_op_info info;
    check(scry_device_query(bench->device, op, &info));
    double start = now(bench);
    check(scry_device_run(bench->device, op));
    check(scry_device_finish(bench->device));
    int repeats = repeats_of(bench, now(bench) - start);
    for (int i = 0; i < repeats; i++) {
        start = now(bench);
        check(scry_device_run(bench->device, op));
        check(scry_device_finish(bench->device));
        times[i] = now(bench) - start;
    }
    print_times(name, times, repeats, info.flops);
}

static void release(struct bench *bench)
{
    while (bench->count) scry_buffer_destroy(&bench->buffers[--bench->count]);
}

/* --- cases --- */

/* OpenBLAS on the same operands. */
static void bench_yardstick(struct bench *bench, const scry_matmul *op, bool transposed)
{
#if defined(BENCH_OPENBLAS)
    int          m = (int)op->c.shape[0], n = (int)op->c.shape[1], k = (int)op->a.shape[1], repeats = 0;
    const float *a = scry_buffer_host(op->a.buffer), *b = scry_buffer_host(op->b.buffer);
    float       *c = scry_buffer_host(op->c.buffer);
    double       times[MAX_REPEATS];
    if (!a || !b || !c) return;
    openblas_set_num_threads(bench->options.threads);
    for (int i = -1; i < 0 || i < repeats; i++) {
        double start = now(bench);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, transposed ? CblasTrans : CblasNoTrans, m, n, k, 1, a, k, b,
                    transposed ? k : n, 0, c, n);
        if (i < 0)
            repeats = repeats_of(bench, now(bench) - start);
        else
            times[i] = now(bench) - start;
    }
    print_times("  OpenBLAS beside it", times, repeats, 2.0 * m * n * k);
#else
    (void)bench, (void)op, (void)transposed;
#endif
}

static void bench_matmul(struct bench *bench, const char *name, int64_t m, int64_t n, int64_t k, scry_dtype dtype,
                         bool transposed)
{
    scry_op op      = {.kind = SCRY_OP_MATMUL};
    op.matmul.a     = tensor(bench, SCRY_F32, 1, SHAPE(m, k));
    op.matmul.b     = transposed ? scry_tensor_swap(tensor(bench, dtype, 1, SHAPE(n, k)), 0, 1)
                                 : tensor(bench, dtype, 1, SHAPE(k, n));
    op.matmul.c     = tensor(bench, SCRY_F32, 0, SHAPE(m, n));
    op.matmul.alpha = 1;
    time_op(bench, name, &op);
    if (dtype == SCRY_F32) bench_yardstick(bench, &op.matmul, transposed);
}

static void case_matmul(struct bench *bench)
{
    static const struct {
        const char *name;
        int64_t     m, n, k;
        scry_dtype  dtype;
        bool        transposed;
    } cases[] = {
        {"matmul 1024x1024x1024", 1024, 1024, 1024, SCRY_F32, false},
        {"matmul 1024x1024x1024 B^T", 1024, 1024, 1024, SCRY_F32, true},
        {"matmul 1024x1024x1024 bf16", 1024, 1024, 1024, SCRY_BF16, true},
        {"matmul 1024x3072x768", 1024, 3072, 768, SCRY_F32, false},
        {"matmul 1024x768x3072", 1024, 768, 3072, SCRY_F32, false},
        {"matmul 128x768x768", 128, 768, 768, SCRY_F32, false},
        {"matmul 128x3072x768", 128, 3072, 768, SCRY_F32, false},
        {"matmul 128x768x3072", 128, 768, 3072, SCRY_F32, false},
        {"matmul 512x50257x768 B^T", 512, 50257, 768, SCRY_F32, true},
        {"matmul 1x3072x768", 1, 3072, 768, SCRY_F32, false},
        {"matmul 1x50257x768 B^T", 1, 50257, 768, SCRY_F32, true},
        {"matmul 1x50257x768 B^T bf16", 1, 50257, 768, SCRY_BF16, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (bench->options.only && !strstr(cases[i].name, bench->options.only)) continue;
        bench_matmul(bench, cases[i].name, cases[i].m, cases[i].n, cases[i].k, cases[i].dtype, cases[i].transposed);
        release(bench);
    }
}

enum { ROWS = 1, RECEIVED = 2, PROBABILITIES = 4 };

static void bench_attention(struct bench *bench, const char *name, int64_t T, int capture)
{
    enum { H = 12, D = 64 };
    scry_op         op = {.kind = SCRY_OP_ATTENTION};
    scry_attention *a  = &op.attention;
    a->q = tensor(bench, SCRY_F32, 4, SHAPE(1, T, H, D)), a->k = tensor(bench, SCRY_F32, 4, SHAPE(1, T, H, D));
    a->v = tensor(bench, SCRY_F32, 4, SHAPE(1, T, H, D)), a->out = tensor(bench, SCRY_F32, 0, SHAPE(1, T, H, D));
    a->scale = 0.125f, a->mask.causal = true;
    if (capture & ROWS) {
        scry_row_statistics *rows = &a->capture.rows;
        rows->lse                 = tensor(bench, SCRY_F32, 0, SHAPE(1, H, T)),
        rows->entropy             = tensor(bench, SCRY_F32, 0, SHAPE(1, H, T));
        rows->max                 = tensor(bench, SCRY_F32, 0, SHAPE(1, H, T)),
        rows->argmax              = tensor(bench, SCRY_I32, 0, SHAPE(1, H, T));
        rows->previous            = tensor(bench, SCRY_F32, 0, SHAPE(1, H, T)),
        rows->self                = tensor(bench, SCRY_F32, 0, SHAPE(1, H, T));
        rows->first               = tensor(bench, SCRY_F32, 0, SHAPE(1, H, T));
    }
    if (capture & RECEIVED) a->capture.received = tensor(bench, SCRY_F32, 0, SHAPE(1, H, T));
    if (capture & PROBABILITIES) a->capture.probabilities = tensor(bench, SCRY_F32, 0, SHAPE(1, H, T, T));
    time_op(bench, name, &op);
}

static void case_attention(struct bench *bench)
{
    static const struct {
        const char *name;
        int64_t     T;
        int         capture;
    } cases[] = {
        {"attention T=1024", 1024, 0},
        {"attention T=1024 rows", 1024, ROWS},
        {"attention T=1024 rows+received", 1024, ROWS | RECEIVED},
        {"attention T=1024 probabilities", 1024, PROBABILITIES},
        {"attention T=128 rows+received", 128, ROWS | RECEIVED},
        {"attention T=128 probabilities", 128, PROBABILITIES},
        {"attention T=8192 rows", 8192, ROWS},
        {"attention T=8192 rows+received", 8192, ROWS | RECEIVED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (bench->options.only && !strstr(cases[i].name, bench->options.only)) continue;
        bench_attention(bench, cases[i].name, cases[i].T, cases[i].capture);
        release(bench);
    }
}

static void bench_lens(struct bench *bench, const char *name, int64_t layers, int64_t rows, bool everything,
                       scry_dtype dtype)
{
    enum { SIZE = 768, VOCABULARY = 50257, TOP = 10 };
    scry_op       op   = {.kind = SCRY_OP_LENS};
    scry_lens_op *lens = &op.lens;
    lens->x            = tensor(bench, SCRY_F32, 1, SHAPE(layers, rows, SIZE));
    lens->unembedding  = tensor(bench, dtype, 1, SHAPE(VOCABULARY, SIZE));
    lens->norm         = (scry_norm_parameters){.kind = SCRY_NORM_LAYER, .epsilon = 1e-5f};
    lens->top_id       = tensor(bench, SCRY_I32, 0, SHAPE(layers, rows, TOP));
    lens->top_logit    = tensor(bench, SCRY_F32, 0, SHAPE(layers, rows, TOP));
    lens->lse          = tensor(bench, SCRY_F32, 0, SHAPE(layers, rows));
    if (everything) {
        lens->entropy      = tensor(bench, SCRY_F32, 0, SHAPE(layers, rows));
        lens->kl           = tensor(bench, SCRY_F32, 0, SHAPE(layers, rows));
        lens->target       = tensor(bench, SCRY_I32, 0, SHAPE(rows));
        lens->target_rank  = tensor(bench, SCRY_I32, 0, SHAPE(layers, rows));
        lens->target_logit = tensor(bench, SCRY_F32, 0, SHAPE(layers, rows));
        lens->reference =
            scry_tensor_of(lens->x.buffer, (size_t)((layers - 1) * rows * SIZE) * 4, SCRY_F32, SHAPE(rows, SIZE));
    }
    time_op(bench, name, &op);
}

static void case_lens(struct bench *bench)
{
    static const struct {
        const char *name;
        int64_t     layers, rows;
        bool        everything;
        scry_dtype  dtype;
    } cases[] = {
        {"lens 1x64 top-10", 1, 64, false, SCRY_F32},
        {"lens 13x8 everything", 13, 8, true, SCRY_F32},
        {"lens 13x512 top-10", 13, 512, false, SCRY_F32},
        {"lens 13x512 everything", 13, 512, true, SCRY_F32},
        {"lens 13x512 everything bf16", 13, 512, true, SCRY_BF16},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (bench->options.only && !strstr(cases[i].name, bench->options.only)) continue;
        bench_lens(bench, cases[i].name, cases[i].layers, cases[i].rows, cases[i].everything, cases[i].dtype);
        release(bench);
    }
}

static void case_rows(struct bench *bench)
{
    static const struct {
        const char          *name;
        scry_op_kind         kind;
        int64_t              rows, size;
        scry_activation_kind function;
    } cases[] = {
        {"norm 1024x768", SCRY_OP_NORM, 1024, 768, 0},
        {"add 1024x768", SCRY_OP_ADD, 1024, 768, 0},
        {"gelu tanh 1024x3072", SCRY_OP_ACTIVATION, 1024, 3072, SCRY_GELU_TANH},
        {"gelu erf 1024x3072", SCRY_OP_ACTIVATION, 1024, 3072, SCRY_GELU_ERF},
        {"silu 1024x3072", SCRY_OP_ACTIVATION, 1024, 3072, SCRY_SILU},
        {"add 1x768", SCRY_OP_ADD, 1, 768, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (bench->options.only && !strstr(cases[i].name, bench->options.only)) continue;
        scry_tensor x   = tensor(bench, SCRY_F32, 4, SHAPE(cases[i].rows, cases[i].size));
        scry_tensor out = tensor(bench, SCRY_F32, 0, SHAPE(cases[i].rows, cases[i].size));
        scry_op     op  = {.kind = cases[i].kind};
        if (op.kind == SCRY_OP_NORM)
            op.norm = (scry_norm){.x = x, .out = out, .parameters = {.kind = SCRY_NORM_LAYER, .epsilon = 1e-5f}};
        else if (op.kind == SCRY_OP_ADD)
            op.add = (scry_add){.a = x, .b = x, .out = out};
        else
            op.activation = (scry_activation){.x = x, .out = out, .function = cases[i].function};
        time_op(bench, cases[i].name, &op);
        release(bench);
    }
}

/* --- the program --- */

static struct options parse(int argc, char **argv)
{
    struct options options = {.device = "cpu", .threads = 2, .clock = CLOCK_MONOTONIC};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--device"))
            options.device = argv[i + 1];
        else if (!strcmp(argv[i], "--threads"))
            options.threads = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--only"))
            options.only = argv[i + 1];
        else if (!strcmp(argv[i], "--clock") && !strcmp(argv[i + 1], "cpu"))
            options.clock = CLOCK_PROCESS_CPUTIME_ID;
        else if (!strcmp(argv[i], "--repeat"))
            options.repeats = atoi(argv[i + 1]) < MAX_REPEATS ? atoi(argv[i + 1]) : MAX_REPEATS;
    }
    return options;
}

int main(int argc, char **argv)
{
    if (getenv("OPENBLAS_CORETYPE") || getenv("OPENBLAS_L2_SIZE")) {
        fprintf(stderr, "OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE are set: starting again without them\n");
        unsetenv("OPENBLAS_CORETYPE");
        unsetenv("OPENBLAS_L2_SIZE");
        execv("/proc/self/exe", argv);
    }
    if (argc % 2 == 0) {
        fprintf(stderr,
                "usage: scry-bench-ops [--device NAME] [--threads N] [--only TEXT] [--repeat N] [--clock cpu]\n");
        return 2;
    }
    struct bench bench = {.options = parse(argc, argv)};
    check(scry_device_open(&bench.device,
                           &(scry_device_options){.name = bench.options.device, .threads = bench.options.threads}));
    const scry_device_info *info = scry_device_get_info(bench.device);
    printf("%s: %s, %s, %d threads\n", info->name, info->description, info->driver, bench.options.threads);
    case_matmul(&bench);
    case_attention(&bench);
    case_lens(&bench);
    case_rows(&bench);
    scry_device_destroy(&bench.device);
    return 0;
}
