/* Comparison of elements and rankings. See judge.h. */
#include "cases/judge.h"

#include "cases/bounds.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

void scry__verdict_fail(scry__verdict *verdict, const char *format, ...)
{
    scry__case_result *result = verdict->result;
    va_list            arguments;
    result->passed = false;
    if (*result->detail) return;
    va_start(arguments, format);
    vsnprintf(result->detail, sizeof result->detail, format, arguments);
    va_end(arguments);
}

/* "[1, 0, 3]" for messages. */
enum { INDEX_TEXT = SCRY_MAX_RANK * 24 };

static const char *index_text(char text[INDEX_TEXT], const scry__array *output, int64_t index)
{
    int64_t indices[SCRY_MAX_RANK] = {0};
    size_t  length                 = 0;
    for (int axis = output->view.rank - 1; axis >= 0; axis--) {
        indices[axis] = output->origin[axis] + index % output->view.shape[axis];
        index /= output->view.shape[axis];
    }
    for (int axis = 0; axis < output->view.rank; axis++)
        length +=
            (size_t)snprintf(text + length, INDEX_TEXT - length, axis ? ", %lld" : "[%lld", (long long)indices[axis]);
    snprintf(text + length, INDEX_TEXT - length, "]");
    return text;
}

static void note(scry__verdict *verdict, const scry__array *output, double ratio, double delivered)
{
    scry__case_result *result = verdict->result;
    result->compared++;
    result->delivered = fmax(result->delivered, delivered);
    if (!(ratio > result->worst)) return;
    result->worst = ratio;
    snprintf(result->output, sizeof result->output, "%s", output->name);
}

static double relative_error(double expected, double got)
{
    if ((isnan(expected) && isnan(got)) || expected == got) return 0;
    double error = fabs(expected - got) / fmax(fabs(expected), SCRY__TINY);
    return isfinite(error) ? error : 0; /* no roundoff explains it */
}

void scry__verdict_value(scry__verdict *verdict, const scry__array *output, int64_t index, double bound)
{
    char text[INDEX_TEXT];
    if (!output) return;
    double expected = scry__array_read(output, output->expected, index);
    double got      = scry__array_read(output, output->got, index);
    if (bound > 0) bound += 0x1p-24 * fabs(expected);
    bool   same  = (isnan(expected) && isnan(got)) || expected == got;
    double error = fabs(expected - got);
    double ratio = same ? 0 : isfinite(error) && bound > 0 ? error / bound : INFINITY; /* NaN bounds nothing */
    bool   bare  = verdict->bare || !isfinite(ratio);
    note(verdict, output, ratio, bare ? relative_error(expected, got) : ratio * verdict->unit);
    if (verdict->result->wide && isfinite(expected) && !isfinite(got)) verdict->result->overflowed = true;
    if (!(ratio <= 1))
        scry__verdict_fail(verdict, "%s%s: expected %.9g, got %.9g; allowed difference %.3g", output->name,
                           index_text(text, output, index), expected, got, bound);
}

void scry__verdict_result(scry__verdict *verdict, const scry__array *output, int64_t index, double exact, double bound)
{
    char text[INDEX_TEXT];
    if (!output) return;
    double expected = scry__array_read(output, output->expected, index);
    double allowed  = 0x1.001p-24 * fabs(exact) + 0x1p-20 * bound + 0x1p-149;
    bool   agrees   = expected == exact || (isnan(expected) && isnan(exact)) || fabs(expected - exact) <= allowed;
    if (!agrees)
        scry__verdict_fail(verdict, "%s%s: the reference says %.9g, its judge %.12g", output->name,
                           index_text(text, output, index), expected, exact);
    scry__verdict_value(verdict, output, index, bound);
}

