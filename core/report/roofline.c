/* Decides what a roofline's picture shows and where. See roofline.h.
 *
 * At the left the plot: both axes logarithmic, for each device its roofs and a numbered dot for each row. At the right
 * the devices, then the rows by number with speed and share of the roof. */
#include "report/roofline.h"

#include "base/alloc.h"
#include "base/error.h"
#include "report/roofline_layout.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PLOT_WIDTH = 620, PLOT_LEAST = 440, AXIS_WIDTH = 64, HEAD_HEIGHT = 56, FOOT_HEIGHT = 52, LIST_GAP = 36 };

/* --- points --- */

static int device_index(const scry__bench_record *record, const char *name)
{
    return (int)(scry__bench_device_find(record, name) - record->devices);
}

static int number_of(scry__roofline_layout *layout, const char *name)
{
    for (int i = 0; i < layout->number_count; i++)
        if (!strcmp(layout->names[i], name)) return i + 1;
    layout->names[layout->number_count++] = name;
    return layout->number_count;
}

static scry_status collect_points(scry__roofline_layout *layout, const char *path)
{
    const scry__bench_record *record = layout->record;
    layout->points                   = scry__alloc((size_t)record->row_count, sizeof *layout->points);
    layout->names                    = scry__alloc((size_t)record->row_count, sizeof *layout->names);
    if (!layout->points || !layout->names) return SCRY_OUT_OF_MEMORY;
    for (int64_t i = 0; i < record->row_count; i++) {
        const scry__bench_row *row = &record->rows[i];
        if (row->outcome != SCRY__BENCH_MEASURED || !(row->flops > 0) || !(row->bytes > 0)) continue;
        layout->points[layout->point_count++] = (scry__roofline_point){.row       = row,
                                                                       .device    = device_index(record, row->device),
                                                                       .number    = number_of(layout, row->name),
                                                                       .intensity = row->flops / row->bytes,
                                                                       .gflops = row->flops / row->times.median * 1e-9};
    }
    if (layout->point_count) return SCRY_OK;
    return scry__fail(SCRY_BAD_ARGUMENT, "%s: nothing to draw: expected a measured row that does arithmetic", path);
}

/* --- axes --- */

double scry__roofline_memory(const scry__bench_device *device)
{
    return device->copy_count ? device->copies[device->copy_count - 1].rate : 0;
}

double scry__roofline_cache(const scry__bench_device *device)
{
    return scry__bench_bandwidth(device, 0);
}

double scry__roofline_place(const scry__roofline_axis *axis, double value)
{
    return axis->from + (axis->to - axis->from) * log(value / axis->least) / log(axis->most / axis->least);
}

static void include(scry__roofline_axis *axis, double value)
{
    if (!(value > 0) || !isfinite(value)) return;
    axis->least = fmin(axis->least, value);
    axis->most  = fmax(axis->most, value);
}

static void choose_ranges(scry__roofline_layout *layout)
{
    scry__roofline_axis *x = &layout->intensity, *y = &layout->speed;
    x->least = y->least = INFINITY;
    x->most = y->most = 0;
    for (int i = 0; i < layout->point_count; i++) {
        include(x, layout->points[i].intensity);
        include(y, layout->points[i].gflops);
    }
    for (int64_t i = 0; i < layout->record->device_count; i++) {
        const scry__bench_device *device = &layout->record->devices[i];
        include(y, device->peak * 1e-9);
        include(x, device->peak / scry__roofline_memory(device)); /* the ridge */
    }
    x->least /= 2, y->least /= 2;
    x->most *= 2, y->most *= 2;
}

/* --- numbers beside dots --- */

static bool is_free(const scry__roofline_layout *layout, int placed, double x, double y)
{
    const double wide = 13, high = 11;
    if (x < layout->intensity.from + wide / 2 || x > layout->intensity.to - wide / 2) return false;
    if (y > layout->speed.from - high / 2 || y < layout->speed.to + high / 2) return false;
    for (int i = 0; i < layout->point_count; i++) {
        const scry__roofline_point *other = &layout->points[i];
        if (fabs(x - other->x) < wide / 2 + SCRY__ROOFLINE_DOT && fabs(y - other->y) < high / 2 + SCRY__ROOFLINE_DOT)
            return false;
        if (i < placed && fabs(x - other->label_x) < wide && fabs(y - other->label_y) < high) return false;
    }
    return true;
}

/* The nearest free place around each dot, on rings of directions. */
static void place_numbers(scry__roofline_layout *layout)
{
    enum { DIRECTIONS = 16, NEAREST = 12, FARTHEST = 90, STEP = 6 };
    for (int i = 0; i < layout->point_count; i++) {
        scry__roofline_point *point = &layout->points[i];
        bool                  found = false;
        point->label_x              = point->x + NEAREST;
        point->label_y              = point->y;
        for (int radius = NEAREST; !found && radius <= FARTHEST; radius += STEP)
            for (int turn = 0; !found && turn < DIRECTIONS; turn++) {
                double angle = 2 * M_PI * turn / DIRECTIONS, x = point->x + radius * cos(angle);
                double y = point->y - radius * sin(angle);
                found    = is_free(layout, i, x, y);
                if (!found) continue;
                point->label_x = x;
                point->label_y = y;
            }
    }
}

