/* What a position drew on as a picture: layers down, keys across. */
#ifndef SCRY_REPORT_INFLUENCE_PICTURE_H
#define SCRY_REPORT_INFLUENCE_PICTURE_H

#include "scry/influence.h"

/* Writes .png, .svg or .pdf: the change in the target's log-probability when a key is cut in one layer, or the mean
 * attention weights where these cuts were not measured. */
scry_status scry__influence_picture_write(const char *path, const scry_influence *influence);

#endif
