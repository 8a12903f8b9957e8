/* A training's loss curve. See training_curve.h. */
#include "report/training_curve.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"
#include "report/curve.h"
#include "report/picture.h"
#include "train/recipe.h"

#include <math.h>
#include <stdio.h>

enum { MOST_POINTS = 500 }; /* of the line; more steps are drawn as means of neighbours, in a band */

static const uint32_t training_colour = 0x1f5fa8, evaluation_colour = 0xc8500a, bound_colour = 0x11806a;

struct drawing {
    const scry_training *training;
    scry__curve_point   *losses, *evaluations;
    double              *marks;
    int                  loss_count, mark_count;
    char                 title[128], subtitle[256];
};

static void add_losses(struct drawing *drawing)
{
    const scry_training *training = drawing->training;
    int                  wide     = (training->step + MOST_POINTS - 1) / MOST_POINTS; /* steps in a point */
    for (int begin = 0; begin < training->step; begin += wide) {
        int               end   = begin + wide < training->step ? begin + wide : training->step;
        scry__curve_point point = {.x = 0.5 * (begin + 1 + end), .low = INFINITY, .high = -INFINITY};
        for (int i = begin; i < end; i++) {
            double loss = (double)training->losses[i];
            point.y += loss / (end - begin);
            point.low  = fmin(point.low, loss);
            point.high = fmax(point.high, loss);
        }
        drawing->losses[drawing->loss_count++] = point;
    }
}

static void add_evaluations(struct drawing *drawing)
{
    for (int i = 0; i < drawing->training->evaluation_count; i++) {
        const scry_evaluation *evaluation = &drawing->training->evaluations[i];
        double                 error      = isfinite(evaluation->error) ? evaluation->error : 0;
        drawing->evaluations[i]           = (scry__curve_point){.x    = evaluation->step,
                                                                .y    = evaluation->loss,
                                                                .low  = evaluation->loss - error,
                                                                .high = evaluation->loss + error};
    }
}

static void add_marks(struct drawing *drawing)
{
    for (int step = 0; step <= drawing->training->step; step++)
        if (scry__recipe_has_checkpoint(drawing->training->recipe, step)) drawing->marks[drawing->mark_count++] = step;
}

/* "2 layers, 2 heads, hidden 64, step 1500 of 1500; evaluation 0.3249, 0.0038 above the best possible" */
static void entitle(struct drawing *drawing)
{
    const scry_training   *training   = drawing->training;
    const scry_recipe     *recipe     = training->recipe;
    int                    last       = training->evaluation_count - 1;
    const scry_evaluation *evaluation = last < 0 ? NULL : &training->evaluations[last];
    int                    used;
    snprintf(drawing->title, sizeof drawing->title, "Training: %s",
             recipe->data == SCRY_TRAIN_DATA_COPY   ? "copying patterns"
             : recipe->data == SCRY_TRAIN_DATA_TEXT ? "text"
                                                    : "documents");
    used = snprintf(drawing->subtitle, sizeof drawing->subtitle, "%d layers, %d heads, hidden %d, step %d of %d",
                    recipe->layers, recipe->heads, recipe->hidden, training->step, recipe->steps);
    if (evaluation)
        used += snprintf(drawing->subtitle + used, sizeof drawing->subtitle - (size_t)used, "; evaluation %.4f",
                         evaluation->loss);
    if (evaluation && isfinite(evaluation->best))
        snprintf(drawing->subtitle + used, sizeof drawing->subtitle - (size_t)used, ", %.4f above the best possible",
                 evaluation->loss - evaluation->best);
}

static scry_status draw(const char *path, struct drawing *drawing)
{
    const scry_training     *training = drawing->training;
    const scry__curve_series series[] = {
        {"training", drawing->losses, drawing->loss_count, training_colour, SCRY__CURVE_LINE},
        {"evaluation", drawing->evaluations, training->evaluation_count, evaluation_colour, SCRY__CURVE_DOTS},
    };
    const scry__curve_level level = {"best possible", training->bound, bound_colour};
    const scry__curve       curve = {
              .title        = drawing->title,
              .subtitle     = drawing->subtitle,
              .x_axis       = "step",
              .y_axis       = "loss, nats per token",
              .series       = series,
              .series_count = 2,
              .levels       = &level,
              .level_count  = isfinite(training->bound),
              .marks        = drawing->marks,
              .mark_count   = drawing->mark_count,
              .mark_name    = "checkpoints",
              .description  = drawing->subtitle,
    };
    return scry__curve_write(path, &curve);
}

scry_status scry__training_curve_write(const char *path, const scry_training *training)
{
    struct drawing drawing = {.training = training};
    scry_status    status  = scry__picture_check(path);
    if (status) return status;
    drawing.losses      = scry__alloc(MOST_POINTS + 1, sizeof *drawing.losses);
    drawing.evaluations = scry__alloc((size_t)training->evaluation_count, sizeof *drawing.evaluations);
    drawing.marks       = scry__alloc((size_t)training->step + 1, sizeof *drawing.marks);
    status              = SCRY_OUT_OF_MEMORY;
    if (drawing.losses && drawing.evaluations && drawing.marks) {
        add_losses(&drawing);
        add_evaluations(&drawing);
        add_marks(&drawing);
        entitle(&drawing);
        status = draw(path, &drawing);
    }
    scry__free(drawing.marks);
    scry__free(drawing.evaluations);
    scry__free(drawing.losses);
    return status;
}

static void add_field(scry__text *text, double value)
{
    if (isfinite(value))
        scry__text_addf(text, ",%.9g", value);
    else
        scry__text_adds(text, ",");
}

scry_status scry__training_csv_write(const char *path, const scry_training *training)
{
    scry__text text = {0};
    int        next = 0; /* evaluation */
    scry__text_adds(&text, "step,rate,loss,evaluation,error,best\n");
    for (int step = 0; step <= training->step; step++) {
        const scry_evaluation *evaluation = &training->evaluations[next];
        bool                   evaluated  = next < training->evaluation_count && evaluation->step == step;
        if (!step && !evaluated) continue;
        scry__text_addf(&text, "%d", step);
        add_field(&text, step ? scry_recipe_rate(training->recipe, step) : NAN);
        add_field(&text, step ? (double)training->losses[step - 1] : NAN);
        add_field(&text, evaluated ? evaluation->loss : NAN);
        add_field(&text, evaluated ? evaluation->error : NAN);
        add_field(&text, evaluated ? evaluation->best : NAN);
        scry__text_adds(&text, "\n");
        next += evaluated;
    }
    scry_status status = text.status ? text.status : scry__file_write(path, text.data, text.size);
    scry__text_finish(&text);
    return status;
}
