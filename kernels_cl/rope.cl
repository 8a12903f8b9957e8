/* rope: turns pairs of entries of each head, (x1, x2) -> (x1 c - x2 s, x2 c + x1 s).
 *
 * x and out f32 [B, T, H, D] (may be the same), cosine and sine f32 [P, pairs], positions i32 [B, T] or absent. Row t
 * of sequence b takes row positions[b, t] of the tables, or position_offset + t; outside of them its pairs are NaN.
 * Pairs are (2i, 2i + 1) where interleaved, else (i, i + pairs). `sign` -1 turns back. Entries from 2 * pairs on are
 * copied.
 *
 * The shape that is walked is [B, T, H, turned + copied]: `turned`, a multiple of LANES, has a place for each pair,
 * what is behind it one for each entry to copy. Launch: one dimension of items, each with `each` runs of LANES places
 * of a head. Error: gamma(3) (|x1 c| + |x2 s|). */

typedef struct {
    long  positions; /* P */
    long  pairs, turned, position_offset;
    int   interleaved;
    float sign;
} turn;

/* Entries of `count` pairs of a head. Side by side where all of them are: LANES / 2 pairs in each of two vectors. */
inline void load_pairs(__global const float *head, long stride, int count, const turn *by, lanes *x1, lanes *x2)
{
    if (!by->interleaved) {
        *x1 = load_lanes(head, 0, stride, count, F32);
        *x2 = load_lanes(head, by->pairs * stride, stride, count, F32);
    } else if (stride == 1 && count == LANES) {
        lanes a = JOIN(vload, LANES)(0, head), b = JOIN(vload, LANES)(1, head);
        *x1 = (lanes)(a.even, b.even);
        *x2 = (lanes)(a.odd, b.odd);
    } else {
        *x1 = load_lanes(head, 0, 2 * stride, count, F32);
        *x2 = load_lanes(head, stride, 2 * stride, count, F32);
    }
}

inline void store_pairs(__global float *head, long stride, int count, const turn *by, lanes x1, lanes x2)
{
    if (!by->interleaved) {
        store_lanes(head, 0, stride, count, x1);
        store_lanes(head, by->pairs * stride, stride, count, x2);
    } else if (stride == 1 && count == LANES) {
        lanes a, b;
        a.even = x1.lo;
        a.odd  = x2.lo;
        b.even = x1.hi;
        b.odd  = x2.hi;
        JOIN(vstore, LANES)(a, 0, head);
        JOIN(vstore, LANES)(b, 1, head);
    } else {
        store_lanes(head, 0, 2 * stride, count, x1);
        store_lanes(head, stride, 2 * stride, count, x2);
    }
}

/* Where the head of a run begins. */
inline long head_index(const run *r, const view *x)
{
    return x->offset + r->at[0] * x->stride[0] + r->at[1] * x->stride[1] + r->at[2] * x->stride[2];
}

__kernel void rope(__global const float *x, view x_view, __global float *out, view out_view,
                   __global const float *cosine, view cosine_view, __global const float *sine, view sine_view,
                   __global const int *positions, view positions_view, turn by, runs all)
{
    for (run r = first_run(&all); r.left > 0; next_run(&r, &all)) {
        long from = head_index(&r, &x_view), to = head_index(&r, &out_view), i = r.at[3];
        if (i >= by.turned) { /* copied */
            i += 2 * by.pairs - by.turned;
            lanes rest = load_lanes(x, from + i * x_view.stride[3], x_view.stride[3], r.count, F32);
            store_lanes(out, to + i * out_view.stride[3], out_view.stride[3], r.count, rest);
            continue;
        }
        long position = by.position_offset + r.at[1], step = by.interleaved ? 2 : 1;
        if (positions)
            position = positions[positions_view.offset + r.at[0] * positions_view.stride[0] +
                                 r.at[1] * positions_view.stride[1]];
        int   count = (int)min((long)r.count, by.pairs - i);
        lanes x1, x2, c = NAN, s = NAN;
        if (position >= 0 && position < by.positions) {
            c = load_lanes(cosine, cosine_view.offset + position * cosine_view.stride[0] + i, 1, count, F32);
            s = by.sign * load_lanes(sine, sine_view.offset + position * sine_view.stride[0] + i, 1, count, F32);
        }
        load_pairs(x + from + step * i * x_view.stride[3], x_view.stride[3], count, &by, &x1, &x2);
        store_pairs(out + to + step * i * out_view.stride[3], out_view.stride[3], count, &by, x1 * c - x2 * s,
                    x2 * c + x1 * s);
    }
}
