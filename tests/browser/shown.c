/* Reading numbers as pages show them. See shown.h. */
#include "browser/shown.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

json_t *at(json_t *array, int index)
{
    return json_array_get(array, (size_t)index);
}

json_t *of(json_t *object, const char *key)
{
    return json_object_get(object, key);
}

double number_of(json_t *object, const char *key)
{
    json_t *value = of(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

int int_of(json_t *object, const char *key)
{
    return (int)json_integer_value(of(object, key));
}

const char *text_at(json_t *array, int index)
{
    const char *text = json_string_value(at(array, index));
    return text ? text : "";
}

double read_number(const char *text)
{
    double value = NAN;
    return sscanf(text, "%lf", &value) == 1 ? value : NAN;
}

double read_percent(const char *text, double *slack)
{
    const char *point  = strchr(text, '.');
    int         digits = point ? (int)strspn(point + 1, "0123456789") : 0;
    *slack             = *text == '<' ? 1e-4 : decimals(digits, read_number(text)) / 100;
    return *text == '<' ? 0 : read_number(text) / 100;
}

void expect_close(double shown, double exact, double slack, const char *what, int i, int j)
{
    bool close = isnan(shown) ? isnan(exact) : fabs(shown - exact) <= slack;
    cr_expect(close, "%s at %d, %d: the page shows %g, --json says %.9g", what, i, j, shown, exact);
}

double decimals(int count, double exact)
{
    return 0.5001 * pow(10, -count) + 5e-5 * fabs(exact);
}
