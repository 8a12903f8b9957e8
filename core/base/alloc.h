/* The allocation gate: every heap allocation of the library goes through here.
 *
 * Takes (count, size) and refuses products that overflow. On refusal the thread's error detail says so without
 * allocating. Tests make the n-th allocation fail. */
#ifndef SCRY_BASE_ALLOC_H
#define SCRY_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed memory for count elements of `size` bytes (a zero product still gives a pointer); NULL when refused. */
void *scry__alloc(size_t count, size_t size);

/* Resizes; new bytes are not zeroed; the old block stays valid when refused. */
void *scry__realloc(void *memory, size_t count, size_t size);

void scry__free(void *memory);

/* A copy of a string, or of its first `size` bytes, with a NUL behind. */
char *scry__strdup(const char *text);
char *scry__strndup(const char *text, size_t size);

/* Not zeroed, 64-byte aligned, large blocks backed by huge pages where the system allows; release with
 * scry__free_aligned. */
void *scry__alloc_aligned(size_t bytes);
void  scry__free_aligned(void *memory);

/* For tests: the n-th allocation from now (1 is the next) fails once; 0 switches it off. Tells whether one that was to
 * fail is still to come. */
bool scry__alloc_fail_at(long n);

#endif
