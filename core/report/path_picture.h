/* Path patching as a picture: what each sender says, layers x heads and MLPs. */
#ifndef SCRY_REPORT_PATH_PICTURE_H
#define SCRY_REPORT_PATH_PICTURE_H

#include "scry/path.h"

/* .png, .svg or .pdf, as scry__heatmap_write has them. Senders that were patched together, and the embedding, have no
 * cell; SCRY_BAD_ARGUMENT where no sender has one. */
scry_status scry__path_picture_write(const char *path, const scry_paths *paths, scry_patch_metric metric);

#endif
