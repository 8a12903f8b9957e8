/* What scry-bench-op's files share: the op that is timed and its operands. */
#ifndef SCRY_BENCH_OP_H
#define SCRY_BENCH_OP_H

#include "scry/scry.h"

enum { BENCH_MAX_OPERANDS = 24 };

struct bench;

/* A kind of op by its name: how many sizes it takes, and what fills bench->op from them. */
struct bench_kind {
    const char *name;
    int         sizes;
    scry_status (*make)(struct bench *bench);
};

struct bench {
    const struct bench_kind *kind;
    const char              *device_name, *kernel, *dump_path;
    int64_t                  size[4];
    scry_precision           precision;
    scry_dtype               weights;
    enum { BENCH_BARE, BENCH_ROWS, BENCH_ALL } statistics;
    bool         gradient;
    int          repeat, threads;
    scry_device *device;
    scry_tensor  operands[BENCH_MAX_OPERANDS]; /* in the order of their making; contiguous */
    int          operand_count;
    uint64_t     random;
    float       *piece; /* numbers on the host */
    scry_op      op;
};

#define SHAPE(...)                                                                                                     \
    (const int64_t[])                                                                                                  \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

/* A tensor in a buffer of its own, random where it is an `input`. After an error it is not made. */
scry_tensor bench_make(struct bench *bench, scry_status *status, bool input, scry_dtype dtype, int rank,
                       const int64_t *shape);

scry_status bench_make_attention(struct bench *bench);

/* op_training.c */
scry_status bench_make_sum(struct bench *bench);
scry_status bench_make_activation_backward(struct bench *bench);
scry_status bench_make_norm_backward(struct bench *bench);
scry_status bench_make_embed_backward(struct bench *bench);
scry_status bench_make_attention_backward(struct bench *bench);
scry_status bench_make_loss(struct bench *bench);
scry_status bench_make_adamw(struct bench *bench);
scry_status bench_make_sgd(struct bench *bench);

#endif
