/* matmul: C = alpha A B + beta C + bias, one dot product after another. */
#include "reference.h"

/* One matrix of the batch; a, b and c are the positions of its first elements. */
static void multiply(const scry_matmul *op, int64_t a, int64_t b, int64_t c)
{
    int     row = op->c.rank - 2, column = op->c.rank - 1;
    int64_t m = op->c.shape[row], n = op->c.shape[column], k = op->a.shape[column];
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            struct sum dot = {0};
            for (int64_t p = 0; p < k; p++)
                sum_add(&dot, load(&op->a, a + i * op->a.stride[row] + p * op->a.stride[column]) *
                                  load(&op->b, b + p * op->b.stride[row] + j * op->b.stride[column]));
            int64_t    position = c + i * op->c.stride[row] + j * op->c.stride[column];
            struct sum result   = {0};
            sum_add(&result, op->alpha * sum_value(&dot));
            if (op->beta != 0) sum_add(&result, op->beta * load(&op->c, position));
            if (present(&op->bias)) sum_add(&result, load(&op->bias, at1(&op->bias, j)));
            store(&op->c, position, sum_value(&result));
        }
    }
}

void scry__reference_matmul(const scry_matmul *op)
{
    int     batch_axes = op->c.rank - 2;
    int64_t batches    = count_of(&op->c, batch_axes);
    for (int64_t i = 0; i < batches; i++)
        multiply(op, at_index(&op->a, batch_axes, i), at_index(&op->b, batch_axes, i), at_index(&op->c, batch_axes, i));
}
