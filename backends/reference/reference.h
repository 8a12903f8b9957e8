/* The parts of the reference backend, shared between its files.
 *
 * The oracle against which every other backend is measured: each op as its definition in scry/op.h reads, with plain
 * loops in double precision, compensated sums, one rounding at the end, one thread. It shares no code with any other
 * backend and calls nothing of scry but the host table.
 *
 * What op.h leaves to IEEE arithmetic, this backend does in this way:
 * - NaN goes through: an output that depends on a NaN input is NaN. In a softmax row, one NaN (or +inf) among the
 *   visible scores makes all probabilities of visible keys and all float statistics NaN; masked keys stay 0. Integer
 *   outputs (argmax, ids, ranks) pass NaN candidates over.
 * - A score of -inf is a masked key, however it came about.
 * - Values, keys and scores at masked positions are never looked at, so that what they hold has no effect. */
#ifndef SCRY_REFERENCE_H
#define SCRY_REFERENCE_H

#include "access.h"
#include "sum.h"

extern const struct scry_host     *scry__reference_host;
extern scry_backend_entry_function scry_reference_entry; /* device.c */

/* memory.c */
scry_status scry__reference_buffer_create(scry_buffer **out, scry_device *device, size_t bytes);
scry_status scry__reference_buffer_wrap(scry_buffer **out, scry_device *device, const void *memory, size_t bytes);
void        scry__reference_buffer_destroy(scry_buffer **buffer);
scry_status scry__reference_buffer_write(scry_buffer *buffer, size_t offset, const void *data, size_t bytes);
scry_status scry__reference_buffer_read(scry_buffer *buffer, size_t offset, void *data, size_t bytes);

/* ops.c */
scry_status scry__reference_query(scry_device *device, const scry_op *op, scry_op_info *info);
scry_status scry__reference_run(scry_device *device, const scry_op *op);

/* row.c: masks, and the softmax of one row of scores with its statistics. */

bool scry__reference_visible(const scry_mask *mask, int64_t batch, int64_t query, int64_t key);
/* score + additive mask; -inf where the key is masked. */
double scry__reference_masked(const scry_mask *mask, int64_t batch, int64_t head, int64_t query, int64_t key,
                              double score);

struct softmax_row {
    const double *scores; /* [count]; -inf: masked */
    double       *probabilities;
    int64_t       count;
    int64_t       best; /* key of the largest score, the lowest among equals; -1 without one */
    double        lse, entropy;
};
/* Fills all but scores and count. */
void scry__reference_softmax(struct softmax_row *row);
void scry__reference_row_statistics(const scry_row_statistics *statistics, const scry_mask *mask,
                                    const struct softmax_row *row, int64_t batch, int64_t head, int64_t query);

/* The entry that follows `previous` in the order largest value first, lowest index first among equals; previous -1 asks
 * for the first. -1 where there is no more. NaN and -inf are passed over. */
int64_t scry__reference_next_largest(const double *values, int64_t count, int64_t previous);

/* norm.c: normalises row x (entries from `position` on, along its last axis) into out[d]; the denominator is returned.
 */
double scry__reference_norm_row(const scry_norm_parameters *parameters, const scry_tensor *x, int64_t position,
                                double *out);

/* log_sum.c: ln of the sum of exp, in two parts: the largest logit, and the log of the sum relative to it. Kept apart,
 * so that a log-probability, (logit - largest) - log_total, loses nothing where logits are large. */
struct log_sum {
    double largest, log_total;
};
struct log_sum       scry__reference_log_sum_exp(const double *logits, int64_t count);
static inline double log_probability(double logit, const struct log_sum *lse)
{
    return (logit - lse->largest) - lse->log_total;
}
/* KL(p || q) in nats of two rows of logits. */
double scry__reference_divergence(const double *p, const double *q, int64_t count);

/* attention.c: scale times the dot product of query i and key j, of query head h. */
double scry__reference_score(const scry_tensor *q, const scry_tensor *k, double scale, int64_t b, int64_t h, int64_t i,
                             int64_t j);

/* elementwise.c: f(x) */
double scry__reference_activate(scry_activation_kind function, double x);

/* One op per file. Those that need scratch say how many doubles. */
void   scry__reference_matmul(const scry_matmul *op);
size_t scry__reference_softmax_capture_scratch(const scry_softmax *op);
void   scry__reference_softmax_capture(const scry_softmax *op, double *scratch);
size_t scry__reference_attention_scratch(const scry_attention *op);
void   scry__reference_attention(const scry_attention *op, double *scratch);
void   scry__reference_rope(const scry_rope *op);
size_t scry__reference_norm_scratch(const scry_norm *op);
void   scry__reference_norm(const scry_norm *op, double *scratch);
size_t scry__reference_lens_scratch(const scry_lens_op *op);
void   scry__reference_lens(const scry_lens_op *op, double *scratch);

/* elementwise.c */
void scry__reference_embed(const scry_embed *op);
void scry__reference_add(const scry_add *op);
void scry__reference_scale(const scry_scale *op);
void scry__reference_activation(const scry_activation *op);
void scry__reference_copy(const scry_copy *op);
void scry__reference_fill(const scry_fill *op);

/* Training; sum, activation and embed are in elementwise_backward.c, the optimisers in optimise.c. */
void   scry__reference_sum(const scry_sum *op);
void   scry__reference_activation_backward(const scry_activation_backward *op);
size_t scry__reference_norm_backward_scratch(const scry_norm_backward *op);
void   scry__reference_norm_backward(const scry_norm_backward *op, double *scratch);
size_t scry__reference_embed_backward_scratch(const scry_embed_backward *op);
void   scry__reference_embed_backward(const scry_embed_backward *op, double *scratch);
size_t scry__reference_attention_backward_scratch(const scry_attention_backward *op);
void   scry__reference_attention_backward(const scry_attention_backward *op, double *scratch);
size_t scry__reference_loss_scratch(const scry_loss *op);
void   scry__reference_loss(const scry_loss *op, double *scratch);
void   scry__reference_adamw(const scry_adamw *op);
void   scry__reference_sgd(const scry_sgd *op);

#endif
