/* matmul "block": C = alpha A B + beta C + bias, for devices whose items are threads with wide vectors.
 *
 * a [B0, B1, m, k], b (w) [B0, B1, k, n], bias (w) [n], c [B0, B1, m, n]; axes that are not there have size 1. In a and
 * b either of the last two axes may be the contiguous one. Options: LANES (4, 8, 16), the floats of a vector; WEIGHT,
 * the dtype of b; ROWS, the rows of a tile of block, or HEIGHT, the rows of few (1 or 4): a program has one of the two.
 *
 * Each element of C is one chain of multiply-adds in the order of k, whatever the kernel, the layout, the number of
 * rows: its bits depend on its own row and column alone. Error: gamma(k + 3) times the sum of magnitudes.
 *
 * block: an item takes a share of (batch, band of rows, panel). A panel is 2 vectors of columns of B, widened to f32
 * and stored k by k in the item's part of the scratch; there are as many at a time as stay in the second cache, while
 * the rows of A pass by them. A tile of C is ROWS rows of one panel, its sums in registers.
 *
 * few: an item takes a stretch of columns of up to HEIGHT rows, and reads B once, as it is stored. No scratch.
 *
 * Both are launched in groups of one item, in one dimension. */

#define LOAD(x)     JOIN(vload, LANES)(0, x)
#define STORE(v, x) JOIN(vstore, LANES)(v, 0, x)

typedef JOIN(uint, LANES) lane_words;

enum {
    WIDTH   = 2 * LANES,                      /* of a panel */
    STRETCH = 8 * LANES,                      /* of few */
    DEPTH   = WEIGHT == BF16 ? WIDTH : LANES, /* elements of a column that a vector holds as they are stored */
};

/* Rows of A: where the first begins, and strides. */
typedef struct {
    __global const float *at;
    long                  row, k, count;
} factors;

/* Element `k` of row `row`; beyond the last row, of that. */
INLINE float factor_at(factors a, int row, long k)
{
    return a.at[min((long)row, a.count - 1) * a.row + k * a.k];
}

/* Part of a matrix of B: its first element and the strides. */
typedef struct {
    __global const void *of;
    long                 first, k, column;
} weights;

INLINE weights weights_at(weights b, long k, long column)
{
    b.first += k * b.k + column * b.column;
    return b;
}

INLINE float weight_at(weights b, long k, long column)
{
    return load_as(b.of, b.first + k * b.k + column * b.column, WEIGHT);
}

/* bf16 as f32. */
INLINE lanes widen(lane_words bits)
{
    return JOIN(as_float, LANES)(bits << 16);
}

/* LANES elements in their order in memory, from element `index` on. */
INLINE lanes load_weights(weights b, long index)
{
#if WEIGHT == 0 /* F32 */
    return LOAD((__global const float *)b.of + b.first + index);
#elif WEIGHT == 1 /* F16 */
    return JOIN(vload_half, LANES)(0, (__global const half *)b.of + b.first + index);
#else             /* BF16 */
    return widen(JOIN(convert_uint, LANES)(JOIN(vload, LANES)(0, (__global const ushort *)b.of + b.first + index)));
#endif
}

/* DEPTH elements from element `index` on, as many to a lane as go into 4 bytes once they are bits of floats. */
INLINE lanes load_depth(weights b, long index)
{
#if WEIGHT != 2 /* BF16 */
    return load_weights(b, index);
#else
    __global const ushort *from = (__global const ushort *)b.of + b.first + index;
#if LANES == 4
    return as_float4(vload8(0, from));
#elif LANES == 8
    return as_float8(vload16(0, from));
#else
    return (float16)(as_float8(vload16(0, from)), as_float8(vload16(1, from)));
#endif
#endif
}

/* Part of C, with what is added to its columns. */
typedef struct {
    __global float      *at;
    long                 row; /* stride */
    __global const void *bias;
    view                 bias_view;
    long                 column; /* its first column, counted in bias */
    float                alpha, beta;
} result;

INLINE float finish(result c, float sum, long row, long column)
{
    float value = c.alpha * sum;
    if (c.beta != 0) value = c.beta * c.at[row * c.row + column] + value;
    if (c.bias)
        value += load_as(c.bias, c.bias_view.offset + (c.column + column) * c.bias_view.stride[0], c.bias_view.dtype);
    return value;
}

INLINE lanes load_bias(result c, long column)
{
    const long stride = c.bias_view.stride[0];
    if (!c.bias) return 0;
    return load_lanes(c.bias, c.bias_view.offset + (c.column + column) * stride, stride, LANES, c.bias_view.dtype);
}

/* finish for LANES columns, with their bias. */
INLINE void store_finished(result c, lanes sum, lanes bias, long row, long column)
{
    __global float *at    = c.at + row * c.row + column;
    lanes           value = c.alpha * sum;
    if (c.beta != 0) value = c.beta * LOAD(at) + value;
    if (c.bias) value += bias;
    STORE(value, at);
}

INLINE result result_at(result c, long row, long column)
{
    c.at += row * c.row + column;
    c.column += column;
    return c;
}

/* --- Transposition --- */

