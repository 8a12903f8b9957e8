/* What the files of `scry tune` share: the ops measured, their kernels, and what each class of shapes came to. */
#ifndef SCRY_CLI_TUNE_H
#define SCRY_CLI_TUNE_H

#include "cli/bench_measure.h"
#include "cli/command.h"
#include "cli/output.h"
#include "device/shape_class.h"

#include "cases/cases.h"

/* A kernel replaces the backend's own choice only where it takes less than this share of its time. */
#define TUNE_MARGIN 0.95

/* The kernels of an op; one place more for the backend's own choice, where that is none of them. */
enum { TUNE_KERNELS = BENCH_CONTENDERS };

struct tune_kernel {
    char         name[64];
    scry_device *device; /* a handle that runs the op with this kernel */
    int          passed, unsupported;
    char         excluded[448]; /* why it cannot win anywhere; "" if it can */
};

enum tune_outcome {
    TUNE_TIMED,
    TUNE_BEHIND,      /* so slow in its first run that it did not race */
    TUNE_EXCLUDED,    /* its conformance failed: for the whole op, or at this very shape */
    TUNE_UNSUPPORTED, /* it cannot run this shape */
};

struct tune_time {
    enum tune_outcome outcome;
    double            seconds; /* where it ran */
    double            ratio;   /* its time over the own choice's, where both raced */
    char              reason[448];
};

struct tune_class {
    int              shape, row;  /* the class, and the row of the case table that stands for it */
    int              own, winner; /* kernels by number; -1: none could be timed */
    struct tune_time times[TUNE_KERNELS];
};

struct tune_op {
    scry_op_kind       kind;
    int                kernel_count, class_count;
    struct tune_kernel kernels[TUNE_KERNELS]; /* the last is "own choice" */
    struct tune_class  classes[SCRY__MAX_CLASSES];
};

struct tune_run {
    scry_device_info    info;
    scry__tier          tier;
    struct bench_effort effort;
    scry_device        *device, *reference; /* `device` chooses its kernels by itself */
    int                 op_count;
    struct tune_op      ops[SCRY_OP_COUNT];
    char               *file; /* that the result is kept in */
    double              seconds;
    struct cli_progress progress;
};

/* Opens the op's kernels and runs their rows of the case table: what fails is excluded. */
scry_status tune_check_kernels(struct tune_run *run, struct tune_op *op);

/* Times the kernels at one class and chooses. */
scry_status tune_measure_class(struct tune_run *run, struct tune_op *op, struct tune_class *at);

void tune_finish_op(struct tune_op *op);

/* The number of classes for which another kernel won than the backend would choose. */
int tune_choices(const struct tune_run *run);

const char *tune_outcome_text(enum tune_outcome outcome);

/* For people, and as scry.tune/1. */
scry_status tune_print(const struct tune_run *run);
scry_status tune_print_json(const struct tune_run *run);

#endif
