/* rope: rotates pairs of entries of each head by the angles whose cosines and sines the tables hold. A position outside
 * the tables gives NaN. */
#include "reference.h"

static int64_t table_row(const scry_rope *op, int64_t b, int64_t t)
{
    return present(&op->positions) ? (int64_t)load(&op->positions, at2(&op->positions, b, t)) : op->position_offset + t;
}

static void rotate_head(const scry_rope *op, int64_t b, int64_t t, int64_t h)
{
    const scry_tensor *x = &op->x, *out = &op->out;
    int64_t            pairs = op->cosine.shape[1], row = table_row(op, b, t);
    bool               inside = row >= 0 && row < op->cosine.shape[0];
    for (int64_t i = 0; i < pairs; i++) {
        int64_t first  = op->interleaved ? 2 * i : i;
        int64_t second = op->interleaved ? 2 * i + 1 : i + pairs;
        double  c      = inside ? load(&op->cosine, at2(&op->cosine, row, i)) : (double)NAN;
        double  s      = inside ? load(&op->sine, at2(&op->sine, row, i)) : (double)NAN;
        double  x1 = load(x, at4(x, b, t, h, first)), x2 = load(x, at4(x, b, t, h, second));
        if (op->inverse) s = -s;
        store(out, at4(out, b, t, h, first), x1 * c - x2 * s);
        store(out, at4(out, b, t, h, second), x2 * c + x1 * s);
    }
    for (int64_t d = 2 * pairs; d < x->shape[3]; d++) store(out, at4(out, b, t, h, d), load(x, at4(x, b, t, h, d)));
}

void scry__reference_rope(const scry_rope *op)
{
    int64_t B = op->x.shape[0], T = op->x.shape[1], H = op->x.shape[2];
    for (int64_t row = 0; row < B * T * H; row++) rotate_head(op, row / (T * H), row / H % T, row % H);
}
