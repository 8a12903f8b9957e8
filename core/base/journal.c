/* A file of lines that grows while long work goes on. See journal.h. */
#include "base/journal.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static scry_status fail(const scry__journal *journal, const char *what)
{
    return scry__fail(SCRY_IO, "%s: cannot %s: %s", journal->path, what, strerror(errno));
}

/* The folder's entry has to be on disk too. */
static void sync_folder(const char *path)
{
    char *folder = scry__strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
    int   descriptor;
    if (slash) slash[slash == folder] = 0;
    descriptor = folder ? open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (descriptor >= 0) {
        fsync(descriptor); /* not every file system can; then there is nothing better */
        close(descriptor);
    }
    scry__free(folder);
}

/* Bytes behind the last line's end are of a line that was torn. */
static scry_status drop_torn_line(scry__journal *journal)
{
    scry_status status = scry__map_open(&journal->map, journal->path);
    if (status) return status;
    journal->size = journal->map.size;
    while (journal->size && journal->map.data[journal->size - 1] != '\n') journal->size--;
    if (journal->size == journal->map.size) return SCRY_OK;
    return ftruncate(journal->descriptor, (off_t)journal->size) ? fail(journal, "shorten") : SCRY_OK;
}

scry_status scry__journal_open(scry__journal *journal, const char *path)
{
    struct stat info;
    *journal      = (scry__journal){.descriptor = -1};
    journal->path = scry__strdup(path);
    if (!journal->path) return SCRY_OUT_OF_MEMORY;
    scry_status status  = SCRY_OK;
    journal->descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
    if (journal->descriptor < 0)
        status = fail(journal, "open");
    else if (fstat(journal->descriptor, &info) || !S_ISREG(info.st_mode))
        status = scry__fail(SCRY_IO, "%s: expected a regular file or a new name", path);
    else if (flock(journal->descriptor, LOCK_EX | LOCK_NB))
        status = scry__fail(SCRY_IO, "%s: another process is writing it", path);
    if (!status) status = drop_torn_line(journal);
    if (!status && !journal->size) sync_folder(path);
    if (status) scry__journal_close(journal);
    return status;
}

bool scry__journal_read(scry__journal *journal, const char **line, size_t *size)
{
    if (journal->next == journal->size) return false;
    *line           = (const char *)journal->map.data + journal->next;
    const char *end = memchr(*line, '\n', journal->size - journal->next);
    *size           = (size_t)(end - *line);
    journal->next += *size + 1;
    journal->line++;
    return true;
}

scry_status scry__journal_add(scry__journal *journal, const char *line, size_t size)
{
    while (size) {
        ssize_t put = write(journal->descriptor, line, size);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return fail(journal, "write");
        line += put;
        size -= (size_t)put;
    }
    journal->line++;
    return fsync(journal->descriptor) && errno != EINVAL && errno != EROFS ? fail(journal, "sync") : SCRY_OK;
}

scry_status scry__journal_remove(scry__journal *journal)
{
    scry_status status = unlink(journal->path) ? fail(journal, "remove") : SCRY_OK;
    scry__journal_close(journal);
    return status;
}

void scry__journal_close(scry__journal *journal)
{
    scry__map_close(&journal->map);
    if (journal->descriptor >= 0) close(journal->descriptor);
    scry__free(journal->path);
    *journal = (scry__journal){.descriptor = -1};
}
