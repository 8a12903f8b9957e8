/* The front door: find devices, open one, hold buffers, run ops.
 *
 * A device handle is for one thread at a time. Ops run in the order given; run() may return before the work is done,
 * and buffer reads wait for it. The front door checks every descriptor (shapes, strides, dtypes, sizes, aliasing)
 * before a backend sees it; a refused op changes nothing. */
#ifndef SCRY_DEVICE_H
#define SCRY_DEVICE_H

#include "scry/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What to do where the device cannot run an op as asked. Nothing falls back in silence: each fallback is counted in
 * scry_device_fallbacks and logged. */
typedef enum scry_fallback {
    SCRY_FALLBACK_STRICT,    /* fail with SCRY_UNSUPPORTED and the reason */
    SCRY_FALLBACK_ALLOW_CPU, /* run that op on the cpu backend */
} scry_fallback;

typedef struct scry_device_options {
    const char   *name; /* "cpu", "vulkan", "vulkan:1", ...; NULL: $SCRY_DEVICE, else the best usable device */
    scry_fallback fallback;
    int           threads; /* cpu: number of threads; 0: as many as the process may use */
    const char   *kernels; /* "matmul=tile,lens=group": to be used instead of the backend's choice; NULL: its choice.
                              Where no device is named, the best one that has them is taken */
    bool untuned;          /* leave to the backend what `scry tune` found to be faster */
} scry_device_options;

typedef enum scry_device_type {
    SCRY_DEVICE_REFERENCE, /* the oracle: never chosen unless named */
    SCRY_DEVICE_CPU,
    SCRY_DEVICE_SOFTWARE_GPU, /* a GPU interface run by the CPU (lavapipe, PoCL, emulation) */
    SCRY_DEVICE_INTEGRATED_GPU,
    SCRY_DEVICE_DISCRETE_GPU,
} scry_device_type;

/* "cpu", "software-gpu", ...; static text. */
SCRY_API const char *scry_device_type_text(scry_device_type type);

/* A fact about a device, such as "shader-float16: yes, proved". */
typedef struct scry_device_property {
    char name[32], value[128];
} scry_device_property;

enum { SCRY_MAX_PROPERTIES = 48 };

/* What `scry tune` has measured on a device: which kernel is the fastest for ops of each class of shapes. */
typedef struct scry_device_tuning {
    int  classes;     /* measured; 0: the device was not tuned */
    int  choices;     /* of them, those for which another kernel runs than the backend would choose */
    char date[32];    /* when, as 2026-11-21T01:02:03Z */
    char file[256];   /* its file; "" where there is none */
    char reason[256]; /* why that is not used: made for another driver or version, or damaged; "" if it is */
} scry_device_tuning;

typedef struct scry_device_info {
    char             name[32]; /* "cpu:0"; what --device takes */
    char             backend[16];
    char             description[128]; /* the hardware's own name */
    char             driver[128];
    scry_device_type type;
    uint64_t         memory_bytes;     /* device memory; 0 unknown */
    uint64_t         max_buffer_bytes; /* largest binding; 0: no limit but memory */
    uint32_t         shared_bytes;     /* work-group shared memory; 0: none */
    uint32_t         subgroup_size;    /* 0: none */
    uint32_t         compute_units;
    int              score; /* the backend's own: higher is preferred; below 0 it is taken only where it is named */
} scry_device_info;

/* One line of `scry devices`: a device, or a backend that offers none. */
typedef struct scry_device_entry {
    scry_device_info info;           /* name is the backend's alone where no device was found */
    bool             usable;         /* opened and passed the self-test */
    char             reason[256];    /* why not usable, or why it was not chosen; "chosen" for the default */
    char kernels[SCRY_OP_COUNT][64]; /* of a usable device: names with commas between; "" where an op has only one */
    scry_device_property properties[SCRY_MAX_PROPERTIES]; /* of a usable device: what was probed; `property_count` */
    int                  property_count;
    scry_device_tuning   tuning; /* of a usable device */
} scry_device_entry;

typedef struct scry_device_list {
    int                count;
    scry_device_entry *entries; /* in order of preference */
} scry_device_list;

/* Lists every backend and device, running the self-test of each. A plugin that cannot load is an entry with its reason.
 */
