/* Tries the emulation of CUDA: kernels that are right give what they should, faulty ones are noticed, by the emulation
 * itself or by the sanitizer that this program was built with, and streams do nothing before they are waited for.
 *
 * Without arguments it runs every trial that this build can judge, those that end the program in a process of their
 * own, and ends with "N passed, N failed". With a kernel's number it runs that kernel alone. */
#include "trials.h"

#include <cuda_runtime_api.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 64, BLOCKS = 33, COUNT = THREADS * BLOCKS };

enum kernel {
#define NUMBER(name) KERNEL_##name,
    TRIAL_LIST(NUMBER)
#undef NUMBER
        KERNELS
};

#define DECLARE(name) CUDA_KERNEL(name);
TRIAL_LIST(DECLARE)
#undef DECLARE

static const void *const kernels[] = {
#define ADDRESS(name) (const void *)scry__cuda_kernel_##name,
    TRIAL_LIST(ADDRESS)
#undef ADDRESS
};

static const char *const names[] = {
#define TEXT(name) #name,
    TRIAL_LIST(TEXT)
#undef TEXT
};

static int passed, failed;

static void judge(bool good, const char *what, const char *detail)
{
    good ? passed++ : failed++;
    if (!good) printf("FAILED %s: %s\n", what, detail);
}

/* --- one kernel --- */

static float input(int i)
{
    return (float)(i * 7 % 101);
}

/* Runs it over BLOCKS blocks, in two launches; the last call's error. */
static cudaError_t run(enum kernel kernel, float *result)
{
    enum { FIRST = 20 };
    static float given[COUNT];
    size_t       bytes  = sizeof given;
    cudaStream_t stream = NULL;
    void        *in = NULL, *out = NULL;
    for (int i = 0; i < COUNT; i++) given[i] = input(i);
    cudaError_t code = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    if (!code) code = cudaMalloc(&in, bytes);
    if (!code) code = cudaMalloc(&out, bytes);
    if (!code) code = cudaMemcpyAsync(in, given, bytes, cudaMemcpyHostToDevice, stream);
    if (!code) code = cudaMemsetAsync(out, 0, bytes, stream);
    for (int64_t first = 0; first < BLOCKS && !code; first += FIRST) {
        struct trial_parameters p           = {.in = in, .out = out, .count = COUNT};
        void                   *arguments[] = {&p, &first};
        unsigned                blocks      = first ? BLOCKS - FIRST : FIRST;
        code = cudaLaunchKernel(kernels[kernel], (dim3){blocks, 1, 1}, (dim3){THREADS, 1, 1}, arguments,
                                THREADS * sizeof(float), stream);
    }
    if (!code) code = cudaMemcpyAsync(result, out, bytes, cudaMemcpyDeviceToHost, stream);
    if (!code) code = cudaStreamSynchronize(stream);
    if (in) cudaFree(in);
    if (out) cudaFree(out);
    if (stream) cudaStreamDestroy(stream);
    return code;
}

/* --- what right kernels give --- */

static float reversed(int i)
{
    return input(i / THREADS * THREADS + THREADS - 1 - i % THREADS);
}
static float fifth_of_eight(int i)
{
    return input(i / 8 * 8 + 5);
}
static float three_before(int i)
{
    return input(i % 32 < 3 ? i : i - 3);
}
static float three_behind(int i)
{
    return input(i % 32 >= 29 ? i : i + 3);
}
static float seventeen_away(int i)
{
    return input(i ^ 17);
}
static float odd_of_warp(int i)
{
    int count = 0;
    for (int j = i / 32 * 32; j < i / 32 * 32 + 32; j++) count += (int)input(j) & 1;
    return (float)count;
}
static float twice_and_more(int i)
{
    return 2 * input(i) + (float)(THREADS + (i < 20 * THREADS ? 20 : BLOCKS - 20));
}
static float sum_of_block(int i)
{
    float sum = 0;
    for (int j = 0; j < THREADS; j++) sum += input(i / THREADS * THREADS + j);
    return sum;
}
static float twice(int i)
{
    return 2 * input(i);
}
/* A third of 0 to 100 as a float with 11 bits. */
static float third_in_half(int i)
{
    int    exponent;
    double x = frexp((double)(input(i) / 3), &exponent);
    return (float)ldexp(nearbyint(ldexp(x, 11)), exponent - 11);
}

static const struct {
    enum kernel kernel;
    float (*expected)(int i);
} right[] = {
    {KERNEL_reverse, reversed},        {KERNEL_block_memory, reversed},     {KERNEL_shuffle, fifth_of_eight},
    {KERNEL_shuffle_up, three_before}, {KERNEL_shuffle_down, three_behind}, {KERNEL_shuffle_xor, seventeen_away},
    {KERNEL_ballot, odd_of_warp},      {KERNEL_flat, twice_and_more},       {KERNEL_reduce, sum_of_block},
    {KERNEL_late_copy, twice},         {KERNEL_half, third_in_half},
};

