/* Folders: made, listed, locked, removed, and filled so that they appear whole or not at all. */
#ifndef SCRY_BASE_FOLDER_H
#define SCRY_BASE_FOLDER_H

#include "scry/status.h"

#include <stdbool.h>

/* Makes a folder and those that it lies in; one that is there will do. */
scry_status scry__folder_make(const char *path);

/* Keeps other processes from the folder until it is unlocked or this one ends, in whatever way. Where another has it
 * locked, this is SCRY_IO. */
scry_status scry__folder_lock(int *lock, const char *path);
void        scry__folder_unlock(int lock);

/* What lies in a folder, by name, without "." and ".."; each name and the array are released with
 * scry__folder_free_names. */
scry_status scry__folder_list(char ***names, int *count, const char *path);
void        scry__folder_free_names(char **names, int count);

/* Removes a folder with the files in it; folders in it are refused. */
scry_status scry__folder_remove(const char *path);
/* The same, whole or not at all: what a kill may leave of it is a leftover (scry__folder_sweep). */
scry_status scry__folder_discard(const char *path);

/* A folder in the making: files are written into `temporary`, which lies beside `path` and is called
 * NAME.PROCESS.part. */
typedef struct scry__folder {
    char *path, *temporary, *parent;
} scry__folder;

scry_status scry__folder_begin(scry__folder *folder, const char *path);
/* Syncs it, puts it in place of what may be there, and syncs the folder that it lies in. Its files are synced already
 * (scry__writer_commit). */
scry_status scry__folder_commit(scry__folder *folder);
/* Also after a failure, and after commit. */
void scry__folder_abort(scry__folder *folder);

/* Removes what killed processes left in `path` of folders called `prefix`...: to be called where no other can be at
 * work there. *count (optional) is how many. */
scry_status scry__folder_sweep(const char *path, const char *prefix, int *count);

#endif
