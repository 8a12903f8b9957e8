/* What the files of `scry conform` share: the rows chosen, the devices, and what each row came to on each device. */
#ifndef SCRY_CLI_CONFORM_H
#define SCRY_CLI_CONFORM_H

#include "cli/command.h"

#include "base/text.h"
#include "cases/cases.h"

#include <jansson.h>

/* A row of the case table, or a relation. */
struct conform_row {
    scry__case row;
    int        index; /* in its own table */
    bool       relation;
};

enum conform_verdict {
    CONFORM_NOT_RUN,
    CONFORM_PASSED,
    CONFORM_FAILED,
    CONFORM_UNSUPPORTED,
    CONFORM_LEFT_OUT, /* not asked of the device: counted nowhere */
};

struct conform_outcome {
    enum conform_verdict verdict;
    double               seconds;
    scry__case_result    result;
};

struct conform_device {
    char                    name[64];                /* as asked for, or as found */
    char                    heading[72];             /* of its column */
    char                    kernels[512];            /* that it is opened with; "": its own choice */
    bool                    left_out[SCRY_OP_COUNT]; /* ops of which nothing is asked */
    scry_device_info        info;                    /* name "" where it could not be opened */
    scry_device_tuning      tuning;                  /* with --tuned */
    scry_status             status;                  /* why rows were not run: could not be opened, or was lost */
    char                    reason[256];
    struct conform_outcome *outcomes; /* [row_count] */
};

struct conform_run {
    const char            *kernels; /* --kernels, or NULL */
    bool                   each_kernel, tuned;
    uint64_t               seed; /* --seed; 0: each row its own */
    scry__tier             tier;
    int                    row_count, device_count;
    struct conform_row    *rows;
    struct conform_device *devices; /* [device_count] */
    scry_device_list      *found;   /* where no device was named: all there are */
    double                 seconds;
    bool                   stopped; /* at the first failure, by --fail-fast */
};

/* Rows of one op (SCRY_OP_COUNT: of all) on one device. The precision delivered is that of rows which ask for strict
 * f32, or of the others where none of those ran; of the bare ones, where any ran. */
struct conform_summary {
    int    passed, failed, unsupported, not_run;
    double worst; /* of error / bound */
    double delivered;
    bool   strict, bare, wide, overflowed;
};
struct conform_summary conform_summarize(const struct conform_run *run, const struct conform_device *device,
                                         scry_op_kind kind);

/* "f32", "tf32", "f16", "bf16", "less"; "" where nothing was compared. */
const char *conform_precision_text(const struct conform_summary *summary);

static inline uint64_t conform_seed(const struct conform_run *run, const struct conform_row *row)
{
    return run->seed ? run->seed : row->row.seed;
}

/* Replaces each device by as many as it has kernels for an op; for --kernels each. */
scry_status conform_each_kernel(struct conform_run *run);

/* The command that reproduces a row on a device. */
void conform_add_command(scry__text *out, const struct conform_run *run, const struct conform_device *device,
                         const struct conform_row *row);

extern const char *const conform_tier_texts[]; /* by tier; NULL ends them */

/* The same results for people, as scry.conform/1, and as JUnit XML. */
scry_status conform_print(const struct conform_run *run);
scry_status conform_json(json_t **out, const struct conform_run *run);
scry_status conform_junit(scry__text *out, const struct conform_run *run);

/* The rows chosen, without running them: for people and as scry.cases/1. */
scry_status conform_print_rows(const struct conform_run *run);
scry_status conform_json_rows(json_t **out, const struct conform_run *run);

#endif
