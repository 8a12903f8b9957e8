/* What the files of the Vulkan backend share: the open device, recording and submitting, launching kernels, and each
 * op's two functions.
 *
 * Kernels are GLSL compute shaders for Vulkan 1.2: shaders/NAME.comp is kernel NAME, compiled to SPIR-V at build time.
 * shaders/common.glsl says how a kernel sees its operands. */
#ifndef SCRY_VK_H
#define SCRY_VK_H

#include <vulkan/vulkan.h>

#include "scry/backend.h"
#include "shared/operands.h"
#include "shared/store.h"

extern const struct scry_host *scry__vk_host;

struct scry__vk;

/* --- Errors (error.c) --- */

/* SCRY_OK for VK_SUCCESS; else the status that `code` means, with "vulkan: WHAT: VK_..." as detail. A lost device, or
 * one that does not answer in time, marks `vk` (which may be NULL). */
scry_status scry__vk_check(struct scry__vk *vk, VkResult code, const char *what);

/* --- Abilities (probe.c) --- */

/* What a physical device is and may; filled once, before it is opened. */
struct scry__vk_limits {
    char                 name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE];
    VkPhysicalDeviceType type;
    uint32_t             vendor, device, driver_version, api_version;
    char                 driver[VK_MAX_DRIVER_NAME_SIZE + VK_MAX_DRIVER_INFO_SIZE];
    uint8_t              cache_id[VK_UUID_SIZE]; /* pipelineCacheUUID */
    bool                 is_cpu;                 /* kernels with few fat items and no barriers serve it best */
    bool                 shares_memory;          /* all of its memory can be mapped: integrated GPUs, processors */
    uint64_t             memory_bytes;           /* of its device-local heaps */
    size_t               most_bound;             /* bytes of one binding: maxStorageBufferRange */
    size_t               most_allocated;         /* bytes of one buffer and one allocation */
    uint32_t             alignment;              /* of a binding's offset */
    uint32_t             atom;                   /* nonCoherentAtomSize */
    uint32_t             queue_family;
    uint32_t             most_groups;                   /* of one dispatch along x */
    uint32_t             most_items;                    /* of one work group */
    int64_t              most_turns;                    /* of all loops of an item, in one dispatch */
    uint32_t             shared_bytes;                  /* of one work group */
    uint32_t             subgroup_size;                 /* the usual one */
    uint32_t             subgroup_least, subgroup_most; /* that can be required; 0: none can */
    bool                 full_subgroups;                /* of a required size can be demanded */
    bool                 subgroup_arithmetic;           /* in compute shaders: arithmetic, ballot and shuffle */
    bool                 float16, storage16, cooperative_matrix, float_atomics;
    uint32_t             matrix_shape[3]; /* m, n and k of cooperative f16 x f16 -> f32 matrices; 0: there is none */
    bool                 imports_memory;  /* VK_EXT_external_memory_host */
    uint32_t             import_alignment;
    bool                 tells_hits; /* whether a pipeline came from the cache: VK_EXT_pipeline_creation_feedback */
    uint32_t             timestamp_bits;
    float                timestamp_period; /* nanoseconds */
    char                 lacks[96];        /* what every kernel needs and it has not; "" where it is usable */
};

/* Ways of computing that a driver may get wrong. Each runs only after a self-test on numbers whose results are exact.
 */
enum scry__vk_path { SCRY__VK_SUBGROUPS, SCRY__VK_FLOAT16, SCRY__VK_COOPERATIVE, SCRY__VK_PATHS };

struct scry__vk_path_state {
    bool usable;
    char reason[96]; /* "proved", or why it is off */
};

const char *scry__vk_path_text(enum scry__vk_path path); /* paths.c: "subgroups", ... */

/* --- The open device (device.c) --- */

struct scry__vk_memory_pool; /* pool.c: blocks of device memory and what is free in them */
struct scry__vk_ring;        /* ring.c: mapped memory that uploads and readbacks pass through */
struct scry__vk_staging;     /* stage.c: where ranges across parts are copied together */
struct scry__vk_recorder;    /* record.c: command buffers, what they access, and what is in flight */
struct scry__vk_programs;    /* program.c: modules, pipelines and their layouts */
struct scry__vk_validation;  /* validation.c: what the validation layer found; NULL: it was not asked */

