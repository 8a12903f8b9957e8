/* matmul "block": C = alpha A B + beta C + bias, for devices whose items are threads with wide vectors.
 *
 * a [B0, B1, m, k], b (w) [B0, B1, k, n], bias (w) [n], c [B0, B1, m, n]; axes that are not there have size 1. In a and
 * b either of the last two axes may be the contiguous one. Options: LANES (4, 8, 16), the floats of a vector; ROWS, the
 * rows of a tile; WEIGHT, the dtype of b.
 *
 * Each element of C is one chain of multiply-adds in the order of k, whatever the kernel, the layout, the number of
 * rows: its bits depend on its own row and column alone. Error: gamma(k + 3) times the sum of magnitudes.
 *
 * block: an item takes a share of (batch, band of rows, panel). A panel is 2 vectors of columns of B, widened to f32
 * and stored k by k in the item's part of the scratch; there are as many at a time as stay in the second cache, while
 * the rows of A pass by them. A tile of C is ROWS rows of one panel, its sums in registers. few: an item takes a
 * stretch of columns of up to FEW_ROWS rows, and reads B once, as it is stored. No scratch.
 *
 * Both are launched in groups of one item, in one dimension. */

/* Vectors that pass through a call would pass through memory. */
#define INLINE      inline __attribute__((always_inline))
#define LOAD(x)     JOIN(vload, LANES)(0, x)
#define STORE(v, x) JOIN(vstore, LANES)(v, 0, x)

enum { WIDTH = 2 * LANES, FEW_ROWS = 4, STRETCH = 8 * LANES };

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

/* LANES elements in their order in memory, from element `index` on. */
INLINE lanes load_weights(weights b, long index)
{
#if WEIGHT == 0 /* F32 */
    return LOAD((__global const float *)b.of + b.first + index);
#elif WEIGHT == 1 /* F16 */
    return JOIN(vload_half, LANES)(0, (__global const half *)b.of + b.first + index);
#else             /* BF16 */
    return JOIN(as_float, LANES)(
        JOIN(convert_uint, LANES)(JOIN(vload, LANES)(0, (__global const ushort *)b.of + b.first + index)) << 16);
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

/* x[i] = element i of LANES columns that are contiguous in k; beyond `columns` the last of them again. */
INLINE void load_transposed(lanes *x, weights b, long columns)
{
    lanes y[LANES];
#pragma unroll
    for (int j = 0; j < LANES; j++) x[j] = load_weights(b, min((long)j, columns - 1) * b.column);
    interleave(y, x);
    interleave(x, y);
#if LANES == 8
    interleave(y, x);
#pragma unroll
    for (int j = 0; j < LANES; j++) x[j] = y[j];
#elif LANES == 16
    interleave(y, x);
    interleave(x, y);
#endif
}

/* --- Panels --- */

INLINE void pack_transposed(__global float *panel, weights b, long k, long columns)
{
    long i = 0;
    for (; i + LANES <= k; i += LANES) {
        lanes x[LANES];
        load_transposed(x, weights_at(b, i, 0), columns);
#pragma unroll
        for (int j = 0; j < LANES; j++) STORE(x[j], panel + (i + j) * WIDTH);
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
        pack_transposed(panel, b, k, columns);
        if (columns > LANES) pack_transposed(panel + LANES, weights_at(b, 0, LANES), k, columns - LANES);
    } else {
        for (long i = 0; i < k; i++)
            for (int j = 0; j < WIDTH; j++) panel[i * WIDTH + j] = weight_at(b, i, min((long)j, columns - 1));
    }
}

/* --- block --- */

/* Up to ROWS rows of one panel. */
INLINE void multiply_tile(result c, __global const float *a, long a_row, long a_k, __global const float *panel, long k,
                          long rows, long columns)
{
    __global const float *from[ROWS];
    lanes                 sums[ROWS][2];
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        from[i]    = a + min((long)i, rows - 1) * a_row;
        sums[i][0] = sums[i][1] = 0;
    }
    for (long step = 0; step < k; step++) {
        const lanes b0 = LOAD(panel + step * WIDTH), b1 = LOAD(panel + step * WIDTH + LANES);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            const lanes x = from[i][step * a_k];
            sums[i][0]    = x * b0 + sums[i][0];
            sums[i][1]    = x * b1 + sums[i][1];
        }
    }
    if (rows >= ROWS && columns >= WIDTH) {
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
    for (int i = 0; i < ROWS && i < rows; i++)
        for (int j = 0; j < WIDTH && j < columns; j++) c.at[i * c.row + j] = finish(c, tile[i][j], i, j);
}

INLINE result result_at(result c, long row, long column)
{
    c.at += row * c.row + column;
    c.column += column;
    return c;
}

