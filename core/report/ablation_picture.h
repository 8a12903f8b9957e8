/* An ablation as a picture: a panel for each way, layers x heads, attention, MLP and the whole layer. */
#ifndef SCRY_REPORT_ABLATION_PICTURE_H
#define SCRY_REPORT_ABLATION_PICTURE_H

#include "scry/ablate.h"

/* .png, .svg or .pdf, as scry__heatmap_write has them. SCRY_BAD_ARGUMENT for a loss that was left out. */
scry_status scry__ablation_picture_write(const char *path, const scry_ablation *ablation,
                                         scry_ablation_measure measure);

#endif