/* to[2i], to[2i + 1]: from[i] and from[i + LANES / 2] interleaved. As many rounds as LANES has bits transpose. */
INLINE void interleave(lanes *to, const lanes *from)
{
#pragma unroll
    for (int i = 0; i < LANES / 2; i++) {
        to[2 * i].even     = from[i].lo;
        to[2 * i].odd      = from[i + LANES / 2].lo;
        to[2 * i + 1].even = from[i].hi;
        to[2 * i + 1].odd  = from[i + LANES / 2].hi;
    }
}

/* x[i] = element i of LANES columns that are contiguous in k, for DEPTH elements; beyond `columns` the last column. */
INLINE void load_transposed(lanes *x, weights b, long columns)
{
    lanes y[LANES], z[LANES];
#pragma unroll
    for (int j = 0; j < LANES; j++) y[j] = load_depth(b, min((long)j, columns - 1) * b.column);
    interleave(z, y);
    interleave(y, z);
#if LANES == 8
    interleave(z, y);
#define TRANSPOSED z
#else
#define TRANSPOSED y
#endif
#if LANES == 16
    interleave(z, y);
    interleave(y, z);
#endif
#pragma unroll
    for (int i = 0; i < LANES; i++) {
#if WEIGHT == 2 /* BF16: element 2i lies in the lower half */
        const lane_words pair = JOIN(as_uint, LANES)(TRANSPOSED[i]);
        x[2 * i]              = widen(pair);
        x[2 * i + 1]          = JOIN(as_float, LANES)(pair & 0xffff0000u);
#else
        x[i] = TRANSPOSED[i];
#endif
    }
}

#ifdef ROWS
/* --- block: panels --- */

INLINE void pack_transposed(__global float *panel, weights b, long k, long columns)
{
    long i = 0;
    for (; i + DEPTH <= k; i += DEPTH) {
        lanes x[DEPTH];
        load_transposed(x, weights_at(b, i, 0), columns);
#pragma unroll
        for (int j = 0; j < DEPTH; j++) STORE(x[j], panel + (i + j) * WIDTH);
    }
    for (; i < k; i++)
        for (int j = 0; j < LANES; j++) panel[i * WIDTH + j] = weight_at(b, i, min((long)j, columns - 1));
}

/* What a panel holds beyond `columns` goes into no element of C. */
INLINE void pack(__global float *panel, weights b, long k, long columns)
{
    if (b.column == 1 && columns >= WIDTH) {
        for (long i = 0; i < k; i++) {
            STORE(load_weights(b, i * b.k), panel + i * WIDTH);
            STORE(load_weights(b, i * b.k + LANES), panel + i * WIDTH + LANES);
        }
    } else if (b.k == 1) {
        for (int done = 0; done < WIDTH && done < columns; done += LANES)
            pack_transposed(panel + done, weights_at(b, 0, done), k, columns - done);
    } else {
        for (long i = 0; i < k; i++)
            for (int j = 0; j < WIDTH; j++) panel[i * WIDTH + j] = weight_at(b, i, min((long)j, columns - 1));
    }
}

/* --- block: tiles --- */

/* Up to ROWS rows of one panel. */
INLINE void multiply_tile(result c, factors a, __global const float *panel, long k, long columns)
{
    __global const float *from[ROWS];
    lanes                 sums[ROWS][2];
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        from[i]    = a.at + min((long)i, a.count - 1) * a.row;
        sums[i][0] = sums[i][1] = 0;
    }
    for (long step = 0; step < k; step++) {
        const lanes b0 = LOAD(panel + step * WIDTH), b1 = LOAD(panel + step * WIDTH + LANES);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            const lanes x = from[i][step * a.k];
            sums[i][0]    = x * b0 + sums[i][0];
            sums[i][1]    = x * b1 + sums[i][1];
        }
    }
    if (a.count >= ROWS && columns >= WIDTH) {
        const lanes bias0 = load_bias(c, 0), bias1 = load_bias(c, LANES);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            store_finished(c, sums[i][0], bias0, i, 0);
            store_finished(c, sums[i][1], bias1, i, LANES);
        }
        return;
    }
    float tile[ROWS][WIDTH];
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        STORE(sums[i][0], tile[i]);
        STORE(sums[i][1], tile[i] + LANES);
    }
    for (int i = 0; i < ROWS && i < a.count; i++)
        for (int j = 0; j < WIDTH && j < columns; j++) c.at[i * c.row + j] = finish(c, tile[i][j], i, j);
}

