/* Which rows of two benchmark records moved. See bench_compare.h. */
#include "report/bench_compare.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

static const scry__bench_row *find_row(const scry__bench_record *record, const scry__bench_row *row)
{
    for (int64_t i = 0; i < record->row_count; i++)
        if (!strcmp(record->rows[i].name, row->name) && !strcmp(record->rows[i].device, row->device))
            return &record->rows[i];
    return NULL;
}

static bool is_measured(const scry__bench_row *row)
{
    return row && row->outcome == SCRY__BENCH_MEASURED;
}

static scry__bench_change change_of(const scry__bench_row *before, const scry__bench_row *after)
{
    scry__bench_change change = {.before = before, .after = after, .move = SCRY__BENCH_APART};
    if (!is_measured(before) || !is_measured(after)) return change;
    const scry__bench_times *old = &before->times, *now = &after->times;
    double                   smaller = fmin(old->median, now->median);
    double                   moved   = fabs(now->median - old->median) / smaller;
    change.ratio                     = old->median / now->median;
    change.noise                     = hypot(old->high - old->low, now->high - now->low) / smaller;
    change.move                      = SCRY__BENCH_SAME;
    if (moved > change.noise && moved > SCRY__BENCH_NOISE)
        change.move = change.ratio > 1 ? SCRY__BENCH_FASTER : SCRY__BENCH_SLOWER;
    return change;
}

scry_status scry__bench_compare(scry__bench_comparison **out, const scry__bench_record *before,
                                const scry__bench_record *after)
{
    scry__bench_comparison *made = scry__alloc(1, sizeof *made);
    if (made) made->changes = scry__alloc((size_t)(before->row_count + after->row_count), sizeof *made->changes);
    if (!made || !made->changes) {
        scry__free(made);
        return SCRY_OUT_OF_MEMORY;
    }
    made->before = before;
    made->after  = after;
    for (int64_t i = 0; i < after->row_count; i++)
        made->changes[made->count++] = change_of(find_row(before, &after->rows[i]), &after->rows[i]);
    for (int64_t i = 0; i < before->row_count; i++)
        if (!find_row(after, &before->rows[i])) made->changes[made->count++] = change_of(&before->rows[i], NULL);
    for (int i = 0; i < made->count; i++) {
        made->faster += made->changes[i].move == SCRY__BENCH_FASTER;
        made->slower += made->changes[i].move == SCRY__BENCH_SLOWER;
        made->apart += made->changes[i].move == SCRY__BENCH_APART;
    }
    *out = made;
    return SCRY_OK;
}

void scry__bench_comparison_destroy(scry__bench_comparison **comparison)
{
    if (!comparison || !*comparison) return;
    scry__free((*comparison)->changes);
    scry__free(*comparison);
    *comparison = NULL;
}

const char *scry__bench_move_text(scry__bench_move move)
{
    static const char *const texts[] = {"same", "faster", "slower", "apart"};
    return texts[move];
}

static json_t *side_object(scry__json_builder *builder, const scry__bench_record *record)
{
    json_t *object = scry__json_new_object(builder);
    scry__json_set_text(builder, object, "version", record->version);
    scry__json_set_text(builder, object, "commit", *record->commit ? record->commit : NULL);
    scry__json_set_text(builder, object, "date", record->date);
    scry__json_set_text(builder, object, "host", *record->host ? record->host : NULL);
    return object;
}

json_t *scry__bench_comparison_json(scry__json_builder *builder, const scry__bench_comparison *comparison)
{
    json_t *object = scry__json_new_object(builder), *rows = scry__json_new_array(builder);
    for (int i = 0; i < comparison->count; i++) {
        const scry__bench_change *change = &comparison->changes[i];
        const scry__bench_row    *before = change->before, *after = change->after, *row = after ? after : before;
        json_t                   *line = scry__json_new_object(builder);
        scry__json_set_text(builder, line, "name", row->name);
        scry__json_set_text(builder, line, "device", row->device);
        scry__json_set_text(builder, line, "move", scry__bench_move_text(change->move));
        scry__json_set_number(builder, line, "ratio", change->ratio > 0 ? change->ratio : NAN);
        scry__json_set_number(builder, line, "noise", change->ratio > 0 ? change->noise : NAN);
        scry__json_set_text(builder, line, "before", before ? scry__bench_outcome_text(before->outcome) : NULL);
        scry__json_set_text(builder, line, "after", after ? scry__bench_outcome_text(after->outcome) : NULL);
        scry__json_append(builder, rows, line);
    }
    scry__json_set(builder, object, "before", side_object(builder, comparison->before));
    scry__json_set(builder, object, "after", side_object(builder, comparison->after));
    scry__json_set_int(builder, object, "faster", comparison->faster);
    scry__json_set_int(builder, object, "slower", comparison->slower);
    scry__json_set_int(builder, object, "apart", comparison->apart);
    scry__json_set(builder, object, "rows", rows);
    return object;
}
