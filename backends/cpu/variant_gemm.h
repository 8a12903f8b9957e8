/* Products of matrices: packing of panels, the register tile, and the product of one row with weights as stored. */
#include "variant_vector.h"

#define TILE_ROWS    (LANES == 16 ? 12 : 6)
#define TILE_COLUMNS (2 * LANES)

/* --- panels --- */

INLINE float element_of(const void *x, scry_dtype dtype, int64_t index)
{
    uint16_t half;
    float    value;
    if (dtype == SCRY_F32) return ((const float *)x)[index];
    half = ((const uint16_t *)x)[index];
    if (dtype == SCRY_F16) {
        vh halves = {half};
        return widen_f16(halves)[0];
    }
    uint32_t bits = (uint32_t)half << 16;
    memcpy(&value, &bits, sizeof value);
    return value;
}

INLINE void widen_as(float *out, const void *x, scry_dtype dtype, int64_t count)
{
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) store(out + i, load_as(x, dtype, i));
    for (; i < count; i++) out[i] = element_of(x, dtype, i);
}

static void widen(float *out, const void *x, scry_dtype dtype, int64_t count)
{
    if (dtype == SCRY_F32)
        memcpy(out, x, (size_t)count * sizeof *out);
    else if (dtype == SCRY_F16)
        widen_as(out, x, SCRY_F16, count);
    else
        widen_as(out, x, SCRY_BF16, count);
}

#if LANES == 16
#define EACH_LANE(f, step)                                                                                             \
    f(0, step), f(1, step), f(2, step), f(3, step), f(4, step), f(5, step), f(6, step), f(7, step), f(8, step),        \
        f(9, step), f(10, step), f(11, step), f(12, step), f(13, step), f(14, step), f(15, step)
#elif LANES == 8
#define EACH_LANE(f, step)                                                                                             \
    f(0, step), f(1, step), f(2, step), f(3, step), f(4, step), f(5, step), f(6, step), f(7, step)
#else
#define EACH_LANE(f, step) f(0, step), f(1, step), f(2, step), f(3, step)
#endif
#define LOW_LANE(lane, step)  ((lane) & (step) ? LANES + (lane) - (step) : (lane))
#define HIGH_LANE(lane, step) ((lane) & (step) ? LANES + (lane) : (lane) + (step))

/* One round of a transposition by halving exchanges: vectors whose numbers differ in bit `step` trade the lanes whose
 * numbers differ in it. */
#define EXCHANGE(x, step)                                                                                              \
    for (int i = 0; i < LANES; i++) {                                                                                  \
        if (i & (step)) continue;                                                                                      \
        vf low        = __builtin_shufflevector(x[i], x[i + (step)], EACH_LANE(LOW_LANE, step));                       \
        x[i + (step)] = __builtin_shufflevector(x[i], x[i + (step)], EACH_LANE(HIGH_LANE, step));                      \
        x[i]          = low;                                                                                           \
    }

/* out[i * TILE_COLUMNS + j] = element i of column j, for LANES columns and LANES elements of each. */
INLINE void transpose_block(float *out, const void *b, scry_dtype dtype, int64_t stride)
{
    vf x[LANES];
    for (int j = 0; j < LANES; j++) x[j] = load_as(b, dtype, j * stride);
    EXCHANGE(x, 1)
    EXCHANGE(x, 2)
#if LANES >= 8
    EXCHANGE(x, 4)
#endif
#if LANES >= 16
    EXCHANGE(x, 8)
#endif
    for (int i = 0; i < LANES; i++) store(out + i * TILE_COLUMNS, x[i]);
}

/* LANES columns, each contiguous in k. */
INLINE void pack_lanes(float *panel, const void *b, scry_dtype dtype, int64_t k, int64_t stride)
{
    const char *first = b;
    int64_t     size = dtype == SCRY_F32 ? 4 : 2, i = 0;
    for (; i + LANES <= k; i += LANES) transpose_block(panel + i * TILE_COLUMNS, first + i * size, dtype, stride);
    for (; i < k; i++)
        for (int j = 0; j < LANES; j++) panel[i * TILE_COLUMNS + j] = element_of(b, dtype, i + j * stride);
}

