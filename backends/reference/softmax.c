/* softmax_capture: the masked softmax of given scores, row by row. */
#include "reference.h"

/* A row of scores and one of probabilities: in place, the output may overwrite the input. */
size_t scry__reference_softmax_capture_scratch(const scry_softmax *op)
{
    return 2 * (size_t)op->scores.shape[3];
}

void scry__reference_softmax_capture(const scry_softmax *op, double *scratch)
{
    int64_t B = op->scores.shape[0], H = op->scores.shape[1], Q = op->scores.shape[2], K = op->scores.shape[3];
    for (int64_t row = 0; row < B * H * Q; row++) {
        int64_t b = row / (H * Q), h = row / Q % H, i = row % Q;
        for (int64_t j = 0; j < K; j++) {
            bool visible = scry__reference_visible(&op->mask, b, i, j);
            scratch[j] =
                visible ? scry__reference_masked(&op->mask, b, h, i, j, load(&op->scores, at4(&op->scores, b, h, i, j)))
                        : -INFINITY;
        }
        struct softmax_row result = {.scores = scratch, .probabilities = scratch + K, .count = K};
        scry__reference_softmax(&result);
        if (present(&op->probabilities))
            for (int64_t j = 0; j < K; j++)
                store(&op->probabilities, at4(&op->probabilities, b, h, i, j), result.probabilities[j]);
        scry__reference_row_statistics(&op->rows, &op->mask, &result, b, h, i);
    }
}
