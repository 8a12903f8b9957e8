/* Where the program keeps what it can make again: $SCRY_CACHE_DIR, else $XDG_CACHE_HOME/scry, else $HOME/.cache/scry,
 * the first that is an absolute path. Plugins, which link nothing of this, keep theirs in the same place
 * (backends/shared). */
#ifndef SCRY_BASE_CACHE_H
#define SCRY_BASE_CACHE_H

#include "scry/status.h"

/* The path of file `name` there; release with scry__free. SCRY_IO where no variable names a folder. Makes nothing. */
scry_status scry__cache_path(char **out, const char *name);

/* Makes the folders that a path lies in, for this user only; what is missing then fails when the file is written. */
void scry__cache_make_folders(const char *path);

#endif
