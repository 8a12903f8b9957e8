/* A benchmark's record: what was measured, where and how, as plain data and as JSON (scry.bench/1 in docs/json.md). */
#ifndef SCRY_REPORT_BENCH_RECORD_H
#define SCRY_REPORT_BENCH_RECORD_H

#include "report/json_parts.h"
#include "scry/device.h"

enum { SCRY__BENCH_DEVICES = 16, SCRY__BENCH_COPIES = 8, SCRY__BENCH_PASSES = 4, SCRY__BENCH_VARIABLES = 32 };

/* Samples of one contender, in seconds a run. low and high are the 10th and the 90th percentile. */
typedef struct scry__bench_times {
    int64_t samples;
    int64_t runs; /* in each sample */
    double  median, low, high, least;
} scry__bench_times;

/* Sorts `seconds` and sums it up. Percentiles are interpolated; count >= 1. */
scry__bench_times scry__bench_times_of(double *seconds, int count, int64_t runs);

typedef enum scry__bench_outcome {
    SCRY__BENCH_MEASURED,
    SCRY__BENCH_REFUSED,     /* its conformance failed */
    SCRY__BENCH_UNSUPPORTED, /* the device cannot run it */
    SCRY__BENCH_FAILED,      /* its run ended with an error */
} scry__bench_outcome;

typedef struct scry__bench_row {
    char                name[80], device[32];
    char                op[24];
    scry__bench_outcome outcome;
    char                detail[384]; /* why it was not measured; "" if it was */
    char                kernel[48];
    double              flops, bytes; /* of one run, by definition of the op */
    double              worst;        /* of its conformance: largest error / bound */
    double              cold_seconds; /* the first run on a newly opened device, without what building took */
    double              build_seconds;
    int64_t             programs_built, programs_loaded; /* by that run */
    scry__bench_times   times;
    double            processor_share; /* of the processors' time while it was measured: 1: all were busy; 0: unknown */
    double            roof_share;      /* time that the roofline allows / median */
    char              library[48];     /* the vendor's or ecosystem's kernel beside it; "" if none */
    scry__bench_times library_times;
    double            ratio, ratio_low, ratio_high; /* library's time / ours, block by block */
} scry__bench_row;

/* What a device can do at most, measured on it in the same run. */
typedef struct scry__bench_copy {
    double bytes; /* read and written by one run */
    double rate;  /* bytes a second */
} scry__bench_copy;

/* What it takes to hand an op to a device: a small one of each kind. */
typedef struct scry__bench_overhead {
    char   op[24], row[80];
    double queued;     /* seconds an op, of many enqueued one behind the other with one wait */
    double alone;      /* seconds of one and its wait */
    double dispatches; /* kernels launched for one; 0: the device does not count them */
} scry__bench_overhead;

/* Forward passes of a model: what the device was handed for one, and how long it took. */
typedef struct scry__bench_pass {
    char              name[24]; /* "prompt", or "next": one more token behind it */
    char              model[128];
    int64_t           tokens;
    scry__bench_times times;
    int64_t           dispatches, barriers, submissions; /* of one pass; all 0: the device does not count them */
} scry__bench_pass;

typedef struct scry__bench_device {
    scry_device_info info;
    char             kernels[128]; /* asked for; "" where the device chose */
    int64_t          tuned;        /* classes of shapes for which a tuning chose another kernel */
    double           open_seconds; /* the first time */
    double           peak;         /* floating-point operations a second of the fastest matmul; 0: none ran */
    char             peak_by[80];  /* "1024 x 1024 x 1024 by tile" */
    int64_t          copy_count;   /* from small to large */
    scry__bench_copy copies[SCRY__BENCH_COPIES];
    double           wait_seconds; /* a wait for nothing */
    int64_t          overhead_count, pass_count;

    scry__bench_overhead overheads[SCRY_OP_COUNT];
    scry__bench_pass     passes[SCRY__BENCH_PASSES];
} scry__bench_device;

/* A variable of the environment that changes speeds. */
typedef struct scry__bench_variable {
    char name[48], value[80];
    bool removed; /* for this run, as it distorts a library */
} scry__bench_variable;

typedef struct scry__bench_record {
    char                 version[32], commit[64], date[32]; /* commit "" where unknown; date as 2026-11-21T01:02:03Z */
    char                 host[128];                         /* the processor's name */
    char                 clock[8];                          /* "wall", or "cpu": of all threads of the process */
    int64_t              processors;                        /* that this process may use */
    double               load;                              /* average of the last minute, before the run */
    int64_t              variable_count, device_count, row_count;
    scry__bench_variable variables[SCRY__BENCH_VARIABLES];
    scry__bench_device   devices[SCRY__BENCH_DEVICES];
    scry__bench_row     *rows; /* released with the record */
} scry__bench_record;

scry_status scry__bench_record_create(scry__bench_record **out);
void        scry__bench_record_destroy(scry__bench_record **record);

/* A new row at the end, zeroed; NULL when memory is refused. Earlier rows may move. */
scry__bench_row *scry__bench_record_add(scry__bench_record *record);

/* The device of that name; NULL: none. */
const scry__bench_device *scry__bench_device_find(const scry__bench_record *record, const char *name);

/* Bytes a second that a working set of `bytes` can hope for: that of the best copy that moves at least as many, between
 * two sizes interpolated. Small sets live in caches. 0 where no copy ran. */
double scry__bench_bandwidth(const scry__bench_device *device, double bytes);

/* Seconds that the roofline allows: the longer of arithmetic at the peak and moving at that bandwidth. */
double scry__bench_roof_seconds(const scry__bench_device *device, double flops, double bytes);

const char *scry__bench_outcome_text(scry__bench_outcome outcome);

/* scry.bench/1. Reading checks types, ranges and that rows name listed devices; errors name the file, the place and
 * what was expected. */
json_t     *scry__bench_record_json(scry__json_builder *builder, const scry__bench_record *record);
scry_status scry__bench_record_read(scry__bench_record **out, const char *path);
scry_status scry__bench_record_write(const scry__bench_record *record, const char *path);

#endif
