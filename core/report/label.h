/* Token texts as people should see them, and how wide they are in a terminal. */
#ifndef SCRY_REPORT_LABEL_H
#define SCRY_REPORT_LABEL_H

#include "base/text.h"

/* Appends `text` (UTF-8) with white space shown: space as U+2423, newline U+23CE, tab U+21E5, other controls and
 * bidirectional overrides as U+00B7, bytes that are no UTF-8 as U+FFFD. An empty text shows as U+2205. */
void scry__label_add(scry__text *out, const char *text);

/* Appends `text` as people read it: spaces, newlines and tabs stay, whatever could command the terminal or turn the
 * line around is replaced as in scry__label_add. */
void scry__label_prose(scry__text *out, const char *text);

/* Labels of `count` texts in one block, released with scry__labels_destroy. */
typedef struct scry__labels {
    int    count;
    char **texts;
} scry__labels;
scry_status scry__labels_create(scry__labels **out, const char *const *texts, int count);
void        scry__labels_destroy(scry__labels **labels);

/* Columns that a terminal needs for a text as scry__label_fit writes it: 2 for wide characters, 0 for combining marks.
 */
int scry__label_width(const char *text);

typedef enum scry__align { SCRY__ALIGN_LEFT, SCRY__ALIGN_RIGHT } scry__align;

/* Appends exactly `width` columns: the text padded, or cut with an ellipsis (U+2026) where it is wider. Spaces stay;
 * controls and the like are replaced as in scry__label_add, so that no text can command the terminal. */
void scry__label_fit(scry__text *out, const char *text, int width, scry__align align);

#endif
