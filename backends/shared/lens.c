/* lens: questions about its operands, and pieces of its vocabulary. See lens.h. */
#include "lens.h"

#include "operands.h"
#include "refuse.h"

bool scry__lens_compares(const scry_lens_op *op)
{
    return present(&op->reference) && present(&op->kl);
}

bool scry__lens_ranks(const scry_lens_op *op)
{
    return present(&op->target) && (present(&op->target_logit) || present(&op->target_rank));
}

int64_t scry__lens_top(const scry_lens_op *op)
{
    if (present(&op->top_logit)) return op->top_logit.shape[2];
    return present(&op->top_id) ? op->top_id.shape[2] : 0;
}

int64_t scry__lens_reference(const scry_lens_op *op)
{
    const scry_tensor *x = &op->x, *r = &op->reference;
    int64_t            layers = x->shape[0], layer = 0;
    if (!scry__lens_compares(op)) return layers;
    if (x->buffer != r->buffer || x->stride[1] != r->stride[0] || x->stride[2] != r->stride[1]) return layers;
    while (layer < layers && scry__slice(*x, 0, layer, 1).offset != r->offset) layer++;
    return layer;
}

static bool is_reached(const scry_tensor *x, scry__reaches *reaches)
{
    return !present(x) || reaches(x->buffer, x->offset, scry__extent_bytes(x));
}

static bool are_reached(const scry_lens_op *op, scry__reaches *reaches, int64_t first, int64_t count)
{
    scry_tensor unembedding = scry__slice(op->unembedding, 0, first, count);
    scry_tensor bias        = scry__slice(op->bias, 0, first, count);
    return is_reached(&unembedding, reaches) && is_reached(&bias, reaches);
}

int64_t scry__lens_piece(const scry_lens_op *op, scry__reaches *reaches, int64_t first, int64_t unit,
                         int64_t most_units)
{
    int64_t left = op->unembedding.shape[0] - first;
    int64_t low = 1, high = least(units_of(left, unit), most_units);
    while (low < high) {
        int64_t middle = (low + high + 1) / 2;
        if (are_reached(op, reaches, first, least(middle * unit, left)))
            low = middle;
        else
            high = middle - 1;
    }
    return least(low * unit, left);
}

void scry__lens_check_units(const scry_lens_op *op, scry__reaches *reaches, int64_t unit, scry_op_info *info)
{
    scry_tensor one = scry__slice(op->unembedding, 0, 0, least(unit, op->unembedding.shape[0]));
    if (scry__extent_bytes(&one) > SCRY_REACHABLE_BYTES && !is_reached(&op->unembedding, reaches))
        scry__op_refuse(info, "unembedding: expected rows less far apart, to be reached in pieces");
}
