/* Timing ops: samples well above the clock's grain, contenders in alternating blocks. See bench_measure.h. */
#include "cli/bench_measure.h"

#include "base/alloc.h"

#include <math.h>
#include <time.h>

enum {
    BLOCKS          = 5,
    SAMPLES_MOST    = 1000,
    SAMPLES_LEAST   = 5,
    SAMPLES_OF_SLOW = 3, /* where one takes longer than all should */
    RUNS_MOST       = 1 << 20,
    GRAINS          = 50, /* in a sample */
};

/* A sample's least time, whatever the grain is. */
static const double sample_least = 1e-3;

/* A single run of this length tells enough, warm or not. */
static const double slow_seconds = 1;

/* OpenBLAS's threads look for work for up to 100 ms after a product, at half a core
 * each; after this pause they sleep, so that a process for each contender would separate them no better. */
static const double pause_seconds = 0.12;

static clockid_t clock_used = CLOCK_MONOTONIC;

void bench_count_processor_time(void)
{
    clock_used = CLOCK_PROCESS_CPUTIME_ID;
}

static double read_clock(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

double bench_now(void)
{
    return read_clock(clock_used);
}

void bench_pause(void)
{
    struct timespec left = {.tv_nsec = (long)(pause_seconds * 1e9)};
    while (nanosleep(&left, &left)) {
    }
}

/* Seconds that `runs` runs and one wait take, all together. */
static scry_status time_runs(struct bench_contender *contender, int64_t runs, double *seconds)
{
    scry_status status    = SCRY_OK;
    double      processor = read_clock(CLOCK_PROCESS_CPUTIME_ID), wall = read_clock(CLOCK_MONOTONIC);
    double      start = bench_now();
    for (int64_t i = 0; !status && i < runs; i++) status = scry_device_run(contender->device, contender->op);
    if (!status) status = scry_device_finish(contender->device);
    *seconds = bench_now() - start;
    contender->wall_seconds += read_clock(CLOCK_MONOTONIC) - wall;
    contender->processor_seconds += read_clock(CLOCK_PROCESS_CPUTIME_ID) - processor;
    return status;
}

/* What a sample takes at least: many times a wait for nothing. */
static scry_status find_grain(struct bench_contender *contender, double *sample)
{
    double      waits[11];
    scry_status status = SCRY_OK;
    for (int i = 0; !status && i < 11; i++) status = time_runs(contender, 0, &waits[i]);
    *sample = status ? 0 : fmax(sample_least, GRAINS * scry__bench_times_of(waits, 11, 1).median);
    return status;
}

/* Warms up, and finds how many runs make a sample. */
static scry_status calibrate(struct bench_contender *contender)
{
    double      sample = 0, seconds = 0;
    scry_status status = find_grain(contender, &sample);
    contender->runs    = 1;
    if (!status) status = time_runs(contender, 1, &seconds);
    if (!status && seconds < sample_least) status = time_runs(contender, 1, &seconds);
    while (!status && seconds < sample && contender->runs < RUNS_MOST) {
        double wanted   = ceil(1.2 * (double)contender->runs * sample / fmax(seconds, 1e-9));
        contender->runs = (int64_t)fmin(wanted, (double)contender->runs * 16);
        status          = time_runs(contender, contender->runs, &seconds);
    }
    return status;
}

/* How many samples a block has, from what one takes. */
static int block_size(double sample, int blocks, const struct bench_effort *effort)
{
    int least = sample > effort->seconds ? SAMPLES_OF_SLOW : SAMPLES_LEAST, all = effort->repeats;
    if (!all) all = (int)fmin(SAMPLES_MOST, fmax(least, effort->seconds / sample));
    return (all + blocks - 1) / blocks;
}

/* One block: a sample to settle, whose time says how many follow, then those. A slow one needs no settling. */
static scry_status run_block(struct bench_contender *contender, int blocks, const struct bench_effort *effort,
                             double *seconds, int *count)
{
    double      first;
    scry_status status = time_runs(contender, contender->runs, &first);
    int         wanted = status ? 0 : block_size(first, blocks, effort);
    bool        slow   = !status && first > effort->seconds;
    if (slow) seconds[0] = first / (double)contender->runs;
    for (*count = slow; !status && *count < wanted; ++*count) {
        status = time_runs(contender, contender->runs, &seconds[*count]);
        seconds[*count] /= (double)contender->runs;
    }
    return status;
}

scry_status bench_time_once(struct bench_contender *contender, double *seconds)
{
    scry_status status = time_runs(contender, 1, seconds);
    return status || *seconds > slow_seconds ? status : time_runs(contender, 1, seconds);
}

/* What a race has found out so far. */
struct race {
    double samples[BENCH_CONTENDERS][SAMPLES_MOST + BLOCKS], quotients[BENCH_CONTENDERS][BLOCKS];
    int    used[BENCH_CONTENDERS];
};

/* One block of each contender. */
static scry_status run_round(struct race *race, struct bench_contender *contenders, int count, int round,
                             const struct bench_effort *effort)
{
    double      block[SAMPLES_MOST + BLOCKS], first = 0;
    int         size = 0, blocks = count > 1 ? BLOCKS : 1;
    scry_status status = SCRY_OK;
    for (int i = 0; !status && i < count; i++) {
        if (effort->pauses) bench_pause();
        status = run_block(&contenders[i], blocks, effort, block, &size);
        if (status) return status;
        for (int j = 0; j < size && race->used[i] < SAMPLES_MOST + BLOCKS; j++)
            race->samples[i][race->used[i]++] = block[j];
        double median = scry__bench_times_of(block, size, 1).median;
        if (!i) first = median;
        race->quotients[i][round] = median / first;
    }
    return status;
}

scry_status bench_race(struct bench_contender *contenders, int count, const struct bench_effort *effort)
{
    int          blocks = count > 1 ? BLOCKS : 1;
    struct race *race   = scry__alloc(1, sizeof *race);
    scry_status  status = race ? SCRY_OK : SCRY_OUT_OF_MEMORY;
    for (int i = 0; !status && i < count; i++) {
        status                          = calibrate(&contenders[i]);
        contenders[i].processor_seconds = contenders[i].wall_seconds = 0;
    }
    for (int round = 0; !status && round < blocks; round++) status = run_round(race, contenders, count, round, effort);
    for (int i = 0; !status && i < count; i++) {
        contenders[i].times = scry__bench_times_of(race->samples[i], race->used[i], contenders[i].runs);
        contenders[i].ratio = scry__bench_times_of(race->quotients[i], blocks, 1);
    }
    scry__free(race);
    return status;
}