enum { SCRY__VK_SOFTMAX_KERNELS = 16 };

struct scry__vk {
    VkInstance                   instance;
    VkPhysicalDevice             physical;
    VkDevice                     device;
    VkQueue                      queue;
    scry_device                 *front;
    struct scry__vk_limits       limits;
    struct scry__vk_path_state   path[SCRY__VK_PATHS];
    struct scry__vk_memory_pool *pool;
    struct scry__vk_ring        *ring; /* made when first needed, as `staging` is */
    struct scry__vk_staging     *staging;
    struct scry__vk_recorder    *recorder;
    struct scry__vk_programs    *programs;
    struct scry__vk_validation  *validation;
    struct scry__store           store;          /* on disk (cache.c) */
    uint64_t                     kept_pipelines; /* hash of what was read there */
    scry_device_statistics       statistics;
    const char                  *softmax_kernels[SCRY__VK_SOFTMAX_KERNELS]; /* softmax.c: the names of those it has */
    bool                         lost; /* sticky: nothing but destruction is asked of it any more */
};

/* Seconds on a clock that only goes forward. */
double scry__vk_now(void);

/* What device.c makes when it opens a device and, in reverse order, takes down with it, lost or not: each fills and
 * clears its member of `vk`, and the second takes what the first left unfinished. The recorder's end waits for what the
 * device still does. */
scry_status scry__vk_pool_create(struct scry__vk *vk);
scry_status scry__vk_recorder_create(struct scry__vk *vk);
scry_status scry__vk_programs_create(struct scry__vk *vk);
scry_status scry__vk_paths_prove(struct scry__vk *vk); /* paths.c: fills vk->path; a path that fails is no error */
void        scry__vk_pool_destroy(struct scry__vk *vk);
void        scry__vk_recorder_destroy(struct scry__vk *vk);
void        scry__vk_programs_destroy(struct scry__vk *vk);

/* --- Memory (memory.c over pool.c) ---
 * A buffer is one VkBuffer, or several, its parts, where it exceeds limits.most_allocated. Bindings begin anywhere in a
 * part and hold at most limits.most_bound. */

struct scry__vk_memory {
    size_t part_bytes; /* of each part but the last */
    size_t skipped;    /* bytes of the first part before the buffer's own */
    int    count;
    struct scry__vk_part {
        VkBuffer buffer;
        void    *allocation; /* a range of pool.c */
    } parts[];
};

/* Where byte `offset` of a buffer lies. */
struct scry__vk_place {
    VkBuffer buffer;
    size_t   offset;
    size_t   left; /* bytes from there to the part's end */
};

struct scry__vk_place scry__vk_place(const scry_buffer *buffer, size_t offset);

/* Records a copy between two ranges that do not overlap, wherever they lie. */
scry_status scry__vk_move(struct scry__vk *vk, scry_buffer *to, size_t to_offset, const scry_buffer *from,
                          size_t from_offset, size_t bytes);

__typeof__(scry_buffer_create)  scry__vk_buffer_create;
__typeof__(scry_buffer_wrap)    scry__vk_buffer_wrap;
__typeof__(scry_buffer_destroy) scry__vk_buffer_destroy;
__typeof__(scry_buffer_write)   scry__vk_buffer_write;
__typeof__(scry_buffer_read)    scry__vk_buffer_read;
bool                            scry__vk_reaches(const scry_buffer *buffer, size_t offset, size_t bytes);

/* Memory that the host writes and reads at `host`, coherently, for storage, as source and as target of copies: for
 * parameters and staging (pool.c). */
struct scry__vk_mapped {
    VkBuffer buffer;
    void    *allocation; /* a range of pool.c */
    void    *host;
};

scry_status scry__vk_mapped_create(struct scry__vk_mapped *out, struct scry__vk *vk, size_t bytes);
void        scry__vk_mapped_destroy(struct scry__vk *vk, struct scry__vk_mapped *mapped); /* zeroed: nothing */

/* --- Recording (record.c) ---
 * Work is recorded and submitted in the order given. A submission is not planned to take more than a quarter of a
 * second; whoever records says how much work each piece is. */

