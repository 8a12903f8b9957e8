/* rope: one launch over the pairs of all heads, and over the entries behind them where they are to be copied. */
#include "kernels_cuda/rope.h"
#include "runs.h"

SCRY__CUDA_PLAIN_QUERY(rope, scry_rope)

scry_status scry__cuda_rope(struct scry__cuda *cuda, const scry_rope *op, scry_precision allowed)
{
    (void)allowed;
    int64_t pairs    = op->cosine.shape[1];
    int64_t turned   = round_up(pairs, CUDA_RUN);
    bool    in_place = op->out.buffer == op->x.buffer && op->out.offset == op->x.offset;
    int64_t copied   = in_place ? 0 : op->x.shape[3] - 2 * pairs;
    int64_t shape[4] = {op->x.shape[0], op->x.shape[1], op->x.shape[2], turned + copied};
    if (!shape[3]) return SCRY_OK;
    struct cuda_rope rope = {
        .x               = scry__cuda_view(cuda, &op->x),
        .out             = scry__cuda_view(cuda, &op->out),
        .cosine          = scry__cuda_view(cuda, &op->cosine),
        .sine            = scry__cuda_view(cuda, &op->sine),
        .position        = scry__cuda_view(cuda, &op->positions),
        .all             = scry__cuda_runs(shape),
        .positions       = op->cosine.shape[0],
        .pairs           = pairs,
        .turned          = turned,
        .position_offset = op->position_offset,
        .interleaved     = op->interleaved,
        .sign            = op->inverse ? -1 : 1,
    };
    return scry__cuda_runs_launch(cuda, (struct scry__cuda_call){SCRY__CUDA_CALL(rope)}, &rope.all, &rope);
}