INLINE void pack_as(float *panel, const void *b, scry_dtype dtype, int64_t k, int64_t columns, int64_t stride_k,
                    int64_t stride_column)
{
    int64_t     size = dtype == SCRY_F32 ? 4 : 2, done = 0;
    const char *first = b;
    if (stride_k == 1)
        for (; done + LANES <= columns; done += LANES)
            pack_lanes(panel + done, first + done * stride_column * size, dtype, k, stride_column);
    if (done == TILE_COLUMNS) return;
    if (stride_column == 1 && columns == TILE_COLUMNS) {
        for (int64_t i = 0; i < k; i++) {
            store(panel + i * TILE_COLUMNS, load_as(b, dtype, i * stride_k));
            store(panel + i * TILE_COLUMNS + LANES, load_as(b, dtype, i * stride_k + LANES));
        }
        return;
    }
    for (int64_t i = 0; i < k; i++) {
        float *row = panel + i * TILE_COLUMNS;
        for (int64_t j = done; j < columns; j++) row[j] = element_of(b, dtype, i * stride_k + j * stride_column);
        for (int64_t j = columns; j < TILE_COLUMNS; j++) row[j] = 0;
    }
}

static void pack(float *panel, const void *b, scry_dtype dtype, int64_t k, int64_t columns, int64_t stride_k,
                 int64_t stride_column)
{
    if (dtype == SCRY_F32)
        pack_as(panel, b, SCRY_F32, k, columns, stride_k, stride_column);
    else if (dtype == SCRY_F16)
        pack_as(panel, b, SCRY_F16, k, columns, stride_k, stride_column);
    else
        pack_as(panel, b, SCRY_BF16, k, columns, stride_k, stride_column);
}

/* --- the register tile: TILE_ROWS x 2 vectors of sums, an element of a broadcast to each --- */

INLINE void multiply_tile(float *c, int64_t ldc, const float *a, int64_t lda, const bool turned, const float *panel,
                          const int rows, const int vectors, int64_t k, bool add, const float *bias)
{
    vf sums[TILE_ROWS][2];
    /* Rows are reached from every fourth one: twelve pointers would not leave registers for the loop. */
    const float *a0 = a, *a1 = a + 4 * lda, *a2 = a + 8 * lda;
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) sums[i][0] = sums[i][1] = splat(0);
    /* What is added last is often far away: it comes while the products are made. */
    for (int i = 0; add && i < rows; i++) {
        __builtin_prefetch(c + i * ldc, 1);
        __builtin_prefetch(c + i * ldc + TILE_COLUMNS - 1, 1);
    }
    for (int64_t step = 0; step < k; step++, a0 += turned ? lda : 1, a1++, a2++, panel += TILE_COLUMNS) {
        vf b0 = load(panel), b1 = vectors == 2 ? load(panel + LANES) : b0;
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            float x = turned ? a0[i] : (i < 4 ? a0 : i < 8 ? a1 : a2)[(i & 3) * lda];
            sums[i][0] += x * b0;
            if (vectors == 2) sums[i][1] += x * b1;
        }
    }
#pragma GCC unroll 2
    for (int j = 0; j < vectors; j++) {
        vf last = bias ? load(bias + j * LANES) : splat(0);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            if (add) sums[i][j] += load(c + i * ldc + j * LANES);
            store(c + i * ldc + j * LANES, sums[i][j] + last);
        }
    }
}

INLINE void multiply_rows(float *c, int64_t ldc, const float *a, int64_t lda, const bool turned, const float *panel,
                          int64_t rows, const int vectors, int64_t k, bool add, const float *bias)
{
    int64_t row = 0;
#define TILE(height)                                                                                                   \
    for (; row + (height) <= rows; row += (height))                                                                    \
        multiply_tile(c + row * ldc, ldc, a + (turned ? row : row * lda), lda, turned, panel, height, vectors, k, add, \
                      bias);
    TILE(TILE_ROWS)
#if LANES == 16
    TILE(8)
#endif
    TILE(4)
    TILE(2)
    TILE(1)
#undef TILE
}

static void multiply(float *c, int64_t ldc, const float *a, int64_t lda, const float *panel, int64_t rows, int64_t k,
                     bool add, const float *bias)
{
    multiply_rows(c, ldc, a, lda, false, panel, rows, 2, k, add, bias);
}