enum scry__vk_access { SCRY__VK_READ = 1, SCRY__VK_WRITE = 2 };

/* Bytes of a VkBuffer that a command touches. */
struct scry__vk_touched {
    VkBuffer buffer;
    size_t   offset, bytes;
    unsigned access; /* READ, WRITE or both */
};

/* The command buffer to record one command into, behind a barrier where what it touches was touched since the last one
 * and one of both writes. `seconds`: what the command is expected to take. */
scry_status scry__vk_commands(struct scry__vk *vk, VkCommandBuffer *out, const struct scry__vk_touched *touched,
                              int count, double seconds);
/* Hands over what was recorded; without waiting. */
scry_status scry__vk_submit(struct scry__vk *vk);
/* Submits, and waits until everything is done. The host sees what was written. */
scry_status scry__vk_wait(struct scry__vk *vk);
/* Whether nothing is recorded or in flight, as far as was waited for. */
bool scry__vk_is_idle(const struct scry__vk *vk);
/* The submission that what is recorded next will belong to, at the latest once scry__vk_commands has answered: 1, 2,
 * ..., done in this order. */
uint64_t scry__vk_ticket(const struct scry__vk *vk);
/* Waits until that submission and all before it are done, handing it over where it was not yet. */
scry_status scry__vk_wait_for(struct scry__vk *vk, uint64_t ticket);
/* Waits for what a device that was lost may still do, so that memory under it can go; elsewhere for what it was handed.
 */
void scry__vk_drain(struct scry__vk *vk);
/* Seconds that so many operations (an addition, a product, an element moved: 1 each) take at most, for what is no
 * kernel; of each kernel more is known. */
double scry__vk_seconds(const struct scry__vk *vk, double operations);

/* --- Programs (program.c) --- */

enum { SCRY__VK_BINDINGS = 16, SCRY__VK_CONSTANTS = 16 };

struct scry__vk_pipeline {
    VkPipeline            pipeline;
    VkPipelineLayout      layout;
    VkDescriptorSetLayout set;
    double               *pace; /* timing.c's, 0 at first; as long as the pipeline is there */
};

/* Kernel NAME with these specialisation constants (constant_id 0, 1, ...), `bindings` storage buffers, and a required
 * subgroup size (0: any); built where it was not yet. */
scry_status scry__vk_pipeline(struct scry__vk_pipeline *out, struct scry__vk *vk, const char *name,
                              const uint32_t *constants, int constant_count, int bindings, uint32_t subgroup_size);

/* --- Launching (launch.c) --- */

enum { SCRY__VK_PARAMETER_BYTES = 512 };

/* One launch of a kernel. Operands are added in the order of the kernel's bindings and parameters; the first failure is
 * kept and given by scry__vk_launch, so that nothing needs checking in between. */
struct scry__vk_call {
    struct scry__vk *vk;
    const char      *name;
    scry_status      status;
    uint32_t         subgroup_size; /* to be required; 0: any */
    int              constant_count, binding_count, staged_count;
    bool             uneven; /* a row of a float tensor does not begin at a multiple of four, or has gaps */
    size_t           parameter_bytes;
    uint32_t         constants[SCRY__VK_CONSTANTS];
    /* Binding 0 is the parameters'. */
    struct scry__vk_touched bindings[SCRY__VK_BINDINGS];
    struct {
        scry_tensor tensor; /* lies across two parts, and was copied together; written ones are copied apart again */
        bool        written;
    } staged[SCRY__VK_BINDINGS];
    _Alignas(16) unsigned char parameters[SCRY__VK_PARAMETER_BYTES];
};

/* Kernel shaders/NAME.comp, whose work groups have `items` items (specialisation constant 0). */
struct scry__vk_call scry__vk_call(struct scry__vk *vk, const char *name, uint32_t items);
/* The next specialisation constant: 1, 2, ... */
void scry__vk_constant(struct scry__vk_call *call, uint32_t value);
/* The next binding, and a parameter `view NAME_view`. An absent tensor is bound to memory that is never to be touched,
 * and its view says so. A tensor of f16 or bf16 is a binding of `uint`. */
