/* Copies of a fixture's checkpoint in a temporary directory, damaged in one place. */
#ifndef TESTS_UNIT_CHECKPOINT_EDIT_H
#define TESTS_UNIT_CHECKPOINT_EDIT_H

typedef enum checkpoint_action {
    INTACT,
    SET_CONFIG,    /* key `name` of config.json = JSON `value`; NULL removes it */
    SET_TENSOR,    /* entry `name` of the safetensors header = JSON `value`; NULL removes it */
    RENAME_TENSOR, /* entry `name` of the safetensors header is called `value` */
    SET_HEADER,    /* the whole header = `value` */
    SET_LENGTH,    /* the header's length field = number `value`, nothing else changes */
    TRUNCATE,      /* `name` is cut to `value` bytes, or by them where negative */
    APPEND,        /* text `value` is put behind file `name` */
    WRITE,         /* file `name` = text `value` */
    REMOVE,        /* file `name` is deleted */
    SCALE_TENSORS, /* the f32 and bf16 tensors that match pattern `name`, or with "#5" behind it row 5 of them, times
                      number `value` */
    SET_INDEX,     /* key `name` of the index's weight_map = JSON `value`; NULL removes it */
} checkpoint_action;

typedef struct checkpoint_edit {
    const char       *fixture; /* DEMO_CHECKPOINT is one, too */
    checkpoint_action action;
    const char       *name, *value;
} checkpoint_edit;

#define DEMO_CHECKPOINT "../../../models/demo"

/* Makes the copy and puts its path into `path`; fails the test where that does not work. */
enum { CHECKPOINT_PATH = 256 };
void checkpoint_make(char path[CHECKPOINT_PATH], const checkpoint_edit *edit);
void checkpoint_remove(const char *path);

#endif
