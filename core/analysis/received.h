/* What keys receive: the mass that uniform attention would give them, and which of them are sinks. */
#ifndef SCRY_ANALYSIS_RECEIVED_H
#define SCRY_ANALYSIS_RECEIVED_H

#include <stdbool.h>
#include <stdint.h>

/* null[j] for j < count: the mass that key j receives from `count` rows which spread evenly over the keys that they
 * see, causally and within `window` (0: no window). Without one it is H(count) - H(j). */
void scry__received_null(double *null, int count, int64_t window);

/* How many rows of `count` see key j. */
int scry__received_rows(int count, int64_t window, int key);

/* A key seen by fewer rows than this is no sink, whatever it receives: a single row would do to lift it far above its
 * null. */
enum { SCRY__SINK_ROWS = 8 };

/* Is key j a sink? It receives at least twice its null, and more than 0.3 on average from the rows that see it (the
 * threshold of Gu et al., When attention sink emerges in language models, 2024). */
bool scry__is_sink(double received, double null, int rows);

#endif