void scry__verdict_integer(scry__verdict *verdict, const scry__array *output, int64_t index, double low, double high)
{
    char text[INDEX_TEXT];
    if (!output) return;
    double got = scry__array_read(output, output->got, index);
    bool   ok  = got >= low && got <= high;
    note(verdict, output, ok ? 0 : INFINITY, 0);
    if (!ok)
        scry__verdict_fail(verdict, "%s%s: expected %.0f to %.0f, got %.0f", output->name,
                           index_text(text, output, index), low, high, got);
}

/* Is `got` an admissible candidate where the reference chose `expected`? */
static bool admissible(const scry__ranking *ranking, double expected, double got)
{
    if (got == expected) return true;
    if (ranking->exact || expected < 0 || !(got >= 0) || got >= (double)ranking->count) return false;
    int64_t a = (int64_t)expected, b = (int64_t)got;
    if (!(ranking->scores[b] > -INFINITY)) return false;
    return fabs(ranking->values[a] - ranking->values[b]) <= ranking->tolerances[a] + ranking->tolerances[b];
}

static void judge_id(scry__verdict *verdict, const scry__ranking *ranking, const scry__array *ids, int64_t index,
                     int64_t place)
{
    char   text[INDEX_TEXT];
    double expected = scry__array_read(ids, ids->expected, index + place);
    double got      = scry__array_read(ids, ids->got, index + place);
    bool   ok       = admissible(ranking, expected, got);
    for (int64_t before = 0; ok && got >= 0 && before < place; before++)
        ok = scry__array_read(ids, ids->got, index + before) != got;
    note(verdict, ids, ok ? 0 : INFINITY, 0);
    if (!ok)
        scry__verdict_fail(verdict, "%s%s: expected %.0f or its equal, once; got %.0f", ids->name,
                           index_text(text, ids, index + place), expected, got);
}

void scry__verdict_ranking(scry__verdict *verdict, const scry__ranking *ranking, const scry__array *ids,
                           const scry__array *values, int64_t index, int64_t places)
{
    /* The n-th largest of perturbed values moves by no more than the largest perturbation. */
    double widest = 0;
    for (int64_t i = 0; i < ranking->count; i++) {
        if (isnan(ranking->values[i])) return;
        if (ranking->scores[i] > -INFINITY) widest = fmax(widest, ranking->tolerances[i]);
    }
    for (int64_t place = 0; place < places; place++) {
        double got = ids ? scry__array_read(ids, ids->got, index + place) : -1;
        if (ids) judge_id(verdict, ranking, ids, index, place);
        if (!values) continue;
        scry__verdict_value(verdict, values, index + place, widest);
        if (!(got >= 0) || got >= (double)ranking->count) continue;
        /* The value must also be that of the candidate named. */
        double named = ranking->values[(int64_t)got], shown = scry__array_read(values, values->got, index + place);
        double allowed = ranking->tolerances[(int64_t)got] + 0x1p-23 * fabs(named);
        if (!(fabs(named - shown) <= allowed))
            scry__verdict_fail(verdict, "%s: %.9g stands beside id %.0f, whose value is %.9g; allowed difference %.3g",
                               values->name, shown, got, named, allowed);
    }
}

void scry__verdict_order(scry__verdict *verdict, const scry__array *ids, const scry__array *values, int64_t index,
                         int64_t places)
{
    char text[INDEX_TEXT];
    if (!ids || !values) return;
    for (int64_t at = index + 1; at < index + places; at++) {
        double before = scry__array_read(values, values->got, at - 1),
               value  = scry__array_read(values, values->got, at);
        double lower = scry__array_read(ids, ids->got, at - 1), id = scry__array_read(ids, ids->got, at);
        bool   tied = before == value && id >= 0;
        if (isnan(before) || isnan(value)) return;
        if (before < value || (tied && !(lower >= 0 && lower < id)))
            scry__verdict_fail(verdict, "%s%s: id %.0f of value %.9g stands behind id %.0f of value %.9g", ids->name,
                               index_text(text, ids, at), id, value, lower, before);
    }
}
