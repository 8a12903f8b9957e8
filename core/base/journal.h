/* A file of lines that grows while long work goes on, so that a stop loses no more than the step under way: each line
 * is on disk before the next step begins, and what a kill tore is dropped when the file is opened again. */
#ifndef SCRY_BASE_JOURNAL_H
#define SCRY_BASE_JOURNAL_H

#include "base/file.h"

typedef struct scry__journal {
    char     *path;
    int       descriptor;
    scry__map map;  /* what was there at opening */
    size_t    size; /* of its whole lines */
    size_t    next; /* where the line begins that is read next */
    int       line; /* lines read or added so far */
} scry__journal;

/* Opens the file, or makes it. Refused where it is no regular file, or where another process has it open as a journal
 * (SCRY_IO). */
scry_status scry__journal_open(scry__journal *journal, const char *path);

/* The next line that was there, without its end; valid until the journal is closed. False where there is none. */
bool scry__journal_read(scry__journal *journal, const char **line, size_t *size);

/* Appends `size` bytes, the last of which is a line's end, and syncs them. */
scry_status scry__journal_add(scry__journal *journal, const char *line, size_t size);

/* The work is whole elsewhere: removes the file. Both this and a plain close leave the journal closed. */
scry_status scry__journal_remove(scry__journal *journal);
void        scry__journal_close(scry__journal *journal);

#endif