__kernel void block(PRODUCT_PARAMETERS, __global float *scratch, long scratch_at, long group, long bands,
                    long band_rows)
{
    const long panels = (p.n + WIDTH - 1) / WIDTH, units = p.batches * bands * panels;
    const long part = get_group_id(0), parts = get_num_groups(0), end = units * (part + 1) / parts;
    long       unit = units * part / parts;
    scratch += scratch_at + part * group * WIDTH * p.k;
    while (unit < end) {
        const long            panel = unit % panels, band = unit / panels % bands, batch = unit / panels / bands;
        const long            count  = min(min(group, panels - panel), end - unit);
        const long            last   = min(p.m, (band + 1) * band_rows);
        const weights         matrix = {b, matrix_of(b_view, p, batch), b_view.stride[2], b_view.stride[3]};
        __global const float *rows   = a + matrix_of(a_view, p, batch);
        const result out = {c + matrix_of(c_view, p, batch), c_view.stride[2], bias, bias_view, 0, p.alpha, p.beta};
        for (long i = 0; i < count; i++) {
            const long column = (panel + i) * WIDTH;
            pack(scratch + i * WIDTH * p.k, weights_at(matrix, 0, column), p.k, p.n - column);
        }
        for (long row = band * band_rows; row < last; row += ROWS)
            for (long i = 0; i < count; i++) {
                const long column = (panel + i) * WIDTH;
                multiply_tile(result_at(out, row, column), rows + row * a_view.stride[2], a_view.stride[2],
                              a_view.stride[3], scratch + i * WIDTH * p.k, p.k, last - row, p.n - column);
            }
        unit += count;
    }
}

/* --- few --- */

/* `height` rows (a constant; the last of `rows` again beyond them) by `vectors` vectors of columns, contiguous. */
INLINE void few_plain(result c, __global const float *a, long a_row, long a_k, weights b, long k, long rows,
                      const int height, const int vectors)
{
    lanes sums[8][8];
#pragma unroll
    for (int i = 0; i < height; i++)
#pragma unroll
        for (int v = 0; v < vectors; v++) sums[i][v] = 0;
    for (long step = 0; step < k; step++) {
#pragma unroll
        for (int v = 0; v < vectors; v++) {
            const lanes y = load_weights(b, step * b.k + v * LANES);
#pragma unroll
            for (int i = 0; i < height; i++)
                sums[i][v] = a[min((long)i, rows - 1) * a_row + step * a_k] * y + sums[i][v];
        }
    }
#pragma unroll
    for (int v = 0; v < vectors; v++) {
        const lanes bias = load_bias(c, v * LANES);
#pragma unroll
        for (int i = 0; i < height; i++)
            if (i < rows) store_finished(c, sums[i][v], bias, i, v * LANES);
    }
}

/* The same for one vector of columns that are contiguous in k. */
INLINE void few_transposed(result c, __global const float *a, long a_row, long a_k, weights b, long k, long rows,
                           const int height)
{
    lanes sums[FEW_ROWS];
    long  step = 0;
#pragma unroll
    for (int i = 0; i < height; i++) sums[i] = 0;
    for (; step + LANES <= k; step += LANES) {
        lanes x[LANES];
        load_transposed(x, weights_at(b, step, 0), LANES);
#pragma unroll
        for (int j = 0; j < LANES; j++)
#pragma unroll
            for (int i = 0; i < height; i++)
                sums[i] = a[min((long)i, rows - 1) * a_row + (step + j) * a_k] * x[j] + sums[i];
    }
    for (; step < k; step++) {
        float y[LANES];
        for (int j = 0; j < LANES; j++) y[j] = weight_at(b, step, j);
        const lanes x = LOAD(y);
#pragma unroll
        for (int i = 0; i < height; i++) sums[i] = a[min((long)i, rows - 1) * a_row + step * a_k] * x + sums[i];
    }
    const lanes bias = load_bias(c, 0);
#pragma unroll
    for (int i = 0; i < height; i++)
        if (i < rows) store_finished(c, sums[i], bias, i, 0);
}

INLINE void few_scalar(result c, __global const float *a, long a_row, long a_k, weights b, long k, long rows)
{
    for (long i = 0; i < rows; i++) {
        float sum = 0;
        for (long step = 0; step < k; step++) sum = a[i * a_row + step * a_k] * weight_at(b, step, 0) + sum;
        c.at[i * c.row] = finish(c, sum, i, 0);
    }
}

__kernel void few(PRODUCT_PARAMETERS)
{
    const long    stretches = (p.n + STRETCH - 1) / STRETCH, bands = (p.m + FEW_ROWS - 1) / FEW_ROWS;
    const long    unit = get_group_id(0), batch = unit / stretches / bands;
    const long    row = unit / stretches % bands * FEW_ROWS, rows = min(p.m - row, (long)FEW_ROWS);
    const long    a_row = a_view.stride[2], a_k = a_view.stride[3], k = p.k;
    long          column = unit % stretches * STRETCH;
    const long    end    = min(p.n, column + STRETCH);
    const weights matrix = {b, matrix_of(b_view, p, batch), b_view.stride[2], b_view.stride[3]};
    const result  out    = {c + matrix_of(c_view, p, batch), c_view.stride[2], bias, bias_view, 0, p.alpha, p.beta};
    a += matrix_of(a_view, p, batch) + row * a_row;
#define PART result_at(out, row, column), a, a_row, a_k, weights_at(matrix, 0, column), k, rows
    if (matrix.column == 1) {
        for (; rows == 1 && column + 8 * LANES <= end; column += 8 * LANES) few_plain(PART, 1, 8);
        for (; column + 4 * LANES <= end; column += 4 * LANES) few_plain(PART, FEW_ROWS, 4);
        for (; column + LANES <= end; column += LANES) few_plain(PART, FEW_ROWS, 1);
    } else if (matrix.k == 1) {
        for (; rows == 1 && column + LANES <= end; column += LANES) few_transposed(PART, 1);
        for (; column + LANES <= end; column += LANES) few_transposed(PART, FEW_ROWS);
    }
    for (; column < end; column++) few_scalar(PART);
#undef PART
}
