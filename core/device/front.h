/* What the files of the front door share: a device's private state, and the steps between a call and its backend. */
#ifndef SCRY_DEVICE_FRONT_H
#define SCRY_DEVICE_FRONT_H

#include "device/observe.h"
#include "device/shape_class.h"
#include "scry/backend.h"

/* The front door's own state of an open device. */
struct scry_front {
    scry_fallback      fallback;
    int                threads; /* of the cpu device below */
    uint64_t           fallbacks;
    char               last_fallback[256];
    scry_device       *cpu;                          /* where fallbacks run; opened by the first */
    bool               told_pieces;                  /* that ops run in pieces was logged */
    bool               told_fallback[SCRY_OP_COUNT]; /* that such ops fall back was a warning; the others are details */
    bool               lost;
    char               lost_reason[256];
    scry_status        failed; /* work of which nobody was told; the next call says so */
    char               failed_reason[256];
    scry__observer     observer; /* its `after` is NULL: none */
    scry_device_tuning tuning;
    const char        *tuned[SCRY_OP_COUNT][SCRY__MAX_CLASSES]; /* the backend's own names; NULL: it chooses */
};

/* Opens device `index` of `backend`, whose find told `info`. */
scry_status scry__device_open_at(scry_device **out, const struct scry_backend *backend, int index,
                                 const scry_device_info *info, const scry_device_options *options);

/* Whether "matmul=tile,lens=group" (or NULL) reads as such, whatever the device; and asking an open device for them. */
scry_status scry__kernels_check(const char *text);
scry_status scry__kernels_choose(scry_device *device, const char *text);

/* SCRY_DEVICE_LOST with the first reason if the device was lost before; the status of work that failed while nobody
 * could be told, once; else SCRY_OK. */
scry_status scry__front_check(const scry_device *device);

/* Passes on a backend's status; SCRY_DEVICE_LOST poisons the handle. */
scry_status scry__front_result(scry_device *device, scry_status status);

#endif
