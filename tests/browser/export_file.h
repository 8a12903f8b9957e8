/* Whether a file that a page exported is what it says to be. */
#ifndef SCRY_TESTS_BROWSER_EXPORT_FILE_H
#define SCRY_TESTS_BROWSER_EXPORT_FILE_H

#include <stddef.h>

/* Each gives NULL where all is well, else what is wrong, in a static buffer. */
const char *export_check_svg(const char *bytes, size_t size);
const char *export_check_png(const char *bytes, size_t size);
const char *export_check_csv(const char *bytes, size_t size);
const char *export_check_json(const char *bytes, size_t size);

/* Fields of RFC 4180: gives the number of records; *columns is that of their fields, -1 where they differ. The function
 * is called for each, with a text of the caller's own, and may be NULL. Negative where the bytes are no CSV. */
int export_read_csv(const char *bytes, size_t size, int *columns,
                    void (*field)(void *user, int record, int column, const char *text), void *user);

#endif
