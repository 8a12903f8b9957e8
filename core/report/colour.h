/* Colour maps, the same in pictures, terminal and HTML. */
#ifndef SCRY_REPORT_COLOUR_H
#define SCRY_REPORT_COLOUR_H

#include <stdbool.h>
#include <stdint.h>

typedef enum scry__colours {
    SCRY__COLOURS_SEQUENTIAL, /* dark violet to yellow, lightness rising evenly: for quantities from 0 */
    SCRY__COLOURS_DIVERGING,  /* blue, grey, red: for signed quantities, 0 in the middle */
} scry__colours;

typedef struct scry__rgb {
    uint8_t red, green, blue;
} scry__rgb;

/* The colour at `place`, 0 to 1 (taken as the nearer end outside; NaN as 0). */
scry__rgb scry__colour_at(scry__colours colours, double place);

/* True where black text reads better on it than white. */
bool scry__colour_is_light(scry__rgb colour);

#endif
