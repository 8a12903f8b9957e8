/* The roofline of a benchmark's record as a picture: attainable speed over arithmetic intensity, a point for each row.
 */
#ifndef SCRY_REPORT_ROOFLINE_H
#define SCRY_REPORT_ROOFLINE_H

#include "report/bench_record.h"

/* Writes .png, .svg or .pdf, by the path's extension; whole or not at all. SCRY_BAD_ARGUMENT: another extension, or no
 * row that could be drawn: measured, and with arithmetic. */
scry_status scry__roofline_write(const char *path, const scry__bench_record *record);

#endif
