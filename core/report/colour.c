/* Colour maps, interpolated between evenly spaced control points. See colour.h. */
#include "report/colour.h"

#include <math.h>

/* Viridis (S. van der Walt and N. Smith, released into the public domain as CC0), at 20 evenly spaced places. Its
 * lightness L* rises evenly from 15 to 91, also in print and for the colour-blind. */
static const scry__rgb sequential[] = {
    {68, 1, 84},    {72, 21, 104},  {72, 38, 119},  {69, 55, 129},  {63, 71, 136},  {57, 85, 140},  {50, 100, 142},
    {45, 113, 142}, {40, 125, 142}, {35, 138, 141}, {31, 150, 139}, {32, 163, 134}, {41, 175, 127}, {60, 188, 117},
    {86, 198, 103}, {116, 208, 85}, {148, 216, 64}, {184, 222, 41}, {220, 227, 24}, {253, 231, 37},
};

/* K. Moreland, "Diverging Color Maps for Scientific Visualization" (2009): his interpolation in Msh space between
 * (59, 76, 192) and (180, 4, 38), evaluated at 17 evenly spaced places. */
static const scry__rgb diverging[] = {
    {59, 76, 192},   {78, 104, 215},  {98, 130, 234},  {119, 154, 247}, {141, 176, 254}, {163, 194, 255},
    {184, 208, 249}, {204, 217, 238}, {221, 221, 221}, {236, 211, 198}, {245, 196, 173}, {247, 177, 148},
    {244, 154, 123}, {236, 127, 99},  {222, 97, 76},   {203, 62, 56},   {180, 4, 38},
};

static uint8_t mix(uint8_t a, uint8_t b, double share)
{
    return (uint8_t)(a + (b - a) * share + 0.5);
}

scry__rgb scry__colour_at(scry__colours colours, double place)
{
    const scry__rgb *points = colours == SCRY__COLOURS_DIVERGING ? diverging : sequential;
    int              last =
        (int)(colours == SCRY__COLOURS_DIVERGING ? sizeof diverging : sizeof sequential) / (int)sizeof *points - 1;
    if (!(place > 0)) return points[0];
    if (place >= 1) return points[last];
    int    below = (int)(place * last);
    double share = place * last - below;
    return (scry__rgb){mix(points[below].red, points[below + 1].red, share),
                       mix(points[below].green, points[below + 1].green, share),
                       mix(points[below].blue, points[below + 1].blue, share)};
}

static double linear(uint8_t value)
{
    double share = value / 255.0;
    return share <= 0.04045 ? share / 12.92 : pow((share + 0.055) / 1.055, 2.4);
}

bool scry__colour_is_light(scry__rgb colour)
{
    /* Relative luminance as WCAG 2 defines it; at 0.179 black and white have the same contrast. */
    return 0.2126 * linear(colour.red) + 0.7152 * linear(colour.green) + 0.0722 * linear(colour.blue) > 0.179;
}
