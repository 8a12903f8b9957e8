/* softmax_capture: a warp or a block for each row. See kernels_cuda/softmax.cu. */
#include "kernels_cuda/softmax.h"
#include "mask.h"
#include "shared/refuse.h"

enum { TEAMS = 4, WARP = 32, LONG_THREADS = 256 };

/* Rows of more keys than this are worth a block. A row's bits depend on how many keys it has, never on other rows. */
enum { MOST_SHORT = 512 };

/* Of one key, roughly: two exponentials and what else is done with it. */
enum { KEY_OPERATIONS = 40 };

void scry__cuda_softmax_query(const struct scry__cuda *cuda, const scry_softmax *op, scry_precision allowed,
                              scry_op_info *info)
{
    (void)cuda, (void)allowed;
    if (op->scores.shape[3] > INT32_MAX - LONG_THREADS)
        scry__op_refuse(info, "it has %lld keys: expected at most %d", (long long)op->scores.shape[3],
                        INT32_MAX - LONG_THREADS);
}

scry_status scry__cuda_softmax(struct scry__cuda *cuda, const scry_softmax *op, scry_precision allowed)
{
    const int64_t      *shape      = op->scores.shape;
    bool                is_short   = shape[3] <= MOST_SHORT;
    struct cuda_softmax parameters = {
        .rows          = shape[0] * shape[1] * shape[2],
        .heads         = shape[1],
        .queries       = shape[2],
        .keys          = shape[3],
        .scores        = scry__cuda_view(cuda, &op->scores),
        .probabilities = scry__cuda_view(cuda, &op->probabilities),
        .mask          = scry__cuda_mask(cuda, &op->mask),
        .statistics    = scry__cuda_rows(cuda, &op->rows),
    };
    struct scry__cuda_call call = {SCRY__CUDA_CALL(softmax_long), .blocks = parameters.rows, .threads = LONG_THREADS};
    if (is_short)
        call = (struct scry__cuda_call){SCRY__CUDA_CALL(softmax_short), .blocks = units_of(parameters.rows, TEAMS),
                                        .threads = TEAMS * WARP};
    call.operations = (double)parameters.rows * (double)shape[3] * KEY_OPERATIONS;
    (void)allowed;
    return scry__cuda_launch(cuda, &call, &parameters);
}