SCRY_API scry_status scry_devices_find(scry_device_list **out);
SCRY_API void        scry_devices_destroy(scry_device_list **list);

/* Opens a device. Fails with SCRY_NO_DEVICE and the reason where it cannot be used. */
SCRY_API scry_status             scry_device_open(scry_device **out, const scry_device_options *options);
SCRY_API void                    scry_device_destroy(scry_device **device); /* after all of its buffers */
SCRY_API const scry_device_info *scry_device_get_info(const scry_device *device);

/* Number of ops that ran elsewhere since the device was opened, and the last one's description ("" if none). */
SCRY_API uint64_t    scry_device_fallbacks(const scry_device *device);
SCRY_API const char *scry_device_last_fallback(const scry_device *device);

/* Device memory of `bytes` (at least 1). Content is undefined. */
SCRY_API scry_status scry_buffer_create(scry_buffer **out, scry_device *device, size_t bytes);

/* A read-only buffer over host memory that outlives it, such as a mapped file. Devices that share the host's memory use
 * it in place; others copy. */
SCRY_API scry_status scry_buffer_wrap(scry_buffer **out, scry_device *device, const void *memory, size_t bytes);

/* Waits for work that may use it; what fails then, the next call on the device says. */
SCRY_API void   scry_buffer_destroy(scry_buffer **buffer);
SCRY_API size_t scry_buffer_size(const scry_buffer *buffer);

/* Copy between host and buffer; in order with the device's ops; `write` has taken the data and `read` has delivered it
 * on return. */
SCRY_API scry_status scry_buffer_write(scry_buffer *buffer, size_t offset, const void *data, size_t bytes);
SCRY_API scry_status scry_buffer_read(scry_buffer *buffer, size_t offset, void *data, size_t bytes);

/* Host address of a buffer on devices that share the host's memory, else NULL. The caller calls scry_device_finish
 * before touching the content. */
SCRY_API void *scry_buffer_host(scry_buffer *buffer);

/* What a device says of an op. */
typedef enum scry_support { SCRY_SUPPORTED, SCRY_EMULATED, SCRY_NOT_SUPPORTED } scry_support;

typedef struct scry_op_info {
    scry_support   support;
    scry_precision precision; /* what will be delivered */
    size_t         scratch_bytes;
    double         flops, bytes_moved; /* of the op itself, for rooflines */
    char           reason[160];        /* where not supported or emulated */
    char           kernel[48];         /* the kernel that will run, as the backend calls it; "" where it has only one */
} scry_op_info;

/* Validates `op` and asks the device about it; runs nothing. */
SCRY_API scry_status scry_device_query(scry_device *device, const scry_op *op, scry_op_info *info);

/* Validates and enqueues `op`. The descriptor may be reused at once. */
SCRY_API scry_status scry_device_run(scry_device *device, const scry_op *op);

/* Waits until everything enqueued is done. A lost device says SCRY_DEVICE_LOST here and ever after. */
SCRY_API scry_status scry_device_finish(scry_device *device);

/* The names of a device's kernels for an op, NULL-terminated; empty where there is only one. "library" is the vendor's
 * or the ecosystem's (OpenBLAS, CLBlast), there only where it can be loaded. Static for the life of the device. */
SCRY_API const char *const *scry_device_kernels(const scry_device *device, scry_op_kind kind);

/* The tuning in use. It applies to ops of strict f32 for which no kernel was asked for by name. Two ops of different
 * classes may then differ in the last bits where they compute the same. */
SCRY_API void scry_device_get_tuning(const scry_device *device, scry_device_tuning *tuning);

/* What a device has done since it was opened, besides running ops. */
typedef struct scry_device_statistics {
    uint64_t programs_built;  /* device programs compiled from source */
    uint64_t programs_loaded; /* and taken from a cache */
    double   build_seconds;   /* spent on both */
    uint64_t dispatches;      /* kernels launched */
    uint64_t barriers;        /* between them */
    uint64_t submissions;     /* handed to the device, each with as many kernels as were recorded */
} scry_device_statistics;

/* What a device does not count is zero. */
SCRY_API void scry_device_get_statistics(const scry_device *device, scry_device_statistics *statistics);

#ifdef __cplusplus
}
#endif
#endif
