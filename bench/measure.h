/* The clock and the process's own memory, for the benchmark programs (Linux). */
#ifndef SCRY_BENCH_MEASURE_H
#define SCRY_BENCH_MEASURE_H

double bench_now_ms(void);

/* A line of /proc/self/status in KiB, such as "VmRSS" or "VmHWM"; 0 where it cannot be read. */
long bench_memory_kib(const char *key);

/* Makes the peak (VmHWM) start again from what is resident now, and returns that in KiB. */
long bench_memory_reset(void);

/* Reads one byte of every page of the mapped files whose name ends in `suffix`, so that they are resident. */
void bench_touch_maps(const char *suffix);

#endif
