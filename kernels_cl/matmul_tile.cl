/* matmul "tile": C = alpha A B + beta C + bias, for devices with many thin items and local memory.
 *
 * a [B0, B1, m, k], b (w) [B0, B1, k, n], bias (w) [n], c [B0, B1, m, n]; axes that are not there have size 1. In a and
 * b either of the last two axes may be the contiguous one: neighbouring items load along it. Options: TILE (64 or 128),
 * the rows and columns of a group's tile; WEIGHT, the dtype of b.
 *
 * Each element of C is one chain of multiply-adds in the order of k, in both kernels: a row of C does not depend on how
 * many rows there are. Error: gamma(k + 3) times the sum of magnitudes.
 *
 * tile: a group of 256 items makes TILE x TILE elements of C, STEPS of k at a time through local memory; an item has 4
 * neighbouring rows by 4 neighbouring columns of each 64 x 64 of them in registers. Rows of the local tiles are 4
 * floats longer than they need be, so that the stores along k fall into different banks.
 *
 * row: a group of 128 items makes up to 8 rows by 16 columns; all of them load, one each adds up an element.
 *
 * Both are launched in one dimension. */

enum {
    ITEMS      = 256,
    STEPS      = 16,
    PARTS      = TILE / 64, /* of the rows, and of the columns */
    PITCH      = TILE + 4,
    ROW_ITEMS  = 128,
    ROW_STEPS  = 64,
    ROW_HEIGHT = 8,
    ROW_WIDTH  = 16,
    ROW_PITCH  = ROW_WIDTH + 1,
};

/* Fused wherever that costs nothing, so that every use of it rounds alike. */
#ifdef FP_FAST_FMAF
#define MULTIPLY_ADD(x, y, z) fma(x, y, z)
#else
#define MULTIPLY_ADD(x, y, z) ((x) * (y) + (z))
#endif

/* Rows of A, or columns of B, from one of them and one k on. */
typedef struct {
    __global const void *of;
    long                 first, line, k; /* its first element; strides */
    long                 lines, steps;   /* how many there are; outside them is 0 */
} source;

/* Copies `lines` x `steps` (constants) of the source to local memory, k by k; shared by `items` items. */
inline void stage(__local float *to, const source from, int dtype, const int lines, const int steps, const int pitch,
                  const int items)
{
    for (int i = (int)get_local_id(0); i < lines * steps; i += items) {
        const int  line         = from.k == 1 ? i / steps : i % lines;
        const int  step         = from.k == 1 ? i % steps : i / lines;
        const bool inside       = line < from.lines && step < from.steps;
        to[step * pitch + line] = inside ? load_as(from.of, from.first + line * from.line + step * from.k, dtype) : 0;
    }
}

inline source next_steps(source x, long steps)
{
    x.first += steps * x.k;
    x.steps -= steps;
    return x;
}

inline float finish(float sum, product p, __global const float *c, __global const void *bias, view bias_view,
                    long column)
{
    float value = p.alpha * sum;
    if (p.beta != 0) value = MULTIPLY_ADD(p.beta, *c, value);
    if (bias) value += load_as(bias, bias_view.offset + column * bias_view.stride[0], bias_view.dtype);
    return value;
}

/* --- tile --- */

