/* What scry tune found: tables for people, and scry.tune/1. See tune.h. */
#include "cli/tune.h"

#include "cli/sheet.h"
#include "report/json_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *tune_outcome_text(enum tune_outcome outcome)
{
    static const char *const texts[] = {"timed", "behind", "excluded", "not supported"};
    return texts[outcome];
}

/* --- Tables --- */

static void put_time(struct cli_sheet *sheet, int column, const struct tune_time *time)
{
    if (time->outcome == TUNE_TIMED || time->outcome == TUNE_BEHIND)
        cli_sheet_put_seconds(sheet, column, time->seconds);
    else
        cli_sheet_put(sheet, column, "%s", tune_outcome_text(time->outcome));
}

static void put_winner(struct cli_sheet *sheet, int column, const struct tune_op *op, const struct tune_class *at)
{
    if (at->winner < 0)
        cli_sheet_put(sheet, column, "none");
    else if (at->winner == at->own)
        cli_sheet_put(sheet, column, "%s, its own choice", op->kernels[at->own].name);
    else if (at->times[at->winner].ratio > 0 && at->times[at->own].ratio > 0)
        cli_sheet_put(sheet, column, "%s, %.2f times as fast as %s", op->kernels[at->winner].name,
                      1 / at->times[at->winner].ratio, op->kernels[at->own].name);
    else
        cli_sheet_put(sheet, column, "%s, as %s cannot", op->kernels[at->winner].name, op->kernels[at->own].name);
}

/* The backend's own choice has a column only where it is none of the kernels by name. */
static bool has_other(const struct tune_op *op)
{
    for (int i = 0; i < op->class_count; i++)
        if (op->classes[i].own == op->kernel_count) return true;
    return false;
}

static scry_status add_op(scry__text *out, const scry__terminal *terminal, const struct tune_op *op)
{
    enum { CLASS, ROW, FIRST };
    scry__table_column columns[FIRST + TUNE_KERNELS + 1] = {{scry_op_text(op->kind), SCRY__ALIGN_LEFT, true},
                                                            {"measured at", SCRY__ALIGN_LEFT, false}};
    struct cli_sheet   sheet;
    int                shown = op->kernel_count + has_other(op), last = FIRST + shown;
    for (int i = 0; i < shown; i++)
        columns[FIRST + i] = (scry__table_column){op->kernels[i].name, SCRY__ALIGN_RIGHT, true};
    columns[last] = (scry__table_column){"runs", SCRY__ALIGN_LEFT, true};
    if (!cli_sheet_create(&sheet, last + 1, op->class_count)) return SCRY_OUT_OF_MEMORY;
    for (int i = 0; i < op->class_count; i++, sheet.rows++) {
        const struct tune_class *at = &op->classes[i];
        cli_sheet_put(&sheet, CLASS, "%s", scry__shape_class_name(op->kind, at->shape));
        cli_sheet_put(&sheet, ROW, "%s", scry__case_at(at->row).name);
        for (int j = 0; j < shown; j++) put_time(&sheet, FIRST + j, &at->times[j]);
        put_winner(&sheet, last, op, at);
    }
    scry_status status = cli_sheet_add(out, terminal, &sheet, columns);
    cli_sheet_finish(&sheet);
    return status;
}

/* Why kernels are excluded: once for an op, or where a shape shows it. */
static void add_reasons(scry__text *out, const struct tune_op *op)
{
    for (int i = 0; i <= op->kernel_count; i++) {
        const struct tune_kernel *kernel = &op->kernels[i];
        if (*kernel->excluded)
            scry__text_addf(out, "%s %s is excluded: %s\n", scry_op_text(op->kind), kernel->name, kernel->excluded);
        for (int j = 0; j < op->class_count && !*kernel->excluded; j++)
            if (op->classes[j].times[i].outcome == TUNE_EXCLUDED)
                scry__text_addf(out, "%s %s is excluded for %s: %s\n", scry_op_text(op->kind), kernel->name,
                                scry__shape_class_name(op->kind, op->classes[j].shape), op->classes[j].times[i].reason);
    }
}

static int count_classes(const struct tune_run *run)
{
    int count = 0;
    for (int i = 0; i < run->op_count; i++) count += run->ops[i].class_count;
    return count;
}

