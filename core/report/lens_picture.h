/* The lens as a picture: layers down, positions across, each cell the likeliest token, coloured by its probability. */
#ifndef SCRY_REPORT_LENS_PICTURE_H
#define SCRY_REPORT_LENS_PICTURE_H

#include "scry/lens.h"

/* Writes the positions from `begin` to before `end` as .png, .svg or .pdf, by the path's extension. Beyond 64 positions
 * the cells are too many to be read and hold colours only. `note` stands behind the subtitle; NULL: nothing. */
scry_status scry__lens_picture_write(const char *path, const scry_lens *lens, int begin, int end, const char *note);

#endif
