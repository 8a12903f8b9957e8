/* rope: turns pairs of entries of each head, (x1, x2) -> (x1 c - x2 s, x2 c + x1 s).
 *
 * x and out f32 [B, T, H, D] (may be the same), cosine and sine f32 [positions, pairs], position i32 [B, T] or absent.
 * Row t of sequence b takes row position[b, t] of the tables, or position_offset + t; outside of them its pairs are
 * NaN. Pairs are (2i, 2i + 1) where interleaved, else (i, i + pairs). `sign` -1 turns back. Entries from 2 * pairs on
 * are copied.
 *
 * The shape that is walked is [B, T, H, turned + copied]: `turned`, a multiple of CUDA_RUN, has a place for each pair,
 * what is behind it one for each entry to copy. Launch: a thread for each run of places. Error: gamma(3) (|x1 c| + |x2
 * s|). */
#include "runs.cuh"

#include "rope.h"

/* Where a run's head begins. */
DEVICE int64_t head_index(const run &r, const cuda_view &x)
{
    return r.at[0] * x.stride[0] + r.at[1] * x.stride[1] + r.at[2] * x.stride[2];
}

/* Both halves of `count` pairs from pair `i` on. Of interleaved ones, two runs of entries that follow each other. */
DEVICE void load_pairs(const cuda_rope &p, int64_t head, int64_t i, int count, run_values *x1, run_values *x2)
{
    int64_t stride = p.x.stride[3];
    if (!p.interleaved) {
        *x1 = load_values(p.x.data, head + i * stride, stride, count, F32);
        *x2 = load_values(p.x.data, head + (i + p.pairs) * stride, stride, count, F32);
        return;
    }
    int        low_count = 2 * count < CUDA_RUN ? 2 * count : CUDA_RUN;
    run_values low       = load_values(p.x.data, head + 2 * i * stride, stride, low_count, F32);
    run_values high = load_values(p.x.data, head + (2 * i + CUDA_RUN) * stride, stride, 2 * count - low_count, F32);
    *x1             = {{low.x[0], low.x[2], high.x[0], high.x[2]}};
    *x2             = {{low.x[1], low.x[3], high.x[1], high.x[3]}};
}

DEVICE void store_pairs(const cuda_rope &p, int64_t head, int64_t i, int count, const run_values &y1,
                        const run_values &y2)
{
    int64_t stride = p.out.stride[3];
    if (!p.interleaved) {
        store_values(p.out.data, head + i * stride, stride, count, F32, y1);
        store_values(p.out.data, head + (i + p.pairs) * stride, stride, count, F32, y2);
        return;
    }
    int        low_count = 2 * count < CUDA_RUN ? 2 * count : CUDA_RUN;
    run_values low = {{y1.x[0], y2.x[0], y1.x[1], y2.x[1]}}, high = {{y1.x[2], y2.x[2], y1.x[3], y2.x[3]}};
    store_values(p.out.data, head + 2 * i * stride, stride, low_count, F32, low);
    store_values(p.out.data, head + (2 * i + CUDA_RUN) * stride, stride, 2 * count - low_count, F32, high);
}

/* The row of the tables for a run's row. */
DEVICE int64_t position_of(const cuda_rope &p, const run &r)
{
    if (!p.position.data) return p.position_offset + r.at[1];
    return static_cast<const int32_t *>(
        p.position.data)[r.at[0] * p.position.stride[0] + r.at[1] * p.position.stride[1]];
}

CUDA_FLAT_KERNEL(rope, cuda_rope, CUDA_RUN_THREADS)
{
    run r;
    if (!take_run(&r, p.all, RUN_NUMBER)) return;
    int64_t from = head_index(r, p.x), to = head_index(r, p.out), i = r.at[3];
    if (i >= p.turned) { /* copied */
        i += 2 * p.pairs - p.turned;
        run_values rest = load_values(p.x.data, from + i * p.x.stride[3], p.x.stride[3], r.count, F32);
        store_values(p.out.data, to + i * p.out.stride[3], p.out.stride[3], r.count, F32, rest);
        return;
    }
    int64_t    position = position_of(p, r);
    int        count    = (int)(p.pairs - i < CUDA_RUN ? p.pairs - i : CUDA_RUN);
    run_values c = {{NAN, NAN, NAN, NAN}}, s = c, x1, x2, y1, y2;
    if (position >= 0 && position < p.positions) {
        c = load_values(p.cosine.data, position * p.cosine.stride[0] + i, 1, count, F32);
        s = load_values(p.sine.data, position * p.sine.stride[0] + i, 1, count, F32);
    }
    load_pairs(p, from, i, count, &x1, &x2);
    for (int j = 0; j < CUDA_RUN; j++) {
        float sine = p.sign * s.x[j];
        y1.x[j]    = x1.x[j] * c.x[j] - x2.x[j] * sine;
        y2.x[j]    = x2.x[j] * c.x[j] + x1.x[j] * sine;
    }
    store_pairs(p, to, i, count, y1, y2);
}
