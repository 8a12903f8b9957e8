/* What `scry tune` found out about a device: which kernel is the fastest for each class of shapes, as a file.
 *
 * The file (scry.tuning/1 in docs/json.md) lies in the cache's folder and is named after the device. It says for which
 * driver and by which version of scry it was made; one of another driver or version, or a damaged one, is not used.
 * $SCRY_TUNED names another file, or is 0: then nothing is tuned. */
#ifndef SCRY_DEVICE_TUNING_H
#define SCRY_DEVICE_TUNING_H

#include "device/shape_class.h"
#include "scry/device.h"

/* What one class came to. */
typedef struct scry__tuned_class {
    scry_op_kind kind;
    int          shape;      /* the class: its number among the op's */
    char         kernel[64]; /* to be used instead of the backend's own choice; "" where that stays */
    char         own[64];    /* what the backend chose */
    double       seconds, own_seconds;
} scry__tuned_class;

enum { SCRY__TUNED_CLASSES = SCRY_OP_COUNT * SCRY__MAX_CLASSES };

typedef struct scry__tuning {
    char              backend[16], description[128], driver[128]; /* of the device */
    char              date[32];                                   /* as 2026-11-21T01:02:03Z */
    int               count;
    scry__tuned_class classes[SCRY__TUNED_CLASSES]; /* each class at most once */
} scry__tuning;

/* Where the tuning of that device is kept; release with scry__free. *out is NULL where $SCRY_TUNED is 0. */
scry_status scry__tuning_path(char **out, const scry_device_info *info);

/* An empty tuning of a device; release with scry__free. NULL when memory is refused. */
scry__tuning *scry__tuning_create(const scry_device_info *info);

/* The class's place in the tuning, new at its end where it has none. */
scry__tuned_class *scry__tuning_at(scry__tuning *tuning, scry_op_kind kind, int shape);

/* Reads the file of a device into *out (release with scry__free). SCRY_BAD_INPUT with what is wrong, where it is not
 * made for this device, driver and version, or is damaged. */
scry_status scry__tuning_read(scry__tuning **out, const char *path, const scry_device_info *info);

/* Writes whole or not at all, into folders that are made as needed. */
scry_status scry__tuning_write(const scry__tuning *tuning, const char *path);

/* --- The front door's side (tuned.c) --- */

/* Reads what there is for a device that was just opened. A file that cannot be used is none, with a line in the log. */
scry_status scry__tuned_load(scry_device *device);

/* The kernel that an op should run because of the tuning: one of the device's own names, or NULL. Never where the user
 * asked for a kernel by name, nor below strict f32: what was measured is strict. */
const char *scry__tuned_kernel(const scry_device *device, const scry_op *op);

#endif
