/* embed: rows of a table by id. */
#include "kernels_cuda/embed.h"
#include "runs.h"

SCRY__CUDA_PLAIN_QUERY(embed, scry_embed)

scry_status scry__cuda_embed(struct scry__cuda *cuda, const scry_embed *op, scry_precision allowed)
{
    (void)allowed;
    scry_tensor       out   = scry__widened(op->out, 0);
    struct cuda_embed embed = {
        .ids        = scry__cuda_view(cuda, &op->ids),
        .table      = scry__cuda_view(cuda, &op->table),
        .out        = scry__cuda_view(cuda, &out),
        .all        = scry__cuda_runs(out.shape),
        .vocabulary = op->table.shape[0],
        .scale      = op->scale != 0 ? op->scale : 1,
        .accumulate = op->accumulate,
    };
    return scry__cuda_runs_launch(cuda, (struct scry__cuda_call){SCRY__CUDA_CALL(embed)}, &embed.all, &embed);
}