void scry__vk_tensor(struct scry__vk_call *call, const scry_tensor *tensor, unsigned access);
/* The next binding: `bytes` of the device's scratch from byte `offset` on, which is a multiple of SCRY__VK_UNIT. bytes
 * 0: bound, but never to be touched. */
void scry__vk_scratch(struct scry__vk_call *call, size_t offset, size_t bytes, unsigned access);
/* A parameter `int` or `uint`; a value outside their range fails the call. */
void scry__vk_int(struct scry__vk_call *call, int64_t value);
void scry__vk_float(struct scry__vk_call *call, float value); /* float */
/* A plain struct of 4-byte members, or arrays of them, which std430 lays out alike. */
void scry__vk_bytes(struct scry__vk_call *call, const void *value, size_t bytes);

/* Records `groups` work groups, in as many dispatches as the device's limits and the plan of submissions ask for: a
 * kernel finds its number by group_number(). `operations`: the work of all of them, see scry__vk_seconds. */
scry_status scry__vk_launch(struct scry__vk_call *call, int64_t groups, double operations);

/* Where a kernel finds a tensor: in its buffer, or staged (stage.c); and, behind the kernel, copies what was staged and
 * written back. Only launch.c calls them. */
scry_status scry__vk_stage(struct scry__vk_call *call, const scry_tensor *tensor, unsigned access,
                           struct scry__vk_place *place);
scry_status scry__vk_unstage(struct scry__vk_call *call);

/* The parts of scratch that are bound begin at multiples of this, the largest minStorageBufferOffsetAlignment that the
 * standard allows. */
enum { SCRY__VK_UNIT = 256 };

/* --- Ops --- */

/* Each one's two functions. */
#define SCRY__PLUGIN     scry__vk
#define SCRY__TRAINED(X) SCRY_TRAINING_OP_LIST(X)
#include "shared/ops.h"

__typeof__(scry_device_query)   scry__vk_query;
__typeof__(scry_device_run)     scry__vk_run;
__typeof__(scry_device_kernels) scry__vk_kernels;

/* The NULL-terminated names of the kernels of ops that have more than one. The name that the device was opened with is
 * in vk->front->kernel; NULL there leaves the choice to the op. */
const char *const       *scry__vk_softmax_kernels(struct scry__vk *vk);
const char *const       *scry__vk_matmul_kernels(const struct scry__vk *vk);
extern const char *const scry__vk_attention_kernels[], *const scry__vk_lens_kernels[];
extern const char *const scry__vk_runs_kernels[], *const scry__vk_norm_kernels[];

/* --- Masks and row statistics (mask.c) ---
 * Kernels leave the statistics of row r of [B, H, Q] as a record of 8 words at the beginning of the scratch
 * (mask.glsl).
 */

enum { SCRY__VK_RECORD = 8, SCRY__VK_MOST_ROWS = 1 << 29 };

/* Refuses more queries or keys than masks are counted with, or records that no binding holds. */
void scry__vk_check_rows(const struct scry__vk *vk, scry_op_info *info, int64_t queries, int64_t keys);
/* Refuses scratch that no binding holds. */
void scry__vk_check_scratch(const struct scry__vk *vk, scry_op_info *info);
/* lavapipe leaves an item's loops, without a word, once they have turned that often in all: what could is refused. */
enum { SCRY__VK_TURNS = 65000 };
void scry__vk_check_turns(const struct scry__vk *vk, scry_op_info *info, int64_t turns);
/* The parameters and bindings MASK_PARAMETERS and MASK_BINDINGS. distances: of the capture, 0 where there are none. */
void scry__vk_mask(struct scry__vk_call *call, const scry_mask *mask, int64_t queries, int64_t keys, int64_t distances);
/* The key of the statistic key_mass; -1 where it is none of the row's. */
int32_t scry__vk_key(const scry_row_statistics *rows, int64_t keys);
size_t  scry__vk_record_bytes(int64_t rows);
/* Writes the statistics that are wanted to their tensors, from the records of rows [B, H, Q]. */
scry_status scry__vk_rows(struct scry__vk *vk, const scry_row_statistics *rows, const int64_t shape[3]);

#endif
