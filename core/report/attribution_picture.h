/* A direct logit attribution as a picture: layers down, heads and the MLP across. */
#ifndef SCRY_REPORT_ATTRIBUTION_PICTURE_H
#define SCRY_REPORT_ATTRIBUTION_PICTURE_H

#include "scry/attribute.h"

/* Writes .png, .svg or .pdf. Embeddings and biases, which have no place in it, are summed in its subtitle. */
scry_status scry__attribution_picture_write(const char *path, const scry_attribution *attribution);

#endif