/* --- the whole --- */

uint32_t scry__roofline_colour(int device)
{
    static const uint32_t colours[] = {0x1f5fa8, 0xc8500a, 0x11806a, 0x7a3fa0, 0xb0306a, 0x555555};
    return colours[device % (int)(sizeof colours / sizeof *colours)];
}

static void measure(scry__roofline_layout *layout)
{
    int64_t devices = layout->record->device_count;
    double  width, lines = (double)(SCRY__ROOFLINE_DEVICE * devices + 2 + layout->number_count);
    for (int i = 0; i < layout->number_count; i++) {
        scry__fonts_measure(&layout->fonts, layout->names[i], scry__style_label, 0, &width, NULL);
        layout->name_width = fmax(layout->name_width, width);
    }
    double plot_height     = fmax(PLOT_LEAST, lines * SCRY__ROOFLINE_LINE - FOOT_HEIGHT);
    layout->intensity.from = SCRY__ROOFLINE_MARGIN + AXIS_WIDTH;
    layout->intensity.to   = layout->intensity.from + PLOT_WIDTH;
    layout->speed.to       = SCRY__ROOFLINE_MARGIN + HEAD_HEIGHT;
    layout->speed.from     = layout->speed.to + plot_height;
    layout->list_left      = layout->intensity.to + LIST_GAP;
    layout->list_top       = layout->speed.to;
    double list            = 26 + layout->name_width + (double)devices * SCRY__ROOFLINE_COLUMN;
    layout->width          = ceil(layout->list_left + fmax(list, 360) + SCRY__ROOFLINE_MARGIN);
    layout->height         = ceil(layout->speed.from + FOOT_HEIGHT + SCRY__ROOFLINE_MARGIN);
    for (int i = 0; i < layout->point_count; i++) {
        scry__roofline_point *point = &layout->points[i];
        point->x                    = scry__roofline_place(&layout->intensity, point->intensity);
        point->y                    = scry__roofline_place(&layout->speed, point->gflops);
    }
    place_numbers(layout);
}

static void entitle(scry__roofline_layout *layout)
{
    const scry__bench_record *record = layout->record;
    int                       hidden = 0;
    for (int64_t i = 0; i < record->row_count; i++)
        hidden += record->rows[i].outcome == SCRY__BENCH_MEASURED && !(record->rows[i].flops > 0);
    snprintf(layout->title, sizeof layout->title, "Roofline%s%s", *record->host ? " on " : "", record->host);
    int used = snprintf(layout->subtitle, sizeof layout->subtitle, "scry %s%s%s, %s", record->version,
                        *record->commit ? " at " : "", record->commit, record->date);
    if (hidden)
        snprintf(layout->subtitle + used, sizeof layout->subtitle - (size_t)used,
                 "; %d rows that only move data are not drawn", hidden);
}

static void describe(scry__text *out, const scry__roofline_layout *layout)
{
    scry__text_addf(out, "%s\nGFLOP/s over FLOP per byte, both axes logarithmic.", layout->subtitle);
    for (int64_t i = 0; i < layout->record->device_count; i++) {
        const scry__bench_device *device = &layout->record->devices[i];
        scry__text_addf(out, "\n%s: peak %.1f GFLOP/s, memory %.1f GB/s", device->info.name, device->peak * 1e-9,
                        scry__roofline_memory(device) * 1e-9);
    }
    for (int i = 0; i < layout->point_count; i++) {
        const scry__roofline_point *point = &layout->points[i];
        scry__text_addf(out, "\n%d %s on %s: %.1f GFLOP/s at %.3g FLOP per byte, %.0f %% of the roof", point->number,
                        point->row->name, point->row->device, point->gflops, point->intensity,
                        100 * point->row->roof_share);
    }
}

static void draw(cairo_t *cairo, const void *layout)
{
    scry__roofline_draw(cairo, layout);
}

scry_status scry__roofline_write(const char *path, const scry__bench_record *record)
{
    scry__roofline_layout layout      = {.record = record};
    scry__text            description = {0};
    scry_status           status      = scry__picture_check(path);
    if (!status) status = collect_points(&layout, path);
    if (status) goto end;
    scry__fonts_create(&layout.fonts);
    choose_ranges(&layout);
    entitle(&layout);
    measure(&layout);
    describe(&description, &layout);
    const scry__picture picture = {.width       = layout.width,
                                   .height      = layout.height,
                                   .title       = layout.title,
                                   .description = description.data,
                                   .draw        = draw,
                                   .state       = &layout};
    status                      = description.status ? description.status : scry__picture_write(path, &picture);
end:
    scry__fonts_destroy(&layout.fonts);
    scry__text_finish(&description);
    scry__free(layout.points);
    scry__free(layout.names);
    return status;
}
