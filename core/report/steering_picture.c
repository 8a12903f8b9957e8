/* Steering as curves over the strength. See steering_picture.h. */
#include "report/steering_picture.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "report/curve.h"
#include "report/label.h"
#include "report/picture.h"

#include <math.h>

/* Most tokens in a plot; plots' heights. */
enum { MOST_TOKENS = 6, TALL = 240, LOW = 170 };

static const uint32_t colours[MOST_TOKENS] = {0x1f5fa8, 0xc8500a, 0x11806a, 0x8e3b8a, 0x8a6d00, 0x4f6d7a};
static const uint32_t vector_colour = 0x333333, random_colour = 0x7a8088;

enum plot { PROBABILITY, LOGIT, KL, PLOT_COUNT };

/* A place on the axis: a run, or what is without the vector. */
struct stop {
    float strength;
    int   run; /* -1: none, at strength 0 */
};

struct drawing {
    const scry_steering *steering;
    struct stop         *stops; /* ascending */
    int                  stop_count, token_count;
    scry__curve_point   *points; /* of all series, as many as there are stops */
    scry__text           labels[MOST_TOKENS], subtitle, description;
    scry__curve_series   series[PLOT_COUNT][2 * MOST_TOKENS];
    int                  series_counts[PLOT_COUNT];
};

/* --- points --- */

static void add_stop(struct drawing *drawing, float strength, int run)
{
    int at = drawing->stop_count++;
    for (; at > 0 && drawing->stops[at - 1].strength > strength; at--) drawing->stops[at] = drawing->stops[at - 1];
    drawing->stops[at] = (struct stop){strength, run};
}

/* The runs by strength, and what they start from. */
static void add_stops(struct drawing *drawing)
{
    const scry_steering *steering = drawing->steering;
    bool                 has_zero = false;
    for (int run = 0; run < steering->count; run++) {
        add_stop(drawing, steering->runs[run].strength, run);
        has_zero = has_zero || steering->runs[run].strength == 0;
    }
    if (!has_zero) add_stop(drawing, 0, -1);
}

static double number_of(const scry_odds *odds, enum plot plot)
{
    return (double)(plot == PROBABILITY ? odds->probability : odds->logit);
}

/* What is drawn of a token (of the KL: NULL) in a run with the vector, or with one of the random ones. */
static double value_of(const scry_steering *steering, enum plot plot, const scry_followed *token, int run, int random)
{
    size_t at = (size_t)run * (size_t)steering->random_count + (size_t)random;
    if (run < 0) return token ? number_of(&token->plain, plot) : 0;
    if (random < 0) return token ? number_of(&token->steered[run], plot) : (double)steering->runs[run].kl;
    return token ? number_of(&token->random[at], plot) : (double)steering->random_kls[at];
}

/* The mean over random vectors, and how far they spread. */
static scry__curve_point random_point(const scry_steering *steering, enum plot plot, const scry_followed *token,
                                      int run)
{
    scry__curve_point point = {.low = INFINITY, .high = -INFINITY};
    for (int i = 0; i < steering->random_count; i++) {
        double value = value_of(steering, plot, token, run, i);
        point.y += value / steering->random_count;
        point.low  = fmin(point.low, value);
        point.high = fmax(point.high, value);
    }
    return point;
}

static void add_series(struct drawing *drawing, enum plot plot, const scry_followed *token, bool random,
                       const char *name, uint32_t colour)
{
    const scry_steering *steering = drawing->steering;
    scry__curve_point   *points   = drawing->points;
    drawing->points += drawing->stop_count;
    for (int i = 0; i < drawing->stop_count; i++) {
        int run = drawing->stops[i].run;
        if (random) {
            points[i] = random_point(steering, plot, token, run);
        } else {
            double value = value_of(steering, plot, token, run, -1);
            points[i]    = (scry__curve_point){.y = value, .low = value, .high = value};
        }
        points[i].x = (double)drawing->stops[i].strength;
    }
    drawing->series[plot][drawing->series_counts[plot]++] =
        (scry__curve_series){.name   = name,
                             .points = points,
                             .count  = drawing->stop_count,
                             .colour = colour,
                             .style  = random ? SCRY__CURVE_DASHED : SCRY__CURVE_MARKED};
}

