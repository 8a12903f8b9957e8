/* What keys receive. See received.h. */
#include "analysis/received.h"

int scry__received_rows(int count, int64_t window, int key)
{
    int below = count - key;
    return window > 0 && window < below ? (int)window : below;
}

/* What a row of uniform attention gives to each key that it sees. */
static double share(int row, int64_t window)
{
    return 1.0 / (double)(window > 0 && window < row + 1 ? window : row + 1);
}

void scry__received_null(double *null, int count, int64_t window)
{
    double sum = 0;
    for (int key = count - 1; key >= 0; key--) { /* from the row below to this key's own; the last leaves its window */
        int behind = scry__received_rows(count, window, key) + key;
        sum += share(key, window);
        if (behind < count) sum -= share(behind, window);
        null[key] = sum;
    }
}

bool scry__is_sink(double received, double null, int rows)
{
    return rows >= SCRY__SINK_ROWS && received >= 2 * null && received > 0.3 * rows;
}
