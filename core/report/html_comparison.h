/* A comparison in an HTML report's data: what its scrubber goes through, and the differences. */
#ifndef SCRY_REPORT_HTML_COMPARISON_H
#define SCRY_REPORT_HTML_COMPARISON_H

#include "report/html.h"

/* Attention of `count` runs over the same positions, in order, the first and the last of which were compared. That of
 * the first is the page's own and stands there alone: here it is null. `diff` is what --json prints. *out is a part of
 * a report (struct scry__report_part), with the key "comparison". */
scry_status scry__html_comparison(json_t **out, int count, const char *const *names,
                                  scry__report_attention *const *attention, json_t *diff);

#endif
