/* sum over rows that a device cannot reach at once: as many blocks of rows at a time as it can, and where it cannot
 * reach one, half of the columns. */
#include "sum.h"

const char scry__sum_out_of_reach[] = "x: the rows that are added up at once: expected a range within reach";

/* `count` blocks of x from block `first` on. */
static scry_tensor blocks_of(const struct scry__sum_pieces *pieces, const scry_tensor *x, int64_t first, int64_t count)
{
    int64_t begin = first * pieces->each;
    return scry__slice(*x, 0, begin, least(x->shape[0] - begin, count * pieces->each));
}

/* How many blocks from `first` on are reached at once. */
static int64_t find_reach(const struct scry__sum_pieces *pieces, const scry_tensor *x, int64_t first, int64_t count)
{
    for (; count > 0; count /= 2) {
        scry_tensor some  = blocks_of(pieces, x, first, count);
        size_t      bytes = scry__extent_bytes(&some);
        if (!bytes || pieces->reaches(some.buffer, some.offset, bytes)) break;
    }
    return count;
}

static bool reaches_each_block(const struct scry__sum_pieces *pieces, const scry_tensor *x)
{
    int64_t count = units_of(x->shape[0], pieces->each), block = 0;
    if (find_reach(pieces, x, 0, count) == count) return true;
    while (block < count && find_reach(pieces, x, block, 1)) block++;
    return block == count;
}

static scry_sum columns_of(const scry_sum *op, int64_t begin, int64_t count)
{
    scry_sum some = *op;
    some.x        = scry__slice(op->x, 1, begin, count);
    some.out      = scry__slice(op->out, 0, begin, count);
    return some;
}

static scry_status sum_rows(const struct scry__sum_pieces *pieces, const scry_sum *op)
{
    int64_t     blocks = units_of(op->x.shape[0], pieces->each);
    scry_status status = SCRY_OK;
    for (int64_t block = 0, count; block < blocks && !status; block += count) {
        scry_sum piece = *op;
        count          = find_reach(pieces, &op->x, block, blocks - block);
        piece.x        = blocks_of(pieces, &op->x, block, count);
        status         = pieces->sum_blocks(pieces->state, &piece, block);
    }
    return status ? status : pieces->merge(pieces->state, op);
}

scry_status scry__sum_in_pieces(const struct scry__sum_pieces *pieces, const scry_sum *op)
{
    int64_t columns = op->x.shape[1], half = columns / 2;
    if (reaches_each_block(pieces, &op->x)) return sum_rows(pieces, op);
    if (columns < 2) return SCRY_UNSUPPORTED;
    scry_sum    low = columns_of(op, 0, half), high = columns_of(op, half, columns - half);
    scry_status status = scry__sum_in_pieces(pieces, &low);
    return status ? status : scry__sum_in_pieces(pieces, &high);
}

static scry_status sum_nothing(void *state, const scry_sum *piece, int64_t first)
{
    (void)state, (void)piece, (void)first;
    return SCRY_OK;
}

static scry_status merge_nothing(void *state, const scry_sum *piece)
{
    (void)state, (void)piece;
    return SCRY_OK;
}

bool scry__sum_is_reachable(const struct scry__sum_pieces *pieces, const scry_sum *op)
{
    struct scry__sum_pieces asked = *pieces;
    asked.sum_blocks              = sum_nothing;
    asked.merge                   = merge_nothing;
    return !scry__sum_in_pieces(&asked, op);
}