__kernel void block(PRODUCT_PARAMETERS, __global float *scratch, long scratch_at, long group, long bands,
                    long band_rows)
{
    const long panels = (p.n + WIDTH - 1) / WIDTH, units = p.batches * bands * panels;
    const long part = get_group_id(0), parts = get_num_groups(0), end = units * (part + 1) / parts;
    long       unit = units * part / parts;
    scratch += scratch_at + part * group * WIDTH * p.k;
    while (unit < end) {
        const long    panel = unit % panels, band = unit / panels % bands, batch = unit / panels / bands;
        const long    count  = min(min(group, panels - panel), end - unit);
        const long    last   = min(p.m, (band + 1) * band_rows);
        const weights matrix = {b, matrix_of(b_view, p, batch), b_view.stride[2], b_view.stride[3]};
        factors       rows   = {a + matrix_of(a_view, p, batch), a_view.stride[2], a_view.stride[3], 0};
        const result  out    = {c + matrix_of(c_view, p, batch), c_view.stride[2], bias, bias_view, 0, p.alpha, p.beta};
        for (long i = 0; i < count; i++) {
            const long column = (panel + i) * WIDTH;
            pack(scratch + i * WIDTH * p.k, weights_at(matrix, 0, column), p.k, p.n - column);
        }
        for (long row = band * band_rows; row < last; row += ROWS) {
            rows.at    = a + matrix_of(a_view, p, batch) + row * rows.row;
            rows.count = last - row;
            for (long i = 0; i < count; i++) {
                const long column = (panel + i) * WIDTH;
                multiply_tile(result_at(out, row, column), rows, scratch + i * WIDTH * p.k, p.k, p.n - column);
            }
        }
        unit += count;
    }
}

#else
/* --- few --- */

/* `vectors` (a constant) vectors of columns that lie side by side. */
INLINE void few_plain(result c, factors a, weights b, long k, const int vectors)
{
    lanes sums[HEIGHT][8];
#pragma unroll
    for (int i = 0; i < HEIGHT; i++)
#pragma unroll
        for (int v = 0; v < vectors; v++) sums[i][v] = 0;
    for (long step = 0; step < k; step++) {
#pragma unroll
        for (int v = 0; v < vectors; v++) {
            const lanes y = load_weights(b, step * b.k + v * LANES);
#pragma unroll
            for (int i = 0; i < HEIGHT; i++) sums[i][v] = factor_at(a, i, step) * y + sums[i][v];
        }
    }
#pragma unroll
    for (int v = 0; v < vectors; v++) {
        const lanes bias = load_bias(c, v * LANES);
#pragma unroll
        for (int i = 0; i < HEIGHT; i++)
            if (i < a.count) store_finished(c, sums[i][v], bias, i, v * LANES);
    }
}

/* One vector of columns that are contiguous in k. */
INLINE void few_transposed(result c, factors a, weights b, long k)
{
    lanes sums[HEIGHT];
    long step = 0;
#pragma unroll
    for (int i = 0; i < HEIGHT; i++) sums[i] = 0;
    for (; step + DEPTH <= k; step += DEPTH) {
        lanes x[DEPTH];
        load_transposed(x, weights_at(b, step, 0), LANES);
#pragma unroll
        for (int j = 0; j < DEPTH; j++)
#pragma unroll
            for (int i = 0; i < HEIGHT; i++) sums[i] = factor_at(a, i, step + j) * x[j] + sums[i];
    }
    for (; step < k; step++) {
        float y[LANES];
        for (int j = 0; j < LANES; j++) y[j] = weight_at(b, step, j);
#pragma unroll
        for (int i = 0; i < HEIGHT; i++) sums[i] = factor_at(a, i, step) * LOAD(y) + sums[i];
    }
    const lanes bias = load_bias(c, 0);
#pragma unroll
    for (int i = 0; i < HEIGHT; i++)
        if (i < a.count) store_finished(c, sums[i], bias, i, 0);
}

INLINE void few_scalar(result c, factors a, weights b, long k)
{
    for (int i = 0; i < HEIGHT && i < a.count; i++) {
        float sum = 0;
        for (long step = 0; step < k; step++) sum = factor_at(a, i, step) * weight_at(b, step, 0) + sum;
        c.at[i * c.row] = finish(c, sum, i, 0);
    }
}

__kernel void few(PRODUCT_PARAMETERS)
{
    const long stretches = (p.n + STRETCH - 1) / STRETCH, bands = (p.m + HEIGHT - 1) / HEIGHT;
    const long unit = get_group_id(0), batch = unit / stretches / bands;
    const long row = unit / stretches % bands * HEIGHT, begin = unit % stretches * STRETCH;
    const long end = min(p.n, begin + STRETCH);
    const weights matrix = {b, matrix_of(b_view, p, batch), b_view.stride[2], b_view.stride[3]};
    const factors rows = {a + matrix_of(a_view, p, batch) + row * a_view.stride[2], a_view.stride[2], a_view.stride[3],
                          p.m - row};
    const result whole = {c + matrix_of(c_view, p, batch), c_view.stride[2], bias, bias_view, 0, p.alpha, p.beta};
    long column = begin;
#define PART result_at(whole, row, column), rows, weights_at(matrix, 0, column), p.k
    if (matrix.column == 1) {
        enum { VECTORS = HEIGHT == 1 ? 8 : 4 };
        for (; column + VECTORS * LANES <= end; column += VECTORS * LANES) few_plain(PART, VECTORS);
        for (; column + LANES <= end; column += LANES) few_plain(PART, 1);
    } else if (matrix.k == 1) {
        for (; column + LANES <= end; column += LANES) few_transposed(PART);
    }
    for (; column < end; column++) few_scalar(PART);
#undef PART
}
#endif
