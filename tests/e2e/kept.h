/* The files that plugins keep on disk (backends/shared/store.h), in the folder "cache" of a test, and what can happen
 * to them. */
#ifndef SCRY_TESTS_E2E_KEPT_H
#define SCRY_TESTS_E2E_KEPT_H

#include "program.h"

#include <stdbool.h>

struct kept_files {
    int  count;
    char names[64][64];
};

struct kept_files kept_list(void);
const char       *kept_path(const char *name); /* as in_folder */

/* The head of a file, and the bytes behind it: the key, and then the content. */
enum { KEPT_HEAD = 32 };
size_t kept_key_bytes(const char *name);

void write_bytes(const char *path, const char *bytes, size_t size);

/* What happens to a file: cut to some bytes, grown by one, one bit flipped, or another's put in its place. The position
 * is counted from where its part begins (END: below 0). */
struct damage {
    const char *name;
    enum { CUT, GROW, FLIP, FOREIGN } change;
    enum { HEAD, KEY, CONTENT, END } part;
    long at;
};

/* What the checksum, the sizes and the key have to see. */
extern const struct damage kept_damages[];
extern const int           kept_damage_count;

void kept_apply(const struct damage *damage, const char *name, const char *other);
/* Gives it the sizes and the checksum of what it holds. */
void kept_seal(const char *name);

/* Places that nothing can be kept in; NULL behind the last. */
extern const char *const unusable_places[];

/* Puts `count` files called PREFIX-... there, as old as their number is low; and how many of the oldest are gone,
 * which fails the test where a newer one is. */
void kept_fill(const char *prefix, int count);
int  kept_gone(const char *prefix, int count);

#endif
