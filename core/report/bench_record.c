/* Records of benchmarks: what follows from their numbers. See bench_record.h; bench_json.c reads and writes them. */
#include "report/bench_record.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_AT_ONCE = 64 };

static int compare_seconds(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile(const double *sorted, int count, double share)
{
    double place = share * (count - 1);
    int    below = (int)place;
    if (below >= count - 1) return sorted[count - 1];
    return sorted[below] + (place - below) * (sorted[below + 1] - sorted[below]);
}

scry__bench_times scry__bench_times_of(double *seconds, int count, int64_t runs)
{
    qsort(seconds, (size_t)count, sizeof *seconds, compare_seconds);
    return (scry__bench_times){.samples = count,
                               .runs    = runs,
                               .median  = quantile(seconds, count, 0.5),
                               .low     = quantile(seconds, count, 0.1),
                               .high    = quantile(seconds, count, 0.9),
                               .least   = seconds[0]};
}

scry_status scry__bench_record_create(scry__bench_record **out)
{
    *out = scry__alloc(1, sizeof **out);
    return *out ? SCRY_OK : SCRY_OUT_OF_MEMORY;
}

void scry__bench_record_destroy(scry__bench_record **record)
{
    if (!record || !*record) return;
    scry__free((*record)->rows);
    scry__free(*record);
    *record = NULL;
}

scry__bench_row *scry__bench_record_add(scry__bench_record *record)
{
    size_t count = (size_t)record->row_count;
    if (count % ROWS_AT_ONCE == 0) {
        scry__bench_row *grown = scry__realloc(record->rows, count + ROWS_AT_ONCE, sizeof *grown);
        if (!grown) return NULL;
        record->rows = grown;
    }
    scry__bench_row *row = &record->rows[record->row_count++];
    memset(row, 0, sizeof *row);
    return row;
}

const scry__bench_device *scry__bench_device_find(const scry__bench_record *record, const char *name)
{
    for (int64_t i = 0; i < record->device_count; i++)
        if (!strcmp(record->devices[i].info.name, name)) return &record->devices[i];
    return NULL;
}

/* The best of a copy and those larger. */
static double best_from(const scry__bench_device *device, int64_t first)
{
    double best = 0;
    for (int64_t i = first; i < device->copy_count; i++) best = fmax(best, device->copies[i].rate);
    return best;
}

double scry__bench_bandwidth(const scry__bench_device *device, double bytes)
{
    const scry__bench_copy *copies = device->copies;
    int64_t                 above  = 0;
    while (above < device->copy_count && copies[above].bytes < bytes) above++;
    if (above == 0 || above == device->copy_count) return best_from(device, above ? above - 1 : 0);
    double place = log(bytes / copies[above - 1].bytes) / log(copies[above].bytes / copies[above - 1].bytes);
    return pow(best_from(device, above - 1), 1 - place) * pow(best_from(device, above), place);
}

double scry__bench_roof_seconds(const scry__bench_device *device, double flops, double bytes)
{
    double bandwidth  = scry__bench_bandwidth(device, bytes);
    double arithmetic = device->peak > 0 ? flops / device->peak : 0;
    return fmax(arithmetic, bandwidth > 0 ? bytes / bandwidth : 0);
}

const char *scry__bench_outcome_text(scry__bench_outcome outcome)
{
    static const char *const texts[] = {"measured", "refused", "unsupported", "failed"};
    return texts[outcome];
}
