/* attention's plan and one part's workspace: what attention.c and attention_capture.c share. */
#ifndef SCRY_CPU_ATTENTION_H
#define SCRY_CPU_ATTENTION_H

#include "operand.h"
#include "rows.h"

enum { SCRY__CPU_ATTENTION_ROWS = 48 };

/* A part's share of a head whose rows it does not have all: sums that are merged afterwards, in the order of parts. */
struct scry__cpu_shared_head {
    int64_t head; /* batch * heads + head, or -1 */
    float  *received, *distance;
};

struct scry__cpu_attention {
    const struct scry__cpu *cpu;
    const scry_attention   *op;
    int64_t                 heads, queries, keys, head_size, value_size;
    int64_t                 distances, top;                  /* N and t of the capture, 0 where not wanted */
    int64_t                 blocks, rows;                    /* blocks of `rows` query rows in a head */
    int64_t                 key_panels, value_panels, width; /* panels and their width */
    int64_t                 tile_stride;
    size_t                  part_bytes;
    char                   *scratch;
    bool                    selected; /* capture->heads names some heads; otherwise all are captured */
};

/* One part's workspace, carved out of scratch. */
struct scry__cpu_attention_space {
    float                       *keys, *values; /* panels of one key/value head */
    float                       *queries, *tile, *mixed;
    float                       *received, *distance; /* of the present head; distance N - 1 - n lies at index n */
    int64_t                      group;               /* the key/value head that is packed, or -1 */
    bool                         finite;              /* its values hold no infinity or NaN */
    struct scry__cpu_shared_head shared[2];
};

struct scry__cpu_attention scry__cpu_attention_plan(const struct scry__cpu *cpu, const scry_attention *op,
                                                    void *scratch);

/* Stands at the start of the part's scratch, so that the merge finds what the part left. */
struct scry__cpu_attention_space *scry__cpu_attention_space(const struct scry__cpu_attention *plan, int part);

/* The slot of head h among the captured ones, or -1. */
int64_t scry__cpu_attention_slot(const struct scry__cpu_attention *plan, int64_t head);

/* Before and after the softmax of a row: the captures of its scores and of its probabilities. */
void scry__cpu_capture_scores(const struct scry__cpu_attention *plan, const struct scry__cpu_scores *row, int64_t *top);
void scry__cpu_capture_row(const struct scry__cpu_attention *plan, struct scry__cpu_attention_space *space,
                           const struct scry__cpu_scores *row, float factor, int64_t *top);

/* Column and diagonal sums: a head's start, its end in a part that has all (`whole`) or some of its rows, and the merge
 * of what the parts left. */
void scry__cpu_sums_begin(const struct scry__cpu_attention *plan, struct scry__cpu_attention_space *space);
void scry__cpu_sums_end(const struct scry__cpu_attention *plan, struct scry__cpu_attention_space *space, int64_t head,
                        bool whole);
void scry__cpu_sums_merge(const struct scry__cpu_attention *plan, int parts);

#endif
