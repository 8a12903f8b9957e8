/* The allocation gate. See alloc.h. */
#include "base/alloc.h"

#include "base/error.h"
#include "base/number.h"
#include "scry/status.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static atomic_long fail_countdown;

bool scry__alloc_fail_at(long n)
{
    return atomic_exchange(&fail_countdown, n) > 0;
}

static bool refused(void)
{
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) == 0) return false;
    return atomic_fetch_sub(&fail_countdown, 1) == 1;
}

void *scry__alloc(size_t count, size_t size)
{
    size_t bytes;
    void  *memory = NULL;
    if (scry__multiply(count, size, &bytes) && !refused()) memory = calloc(1, bytes ? bytes : 1);
    if (!memory) scry__fail_memory(count, size);
    return memory;
}

void *scry__realloc(void *memory, size_t count, size_t size)
{
    size_t bytes;
    void  *grown = NULL;
    if (scry__multiply(count, size, &bytes) && !refused()) grown = realloc(memory, bytes ? bytes : 1);
    if (!grown) scry__fail_memory(count, size);
    return grown;
}

void scry__free(void *memory)
{
    free(memory);
}

void scry_free(void *memory)
{
    free(memory);
}

char *scry__strndup(const char *text, size_t size)
{
    size_t bytes;
    char  *copy = scry__plus(size, 1, &bytes) ? scry__alloc(bytes, 1) : NULL;
    if (copy) memcpy(copy, text, size);
    return copy;
}

char *scry__strdup(const char *text)
{
    return scry__strndup(text, strlen(text));
}

/* From this size on, whole huge pages: fewer page faults where megabytes are touched once. */
enum { HUGE_PAGE = 2 << 20, ALIGNMENT = 64 };

static bool is_large(size_t bytes)
{
    return bytes >= 2 * (size_t)HUGE_PAGE;
}

void *scry__alloc_aligned(size_t bytes)
{
    size_t alignment = is_large(bytes) ? HUGE_PAGE : ALIGNMENT;
    size_t rounded;
    void  *memory = NULL;
    if (scry__plus(bytes ? bytes : 1, alignment - 1, &rounded) && !refused())
        memory = aligned_alloc(alignment, rounded / alignment * alignment);
    if (!memory) {
        scry__fail_memory(bytes, 1);
        return NULL;
    }
    if (is_large(bytes)) madvise(memory, rounded / alignment * alignment, MADV_HUGEPAGE);
    return memory;
}

void scry__free_aligned(void *memory)
{
    free(memory);
}
