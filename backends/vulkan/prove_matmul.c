/* Self-tests of the kernels of matmul that take optional paths: products of small whole numbers, which f16 and f32 hold
 * with all their partial sums, against plain loops on the host. See prove.h. */
#include "prove.h"

#include "matmul.h"

enum { MOST_LINES = 130, DEPTH = 37, MOST_ELEMENTS = MOST_LINES * MOST_LINES };

/* Matrices of one product, on the host and on the device. */
struct trial {
    float        a[MOST_LINES * DEPTH], b[DEPTH * MOST_LINES], c[MOST_ELEMENTS];
    scry_buffer *a_buffer, *b_buffer, *c_buffer;
};

static scry_tensor matrix_of(scry_buffer *buffer, int64_t rows, int64_t columns)
{
    return (scry_tensor){
        .buffer = buffer, .dtype = SCRY_F32, .rank = 2, .shape = {rows, columns}, .stride = {columns, 1}};
}

/* Whole numbers from -4 to 4, in no order that a mistaken index would meet again. */
static void fill(float *values, int count, int factor)
{
    for (int i = 0; i < count; i++) values[i] = (float)((i * factor + i / 7) % 9 - 4);
}

static void judge(struct scry__vk_finding *finding, const struct trial *trial, const char *kernel, int rows,
                  int columns)
{
    for (int e = 0; e < rows * columns; e++) {
        float sum = 0;
        for (int p = 0; p < DEPTH; p++) sum += trial->a[e / columns * DEPTH + p] * trial->b[p * columns + e % columns];
        if (trial->c[e] == sum) continue;
        scry__vk_find(finding, "matmul \"%s\": element [%d, %d] of %d x %d is %g, expected %g", kernel, e / columns,
                      e % columns, rows, columns, (double)trial->c[e], (double)sum);
        return;
    }
}

static scry_status prove_size(struct scry__vk *vk, struct trial *trial, const char *kernel, int rows, int columns,
                              struct scry__vk_finding *finding)
{
    const scry_matmul       op      = {.a     = matrix_of(trial->a_buffer, rows, DEPTH),
                                       .b     = matrix_of(trial->b_buffer, DEPTH, columns),
                                       .c     = matrix_of(trial->c_buffer, rows, columns),
                                       .alpha = 1};
    size_t                  bytes   = (size_t)(rows * columns) * sizeof(float);
    struct scry__vk_product product = scry__vk_product(vk, &op, SCRY_ALLOW_F16, kernel);
    scry_status             status  = scry__vk_multiply(vk, &product, 0);
    if (!status) status = scry__vk_buffer_read(trial->c_buffer, 0, trial->c, bytes);
    if (!status) judge(finding, trial, kernel, rows, columns);
    return scry__vk_find_refused(finding, status);
}

static scry_status prove(struct scry__vk *vk, struct trial *trial, const char *kernel, struct scry__vk_finding *finding)
{
    static const int sizes[][2] = {{70, 67}, {130, 129}}; /* more than a tile of 64 and of 128 */
    fill(trial->a, MOST_LINES * DEPTH, 5);
    fill(trial->b, DEPTH * MOST_LINES, 7);
    scry_status status = scry__vk_buffer_create(&trial->a_buffer, vk->front, sizeof trial->a);
    if (!status) status = scry__vk_buffer_create(&trial->b_buffer, vk->front, sizeof trial->b);
    if (!status) status = scry__vk_buffer_create(&trial->c_buffer, vk->front, sizeof trial->c);
    if (!status) status = scry__vk_buffer_write(trial->a_buffer, 0, trial->a, sizeof trial->a);
    if (!status) status = scry__vk_buffer_write(trial->b_buffer, 0, trial->b, sizeof trial->b);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && !status && !*finding->text; i++)
        status = prove_size(vk, trial, kernel, sizes[i][0], sizes[i][1], finding);
    return status;
}

scry_status scry__vk_prove_matmul(struct scry__vk *vk, const char *kernel, struct scry__vk_finding *finding)
{
    struct trial *trial  = scry__vk_host->allocate(1, sizeof *trial);
    scry_status   status = trial ? prove(vk, trial, kernel, finding) : SCRY_OUT_OF_MEMORY;
    if (trial) {
        if (status && !vk->lost) scry__vk_wait(vk); /* for what was recorded and uses them */
        if (trial->c_buffer) scry__vk_buffer_destroy(&trial->c_buffer);
        if (trial->b_buffer) scry__vk_buffer_destroy(&trial->b_buffer);
        if (trial->a_buffer) scry__vk_buffer_destroy(&trial->a_buffer);
    }
    scry__vk_host->release(trial);
    return status;
}
