/* Where a benchmark ran: host, commit, environment. */
#ifndef SCRY_CLI_BENCH_HOST_H
#define SCRY_CLI_BENCH_HOST_H

#include "report/bench_record.h"

/* Fills version, commit, date, host, processors and load. */
void bench_host_describe(scry__bench_record *record);

/* Notes the variables that change speeds, and takes out of the environment those that distort a library: before any
 * device is opened, as libraries read them when they load. */
void bench_host_clean(scry__bench_record *record);

#endif
