/* Steering as a picture: by strength, the probability and the logit of the tokens that move most, and how far the whole
 * prediction moves, beside what random vectors do. */
#ifndef SCRY_REPORT_STEERING_PICTURE_H
#define SCRY_REPORT_STEERING_PICTURE_H

#include "scry/steer.h"

/* Writes .png, .svg or .pdf, by the path's extension. `title` and `about` say what was continued and by which vector.
 * SCRY_BAD_ARGUMENT, too, where no prediction was compared. */
scry_status scry__steering_picture_write(const char *path, const scry_steering *steering, const char *title,
                                         const char *about);

#endif