static void pack_turned(float *out, const float *a, int64_t lda, int64_t rows, int64_t k)
{
    if (rows == TILE_ROWS)
        for (int64_t i = 0; i < k; i++) memcpy(out + i * TILE_ROWS, a + i * lda, TILE_ROWS * sizeof *a);
    else
        for (int64_t i = 0; i < k; i++)
            for (int64_t row = 0; row < rows; row++) out[i * TILE_ROWS + row] = a[i * lda + row];
}

static void multiply_turned(float *c, int64_t ldc, const float *a, int64_t lda, const float *panel, int64_t rows,
                            int64_t k, bool add, const float *bias)
{
    multiply_rows(c, ldc, a, lda, true, panel, rows, 2, k, add, bias);
}

static void multiply_half(float *c, int64_t ldc, const float *a, int64_t lda, const float *panel, int64_t rows,
                          int64_t k)
{
    multiply_rows(c, ldc, a, lda, false, panel, rows, 1, k, false, NULL);
}

static void finish(float *c, int64_t ldc, const float *tile, int64_t ldt, int64_t rows, int64_t columns, float alpha,
                   float beta, const float *bias)
{
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < columns; i++) {
            float value = alpha * tile[row * ldt + i];
            if (beta != 0) value += beta * c[row * ldc + i];
            c[row * ldc + i] = bias ? value + bias[i] : value;
        }
}

/* --- one row --- */

/* Columns contiguous in k: read from one end to the other, as memory likes it best, into four vectors of sums. */
INLINE void multiply_row_dots(float *out, const float *a, const void *b, scry_dtype dtype, int64_t k, int64_t columns,
                              int64_t stride)
{
    for (int64_t j = 0; j < columns; j++) {
        vf      sums[4] = {splat(0), splat(0), splat(0), splat(0)};
        int64_t i       = 0;
        for (; i + 4 * LANES <= k; i += 4 * LANES)
            for (int n = 0; n < 4; n++)
                sums[n] += load(a + i + n * LANES) * load_as(b, dtype, j * stride + i + n * LANES);
        for (; i + LANES <= k; i += LANES) sums[0] += load(a + i) * load_as(b, dtype, j * stride + i);
        out[j] = sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
        for (; i < k; i++) out[j] += a[i] * element_of(b, dtype, j * stride + i);
    }
}

/* Rows of b contiguous: they are added up, four at a time, in a stretch of `out` that stays in the first cache. */
INLINE void multiply_row_sums(float *out, const float *a, const void *b, scry_dtype dtype, int64_t k, int64_t columns,
                              int64_t stride)
{
    memset(out, 0, (size_t)columns * sizeof *out);
    for (int64_t i = 0; i < k; i += 4) {
        int     rows = k - i < 4 ? (int)(k - i) : 4;
        int64_t j    = 0;
        if (rows == 4)
            for (; j + LANES <= columns; j += LANES) {
                vf sum = load(out + j);
                for (int n = 0; n < 4; n++) sum += a[i + n] * load_as(b, dtype, (i + n) * stride + j);
                store(out + j, sum);
            }
        for (; j < columns; j++)
            for (int n = 0; n < rows; n++) out[j] += a[i + n] * element_of(b, dtype, (i + n) * stride + j);
    }
}

INLINE void multiply_row_as(float *out, const float *a, const void *b, scry_dtype dtype, int64_t k, int64_t columns,
                            int64_t stride_k, int64_t stride_column)
{
    enum { STRETCH = 4096 };
    int64_t     size  = dtype == SCRY_F32 ? 4 : 2;
    const char *first = b;
    if (stride_k == 1) {
        multiply_row_dots(out, a, b, dtype, k, columns, stride_column);
        return;
    }
    for (int64_t j = 0; j < columns; j += STRETCH)
        multiply_row_sums(out + j, a, first + j * size, dtype, k, columns - j < STRETCH ? columns - j : STRETCH,
                          stride_k);
}

static void multiply_row(float *out, const float *a, const void *b, scry_dtype dtype, int64_t k, int64_t columns,
                         int64_t stride_k, int64_t stride_column)
{
    if (dtype == SCRY_F32)
        multiply_row_as(out, a, b, SCRY_F32, k, columns, stride_k, stride_column);
    else if (dtype == SCRY_F16)
        multiply_row_as(out, a, b, SCRY_F16, k, columns, stride_k, stride_column);
    else
        multiply_row_as(out, a, b, SCRY_BF16, k, columns, stride_k, stride_column);
}
