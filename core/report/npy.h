/* One array to an .npy file (NumPy enhancement proposal 1), and the head that every array of an .npz begins with too.
 */
#ifndef SCRY_REPORT_NPY_H
#define SCRY_REPORT_NPY_H

#include "base/text.h"

/* Magic, version 1.0, and a dictionary padded with spaces so that data starts at a multiple of 64. `description` is
 * NumPy's: "<f4". */
scry_status scry__npy_add_head(scry__text *head, const char *description, int rank, const int64_t *shape);

/* A whole f32 array, row-major, written whole or not at all. */
scry_status scry__npy_write_f32(const char *path, int rank, const int64_t *shape, const float *data);

#endif
