/* What the parts of the emulated CUDA runtime share, in C and, for device.h, in C++: kernels as the .cu files leave
 * them, the threads that run them, and streams. */
#ifndef SCRY_EMULATION_H
#define SCRY_EMULATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- Kernels: what CUDA_KERNEL defines, and where a thread stands --- */

struct scry__emulated_kernel {
    const char *name;
    int         most_threads; /* of a block */
    bool        meets;        /* threads of a block wait for each other, so each needs a stack */
    size_t      parameter_bytes;
    void (*run)(const void *parameters, int64_t first_block); /* one thread: the one that stands here */
    size_t shared_allowed;                                    /* cudaFuncSetAttribute */
};

struct scry__emulated_index {
    unsigned x, y, z;
};

/* The CUDA thread that the calling OS thread runs now. */
struct scry__emulated_place {
    struct scry__emulated_index thread, block, block_size, grid;
    unsigned char              *block_memory;
    struct scry__crew          *crew;
};

extern __thread struct scry__emulated_place scry__emulated_here;

/* `where`: the place in the source, the same for all threads that may meet. */
enum scry__meeting { SCRY__OF_BLOCK, SCRY__OF_WARP };
void scry__emulated_meet(enum scry__meeting meeting, const char *where);

/* Each of a warp's lanes gives up to SCRY__MOST_EXCHANGED bytes; lane i's are then at the result + i * that. They stay
 * until the warp's next exchange. As on a device, nobody's other memory is seen through it. */
enum { SCRY__MOST_EXCHANGED = 64 };
const unsigned char *scry__emulated_exchange(const void *mine, size_t bytes, const char *where);

/* What a kernel may not do: its launch fails. */
void scry__emulated_refuse(const char *what, const char *where);

/* cp.async: copies that are done no sooner than their thread waits for them. */
void scry__emulated_copy_later(void *to, const void *from, size_t bytes, size_t zeros_behind);
void scry__emulated_copies_commit(void);
void scry__emulated_copies_wait(int groups_left);

#ifdef __cplusplus
}
#else

/* --- What a stream begins with, for the stand-in of cuBLAS, which is a library of its own --- */

struct scry__emulated_calls {
    /* Enqueues call(context); 0, or the runtime's error. */
    int (*enqueue)(void *stream, void (*call)(void *context), void *context);
};

/* --- A crew (crew.c): what one OS thread needs to run blocks --- */

/* NULL without memory. */
struct scry__crew *scry__crew_create(void);
void               scry__crew_destroy(struct scry__crew **crew);

/* One launch. */
struct scry__emulated_launch {
    const struct scry__emulated_kernel *kernel;
    const void                         *parameters;
    int64_t                             first_block;
    unsigned                            blocks, threads;
    size_t                              shared_bytes;
};

/* Runs one block. False with what went wrong in `reason`: threads that do not meet where others wait, no memory. */
bool scry__crew_run(struct scry__crew *crew, const struct scry__emulated_launch *launch, unsigned block, char *reason,
                    size_t size);

/* --- Workers (workers.c) --- */

/* All blocks, over the processor's cores. False as above. */
bool scry__workers_run(const struct scry__emulated_launch *launch, char *reason, size_t size);
/* OS threads are there while something holds them. */
void scry__workers_hold(void);
void scry__workers_release(void);

#endif
#endif