scry_status tune_print(const struct tune_run *run)
{
    scry__text     text     = {0};
    scry__terminal terminal = cli_terminal();
    scry_status    status   = SCRY_OK;
    scry__text_addf(&text, "%s: %s, %s\n", run->info.name, run->info.description,
                    *run->info.driver ? run->info.driver : "no driver");
    for (int i = 0; !status && i < run->op_count; i++) {
        scry__text_adds(&text, "\n");
        status = add_op(&text, &terminal, &run->ops[i]);
        add_reasons(&text, &run->ops[i]);
    }
    if (status) {
        scry__text_finish(&text);
        return status;
    }
    scry__text_addf(&text, "\n%d of %d classes run another kernel than the device would choose; kept in %s (%.0f s)\n",
                    tune_choices(run), count_classes(run), run->file, run->seconds);
    return cli_print(&text);
}

/* --- JSON --- */

static json_t *kernels_array(scry__json_builder *builder, const struct tune_op *op)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < op->kernel_count; i++) {
        const struct tune_kernel *kernel = &op->kernels[i];
        json_t                   *object = scry__json_new_object(builder);
        scry__json_set_text(builder, object, "name", kernel->name);
        scry__json_set_int(builder, object, "passed", kernel->passed);
        scry__json_set_int(builder, object, "not_supported", kernel->unsupported);
        scry__json_set_text(builder, object, "excluded", *kernel->excluded ? kernel->excluded : NULL);
        scry__json_append(builder, array, object);
    }
    return array;
}

static json_t *times_array(scry__json_builder *builder, const struct tune_op *op, const struct tune_class *at)
{
    json_t *array = scry__json_new_array(builder);
    for (int i = 0; i < op->kernel_count + (at->own == op->kernel_count); i++) {
        const struct tune_time *time   = &at->times[i];
        json_t                 *object = scry__json_new_object(builder);
        scry__json_set_text(builder, object, "kernel", op->kernels[i].name);
        scry__json_set_text(builder, object, "outcome", tune_outcome_text(time->outcome));
        scry__json_set_number(builder, object, "seconds", time->seconds > 0 ? time->seconds : (double)NAN);
        scry__json_set_number(builder, object, "ratio", time->ratio > 0 ? time->ratio : (double)NAN);
        scry__json_set_text(builder, object, "reason", *time->reason ? time->reason : NULL);
        scry__json_append(builder, array, object);
    }
    return array;
}

static json_t *class_object(scry__json_builder *builder, const struct tune_op *op, const struct tune_class *at)
{
    json_t *object = scry__json_new_object(builder);
    bool    chosen = at->winner >= 0 && at->winner != at->own;
    scry__json_set_text(builder, object, "class", scry__shape_class_name(op->kind, at->shape));
    scry__json_set_text(builder, object, "row", scry__case_at(at->row).name);
    scry__json_set_text(builder, object, "own", op->kernels[at->own].name);
    scry__json_set_text(builder, object, "kernel", chosen ? op->kernels[at->winner].name : NULL);
    scry__json_set(builder, object, "times", times_array(builder, op, at));
    return object;
}

scry_status tune_print_json(const struct tune_run *run)
{
    scry__json_builder builder = {0};
    json_t            *object  = scry__json_result(&builder, "scry.tune/1", &(scry__json_source){.device = &run->info});
    json_t            *ops = scry__json_new_array(&builder), *result = NULL;
    for (int i = 0; i < run->op_count; i++) {
        const struct tune_op *op      = &run->ops[i];
        json_t               *line    = scry__json_new_object(&builder);
        json_t               *classes = scry__json_new_array(&builder);
        for (int j = 0; j < op->class_count; j++)
            scry__json_append(&builder, classes, class_object(&builder, op, &op->classes[j]));
        scry__json_set_text(&builder, line, "op", scry_op_text(op->kind));
        scry__json_set(&builder, line, "kernels", kernels_array(&builder, op));
        scry__json_set(&builder, line, "classes", classes);
        scry__json_append(&builder, ops, line);
    }
    scry__json_set_text(&builder, object, "file", run->file);
    scry__json_set_number(&builder, object, "margin", TUNE_MARGIN);
    scry__json_set_number(&builder, object, "seconds", run->seconds);
    scry__json_set(&builder, object, "ops", ops);
    scry_status status = scry__json_finish(&builder, object, &result);
    return status ? status : cli_print_json(result);
}
