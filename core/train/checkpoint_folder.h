/* Folders of checkpoints: step-N, each of which appears whole or not at all and says by SHA256SUMS what lies in it.
 * What that is, their users know: a tiny model's training (checkpoint.h), or a tuned lens' (lens_checkpoint.h). */
#ifndef SCRY_TRAIN_CHECKPOINT_FOLDER_H
#define SCRY_TRAIN_CHECKPOINT_FOLDER_H

#include "base/json.h"
#include "base/json_build.h"
#include "model/snapshot.h"

/* How the folders' names begin; their leftovers' too (scry__folder_sweep). */
#define SCRY__CHECKPOINT_PREFIX "step-"

/* Makes the folder, keeps other processes from it (*lock; -1: not yet), removes what killed ones left, and finds the
 * newest checkpoint: NULL in *newest where there is none. One that is there and not to be resumed is
 * SCRY_BAD_ARGUMENT. */
scry_status scry__checkpoints_open(int *lock, char **newest, const char *folder, const char *const *needed,
                                   bool resume);

/* The newest checkpoint that is whole, and its step; NULL where there is none. Damaged ones are passed over with a
 * warning in the log. Release *path with scry__free. */
scry_status scry__checkpoints_find(char **path, int *step, const char *folder, const char *const *needed);

/* Removes the checkpoints of steps below `before`, and the folder where it is then empty. */
scry_status scry__checkpoints_remove(const char *folder, int before);

/* Writes folder/step-N with what `fill` puts into the folder that it is given, and its sums. N has as many digits as
 * the last step, so that names sort as steps do. A checkpoint of that step that is there already (a damaged one) makes
 * place. *path (optional) is where; release with scry__free. */
scry_status scry__checkpoints_write(char **path, const char *folder, int step, int last,
                                    scry_status (*fill)(void *user, const char *folder), void *user);

/* Whether every file is there as SHA256SUMS says, those of `needed` (NULL at the end) among them; else SCRY_BAD_INPUT
 * with the first that is not. */
scry_status scry__checkpoint_check_files(const char *path, const char *const *needed);

/* Refusals to go on from a checkpoint: by a recipe with another `name`, with `data` that has changed. */
scry_status scry__checkpoint_other_recipe(const char *path, const char *name);
scry_status scry__checkpoint_other_data(const char *path, const char *data);

/* --- files of a checkpoint --- */

/* Takes over the object. */
scry_status scry__checkpoint_write_json(const char *folder, const char *name, scry__json_builder *builder,
                                        json_t *object);
/* *path is the file's, for messages, also after a failure; release it with scry__free and *out with json_decref. */
scry_status scry__checkpoint_read_json(json_t **out, char **path, const char *folder, const char *name);

scry_status scry__checkpoint_write_tensors(const char *folder, const char *name, const scry__stored *tensors,
                                           int count);
scry_status scry__checkpoint_read_tensors(const scry__snapshot *snapshot, const char *folder, const char *name);

#endif
