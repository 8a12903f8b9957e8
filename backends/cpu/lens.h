/* The lens' plan and running results: what lens.c and lens_result.c share. */
#ifndef SCRY_CPU_LENS_H
#define SCRY_CPU_LENS_H

#include "norm.h"

/* Rows of the residual stream are taken in blocks of groups. A group holds up to `positions` positions of all layers:
 * with a reference, a vector of reference rows and then the layers' rows, packed one behind the other into vectors;
 * without one, every row is a position of its own. A reference that is one of the layers is not taken twice. */
struct scry__cpu_lens {
    const struct scry__cpu *cpu;
    const scry_lens_op     *op;
    struct scry__cpu_norm   norm;
    bool                    compares;        /* a reference and kl are there */
    int64_t                 reference_layer; /* the layer that the reference is, or -1 */
    bool                    sums, ranks;
    int64_t                 lanes, size, top, vocabulary;
    int64_t                 layers, rows; /* of a group: N (less a reference among them) and T, or 1 and N * T */
    int64_t                 positions, groups;
    int64_t                 group_vectors, block_groups, block_vectors;
    char                   *scratch;
    float                  *panels; /* [block_vectors / 2, size, 2 * lanes] */
    size_t                  shared_bytes, part_bytes;
    int64_t                 first_group, last_group; /* of the present block */
};

/* A part's workspace. */
struct scry__cpu_lens_space {
    float                       *weights; /* [TILE, size + LANES]: vocabulary rows as f32 */
    float                       *rows;    /* [2 * lanes, size]: normalised rows on their way into a panel */
    float                       *targets; /* [size, lanes] */
    float                       *logits;  /* [TILE, block_vectors * lanes] */
    float                       *exponentials, *expanded; /* [TILE, lanes] of the reference; in a vector's lane order */
    float                       *bias;
    struct scry__cpu_lens_lanes *states;    /* [block_vectors] */
    float                       *top_logit; /* [block_vectors * lanes, top] */
    int32_t                     *top_id;
};

struct scry__cpu_lens_space scry__cpu_lens_space(const struct scry__cpu_lens *plan, int part);

/* The row of x behind a lane of a vector of the block: layer and position; false for a lane without one. Reference rows
 * that are no layer's have layer -1. */
struct scry__cpu_lens_row {
    int64_t layer, position;
    int64_t reference_vector, reference_lane; /* where its reference row stands */
};
bool scry__cpu_lens_row(const struct scry__cpu_lens *plan, int64_t vector, int lane, struct scry__cpu_lens_row *row);

/* Before a block; the targets' logits are filled in by then. */
void scry__cpu_lens_begin(const struct scry__cpu_lens *plan, struct scry__cpu_lens_space *space);
/* Takes candidates among `rows` entries from first_id on into the vector's top. */
void scry__cpu_lens_keep(const struct scry__cpu_lens *plan, struct scry__cpu_lens_space *space, int64_t vector,
                         const float *logits, int64_t ldt, int64_t rows, int64_t first_id);
/* Merges the parts in ascending order of vocabulary and stores the block's results. */
void scry__cpu_lens_store(const struct scry__cpu_lens *plan, int parts);

#endif