__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void tile(PRODUCT_PARAMETERS)
{
    __local float4 a_tile[STEPS * PITCH / 4], b_tile[STEPS * PITCH / 4];
    const long     down = (p.m + TILE - 1) / TILE, across = (p.n + TILE - 1) / TILE;
    const long     unit = get_group_id(0), batch = unit / down / across;
    const long     row = unit % down * TILE, column = unit / down % across * TILE;
    const int      x = get_local_id(0) % 16, y = get_local_id(0) / 16;
    float4         sums[PARTS * 4][PARTS];
    source         rows = {
                a, matrix_of(a_view, p, batch) + row * a_view.stride[2], a_view.stride[2], a_view.stride[3], p.m - row, p.k};
    source columns = {
        b,  matrix_of(b_view, p, batch) + column * b_view.stride[3], b_view.stride[3], b_view.stride[2], p.n - column,
        p.k};
    for (int i = 0; i < PARTS * 4; i++)
        for (int j = 0; j < PARTS; j++) sums[i][j] = 0;
    for (; rows.steps > 0; rows = next_steps(rows, STEPS), columns = next_steps(columns, STEPS)) {
        stage((__local float *)a_tile, rows, F32, TILE, STEPS, PITCH, ITEMS);
        stage((__local float *)b_tile, columns, WEIGHT, TILE, STEPS, PITCH, ITEMS);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int step = 0; step < STEPS; step++) {
            float4 b_part[PARTS];
            for (int j = 0; j < PARTS; j++) b_part[j] = b_tile[step * PITCH / 4 + j * 16 + x];
            for (int i = 0; i < PARTS; i++) {
                const float4 a_part = a_tile[step * PITCH / 4 + i * 16 + y];
                for (int j = 0; j < PARTS; j++) {
                    sums[i * 4][j]     = MULTIPLY_ADD((float4)a_part.x, b_part[j], sums[i * 4][j]);
                    sums[i * 4 + 1][j] = MULTIPLY_ADD((float4)a_part.y, b_part[j], sums[i * 4 + 1][j]);
                    sums[i * 4 + 2][j] = MULTIPLY_ADD((float4)a_part.z, b_part[j], sums[i * 4 + 2][j]);
                    sums[i * 4 + 3][j] = MULTIPLY_ADD((float4)a_part.w, b_part[j], sums[i * 4 + 3][j]);
                }
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    c += matrix_of(c_view, p, batch);
    for (int i = 0; i < PARTS * 4; i++)
        for (int j = 0; j < PARTS; j++) {
            const float values[4] = {sums[i][j].x, sums[i][j].y, sums[i][j].z, sums[i][j].w};
            const long  c_row     = row + i / 4 * 64 + y * 4 + i % 4;
            for (int e = 0; e < 4; e++) {
                const long      c_column = column + j * 64 + x * 4 + e;
                __global float *at       = c + c_row * c_view.stride[2] + c_column;
                if (c_row < p.m && c_column < p.n) *at = finish(values[e], p, at, bias, bias_view, c_column);
            }
        }
}

/* --- row --- */

__kernel __attribute__((reqd_work_group_size(ROW_ITEMS, 1, 1))) void row(PRODUCT_PARAMETERS)
{
    __local float a_tile[ROW_STEPS * ROW_HEIGHT], b_tile[ROW_STEPS * ROW_PITCH];
    const long    down = (p.m + ROW_HEIGHT - 1) / ROW_HEIGHT, across = (p.n + ROW_WIDTH - 1) / ROW_WIDTH;
    const long    unit = get_group_id(0), batch = unit / down / across;
    const long    first_row = unit % down * ROW_HEIGHT, first_column = unit / down % across * ROW_WIDTH;
    const int     x = get_local_id(0) % ROW_WIDTH, y = get_local_id(0) / ROW_WIDTH;
    const long    c_row = first_row + y, c_column = first_column + x;
    source        rows    = {a,
                             matrix_of(a_view, p, batch) + first_row * a_view.stride[2],
                             a_view.stride[2],
                             a_view.stride[3],
                             min(p.m - first_row, (long)ROW_HEIGHT),
                             p.k};
    source        columns = {b,
                             matrix_of(b_view, p, batch) + first_column * b_view.stride[3],
                             b_view.stride[3],
                             b_view.stride[2],
                             p.n - first_column,
                             p.k};
    float         sum     = 0;
    for (; rows.steps > 0; rows = next_steps(rows, ROW_STEPS), columns = next_steps(columns, ROW_STEPS)) {
        stage(a_tile, rows, F32, ROW_HEIGHT, ROW_STEPS, ROW_HEIGHT, ROW_ITEMS);
        stage(b_tile, columns, WEIGHT, ROW_WIDTH, ROW_STEPS, ROW_PITCH, ROW_ITEMS);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int step = 0; y < rows.lines && step < ROW_STEPS; step++)
            sum = MULTIPLY_ADD(a_tile[step * ROW_HEIGHT + y], b_tile[step * ROW_PITCH + x], sum);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (c_row >= p.m || c_column >= p.n) return;
    c += matrix_of(c_view, p, batch) + c_row * c_view.stride[2] + c_column;
    *c = finish(sum, p, c, bias, bias_view, c_column);
}
