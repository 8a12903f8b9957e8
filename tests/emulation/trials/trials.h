/* The parameters of the trial kernels (trials.cu), for host and kernels. */
#ifndef SCRY_EMULATION_TRIALS_H
#define SCRY_EMULATION_TRIALS_H

#include "../../../kernels_cuda/view.h"

struct trial_parameters {
    const float *in;
    float       *out;
    int          count;
};

/* X(name): each kernel that there is. Its place in the list is its number. */
#define TRIAL_LIST(X)                                                                                                  \
    X(reverse)                                                                                                         \
    X(block_memory)                                                                                                    \
    X(shuffle)                                                                                                         \
    X(shuffle_up)                                                                                                      \
    X(shuffle_down)                                                                                                    \
    X(shuffle_xor)                                                                                                     \
    X(ballot)                                                                                                          \
    X(flat)                                                                                                            \
    X(reduce)                                                                                                          \
    X(late_copy)                                                                                                       \
    X(half)                                                                                                            \
    X(unwaited_copy)                                                                                                   \
    X(early_copy)                                                                                                      \
    X(divergent_block)                                                                                                 \
    X(divergent_warp)                                                                                                  \
    X(divergent_places)                                                                                                \
    X(partial_mask)                                                                                                    \
    X(meeting_flat)                                                                                                    \
    X(unwritten_shared)                                                                                                \
    X(missing_barrier)                                                                                                 \
    X(missing_second_barrier)                                                                                          \
    X(missing_warp_barrier)                                                                                            \
    X(flat_race)                                                                                                       \
    X(blocks_race)                                                                                                     \
    X(read_beyond)                                                                                                     \
    X(write_beyond)                                                                                                    \
    X(block_memory_beyond)                                                                                             \
    X(shared_beyond)                                                                                                   \
    X(misaligned)

#endif
