/* The clock and the process's own memory. See measure.h. */
#include "bench/measure.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAGE = 4096, LINE = 4096 };

double bench_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

long bench_memory_kib(const char *key)
{
    char   line[256];
    long   kib  = 0;
    size_t size = strlen(key);
    FILE  *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, key, size) && line[size] == ':') kib = strtol(line + size + 1, NULL, 10);
    if (file) fclose(file);
    return kib;
}

long bench_memory_reset(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file) {
        fputs("5", file);
        fclose(file);
    }
    return bench_memory_kib("VmRSS");
}

void bench_touch_maps(const char *suffix)
{
    static char   line[LINE];
    size_t        end  = strlen(suffix);
    unsigned char sum  = 0;
    FILE         *file = fopen("/proc/self/maps", "r");
    while (file && fgets(line, sizeof line, file)) {
        uintptr_t begin, past;
        size_t    size = strcspn(line, "\n");
        if (size < end || strncmp(line + size - end, suffix, end)) continue;
        if (sscanf(line, "%lx-%lx r", &begin, &past) != 2) continue;
        for (uintptr_t at = begin; at < past; at += PAGE) sum ^= *(const volatile unsigned char *)at;
    }
    if (file) fclose(file);
    (void)sum;
}