static void try_right(void)
{
    static float result[COUNT];
    for (size_t row = 0; row < sizeof right / sizeof *right; row++) {
        char        detail[128] = "";
        cudaError_t code        = run(right[row].kernel, result);
        if (code) snprintf(detail, sizeof detail, "%.100s", cudaGetErrorString(code));
        for (int i = 0; i < COUNT && !*detail; i++)
            if (result[i] != right[row].expected(i))
                snprintf(detail, sizeof detail, "element %d: %g instead of %g", i, (double)result[i],
                         (double)right[row].expected(i));
        judge(!*detail, names[right[row].kernel], detail);
    }
}

/* --- what sees faulty ones --- */

enum seer { EMULATION, NUMBERS, ADDRESS, UNDEFINED, THREAD };

#if defined(SCRY_EMULATED_TSAN)
enum { HAS_ADDRESS = 0, HAS_THREAD = 1 };
#elif defined(SCRY_EMULATED_ASAN)
enum { HAS_ADDRESS = 1, HAS_THREAD = 0 };
#else
enum { HAS_ADDRESS = 0, HAS_THREAD = 0 };
#endif

static const struct {
    enum kernel kernel;
    enum seer   seer;
    const char *said;
} wrong[] = {
    {KERNEL_unwaited_copy, NUMBERS, "wrong numbers"},
    {KERNEL_early_copy, NUMBERS, "wrong numbers"},
    {KERNEL_early_copy, THREAD, "data race"},
    {KERNEL_divergent_block, EMULATION, "thread 0 is at "},
    {KERNEL_divergent_warp, EMULATION, "of its warp is at its end"},
    {KERNEL_divergent_places, EMULATION, "thread 0 is at "},
    {KERNEL_partial_mask, EMULATION, "not all lanes"},
    {KERNEL_meeting_flat, EMULATION, "flat kernel"},
    {KERNEL_unwritten_shared, NUMBERS, "wrong numbers"},
    {KERNEL_missing_barrier, NUMBERS, "wrong numbers"},
    {KERNEL_missing_barrier, THREAD, "data race"},
    {KERNEL_missing_second_barrier, THREAD, "data race"},
    {KERNEL_missing_warp_barrier, THREAD, "data race"},
    {KERNEL_flat_race, THREAD, "data race"},
    {KERNEL_blocks_race, THREAD, "data race"},
    {KERNEL_read_beyond, ADDRESS, "heap-buffer-overflow"},
    {KERNEL_write_beyond, ADDRESS, "heap-buffer-overflow"},
    {KERNEL_block_memory_beyond, ADDRESS, "heap-buffer-overflow"},
    {KERNEL_shared_beyond, UNDEFINED, "out of bounds"},
    {KERNEL_misaligned, UNDEFINED, "misaligned address"},
};

static bool can_judge(enum seer seer)
{
    if (seer == THREAD) return HAS_THREAD;
    if (seer == ADDRESS || seer == UNDEFINED) return HAS_ADDRESS;
    return !HAS_THREAD && !HAS_ADDRESS;
}

/* One kernel alone, for the process that watches. */
static int run_alone(enum kernel kernel)
{
    static float result[COUNT];
    cudaError_t  code = run(kernel, result);
    bool         same = true;
    for (int i = 0; i < COUNT; i++)
        same = same && result[i] == (kernel == KERNEL_unwaited_copy ? twice(i) : reversed(i));
    fprintf(stderr, "%s\n", code ? cudaGetErrorString(code) : same ? "nothing" : "wrong numbers");
    return code || !same;
}

/* What the program says and whether it fails when it runs the kernel alone. */
static bool ends_badly(enum kernel kernel, const char *program, char *said, size_t size)
{
    int   pipes[2], status = 0;
    char  number[16];
    pid_t child;
    snprintf(number, sizeof number, "%d", (int)kernel);
    if (pipe(pipes) || (child = fork()) < 0) return false;
    if (!child) {
        /* A report goes to where it is read, and not to a log. */
        setenv("ASAN_OPTIONS", "log_path=stderr", 1);
        setenv("UBSAN_OPTIONS", "log_path=stderr", 1);
        setenv("TSAN_OPTIONS", "log_path=stderr:exitcode=66", 1);
        dup2(pipes[1], 2);
        execl(program, program, number, (char *)NULL);
        _exit(127);
    }
    close(pipes[1]);
    size_t used = 0;
    for (ssize_t got; (got = read(pipes[0], said + used, size - 1 - used)) > 0;) {
        used += (size_t)got;
        if (used == size - 1) used = size / 2; /* the beginning is what matters */
    }
    said[used] = 0;
    close(pipes[0]);
    return waitpid(child, &status, 0) == child && status;
}

static void try_wrong(const char *program)
{
    static char said[1 << 16];
    for (size_t row = 0; row < sizeof wrong / sizeof *wrong; row++) {
        if (!can_judge(wrong[row].seer)) continue;
        bool seen = ends_badly(wrong[row].kernel, program, said, sizeof said) && strstr(said, wrong[row].said);
        judge(seen, names[wrong[row].kernel], said);
    }
}

int main(int count, char **arguments)
{
    if (count > 1) return run_alone((enum kernel)atoi(arguments[1]));
    try_right();
    try_wrong("/proc/self/exe");
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
