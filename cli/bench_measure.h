/* Timing for scry bench: rows of the case table on a device, contenders beside each other, and the device's roofline.
 */
#ifndef SCRY_CLI_BENCH_MEASURE_H
#define SCRY_CLI_BENCH_MEASURE_H

#include "report/bench_record.h"

/* How much is measured. */
struct bench_effort {
    double seconds; /* of samples for each row and contender */
    int    repeats; /* so many samples instead; 0: by time */
    bool   pauses;  /* a library takes part: contenders wait until its threads sleep */
};

/* A device under test, opened as the user asked. `library` is a second handle whose matmul is the kernel of that name;
 * NULL where it has none, or is that handle itself. */
struct bench_target {
    scry_device        *device, *library;
    const char         *kernels;    /* of --kernels, or NULL */
    int64_t             processors; /* that the process may use */
    scry__bench_device *record;
};

/* Seconds on a clock that only goes forward: that of the wall or, once asked for, of the processor time that this
 * process takes, which a busy machine can still measure where one thread does the work. */
double bench_now(void);
void   bench_count_processor_time(void);

/* The kernel of that name is the vendor's or the ecosystem's. */
extern const char bench_library[];

/* Waits until the threads of the library that ran last sleep: while they look for work, they slow whoever comes next.
 */
void bench_pause(void);

/* Opens `name` (NULL: the default device) and its second handle, and fills record->info and ->open_seconds. */
scry_status bench_target_open(struct bench_target *target, const char *name, const char *kernels,
                              scry__bench_device *record);
void        bench_target_close(struct bench_target *target);

/* Measures peak and copies of the target's device into its record; what does not fit its memory is left out. */
scry_status bench_measure_roof(const struct bench_target *target, const struct bench_effort *effort);

/* Times a small op of each kind, among many and alone, and a wait for nothing; into the target's record. */
scry_status bench_measure_overhead(const struct bench_target *target, const struct bench_effort *effort);

/* Times forward passes of the checkpoint at `path`, and counts what the device is handed for one. */
scry_status bench_measure_passes(const struct bench_target *target, const char *path,
                                 const struct bench_effort *effort);

/* Cold start, conformance, warm-up and samples of row `index`, with the library beside it. A row that is refused,
 * unsupported or failed is said so in `row`. */
void bench_measure_row(scry__bench_row *row, int index, const struct bench_target *target, scry_device *reference,
                       const struct bench_effort *effort);

enum { BENCH_CONTENDERS = 16 };

/* One op on one handle, to be timed against others. */
struct bench_contender {
    scry_device   *device;
    const scry_op *op;
    /* Filled by bench_race: */
    int64_t           runs;
    scry__bench_times times;
    scry__bench_times ratio;                           /* its time over the first contender's, block by block */
    double            processor_seconds, wall_seconds; /* of all its samples: what the process took, and how long */
};

/* Times up to BENCH_CONTENDERS in alternating blocks. */
scry_status bench_race(struct bench_contender *contenders, int count, const struct bench_effort *effort);

/* One run of a contender, the second where that is soon over: what is far behind the others need not race. */
scry_status bench_time_once(struct bench_contender *contender, double *seconds);

#endif