/* Tokens are named once, above the first plot; what is random lies below. */
static void add_all_series(struct drawing *drawing)
{
    for (enum plot plot = PROBABILITY; plot <= LOGIT; plot++)
        for (int random = 1; random >= 0; random--)
            for (int i = 0; i < drawing->token_count; i++)
                add_series(drawing, plot, &drawing->steering->followed[i], random,
                           plot == LOGIT || random ? NULL : drawing->labels[i].data, colours[i]);
    add_series(drawing, KL, NULL, false, "the vector", vector_colour);
    add_series(drawing, KL, NULL, true, "random vectors", random_colour);
}

/* --- words --- */

static scry_status add_words(struct drawing *drawing, const char *about)
{
    const scry_steering *steering = drawing->steering;
    scry__text          *text     = &drawing->description;
    scry_status          status   = SCRY_OK;
    scry__text_addf(
        &drawing->subtitle,
        "%s\nThe %s token behind the prompt. Dashed: random vectors as long, the mean of %d, from the lowest to the "
        "highest",
        about, steering->step ? "second" : "first", steering->random_count);
    scry__text_addf(text, "%s", about);
    for (int i = 0; i < drawing->token_count && !status; i++) {
        const scry_followed *token = &steering->followed[i];
        scry__label_add(&drawing->labels[i], token->text);
        status = drawing->labels[i].status;
        if (status) break;
        scry__text_addf(text, "\n%s: probability %.4f without the vector", drawing->labels[i].data,
                        (double)token->plain.probability);
        for (int run = 0; run < steering->count; run++)
            scry__text_addf(text, ", %.4f at strength %g", (double)token->steered[run].probability,
                            (double)steering->runs[run].strength);
    }
    for (int run = 0; run < steering->count; run++)
        scry__text_addf(text, "\nKL %.4f at strength %g, of random vectors %.4f", (double)steering->runs[run].kl,
                        (double)steering->runs[run].strength, (double)steering->runs[run].random_kl);
    return status ? status : text->status ? text->status : drawing->subtitle.status;
}

/* --- the whole --- */

static scry_status draw(const char *path, const struct drawing *drawing, const char *title)
{
    static const char strength[]         = "strength: times the vector";
    scry__curve       curves[PLOT_COUNT] = {
              [PROBABILITY] = {.title       = title,
                               .subtitle    = drawing->subtitle.data,
                               .y_axis      = "probability",
                               .description = drawing->description.data},
              [LOGIT]       = {.y_axis = "logit"},
              [KL]          = {.y_axis = "KL(without || with), nats"},
    };
    for (int plot = 0; plot < PLOT_COUNT; plot++) {
        curves[plot].x_axis       = strength;
        curves[plot].height       = plot == PROBABILITY ? TALL : LOW;
        curves[plot].series       = drawing->series[plot];
        curves[plot].series_count = drawing->series_counts[plot];
    }
    /* Where no token moved there is no plot of tokens. */
    if (drawing->token_count) return scry__curves_write(path, curves, PLOT_COUNT);
    curves[KL].title       = title;
    curves[KL].subtitle    = drawing->subtitle.data;
    curves[KL].description = drawing->description.data;
    return scry__curve_write(path, &curves[KL]);
}

scry_status scry__steering_picture_write(const char *path, const scry_steering *steering, const char *title,
                                         const char *about)
{
    struct drawing drawing = {.steering = steering};
    scry_status    status  = scry__picture_check(path);
    if (status) return status;
    if (!steering->random_kls)
        return scry__fail(
            SCRY_BAD_ARGUMENT,
            "%s: nothing to draw: expected a prediction that the vector reaches, but the generation ended "
            "before, or the context is full",
            path);
    drawing.token_count       = steering->followed_count < MOST_TOKENS ? steering->followed_count : MOST_TOKENS;
    size_t             stops  = (size_t)steering->count + 1;
    scry__curve_point *points = scry__alloc((size_t)(4 * drawing.token_count + 2), stops * sizeof *points);
    drawing.stops             = scry__alloc(stops, sizeof *drawing.stops);
    drawing.points            = points;
    status                    = points && drawing.stops ? add_words(&drawing, about) : SCRY_OUT_OF_MEMORY;
    if (!status) {
        add_stops(&drawing);
        add_all_series(&drawing);
        status = draw(path, &drawing, title);
    }
    for (int i = 0; i < MOST_TOKENS; i++) scry__text_finish(&drawing.labels[i]);
    scry__text_finish(&drawing.description);
    scry__text_finish(&drawing.subtitle);
    scry__free(drawing.stops);
    scry__free(points);
    return status;
}
