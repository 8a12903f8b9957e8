/* What edits take from files: arrays of values, and prompts. */
#ifndef SCRY_TRACE_EDIT_FILE_H
#define SCRY_TRACE_EDIT_FILE_H

#include "scry/edit.h"

/* Each edit's values from one file: the only array of an .npy, or the one under the edit's hook point of an .npz. Axes
 * are [positions, heads, columns], of scores and patterns [heads, queries, keys]; those in front may be left out, and
 * one of 1 for a batch may stand before them. values.data is allocated, also of edits that were read before a failure.
 */
scry_status scry__edit_read_arrays(scry_edit *edits, int count, const scry_model *model, const char *path);

/* The lines of a text file that are not empty. *prompts and each of them are to be released with scry__free, also after
 * a failure. */
scry_status scry__edit_read_prompts(char ***prompts, int *count, const char *path);

#endif
