/* Tables of scry bench for people: a record, and two of them compared. */
#ifndef SCRY_CLI_BENCH_TABLE_H
#define SCRY_CLI_BENCH_TABLE_H

#include "report/bench_compare.h"
#include "report/terminal.h"

/* Per device: what it is and can do at most, one line a measured row, then the rows that were not measured and why. */
scry_status bench_add_record(scry__text *out, const scry__terminal *terminal, const scry__bench_record *record);

/* One line a row, and what moved in all. */
scry_status bench_add_comparison(scry__text *out, const scry__terminal *terminal,
                                 const scry__bench_comparison *comparison);

#endif
