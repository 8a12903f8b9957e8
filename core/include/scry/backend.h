/* For those who write a backend: the table of functions that a plugin offers, and the objects that it fills.
 *
 * A plugin is a shared object libscry-NAME.so that exports
 *
 *     const struct scry_backend *scry_backend_entry(const struct scry_host *host);
 *
 * The host keeps the returned table for the life of the process. A plugin calls back only through `host`, so it links
 * nothing of scry. It may assume that descriptors are valid (the front door has checked them), that calls for one
 * device come from one thread at a time, and that every tensor's buffer is of that device. It never prints, exits or
 * aborts. */
#ifndef SCRY_BACKEND_H
#define SCRY_BACKEND_H

#include "scry/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever anything in this header, op.h, tensor.h or device.h changes its layout or meaning. */
enum { SCRY_BACKEND_ABI = 5 };

#define SCRY_BACKEND_ENTRY "scry_backend_entry"

/* What the host does for a backend. */
struct scry_host {
    uint32_t abi_version;
    uint32_t struct_size;
    /* Zeroed memory through the allocation gate; NULL when refused (the detail is set). */
    void *(*allocate)(size_t count, size_t size);
    void (*release)(void *memory);
    /* Through the same gate, for what is large: not zeroed, 64-byte aligned, huge pages where the system has them. */
    void *(*allocate_aligned)(size_t bytes);
    void (*release_aligned)(void *memory);
    /* Sets this thread's error detail and returns `status`. */
    scry_status (*fail)(scry_status status, const char *format, ...);
    void (*log)(scry_log_level level, const char *format, ...);
};

/* An open device. The front door owns the struct; the backend owns what `impl` points to. */
struct scry_device {
    const struct scry_backend *backend;
    scry_device_info           info;
    void                      *impl;
    scry_buffer               *scratch; /* at least as large as the running op's scratch_bytes; may be NULL for 0 */
    /* To be used, one of the backend's own names; NULL: the backend chooses. It may change between ops. */
    const char        *kernel[SCRY_OP_COUNT];
    struct scry_front *front; /* the front door's own state; not for backends */
};

/* Device memory. The backend allocates the struct through the host and fills `host` and `impl`; the front door sets
 * `device`, `size` and `read_only`. */
struct scry_buffer {
    scry_device *device;
    size_t       size;
    bool         read_only; /* made by buffer_wrap: never written */
    void        *host; /* its address where host and device share memory, else NULL; at least 64-byte aligned unless
                          wrapped */
    void *impl;
};

/* Slots are typed by the public functions that they serve, so that the two cannot drift; preconditions are those of
 * device.h. No slot may be NULL except where said. */
struct scry_backend {
    uint32_t    abi_version; /* SCRY_BACKEND_ABI */
    uint32_t    struct_size; /* sizeof(struct scry_backend) */
    const char *name;        /* "cpu": lower case, no colon */

    /* Fills up to `capacity` entries and says in *count how many devices there are. No device: *count 0, the reason by
     * host->fail and status SCRY_NO_DEVICE. Called once per listing. */
    scry_status (*find)(scry_device_info *infos, int capacity, int *count);

    /* Opens device `index` of find's list: device->backend and ->info are set, the rest is zero. */
    scry_status (*open)(scry_device *device, int index, const scry_device_options *options);
    void (*close)(scry_device *device);

    __typeof__(scry_buffer_create)  *buffer_create;
    __typeof__(scry_buffer_wrap)    *buffer_wrap;    /* NULL: the front door creates and writes */
    __typeof__(scry_buffer_destroy) *buffer_destroy; /* after a finish: no work uses it any more */
    __typeof__(scry_buffer_write)   *buffer_write;
    __typeof__(scry_buffer_read)    *buffer_read;

    /* Pure; called before every run, so cheap. flops and bytes_moved are the front door's to fill. */
    __typeof__(scry_device_query) *query;
    /* Enqueues; allocates nothing. Only for ops that `query` said are supported or emulated. */
    __typeof__(scry_device_run)    *run;
    __typeof__(scry_device_finish) *finish;

    /* Whether one op can read and write these bytes of a buffer as one range: from a tensor's first element to the end
     * of its last, with whatever lies between. NULL: always. Asked several times for each operand of each run, so cheap
     * and pure. What lies inside a reachable range is reachable, and so are SCRY_REACHABLE_BYTES wherever they lie.
     * The front door cuts ops into pieces until each operand is reachable, save those that no cut makes smaller and
     * that backends walk through in reachable parts by themselves: lens.unembedding and lens.bias, embed.table; and of
     * the ops of training, embed_backward.d_table, and loss.unembedding and loss.bias with their gradients. */
    bool (*reaches)(const scry_buffer *buffer, size_t offset, size_t bytes);
    /* NULL, or NULL for an op: it has one nameless kernel. Names hold no comma. */
    __typeof__(scry_device_kernels) *kernels;
    /* NULL: nothing worth telling. */
    __typeof__(scry_device_get_statistics) *statistics;
    /* What was probed of an open device, for people to read: fills up to `capacity` entries and returns how many there
     * are. NULL: nothing besides scry_device_info. */
    int (*properties)(const scry_device *device, scry_device_property *out, int capacity);
};

/* See scry_backend.reaches. */
enum { SCRY_REACHABLE_BYTES = 1 << 20 };

typedef const struct scry_backend *scry_backend_entry_function(const struct scry_host *host);

#ifdef __cplusplus
}
#endif
#endif
